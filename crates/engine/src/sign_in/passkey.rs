//! Signing in with a passkey: adding one, using one, removing one.
//!
//! A challenge is drawn for one browser, or for one session, and one purpose; it carries its own end and is kept nowhere
//! until it was answered, so that showing a page writes nothing. It is answered once.

use std::time::Duration;

use carnet_identity::passkey::{self, Ceremony, PasskeyError, PasskeyKey};
use carnet_model::audit::Action;
use carnet_model::shown::is_name;
use carnet_model::{Code, Fault, Id, SecretString, Time, kind};
use carnet_store::passkeys::{self, PasskeyRow};
use carnet_store::{DbError, Step, Write};
use carnet_vault::Purpose;
use url::Host;

use super::SignInRefused;
use super::tries::By;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::faults;
use crate::sessions::{Session, Visitor};

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyFor {
    /// To sign in.
    Entry,
    /// To prove again who it is.
    Again,
    /// To be added.
    Adding,
}

/// What a browser posts of a passkey that was used.
#[derive(Debug)]
pub struct PasskeyUse {
    /// The challenge of the page.
    pub challenge: Vec<u8>,
    /// Which passkey.
    pub credential: Vec<u8>,
    /// The browser's account of the ceremony.
    pub client_data: Vec<u8>,
    /// The authenticator's.
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
}

/// What a browser posts of a passkey that was made.
#[derive(Debug)]
pub struct PasskeyMade {
    /// The challenge of the page.
    pub challenge: Vec<u8>,
    /// The browser's account of the ceremony.
    pub client_data: Vec<u8>,
    /// The authenticator's.
    pub authenticator_data: Vec<u8>,
    /// What its person calls it.
    pub name: String,
}

impl PasskeyFor {
    const fn label(self) -> &'static str {
        match self {
            Self::Entry => "passkey-entry/1",
            Self::Again => "passkey-again/1",
            Self::Adding => "passkey-adding/1",
        }
    }
}

