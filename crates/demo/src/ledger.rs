//! The ledger: what was granted, and what every code and token is still good for.
//!
//! Promised: a code works once, and a second use ends what came from it (RFC 6749 §4.1.2); a refresh token follows
//! its rotation, and a second use of a dead one ends the whole grant (RFC 9700 §4.14.2); no token outlives its grant;
//! no table grows without limit. A table that is full drops the row that would end first.
//!
//! Not promised here: that the caller is who it says, and that a change is on disk. `client` and [`Book`] do that.
//!
//! It is plain data: every verb takes the time and the dice, none waits.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use carnet_model::grant::Rotation;
use carnet_model::{Env, Scopes, SecretString, Time};
use serde::{Deserialize, Serialize};

use crate::opaque::{Digest, mint};
use crate::options::OpenError;
use crate::person::Person;
use crate::scope;

pub use book::StateError;
pub(crate) use book::{Book, Unsaved};

/// How long things live, and what becomes of a used refresh token.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) access: Duration,
    pub(crate) refresh: Duration,
    rotation: Rotation,
}

/// Everything that was granted and has not ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    next_grant: u64,
    grants: BTreeMap<u64, Grant>,
    codes: BTreeMap<Digest, Code>,
    refresh: BTreeMap<Digest, RefreshToken>,
    access: BTreeMap<Digest, AccessToken>,
    next_message: u64,
    messages: VecDeque<Message>,
    #[serde(skip)]
    swept: Time,
}

/// What a person allowed a client. Every token of it dies with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Grant {
    client: String,
    person: Person,
    scopes: Scopes,
    /// When its last token ends.
    ends: Time,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Code {
    client: String,
    redirect_uri: String,
    challenge: Digest,
    person: Person,
    scopes: Scopes,
    expires: Time,
    /// The grant that it became.
    redeemed: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RefreshToken {
    grant: u64,
    expires: Time,
    /// When it was first used, if it rotates.
    spent: Option<Time>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AccessToken {
    holder: Holder,
    scopes: Scopes,
    expires: Time,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Holder {
    Grant(u64),
    Client(String),
}

/// A line on the board that everybody here shares.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) at: Time,
}

/// What a person allowed, on its way into a code.
pub(crate) struct Consent {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Digest,
    pub(crate) person: Person,
    pub(crate) scopes: Scopes,
}

/// What a client presents with a code.
pub(crate) struct Redemption {
    pub(crate) code: SecretString,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: SecretString,
}

/// Tokens on their way out.
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) scopes: Scopes,
}

/// Whom an access token speaks for, and what it may do.
pub(crate) struct Bearer {
    pub(crate) client: String,
    pub(crate) person: Option<Person>,
    pub(crate) scopes: Scopes,
}

/// Why no token is issued. All but the last are an `invalid_grant`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Expired,
    OtherClient,
    OtherRedirect,
    WrongVerifier,
    /// Used before: the grant has ended.
    Replayed,
    WiderScope,
}

/// What a revocation did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Nothing,
    Token,
    Grant,
}

impl Terms {
    pub(crate) fn new(access: Duration, refresh: Duration, rotation: Rotation) -> Result<Self, OpenError> {
        for (which, life) in [("access_life", access), ("refresh_life", refresh)] {
            if life < Duration::from_secs(1) || life > LONGEST_LIFE {
                return Err(OpenError::Life { which });
            }
        }
        Ok(Self { access, refresh, rotation })
    }

    /// Whether a refresh brings a new refresh token.
    pub(crate) fn rotates(&self) -> bool {
        self.rotation != Rotation::None
    }
}

impl Ledger {
    /// An empty one, but for a first line on the board.
    fn new(now: Time) -> Self {
        let mut ledger = Self {
            next_grant: 1,
            grants: BTreeMap::new(),
            codes: BTreeMap::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            next_message: 1,
            messages: VecDeque::new(),
            swept: now,
        };
        ledger.post(now, "hello", "Your token works. Write something back.");
        ledger
    }

    /// Makes a code from a consent.
    pub(crate) fn issue_code(&mut self, env: &Env, consent: Consent) -> SecretString {
        let now = self.tidy(env);
        let code = mint(env, "demo_code_");
        let Consent { client, redirect_uri, challenge, person, scopes } = consent;
        let expires = now.plus(CODE_LIFE);
        make_room(&mut self.codes, MOST_CODES, |row| row.expires);
        self.codes.insert(
            Digest::of(code.expose()),
            Code { client, redirect_uri, challenge, person, scopes, expires, redeemed: None },
        );
        code
    }

