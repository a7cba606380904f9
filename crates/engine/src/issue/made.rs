//! Tokens of the application itself and of asserted identities: made for the request, kept until they end, made once at a
//! time.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use carnet_model::failpoint::Point;
use carnet_model::{Code, Fault, Id, ScopeRequest, Scopes, Subject, Time, kind};
use carnet_providers::{Asserted, DriverError, Held, Installed, MintAsk, Minted, Profile};
use carnet_store::installations::Installation;
use carnet_store::minted::{self, MintedRow};
use carnet_store::pass;
use carnet_vault::Purpose;

use tokio::time::Instant;

use super::{Found, PATIENT, Source, Wanted};
use crate::broker::Broker;
use crate::cache::{AskKey, Parts};
use crate::consent::hex;
use crate::directory::Entry;
use crate::faults;
use crate::sealing::{Facts, MadeToken};

impl Broker {
    pub(crate) async fn app_token(&self, entry: &Arc<Entry>, wanted: &Wanted) -> Result<Found, Fault> {
        let ask = MintAsk::App {
            scopes: wanted.sent_scopes(),
            resources: wanted.resources.clone(),
            audience: wanted.audience.clone(),
            details: wanted.details.clone(),
            installation: wanted.installation.and_then(|id| entry.installed(id)).map(described),
        };
        self.made_token(entry, wanted, ask).await
    }

