//! What goes on without being asked: refreshes ahead of time, recovery, key rotation, sweeping.

use std::time::Duration;

use carnet_model::{ConnectorRef, Time};
use carnet_store::{Write, completions, consents, grants, minted};
use tokio::time::MissedTickBehavior;

use crate::broker::Broker;
use crate::consent::EXCHANGE;

impl Broker {
    /// Starts the background work; it ends with [`Broker::shut_down`].
    pub(crate) fn start_housekeeping(&self) {
        self.every(Duration::from_millis(500), |broker| async move {
            broker.inner.db.refresh_revision().await.map(drop).map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move { broker.refresh_ahead().await });
        self.every(Duration::from_secs(2), |broker| async move {
            broker.recover(crate::recover::STALE).await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move {
            broker.lapse_consents().await.map_err(|error| error.to_string())?;
            broker.deliver_completions().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(2), |broker| async move {
            broker.finish_withdrawals().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_mins(1), |broker| async move {
            broker.inner.turn_signing_keys().await.map_err(|fault| fault.to_string())?;
            // One that this process is at ends within less than that.
            broker.end_interrupted_consents(EXCHANGE).await.map_err(|error| error.to_string())?;
            broker.sweep().await
        });
    }

    fn every<W>(&self, period: Duration, work: fn(Broker) -> W)
    where
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        let broker = self.clone();
        self.track(async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failing = false;
            loop {
                tokio::select! {
                    () = broker.inner.stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                match work(broker.clone()).await {
                    Ok(()) => failing = false,
                    // Said once, not every second.
                    Err(why) if !failing => {
                        failing = true;
                        tracing::warn!(why, "background work fails; trying on");
                    }
                    Err(_) => {}
                }
            }
        });
    }

    /// Renews what is due and was used within a day, so that callers seldom wait.
    async fn refresh_ahead(&self) -> Result<(), String> {
        let inner = &self.inner;
        let now = inner.env.now();
        let due =
            grants::due(&inner.db, now, now.minus(DAY), AT_ONCE).await.map_err(|error| error.to_string())?;
        for row in due {
            let reference = ConnectorRef::Id(row.grant.place.connector);
            let team = row.grant.place.team;
            let Some(entry) = inner.entry(team, &reference).await.map_err(|error| error.to_string())? else {
                continue;
            };
            // Out of the way of the next rounds, whatever becomes of it.
            let again = now.plus(PAUSE + inner.env.jitter(PAUSE));
            let postponed = Write::new().step(grants::postpone(team, row.grant.id, again));
            inner.db.write(postponed).await.map_err(|error| error.to_string())?;
            let broker = self.clone();
            self.track(async move {
                let beyond = row.grant.access_expires_at.unwrap_or(Time::FAR_FUTURE);
                if let Err(failure) = broker.renew(entry, &row, beyond).await {
                    tracing::debug!(grant = %row.grant.id, ?failure, "a refresh ahead of time did not succeed");
                }
            });
        }
        Ok(())
    }

    /// Removes what has ended and nobody can ask for any more.
    async fn sweep(&self) -> Result<(), String> {
        let now = self.inner.env.now();
        let write = Write::new()
            .step(minted::sweep(now))
            .step(consents::sweep(now.minus(DAY * 30)))
            .step(completions::sweep(now.minus(DAY * 30)));
        self.inner.db.write(write).await.map(drop).map_err(|error| error.to_string())
    }
}

const DAY: Duration = Duration::from_hours(24);
/// Grants begun in one round. Calls to one provider are bounded besides.
const AT_ONCE: i64 = 32;
/// Between two tries ahead of time on one grant.
const PAUSE: Duration = Duration::from_secs(30);