    /// Turns a code into a grant and its first tokens.
    pub(crate) fn redeem(
        &mut self,
        env: &Env,
        terms: &Terms,
        client: &str,
        with: &Redemption,
    ) -> Result<Issued, Refusal> {
        let now = self.tidy(env);
        let row = self.codes.get_mut(&Digest::of(with.code.expose())).ok_or(Refusal::Unknown)?;
        if row.client != client {
            return Err(Refusal::OtherClient);
        }
        if let Some(grant) = row.redeemed {
            self.end(grant);
            return Err(Refusal::Replayed);
        }
        if row.expires <= now {
            return Err(Refusal::Expired);
        }
        if row.redirect_uri != with.redirect_uri {
            return Err(Refusal::OtherRedirect);
        }
        if !Digest::of(with.verifier.expose()).equals(&row.challenge) {
            return Err(Refusal::WrongVerifier);
        }
        let grant = self.next_grant;
        row.redeemed = Some(grant);
        let (person, scopes) = (row.person, row.scopes.clone());
        Ok(self.allow(env, terms, client, person, scopes))
    }

    /// Makes a grant of what a person allowed, with its first tokens.
    pub(crate) fn allow(
        &mut self,
        env: &Env,
        terms: &Terms,
        client: &str,
        person: Person,
        scopes: Scopes,
    ) -> Issued {
        let now = self.tidy(env);
        let grant = self.next_grant;
        self.next_grant += 1;
        let kept = Grant { client: client.to_owned(), person, scopes: scopes.clone(), ends: now };
        if self.grants.len() >= MOST_GRANTS {
            let first = self.grants.iter().min_by_key(|(_, grant)| grant.ends).map(|(id, _)| *id);
            if let Some(first) = first {
                self.end(first);
            }
        }
        self.grants.insert(grant, kept);
        let refresh =
            scopes.contains(scope::OFFLINE_ACCESS).then(|| self.issue_refresh(env, terms, grant, now));
        self.issue_access(env, terms, Holder::Grant(grant), scopes, refresh, now)
    }

    /// Renews. Without `narrower`, for everything that was granted (RFC 6749 §6).
    pub(crate) fn refresh(
        &mut self,
        env: &Env,
        terms: &Terms,
        client: &str,
        token: &SecretString,
        narrower: Option<Scopes>,
    ) -> Result<Issued, Refusal> {
        let now = self.tidy(env);
        let row = self.refresh.get_mut(&Digest::of(token.expose())).ok_or(Refusal::Unknown)?;
        let (id, grant) = (row.grant, self.grants.get(&row.grant).ok_or(Refusal::Unknown)?);
        if grant.client != client {
            return Err(Refusal::OtherClient);
        }
        if row.expires <= now {
            return Err(Refusal::Expired);
        }
        let grace = match terms.rotation {
            Rotation::Grace { seconds } => Duration::from_secs(seconds.into()),
            Rotation::None | Rotation::Strict => Duration::ZERO,
        };
        if row.spent.is_some_and(|since| since.plus(grace) <= now) {
            self.end(id);
            return Err(Refusal::Replayed);
        }
        let scopes = narrower.unwrap_or_else(|| grant.scopes.clone());
        if !scopes.is_within(&grant.scopes) {
            return Err(Refusal::WiderScope);
        }
        if terms.rotates() {
            row.spent.get_or_insert(now);
        }
        let refresh = terms.rotates().then(|| self.issue_refresh(env, terms, id, now));
        Ok(self.issue_access(env, terms, Holder::Grant(id), scopes, refresh, now))
    }

    /// A token for the client itself (RFC 6749 §4.4). There is nothing to refresh.
    pub(crate) fn issue_to_client(
        &mut self,
        env: &Env,
        terms: &Terms,
        client: &str,
        scopes: Scopes,
    ) -> Issued {
        let now = self.tidy(env);
        self.issue_access(env, terms, Holder::Client(client.to_owned()), scopes, None, now)
    }

    /// Ends a token of this client (RFC 7009 §2.1): a refresh token with its grant, an access token alone.
    pub(crate) fn revoke(&mut self, client: &str, token: &SecretString) -> Result<Revoked, Refusal> {
        let digest = Digest::of(token.expose());
        if let Some(id) = self.refresh.get(&digest).map(|row| row.grant) {
            return match self.grants.get(&id) {
                None => Ok(Revoked::Nothing),
                Some(grant) if grant.client != client => Err(Refusal::OtherClient),
                Some(_) => {
                    self.end(id);
                    Ok(Revoked::Grant)
                }
            };
        }
        match self.access.get(&digest).and_then(|row| self.client_of(&row.holder)) {
            None => Ok(Revoked::Nothing),
            Some(owner) if owner != client => Err(Refusal::OtherClient),
            Some(_) => {
                self.access.remove(&digest);
                Ok(Revoked::Token)
            }
        }
    }

