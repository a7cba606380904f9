//! After a crash, a pause or a lost node: what was left open is brought to an end.
//!
//! At start, and every few seconds after: attempts whose process is gone are judged by the provider's rotation class;
//! tokens that came too late for their grant are adopted if nothing better came since; grants that were withdrawn while
//! somebody stopped are told to the provider.
//!
//! Nobody waits for it, and nothing is served more wrongly before it: who needs a grant finds what was left open on it.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::failpoint::Point;
use carnet_model::grant::{Cause, GrantState, Rotation};
use carnet_model::{ConnectorRef, Time};
use carnet_store::grants::{self, GrantRow};
use carnet_store::refreshes::{self, Orphan, Stranded};
use carnet_store::{DbError, Step, Write, certificates, deliveries, pass};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::refresh::{LEASE, Urgency, due};

/// What is to be done about an attempt that was left open.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing depends on it any more, or presenting the token again is always safe.
    Strike,
    /// The same, and the grant is to be refreshed soon.
    StrikeAndRefresh,
    /// Nothing may be done while the token lives; who needs the grant then finds the attempt.
    SetAside,
    /// The token is presented once more, now.
    Present,
}

impl Broker {
    /// Frees what a process that is gone held, and marks what it left open: on a store that no other process can be
    /// working on, everything; else what the process before this one held, if that is known.
    pub(crate) async fn take_over(&self) -> Result<(), DbError> {
        let write = match (self.inner.db.is_shared(), self.inner.seat.before) {
            (false, _) => Write::new()
                .step(refreshes::leave_all())
                .step(grants::free_every_lease())
                .step(certificates::free_every_lease())
                .step(deliveries::free_every_claim(self.inner.env.now())),
            (true, Some(gone)) => Write::new()
                .step(refreshes::leave_of(gone))
                .step(grants::free_leases_of(gone))
                .step(certificates::free_leases_of(gone)),
            (true, None) => return Ok(()),
        };
        self.inner.db.write(write).await.map(drop)
    }

