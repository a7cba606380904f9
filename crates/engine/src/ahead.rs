//! What goes on without being asked: refreshes ahead of time, recovery, key rotation, sweeping.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::{ConnectorRef, Time};
use carnet_store::grants::{Due, GrantRow};
use carnet_store::{
    DbError, Write, completions, connector_keys, consents, gateway, grants, health, minted, registrations,
    sign_in_tries, spent_inbound, trigger_events,
};
use tokio::time::{Instant, MissedTickBehavior};

use crate::broker::Broker;
use crate::consent::EXCHANGE;
use crate::directory::Entry;
use crate::health::Ending;
use crate::refresh::{Urgency, forgotten_after, keep_alive};

impl Broker {
    /// Starts the background work; it ends with [`Broker::shut_down`].
    pub(crate) fn start_housekeeping(&self) {
        self.every(Duration::from_millis(500), |broker| async move {
            broker.inner.db.refresh_revision().await.map_err(|error| error.to_string())?;
            broker.inner.read_keys().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move { broker.turn_keys().await });
        self.every(Duration::from_mins(1), |broker| async move { broker.tell_of_node().await });
        self.every(crate::keys::WATCH, |broker| async move { broker.watch_provider().await });
        self.every(Duration::from_secs(1), |broker| async move { broker.refresh_ahead().await });
        self.every(Duration::from_secs(2), |broker| async move {
            broker.recover().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move {
            broker.lapse_consents().await.map_err(|error| error.to_string())?;
            broker.deliver_completions().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move { Box::pin(broker.keep_certificate()).await });
        self.every(Duration::from_secs(2), |broker| async move {
            broker.tell_of_budgets().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move {
            broker.deliver_notices().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(1), |broker| async move {
            broker.look_again();
            Ok(())
        });
        self.every(Duration::from_millis(500), |broker| async move {
            broker.deliver_triggers().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(5), |broker| async move {
            broker.tell_of_endings().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(5), |broker| async move {
            broker.renew_clients().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_secs(2), |broker| async move {
            broker.finish_withdrawals().await.map_err(|error| error.to_string())
        });
        self.every(crate::recover::STALE, |broker| async move {
            broker.await_overdue().await.map_err(|error| error.to_string())
        });
        self.every(Duration::from_mins(1), |broker| async move {
            broker.inner.turn_signing_keys().await.map_err(|fault| fault.to_string())?;
            // One that this process is at ends within less than that.
            broker.end_interrupted_consents(EXCHANGE).await.map_err(|error| error.to_string())?;
            broker.end_interrupted_registrations(EXCHANGE).await.map_err(|error| error.to_string())?;
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

    /// Renews what is due and was used within a day, so that callers seldom wait; what its provider would otherwise
    /// forget; and what may be in other hands since a leak. Each connector is walked through by itself and at its own
    /// pace: a large one does not keep the small ones waiting.
    async fn refresh_ahead(&self) -> Result<(), String> {
        let inner = &self.inner;
        if inner.turning.is_shut() {
            return Ok(());
        }
        let due = grants::due(&inner.db, inner.env.now(), WALKS).await.map_err(|error| error.to_string())?;
        for one in due {
            let reference = ConnectorRef::Id(one.connector);
            let Some(entry) = inner.entry(one.team, &reference).await.map_err(|error| error.to_string())?
            else {
                continue;
            };
            // Whoever is at it already finds the rest.
            let Some(walk) = inner.paces.of(entry.line()).walk() else { continue };
            let broker = self.clone();
            self.track(async move {
                if let Err(error) = broker.walk(&entry, one).await {
                    tracing::debug!(connector = %one.connector, %error, "refreshes ahead of time are left for later");
                }
                drop(walk);
            });
        }
        Ok(())
    }

    /// Begins as many of the refreshes that are due at a connector as fit into about a second.
    async fn walk(&self, entry: &Arc<Entry>, due: Due) -> Result<(), DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        if inner.breakers.wait(entry.line(), now).is_some() {
            return Ok(());
        }
        let most = inner.paces.per_second();
        // Some more than are begun, so that those in use do not stand behind many that are put to rest.
        let rows = grants::due_of(&inner.db, due, now, i64::from(most) * 4).await?;
        let idle = entry.idle();
        let kept =
            |row: &GrantRow| forgotten_after(&row.grant, idle).map(|after| keep_alive(&row.grant, after));
        let (mut wanted, unused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| {
            let is_used = row.last_used_at >= now.minus(DAY);
            row.grant.refreshable && (row.leaked || is_used || kept(row).is_some_and(|kept| kept <= now))
        });
        wanted.truncate(most as usize);
        // Out of the way of the next rounds, whatever becomes of them.
        let again = || now.plus(PAUSE + inner.env.jitter(PAUSE));
        let write = Write::new()
            .steps(wanted.iter().map(|row| grants::postpone(due.team, row.grant.id, again())))
            .steps(unused.iter().map(|row| match kept(row).filter(|_| row.grant.refreshable) {
                Some(kept) => grants::postpone(due.team, row.grant.id, kept),
                None => grants::let_rest(due.team, row.grant.id),
            }));
        inner.db.write(write).await?;
        let pace = inner.paces.of(entry.line());
        let until = Instant::now() + WALK;
        for row in wanted {
            let place = tokio::select! {
                () = inner.stop.cancelled() => break,
                place = pace.spare_place(until) => place,
            };
            let Some(place) = place else { break };
            let (broker, entry) = (self.clone(), entry.clone());
            self.track(async move {
                let beyond = row.grant.access_expires_at.unwrap_or(Time::FAR_FUTURE);
                let renewed = broker.renew(entry.clone(), &row, beyond, Urgency::Ahead(place)).await;
                if let Err(failure) = renewed {
                    tracing::debug!(grant = %row.grant.id, ?failure, "a refresh ahead of time did not succeed");
                    let now = broker.inner.env.now();
                    // Tried since half of the time was over, and still it does not succeed.
                    let lost = idle.map(|idle| (row.grant.updated_at.plus(idle), idle));
                    let near = lost.filter(|(end, idle)| *end > now && now.until(*end) < *idle / 8);
                    if let Some((end, _)) = near {
                        broker.tell_later(broker.tell_ending(&entry, &row.grant, Ending::Idle(end), now));
                    }
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
            .step(spent_inbound::sweep(now))
            .step(consents::sweep(now.minus(DAY * 30)))
            .step(completions::sweep(now.minus(DAY * 30)))
            .step(registrations::sweep(now.minus(DAY * 7)))
            .step(health::sweep(now.minus(DAY * 30)))
            .steps(trigger_events::sweep(now.minus(DAY * 30)))
            .step(connector_keys::sweep(now))
            .step(gateway::sweep(now.minus(DAY)))
            .step(sign_in_tries::drop_over(now.minus(crate::tries::LONGEST_WINDOW)));
        self.inner.db.write(write).await.map(drop).map_err(|error| error.to_string())
    }
}

const DAY: Duration = Duration::from_hours(24);
/// Connectors that are begun with in one round.
const WALKS: i64 = 64;
/// How long one walk waits for places: somewhat longer than a round.
const WALK: Duration = Duration::from_secs(2);
/// Between two tries ahead of time on one grant.
const PAUSE: Duration = Duration::from_secs(30);