impl Broker {
    /// The host for which passkeys are made here; none where browsers make none, at an address in place of a name.
    pub fn passkey_host(&self) -> Option<&str> {
        match self.inner.settings.url.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        }
    }

    /// A challenge for the page of this browser or session.
    pub fn passkey_challenge(&self, purpose: PasskeyFor, bound: &SecretString) -> Vec<u8> {
        let inner = &self.inner;
        let end = inner.env.now().plus(LIFE).millis().to_be_bytes();
        let head = [inner.env.bytes::<16>().as_slice(), &end].concat();
        let mac = inner.keyring.hash(Purpose::State, &bound_text(purpose, bound, &head)).digest;
        [head.as_slice(), &mac].concat()
    }

    /// Signs somebody in by a passkey; what is answered goes into the cookie of the session.
    pub async fn sign_in_with_passkey(
        &self,
        used: &PasskeyUse,
        browser: &SecretString,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        self.inner.fresh_keys().await.map_err(faults::store)?;
        let (row, steps) = self.prove_by_passkey(used, PasskeyFor::Entry, browser, visitor).await?;
        self.begin_session(row.user, MEANS, visitor, steps).await.map_err(once)
    }

    /// The person of a session proves again who it is; what is answered is the session's new cookie.
    pub async fn sign_in_again_with_passkey(
        &self,
        session: &Session,
        used: &PasskeyUse,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        let bound = self.session_form(session);
        let (row, steps) = self.prove_by_passkey(used, PasskeyFor::Again, &bound, visitor).await?;
        if row.user != session.user.id {
            return Err(SignInRefused::Wrong);
        }
        self.inner.db.write(Write::new().steps(steps)).await.map_err(|error| once(faults::store(error)))?;
        Ok(self.renew_session(session, MEANS, visitor).await?)
    }

    /// Adds a passkey to the own account; this needs a proof that is fresh.
    pub async fn add_passkey(
        &self,
        session: &Session,
        made: &PasskeyMade,
        visitor: &Visitor,
    ) -> Result<(), SignInRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        if !session.login().is_fresh(now) {
            return Err(SignInRefused::Wrong);
        }
        let name = made.name.trim();
        if !is_name(name, 100) {
            let message = "A passkey has a name of 1 to 100 characters.";
            return Err(Fault::new(Code::InvalidRequest, message).with("field", "name").into());
        }
        let bound = self.session_form(session);
        let ends = self.is_challenge(&made.challenge, PasskeyFor::Adding, &bound)?;
        let origin = inner.settings.url.origin().ascii_serialization();
        let ceremony = self.ceremony(&origin, &made.challenge)?;
        let new = passkey::register(&ceremony, &made.client_data, &made.authenticator_data).map_err(unfit)?;
        let row = PasskeyRow {
            id: inner.env.id(),
            user: session.user.id,
            credential: new.credential,
            algorithm: new.key.algorithm().as_str().to_owned(),
            public_key: new.key.bytes().to_vec(),
            uses: new.count.into(),
            synced: new.synced,
            name: name.to_owned(),
            created_at: now,
            used_at: None,
        };
        let write = Write::new()
            .steps(passkeys::answer(sha256(&made.challenge), ends, now))
            .step(passkeys::insert(&row));
        let id = row.id.to_string();
        match self.write_of(row.user, write, Action::PasskeyAdd, &id, Some((MEANS, visitor))).await {
            Err(DbError::Conflict) => Err(SignInRefused::OtherBrowser),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    /// The passkeys of this person.
    pub async fn passkeys(&self, session: &Session) -> Result<Vec<PasskeyRow>, Fault> {
        passkeys::of_user(&self.inner.db, session.user.id).await.map_err(faults::store)
    }

    /// Removes a passkey of this person; this needs a proof that is fresh. The last way to sign in stays.
    pub async fn remove_passkey(&self, session: &Session, id: &str) -> Result<(), SignInRefused> {
        if !session.login().is_fresh(self.inner.env.now()) {
            return Err(SignInRefused::Wrong);
        }
        let user = session.user.id;
        let missing = || faults::not_found("passkey", id);
        let parsed: Id<kind::Passkey> = Id::parse(id).map_err(|_| missing())?;
        let others =
            self.passkeys(session).await?.len() > 1 || !self.sign_in_links(session).await?.is_empty();
        if !others && !self.has_passphrase(session).await? {
            let message = "This is the only way in which you can sign in. Choose a passphrase first.";
            return Err(Fault::new(Code::Conflict, message).into());
        }
        let write = Write::new().step(passkeys::remove(user, parsed));
        match self.write_of(user, write, Action::PasskeyRemove, id, None).await {
            Err(DbError::Unmet(_)) => Err(missing().into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    /// Whose passkey was used, and the steps that note it.
    async fn prove_by_passkey(
        &self,
        used: &PasskeyUse,
        purpose: PasskeyFor,
        bound: &SecretString,
        visitor: &Visitor,
    ) -> Result<(PasskeyRow, Vec<Step>), SignInRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        // A signature cannot be guessed; only the network is held back, which would have this server check many.
        let counted = self.count_try(By::Nothing, visitor).await?;
        let ends = self.is_challenge(&used.challenge, purpose, bound)?;
        let found = passkeys::find(&inner.db, &used.credential).await.map_err(faults::store)?;
        let row = found.ok_or(SignInRefused::Wrong)?;
        let corrupt = || faults::internal(DbError::Corrupt { table: "passkeys", column: 4 });
        let key = PasskeyKey::stored(&row.algorithm, row.public_key.clone()).ok_or_else(corrupt)?;
        let origin = inner.settings.url.origin().ascii_serialization();
        let ceremony = self.ceremony(&origin, &used.challenge)?;
        let uses = u32::try_from(row.uses).map_err(|_| corrupt())?;
        let told = passkey::assert(
            &ceremony,
            &key,
            uses,
            &used.client_data,
            &used.authenticator_data,
            &used.signature,
        );
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                self.note_wrong_try(Some(row.user), visitor);
                return Err(unfit(error));
            }
        };
        let mut steps = passkeys::answer(sha256(&used.challenge), ends, now);
        steps.extend(counted.taken_back());
        steps.push(passkeys::used(row.id, row.uses, told.count.into(), now));
        Ok((row, steps))
    }

    fn ceremony<'a>(&'a self, origin: &'a str, challenge: &'a [u8]) -> Result<Ceremony<'a>, SignInRefused> {
        let host = self.passkey_host().ok_or(SignInRefused::Wrong)?;
        Ok(Ceremony { origin, host, challenge })
    }

    /// Whether this challenge was drawn here, for this, and is not over; when it is.
    fn is_challenge(
        &self,
        challenge: &[u8],
        purpose: PasskeyFor,
        bound: &SecretString,
    ) -> Result<Time, SignInRefused> {
        let (head, mac) = challenge.split_at_checked(24).ok_or(SignInRefused::OtherBrowser)?;
        let text = bound_text(purpose, bound, head);
        let ours = self.inner.keyring.hashes(Purpose::State, &text);
        if !ours.iter().any(|hash| carnet_vault::equal(&hash.digest, mac)) {
            return Err(SignInRefused::OtherBrowser);
        }
        let end = head.last_chunk::<8>().map_or(0, |end| i64::from_be_bytes(*end));
        let end = Time::from_millis(end);
        if end <= self.inner.env.now() { Err(SignInRefused::OtherBrowser) } else { Ok(end) }
    }
}

fn bound_text(purpose: PasskeyFor, bound: &SecretString, head: &[u8]) -> Vec<u8> {
    [purpose.label().as_bytes(), bound.expose().as_bytes(), head].concat()
}

/// What is said of a passkey that is not accepted: that it is not, and why only to the log.
fn unfit(error: PasskeyError) -> SignInRefused {
    tracing::info!(%error, "a passkey is not accepted");
    SignInRefused::Wrong
}

/// A challenge that was answered before, or a passkey that was used at the same moment elsewhere.
fn once(fault: Fault) -> SignInRefused {
    if fault.code == Code::Conflict { SignInRefused::OtherBrowser } else { SignInRefused::Fault(fault) }
}

const MEANS: &str = "passkey";
const LIFE: Duration = Duration::from_mins(5);