    /// Brings to an end what was left open. What cannot be brought to an end does not keep the rest from it.
    pub(crate) async fn recover(&self) -> Result<(), DbError> {
        if self.inner.turning.is_shut() {
            return Ok(());
        }
        // First what came back, if late: an attempt that has its answer is not made again with the spent token.
        for orphan in refreshes::orphans(&self.inner.db, BATCH).await? {
            go_on(self.adopt_orphan(&orphan).await, "tokens that came too late")?;
        }
        // By the clock by which it was sent: this node's own may be ahead.
        let now = self.inner.db.clock(&self.inner.env).await?;
        let before = now.minus(STALE);
        let (mut after, mut presented) = (None, 0);
        loop {
            let page = refreshes::stranded(&self.inner.db, now, before, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.open.sent_at, last.open.id));
            pass(&self.inner.env, Point::RecoverJudge).await?;
            let mut steps = Vec::new();
            for one in &page {
                let Some(entry) = self.connector_of(one).await? else {
                    steps.push(refreshes::cancel(one.open.id));
                    continue;
                };
                match judge(one, &entry, now) {
                    Verdict::Strike => steps.push(refreshes::cancel(one.open.id)),
                    Verdict::StrikeAndRefresh => {
                        steps.push(refreshes::cancel(one.open.id));
                        steps.push(grants::hasten(one.open.team, one.open.grant));
                    }
                    Verdict::SetAside => steps.push(refreshes::set_aside(one.open.id)),
                    // The oldest first; the rest is found again by the next round. Those of a provider that is not asked
                    // at all at the moment take nobody's place.
                    Verdict::Present
                        if presented < PRESENTED
                            && self.inner.breakers.wait(entry.line(), self.inner.env.now()).is_none() =>
                    {
                        presented += 1;
                        self.present_again(entry, one).await?;
                    }
                    Verdict::Present => {}
                }
            }
            self.settle(steps).await?;
        }
    }

    /// Tells providers of grants that were withdrawn while somebody stopped. It waits for providers, so nothing else
    /// waits for it.
    pub(crate) async fn finish_withdrawals(&self) -> Result<(), DbError> {
        let before = self.inner.env.now().minus(STALE);
        for row in grants::withdrawn(&self.inner.db, before, BATCH).await? {
            if self.inner.stop.is_cancelled() {
                break;
            }
            go_on(self.finish_withdrawal(&row).await, "a withdrawn grant")?;
        }
        Ok(())
    }

    async fn settle(&self, steps: Vec<Step>) -> Result<(), DbError> {
        if steps.is_empty() {
            return Ok(());
        }
        self.inner.db.write(Write::new().steps(steps)).await.map(drop)
    }

    async fn connector_of(&self, one: &Stranded) -> Result<Option<Arc<Entry>>, DbError> {
        let Some(connector) = one.connector else { return Ok(None) };
        self.inner.entry(one.open.team, &ConnectorRef::Id(connector)).await
    }

    async fn present_again(&self, entry: Arc<Entry>, one: &Stranded) -> Result<(), DbError> {
        let found = grants::find(&self.inner.db, one.open.team, one.open.grant).await?;
        let Some(row) = found.filter(|row| !self.inner.flights.is_under_way(row.grant.id)) else {
            return Ok(());
        };
        let (broker, now) = (self.clone(), self.inner.env.now());
        self.track(async move {
            if let Err(failure) = broker.renew(entry, &row, now, Urgency::Now).await {
                tracing::info!(grant = %row.grant.id, ?failure, "a refresh left open was brought to an end");
            }
        });
        Ok(())
    }

    /// Uses what came too late for this grant, if something did. Whether it did; the grant is then read again.
    pub(crate) async fn adopt_for(&self, row: &GrantRow) -> Result<bool, DbError> {
        let kept = refreshes::orphans_of(&self.inner.db, row.grant.place.team, row.grant.id).await?;
        let fitting = kept.iter().find(|orphan| orphan.rt_version == row.grant.rt_version);
        let Some(orphan) = fitting else { return Ok(false) };
        match self.adopt_orphan(orphan).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_unavailable() => Err(error),
            Err(error) => {
                tracing::warn!(grant = %row.grant.id, %error, "tokens that came too late cannot be used");
                Ok(false)
            }
        }
    }

    /// Uses tokens that came too late for their grant, if the grant still waits for a successor of the same refresh
    /// token. Otherwise something better came since, and they go.
    pub(crate) async fn adopt_orphan(&self, orphan: &Orphan) -> Result<(), DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        pass(&inner.env, Point::OrphanAdopt).await?;
        let row = grants::find(&inner.db, orphan.team, orphan.grant).await?;
        let dropped = Write::new().step(refreshes::drop_orphan(orphan.id));
        let Some(row) = row.filter(|row| row.grant.rt_version == orphan.rt_version) else {
            return done(inner.db.write(dropped).await);
        };
        let waits = match row.grant.state {
            GrantState::Active => true,
            GrantState::NeedsConsent { cause, .. } => {
                matches!(cause, Cause::RevokedAtProvider | Cause::CrashDuringRefresh | Cause::AnswerLost)
            }
            GrantState::Withdrawn { .. } => false,
        };
        if !waits {
            return done(inner.db.write(dropped).await);
        }
        // What does not open here may open on another node, or with a key that is restored; it is never dropped.
        inner.load_team_keys(orphan.team).await?;
        let secret = inner
            .open_orphan(orphan.id, &row.grant.place, orphan.rt_version, &orphan.held)
            .map_err(|error| DbError::Refused(Box::new(error)))?;
        let mut next = row.clone();
        next.grant.version += 1;
        next.grant.rt_version += 1;
        // When it came, and not when it was found: what of its life is over is over.
        next.grant.updated_at = orphan.created_at;
        // What was given may be more than before, or less: by this it is decided who gets it.
        next.grant.scopes = secret.held.scopes().cloned().or(next.grant.scopes);
        next.grant.access_expires_at = secret.held.access().and_then(|access| access.expires_at);
        next.grant.refresh_expires_at = secret.held.refresh_expires_at();
        next.grant.refreshable = secret.held.refresh().is_some();
        next.held =
            inner.seal_grant(&next.grant, &secret).map_err(|error| DbError::Refused(Box::new(error)))?;
        let connector = ConnectorRef::Id(next.grant.place.connector);
        let entry = inner.entry(orphan.team, &connector).await?;
        let due = due(&next.grant, entry.and_then(|entry| entry.idle()));
        let event = AuditEvent::of_system(now, Action::GrantOrphanAdopt)
            .in_team(orphan.team)
            .on(orphan.grant)
            .with("operation", orphan.id.to_string());
        let write = Write::new()
            .step(grants::put(&next, due, Some(row.grant.version)))
            .step(refreshes::end(orphan.team, orphan.grant, orphan.rt_version))
            .step(refreshes::drop_orphan(orphan.id))
            .event(&inner.env, &event)
            .revises();
        done(inner.db.write(write).await)
    }
}

fn judge(one: &Stranded, entry: &Entry, now: Time) -> Verdict {
    if one.rt_version != Some(one.open.rt_version) || !one.active {
        return Verdict::Strike;
    }
    let lives = one.access_expires_at.is_some_and(|end| end > now) && !entry.abilities.old_access_dies;
    match entry.abilities.rotation {
        Rotation::None => Verdict::StrikeAndRefresh,
        Rotation::Grace { seconds }
            if now < one.open.sent_at.plus(Duration::from_secs(u64::from(seconds))) =>
        {
            Verdict::Present
        }
        Rotation::Grace { .. } | Rotation::Strict if lives => Verdict::SetAside,
        Rotation::Grace { .. } | Rotation::Strict => Verdict::Present,
    }
}

/// A store that does not answer ends the round; anything else is this one's own trouble.
fn go_on(result: Result<(), DbError>, what: &str) -> Result<(), DbError> {
    match result {
        Err(error) if !error.is_unavailable() => {
            tracing::warn!(%error, what, "could not be brought to an end; it is tried again");
            Ok(())
        }
        result => result,
    }
}

/// A write that found somebody faster has nothing left to do.
fn done(result: Result<carnet_store::Written, DbError>) -> Result<(), DbError> {
    match result {
        Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Longer than a lease that nobody holds on to, and the call under it.
pub(crate) const STALE: Duration = Duration::from_secs(LEASE.as_secs() + 4);
/// Rows in one read and one write: a few of these a second settle ten thousand, and none holds the store for long.
const BATCH: i64 = 200;
/// Refreshes that one round begins. They stand in the same row as those that callers wait for.
const PRESENTED: usize = 100;