    pub(crate) async fn asserted_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        who: Asserted,
    ) -> Result<Found, Fault> {
        let ask = MintAsk::Asserted {
            who,
            scopes: wanted.sent_scopes(),
            resources: wanted.resources.clone(),
            audience: wanted.audience.clone(),
            details: wanted.details.clone(),
        };
        self.made_token(entry, wanted, ask).await
    }

    /// Whoever asks for the same waits for the same call, and hears of the provider's trouble what it came to; and nobody
    /// waits longer than for a refresh.
    async fn made_token(&self, entry: &Arc<Entry>, wanted: &Wanted, ask: MintAsk) -> Result<Found, Fault> {
        let made = tokio::time::timeout(PATIENT, self.made_in_turn(entry, wanted, ask));
        made.await
            .unwrap_or_else(|_| Err(faults::driver(&DriverError::Lost, entry.row.connector.uid.as_str())))
    }

    async fn made_in_turn(&self, entry: &Arc<Entry>, wanted: &Wanted, ask: MintAsk) -> Result<Found, Fault> {
        let asked_at = Instant::now();
        let mut turn = self.turn(&wanted.key).lock_owned().await;
        if let Some(made) = self.stored_token(wanted).await? {
            return Ok(Found::kept(made, Source::Store));
        }
        if let Some(Trouble { at, error }) = &*turn
            && *at >= asked_at
        {
            return Err(faults::driver(error, entry.row.connector.uid.as_str()));
        }
        let mut minted = match self.call_driver(entry, None, ask).await {
            Ok(minted) => minted,
            Err(error) => {
                let fault = self.not_made(entry, wanted, &error).await;
                let is_trouble = matches!(
                    error,
                    DriverError::Later { .. } | DriverError::Lost | DriverError::Garbage { .. }
                );
                *turn = is_trouble.then(|| Trouble { at: Instant::now(), error });
                return Err(fault);
            }
        };
        *turn = None;
        pass(&self.inner.env, Point::MintAnswered).await.map_err(faults::store)?;
        check_target(entry, &minted)?;
        self.check_scopes(entry, wanted, minted.scopes.as_ref())?;
        if let Some(given) = minted.scopes.as_ref().filter(|given| wanted.is_beside_defaults(given)) {
            minted.metadata.entry("scope").or_insert_with(|| given.to_string().into());
        }
        let (made, row) = self.keep_made(wanted, minted, None)?;
        let changes = vec![minted::put(&row)];
        Ok(Found { changes, turn: Some(turn), ..Found::kept(made, Source::Provider) })
    }

    /// Why no token was made. A refusal of a token of an installation may mean that it was suspended or removed: the
    /// provider is asked, and if so, what was made for it before is dead too.
    async fn not_made(&self, entry: &Arc<Entry>, wanted: &Wanted, error: &DriverError) -> Fault {
        let refused = matches!(error, DriverError::NotInstalled { .. } | DriverError::Refused { .. });
        let about = wanted.installation.filter(|_| refused && entry.abilities.installation);
        let Some(installation) = about.and_then(|id| entry.installed(id)) else {
            return faults::driver(error, entry.row.connector.uid.as_str());
        };
        let standing = self.look_after(entry, installation).await;
        faults::of_installation(error, entry.row.connector.uid.as_str(), installation, standing)
    }

    /// Who a subject is, in one text: what tokens are kept, logged and taken back by. Of a token that somebody has, a keyed
    /// digest; of an asserted identity, its name, and a digest of whatever else was asserted.
    pub(crate) fn subject_key(&self, subject: &Subject) -> String {
        match subject {
            Subject::App | Subject::User { .. } => subject.key().unwrap_or_default(),
            Subject::JwtBearer { sub, iss: None, aud: None, additional_claims }
                if additional_claims.is_empty() =>
            {
                format!("jwt-bearer:{sub}")
            }
            Subject::JwtBearer { sub, iss, aud, additional_claims } => {
                // The names of a JSON object are sorted here, so that equal objects are equal texts.
                let claims = serde_json::to_vec(additional_claims).unwrap_or_default();
                let all = Parts::new("asserted/1")
                    .maybe(iss.as_deref().map(str::as_bytes))
                    .maybe(aud.as_deref().map(str::as_bytes))
                    .add(&claims);
                format!("jwt-bearer@{}:{sub}", hex(&all.finish()))
            }
            Subject::Token { token } => {
                // Digested first, so that the token is copied nowhere.
                let inner = Parts::new("inbound-token/1").add(token.expose().as_bytes()).finish();
                format!("token:{}", hex(&self.inner.keyring.hash(Purpose::AuditHmac, &inner).digest))
            }
        }
    }

    /// The token that was made for this request before, if it lives long enough.
    pub(crate) async fn stored_token(&self, wanted: &Wanted) -> Result<Option<MadeToken>, Fault> {
        self.stored_beyond(wanted, self.inner.env.now().plus(wanted.buffer)).await
    }

    /// The same, if it lives beyond a time. One that does not open at its place is as good as none: another is made, and
    /// takes its row.
    pub(crate) async fn stored_beyond(
        &self,
        wanted: &Wanted,
        until: Time,
    ) -> Result<Option<MadeToken>, Fault> {
        let row = minted::at(&self.inner.db, wanted.place.team, wanted.key).await.map_err(faults::store)?;
        match row {
            Some(row) if row.expires_at.is_none_or(|end| end > until) => {
                let opened = self.inner.open_minted(&row);
                if let Err(error) = &opened {
                    let place = hex(&row.place);
                    tracing::error!(connector = %row.connector, %place, "a token is made anew: {error}");
                }
                Ok(opened.ok())
            }
            _ => Ok(None),
        }
    }

    /// Seals a made token for its place.
    pub(crate) fn keep_made(
        &self,
        wanted: &Wanted,
        minted: Minted,
        grant: Option<Id<kind::Grant>>,
    ) -> Result<(MadeToken, MintedRow), Fault> {
        let now = self.inner.env.now();
        let facts = Facts {
            token_id: Some(self.inner.env.id()),
            asked: None,
            named: Scopes::empty(),
            resources: Vec::new(),
            audience: Vec::new(),
            details: Vec::new(),
            given_by: None,
            imported: None,
            name: None,
            external_subject: minted.external_subject,
            metadata: minted.metadata,
            claims: minted.claims,
            profile: Profile::default(),
        };
        let made = MadeToken { token: minted.token, facts, expires_at: minted.expires_at };
        let mut row = MintedRow {
            place: wanted.key,
            team: wanted.place.team,
            connector: wanted.place.connector,
            grant,
            installation: wanted.installation,
            project: wanted.place.project,
            environment: wanted.place.environment,
            subject: wanted.place.subject.clone(),
            sealed: Vec::new(),
            expires_at: made.expires_at,
            created_at: now,
        };
        row.sealed = self.inner.seal_minted(&row, &made).map_err(faults::internal)?;
        Ok((made, row))
    }

    /// Named scopes must come back as named: with fewer the caller's work would fail later, with more it would hold
    /// power that it did not ask for. Of the defaults there may be fewer.
    pub(crate) fn check_scopes(
        &self,
        entry: &Entry,
        wanted: &Wanted,
        given: Option<&Scopes>,
    ) -> Result<(), Fault> {
        let Some(given) = given else { return Ok(()) };
        let (extra, missing) = match &wanted.scopes {
            ScopeRequest::Exactly(asked) => (given.without(asked), asked.without(given)),
            // A bound of defaults holds whatever a provider makes of them.
            _ if wanted.bounded => (given.without(&wanted.defaults), Scopes::empty()),
            ScopeRequest::Defaults => (wanted.in_place_of_defaults(given), Scopes::empty()),
            // Nothing in particular was asked for.
            ScopeRequest::Unscoped => return Ok(()),
        };
        let extra = extra.without(&super::wanted::ambient());
        let uid = &entry.row.connector.uid;
        if !missing.is_empty() {
            return Err(Fault::new(
                Code::InvalidScope,
                format!("The provider of {uid} gave fewer scopes than asked for."),
            )
            .with("missing", missing.iter().map(str::to_owned).collect::<Vec<_>>()));
        }
        if !extra.is_empty() {
            return Err(Fault::new(
                Code::InvalidScope,
                format!(
                    "The provider of {uid} gave more scopes than asked for, so the token is not handed out."
                ),
            )
            .with("excess", extra.iter().map(str::to_owned).collect::<Vec<_>>())
            .next(format!("carnet update {uid} --data @FILE"), TO_ASK_FOR_THEM));
        }
        Ok(())
    }

    /// Calls the driver's mint, within the provider's breaker and its number of calls at once.
    pub(crate) async fn call_driver(
        &self,
        entry: &Entry,
        held: Option<&Held>,
        ask: MintAsk,
    ) -> Result<Minted, DriverError> {
        let line = entry.line();
        if let Some(error) = self.inner.breakers.refusal(line, self.inner.env.now()) {
            return Err(error);
        }
        let pace = self.inner.paces.of(line);
        let place = tokio::time::timeout(QUEUE, pace.call()).await;
        if place.is_err() {
            return Err(DriverError::Later { retry_after: Some(1), in_doubt: false });
        }
        self.mint(entry, held, &ask).await
    }

    /// Calls the driver's mint, and tells the breaker how it went.
    pub(crate) async fn mint(
        &self,
        entry: &Entry,
        held: Option<&Held>,
        ask: &MintAsk,
    ) -> Result<Minted, DriverError> {
        let inner = &self.inner;
        let secrets = inner.secrets(entry).map_err(|error| {
            DriverError::Misconfigured(
                "data".to_owned(),
                format!("the stored credentials cannot be opened ({error})"),
            )
        })?;
        let at = self.inner.at(entry, &secrets);
        let result = entry.driver().mint(&at, held, ask).await;
        match &result {
            Err(DriverError::Later { retry_after, .. }) => {
                inner.breakers.failed(entry.line(), inner.env.now(), *retry_after);
            }
            Err(DriverError::Garbage { .. } | DriverError::Lost) | Ok(Minted { flawed: true, .. }) => {
                inner.breakers.failed(entry.line(), inner.env.now(), None);
            }
            // A client that may not do this one thing (RFC 6749 §5.2) may do others.
            Err(DriverError::ClientRejected { vendor }) if vendor.error != "unauthorized_client" => {
                inner.breakers.rejected(entry.line(), inner.env.now(), vendor);
                self.tell_later(self.tell_rejected(entry, inner.env.now()));
            }
            _ => inner.breakers.answered(entry.line()),
        }
        result
    }

    /// One at a time for this request.
    pub(crate) fn turn(&self, key: &AskKey) -> Arc<tokio::sync::Mutex<Option<Trouble>>> {
        let mut turns = self.inner.mints.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() > 1024 {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        turns.entry(*key).or_default().clone()
    }
}

/// A token for something else than was asked is kept from the caller, as one with other scopes is.
pub(crate) fn check_target(entry: &Entry, minted: &Minted) -> Result<(), Fault> {
    match &minted.stray {
        None => Ok(()),
        Some(why) => Err(faults::driver(&DriverError::Stray(why.clone()), entry.row.connector.uid.as_str())),
    }
}

/// What the latest call for a request came to, where it was the provider's trouble.
pub(crate) struct Trouble {
    at: Instant,
    error: DriverError,
}

/// An installation, as a driver knows it.
fn described(installation: &Installation) -> Installed {
    Installed {
        external_id: installation.external_id.clone(),
        tenant_id: installation.tenant_id.clone(),
        name: installation.name.clone(),
    }
}

/// What mends it where a provider gives more than the connector asks for, and cannot be had to give less.
pub(super) const TO_ASK_FOR_THEM: &str = "to have the connector ask for them too, if they are meant";
/// How long a request waits for its place among the calls to a provider.
const QUEUE: Duration = Duration::from_secs(5);
