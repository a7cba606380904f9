//! What a provider gave and what waits to be confirmed, by the person or by the application, before it is a grant.
//!
//! It is kept for a while, sealed, beside its request. It belongs to the connector as it was: where that becomes another
//! client, or sends what it holds to another server, what is parked goes and is presented to nobody there.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::Time;
use carnet_model::audit::{Action, Outcome};
use carnet_store::consents::{self, Consent};
use carnet_store::{DbError, Step, Write, connectors};

use super::ending::{ConsentEnd, EndingKind};
use super::page::event;
use super::record::{Confirmed, Given};
use super::request::Remembered;
use super::still::withdrawn;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;
use crate::sealing::GrantSecret;

/// Who has a word to say before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The person: another account is about to take the place of the one before.
    Account,
    /// The application: the person who consented has to be back in its hands.
    Completion,
}

impl Broker {
    /// Keeps what was given, until it is confirmed. `None` if the connector was changed meanwhile.
    pub(super) async fn park(
        &self,
        consent: &Consent,
        entry: &Entry,
        given: &Given,
        what: WaitsFor,
    ) -> Result<Option<EndingKind>, ConsentEnd> {
        let inner = &self.inner;
        let sealed = inner
            .seal_parked(consent, &given.secret)
            .map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        let now = inner.env.now();
        let (waits_for, kind, code) = match what {
            WaitsFor::Account => ("account", EndingKind::AnotherAccount, None),
            WaitsFor::Completion => {
                let code = self.completion_code(consent.id);
                ("completion", EndingKind::Completing, Some(sha256(code.expose().as_bytes())))
            }
        };
        let event = event(consent, now, Action::AuthorizationPark).with("waitsFor", waits_for);
        let write = Write::new()
            .step(connectors::still_at(consent.team, consent.connector, entry.row.connector.version))
            .step(consents::park(consent.id, sealed, code, now.plus(CONFIRM_WITHIN), now))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(Some(kind)),
            Err(DbError::Unmet(0)) => Ok(None),
            Err(DbError::Unmet(_)) => Err(ConsentEnd::Used),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on with what was parked.
    pub(super) async fn take_parked(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        confirmed: Confirmed,
    ) -> Result<EndingKind, ConsentEnd> {
        let secret = self.open_parked(consent)?;
        if let Some(stored) = withdrawn(consent, entry) {
            // Told only once it is certain that nobody took it, or the connector elsewhere, meanwhile.
            let kind = self.finish(consent, entry, remembered, stored, Outcome::Failed).await?;
            self.tell_now(entry, &secret.held).await;
            return Ok(kind);
        }
        self.record_grant(consent, entry, remembered, Given::parked(secret), confirmed).await
    }

    pub(super) fn open_parked(&self, consent: &Consent) -> Result<GrantSecret, ConsentEnd> {
        let sealed = consent.parked.as_deref().ok_or(ConsentEnd::Used)?;
        self.inner.open_parked(consent, sealed).map_err(|error| ConsentEnd::Fault(faults::internal(error)))
    }

    /// The connector becomes another client, or `moves` to another server or target: what is parked goes with the change
    /// itself, and whoever is at the server that it leaves brings nothing back to the one it comes to. Whom to tell
    /// afterwards.
    pub(crate) async fn requests_left_behind(
        &self,
        entry: &Entry,
        moves: bool,
        now: Time,
    ) -> Result<(Vec<Step>, Vec<Consent>), DbError> {
        let (team, connector) = (entry.row.connector.team, entry.row.connector.id);
        let parked = consents::parked_of(&self.inner.db, team, connector).await?;
        // Another client's codes are known as such when they come, and the person is told.
        let called_off = moves.then(|| consents::call_off(team, connector, now));
        Ok((called_off.into_iter().chain([consents::drop_parked(team, connector, now)]).collect(), parked))
    }

    /// Tells the server which gave it, as the client to which it was given.
    pub(crate) fn give_parked_back(&self, entry: Arc<Entry>, parked: Vec<Consent>) {
        let broker = self.clone();
        self.track(async move {
            for consent in parked {
                if let Ok(secret) = broker.open_parked(&consent) {
                    broker.tell_now(&entry, &secret.held).await;
                }
            }
        });
    }
}

/// How long what was given waits to be confirmed.
const CONFIRM_WITHIN: Duration = Duration::from_mins(10);