    /// Whom this access token speaks for now.
    pub(crate) fn bearer(&self, now: Time, token: &str) -> Option<Bearer> {
        let row = self.access.get(&Digest::of(token)).filter(|row| row.expires > now)?;
        let person = match &row.holder {
            Holder::Grant(id) => Some(self.grants.get(id)?.person),
            Holder::Client(_) => None,
        };
        let client = self.client_of(&row.holder)?.to_owned();
        Some(Bearer { client, person, scopes: row.scopes.clone() })
    }

    /// The board, oldest line first.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// Puts a line on the board.
    pub(crate) fn post(&mut self, now: Time, from: &str, text: &str) -> Message {
        let message =
            Message { id: self.next_message, from: from.to_owned(), text: text.to_owned(), at: now };
        self.next_message += 1;
        if self.messages.len() >= MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
        message
    }

    fn issue_refresh(&mut self, env: &Env, terms: &Terms, grant: u64, now: Time) -> SecretString {
        let token = mint(env, "demo_refresh_");
        let expires = now.plus(terms.refresh);
        // A spent row is only needed to notice its second use, so it goes before any live one.
        make_room(&mut self.refresh, MOST_TOKENS, |row| (row.spent.is_none(), row.expires));
        self.refresh.insert(Digest::of(token.expose()), RefreshToken { grant, expires, spent: None });
        self.outlive(grant, expires);
        token
    }

    fn issue_access(
        &mut self,
        env: &Env,
        terms: &Terms,
        holder: Holder,
        scopes: Scopes,
        refresh: Option<SecretString>,
        now: Time,
    ) -> Issued {
        let access = mint(env, "demo_access_");
        let expires = now.plus(terms.access);
        if let Holder::Grant(id) = holder {
            self.outlive(id, expires);
        }
        make_room(&mut self.access, MOST_TOKENS, |row| row.expires);
        self.access
            .insert(Digest::of(access.expose()), AccessToken { holder, scopes: scopes.clone(), expires });
        Issued { access, refresh, scopes }
    }

    /// A grant ends with its last token, not before.
    fn outlive(&mut self, grant: u64, token: Time) {
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.ends = grant.ends.max(token);
        }
    }

    fn client_of<'a>(&'a self, holder: &'a Holder) -> Option<&'a str> {
        match holder {
            Holder::Grant(id) => self.grants.get(id).map(|grant| grant.client.as_str()),
            Holder::Client(id) => Some(id),
        }
    }

    /// Ends a grant and everything that came from it.
    fn end(&mut self, grant: u64) {
        self.grants.remove(&grant);
        self.refresh.retain(|_, row| row.grant != grant);
        self.access.retain(|_, row| row.holder != Holder::Grant(grant));
    }

    /// Now; and, at most twice a minute, drops what has ended.
    fn tidy(&mut self, env: &Env) -> Time {
        let now = env.now();
        if now >= self.swept.plus(SWEEP_EVERY) || now < self.swept {
            self.sweep(now);
        }
        now
    }

    fn sweep(&mut self, now: Time) {
        self.swept = now;
        self.codes.retain(|_, row| row.expires.plus(CODE_REMEMBERED) > now);
        self.refresh.retain(|_, row| row.expires > now);
        self.access.retain(|_, row| row.expires > now);
        self.grants.retain(|_, row| row.ends > now);
    }
}

/// Drops the row that comes first in `order` if there is no room for another.
fn make_room<V, O: Ord>(rows: &mut BTreeMap<Digest, V>, most: usize, order: impl Fn(&V) -> O) {
    if rows.len() >= most
        && let Some(first) = rows.iter().min_by_key(|(_, row)| order(row)).map(|(digest, _)| *digest)
    {
        rows.remove(&first);
    }
}

/// RFC 6749 §4.1.2 allows ten minutes; a browser needs seconds.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// A code is kept this long after its end, so that a late second use is still noticed.
const CODE_REMEMBERED: Duration = Duration::from_mins(10);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const LONGEST_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// Far beyond what a development machine does; at about 200 bytes a row, some tens of megabytes at most.
const MOST_GRANTS: usize = 10_000;
const MOST_TOKENS: usize = 40_000;
const MOST_CODES: usize = 1_000;
const MOST_MESSAGES: usize = 100;
