//! Requests that nobody brings to an end: their time is over, or the process that was at it is gone.
//!
//! They get an end like any other, with result, webhook and event, so that whoever waits for one is told. A code whose
//! exchange was interrupted is not tried again: it works once, and many servers end what it gave when it comes twice.

use std::time::Duration;

use carnet_model::ConnectorRef;
use carnet_model::audit::{Action, Outcome};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, Write};

use super::page::{event, remembered};
use super::request::{EXPIRED, Stored};
use crate::broker::Broker;

impl Broker {
    /// Ends what nobody came back for.
    pub(crate) async fn lapse_consents(&self) -> Result<(), DbError> {
        let now = self.inner.env.now();
        for consent in consents::lapsed(&self.inner.db, now, BATCH).await? {
            go_on(self.lapse(&consent, EXPIRED).await)?;
        }
        Ok(())
    }

    /// Ends exchanges that began longer ago than `silence`.
    pub(crate) async fn end_interrupted_consents(&self, silence: Duration) -> Result<(), DbError> {
        let before = self.inner.env.now().minus(silence);
        for consent in consents::interrupted(&self.inner.db, before, BATCH).await? {
            go_on(self.lapse(&consent, INTERRUPTED).await)?;
        }
        Ok(())
    }

    /// When an exchange that has not ended means that the process at it is gone.
    pub(crate) fn exchange_silence(&self) -> Duration {
        if self.inner.db.is_shared() { EXCHANGE } else { Duration::ZERO }
    }

    async fn lapse(&self, consent: &Consent, (code, message): (&str, &str)) -> Result<(), DbError> {
        let inner = &self.inner;
        let reference = ConnectorRef::Id(consent.connector);
        let Some(entry) = inner.entry(consent.team, &reference).await? else { return Ok(()) };
        let stored =
            Stored::Error { code: code.to_owned(), message: message.to_owned(), vendor: None, reason: None };
        let result = serde_json::to_value(&stored).unwrap_or_default();
        let now = inner.env.now();
        let webhook = remembered(consent)
            .ok()
            .and_then(|remembered| self.completion(consent, &entry.row.connector, &remembered, &stored, now));
        let event = event(consent, now, Action::AuthorizationComplete)
            .ended(Outcome::Failed)
            .with("code", code)
            .with("stood", consent.state.as_str());
        let write = Write::new()
            .step(consents::lapse(consent, &result, now))
            .steps(webhook)
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {}
            // Somebody came after all.
            Err(DbError::Unmet(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        if let Some(sealed) = consent.parked.as_deref().filter(|_| consent.state == ConsentState::Parked)
            && let Ok(secret) = inner.open_parked(consent, sealed)
        {
            // Nobody confirmed what the provider gave: it may forget it.
            let broker = self.clone();
            self.track(async move { broker.tell_now(&entry, &secret.held).await });
        }
        Ok(())
    }
}

/// A store that does not answer ends the round; anything else is this request's own trouble.
fn go_on(result: Result<(), DbError>) -> Result<(), DbError> {
    match result {
        Err(error) if !error.is_unavailable() => {
            tracing::warn!(%error, "a request for consent could not be brought to its end; it is tried again");
            Ok(())
        }
        result => result,
    }
}

const INTERRUPTED: (&str, &str) = (
    "authorization_failed",
    "The server was stopped while it redeemed the provider's answer, which works only once; make a new request.",
);
/// Longer than the provider may take and the store after it.
pub(crate) const EXCHANGE: Duration = Duration::from_mins(3);
const BATCH: i64 = 100;
