//! Consent on a page of the provider's that sends nobody back (RFC 8628): the person gets a code, and the provider is
//! asked, now and then, whether the person has decided.
//!
//! It is asked as often as it allows, and until the request or the code runs out, whatever becomes of the tab. When it
//! is asked next stands in the store, so a process that ends is replaced: by itself after a restart, or by another one
//! that finds the row overdue. What is needed to ask is sealed with the request.

use std::time::Duration;

use carnet_model::audit::Outcome;
use carnet_model::{Id, Time, kind};
use carnet_providers::{Callback, CallbackFault, DriverError, Kept};
use carnet_store::awaited::{self as rows, Awaited};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, Write};
use url::Url;

use super::ending::ConsentEnd;
use super::page::remembered;
use super::still::outdated;
use crate::broker::Broker;
use crate::faults;
use crate::recover::STALE;

/// What the person enters at the provider.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The code.
    pub code: String,
    /// The page that takes it.
    pub page: Url,
    /// The same page with the code in its address, if there is one.
    pub whole_page: Option<Url>,
}

/// When the provider is first asked, if it has to be asked.
pub(super) fn awaited(consent: Id<kind::AuthorizationRequest>, kept: &Kept, now: Time) -> Option<Awaited> {
    let every = kept.device.as_ref()?.interval;
    let due_at = now.plus(Duration::from_secs(every));
    Some(Awaited { consent, due_at, every_seconds: i64::try_from(every).unwrap_or(SLOWEST) })
}

/// What became of one question.
enum Turn {
    /// Again, as this says.
    Again(Awaited),
    /// No more.
    Over,
}

impl Broker {
    /// The code of a request whose person is to enter it at the provider.
    pub(super) fn elsewhere(&self, consent: &Consent) -> Result<Option<Elsewhere>, ConsentEnd> {
        let Some(sealed) = consent.kept.as_deref().filter(|_| consent.state == ConsentState::Sent) else {
            return Ok(None);
        };
        let kept = self
            .inner
            .open_kept(consent, sealed)
            .map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        Ok(kept.device.map(|device| Elsewhere {
            code: device.user_code,
            page: device.page,
            whole_page: device.whole_page,
        }))
    }

    /// Asks until the person has decided. Shutdown does not wait for that: the next process goes on.
    pub(super) fn await_person(&self, mut awaited: Awaited) {
        let broker = self.clone();
        self.track(async move {
            loop {
                let wait = broker.inner.env.now().until(awaited.due_at).min(Duration::from_mins(1));
                tokio::select! {
                    () = broker.inner.stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                if broker.inner.env.now() < awaited.due_at {
                    continue;
                }
                match broker.take_turn(awaited).await {
                    Ok(Turn::Again(next)) => awaited = next,
                    Ok(Turn::Over) => return,
                    Err(error) => {
                        // Whoever finds the row overdue goes on, which may be this process.
                        tracing::warn!(request = %awaited.consent, %error, "the provider could not be asked");
                        return;
                    }
                }
            }
        });
    }

    /// Goes on where the process before this one ended, if it was the only one.
    pub(crate) async fn await_again(&self) -> Result<(), DbError> {
        if self.inner.db.is_shared() { Ok(()) } else { self.await_since(Time::FAR_FUTURE).await }
    }

    /// Goes on where another process ended: with what nobody asked about when it was due.
    pub(crate) async fn await_overdue(&self) -> Result<(), DbError> {
        self.await_since(self.inner.env.now().minus(STALE)).await
    }

    async fn await_since(&self, before: Time) -> Result<(), DbError> {
        for awaited in rows::overdue(&self.inner.db, before, BATCH).await? {
            self.await_person(awaited);
        }
        Ok(())
    }

    async fn take_turn(&self, awaited: Awaited) -> Result<Turn, DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        let consent = consents::find(&inner.db, awaited.consent).await?;
        let waits = |consent: &Consent| consent.state == ConsentState::Sent && consent.expires_at > now;
        let Some(consent) = consent.filter(waits) else { return self.await_no_more(awaited).await };
        let next = after(awaited, now, awaited.every_seconds);
        match inner.db.write(Write::new().step(rows::take(awaited, next.due_at, next.every_seconds))).await {
            Ok(_) => {}
            // Somebody else asks, or the person began anew.
            Err(DbError::Unmet(_)) => return Ok(Turn::Over),
            Err(error) => return Err(error),
        }
        let Some((entry, kept)) = self.entry_and_kept(&consent).await? else {
            return self.await_no_more(next).await;
        };
        let refused = |end: ConsentEnd| DbError::Refused(format!("{end:?}").into());
        if let Some(stored) = outdated(&consent, &kept, &entry) {
            let remembered = remembered(&consent).map_err(refused)?;
            self.finish(&consent, &entry, &remembered, stored, Outcome::Failed).await.map_err(refused)?;
            return self.await_no_more(next).await;
        }
        let secrets = inner.secrets(&entry).map_err(|error| DbError::Refused(Box::new(error)))?;
        let at = inner.at(&entry, &secrets);
        let is_late = kept.device.as_ref().is_none_or(|device| device.expires_at <= now);
        let result = if is_late {
            Err(CallbackFault::DeviceCodeExpired.into())
        } else {
            entry.driver().finish(&at, &Callback::Awaited, &kept).await
        };
        let every = match &result {
            Err(DriverError::Pending { slower: false }) => awaited.every_seconds,
            // RFC 8628 §3.5: five seconds more for slow_down. A server that fails is asked less often too.
            Err(DriverError::Pending { slower: true }) => awaited.every_seconds + 5,
            Err(DriverError::Lost) => awaited.every_seconds * 2,
            Err(DriverError::Later { retry_after, .. }) => {
                let told = retry_after.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default();
                told.max(awaited.every_seconds * 2)
            }
            _ => {
                let remembered = remembered(&consent).map_err(refused)?;
                self.concluded(&consent, &entry, &remembered, result, kept.scopes.clone())
                    .await
                    .map_err(refused)?;
                return self.await_no_more(next).await;
            }
        };
        let later = after(next, inner.env.now(), every.min(SLOWEST));
        match inner.db.write(Write::new().step(rows::take(next, later.due_at, later.every_seconds))).await {
            Ok(_) => Ok(Turn::Again(later)),
            Err(DbError::Unmet(_)) => Ok(Turn::Over),
            Err(error) => Err(error),
        }
    }

    async fn entry_and_kept(
        &self,
        consent: &Consent,
    ) -> Result<Option<(std::sync::Arc<crate::directory::Entry>, Kept)>, DbError> {
        let reference = carnet_model::ConnectorRef::Id(consent.connector);
        self.inner.db.refresh_revision().await?;
        let entry = self.inner.entry(consent.team, &reference).await?;
        let (Some(entry), Some(sealed)) = (entry, consent.kept.as_deref()) else { return Ok(None) };
        let kept =
            self.inner.open_kept(consent, sealed).map_err(|error| DbError::Refused(Box::new(error)))?;
        Ok(Some((entry, kept)))
    }

    async fn await_no_more(&self, awaited: Awaited) -> Result<Turn, DbError> {
        self.inner.db.write(Write::new().step(rows::forget(awaited.consent))).await?;
        Ok(Turn::Over)
    }
}

fn after(awaited: Awaited, now: Time, every_seconds: i64) -> Awaited {
    let due_at = now.plus(Duration::from_secs(every_seconds.unsigned_abs()));
    Awaited { due_at, every_seconds, ..awaited }
}

/// In seconds. Longer pauses would let a person wait who has decided.
const SLOWEST: i64 = 60;
/// Begun in one round.
const BATCH: i64 = 200;
