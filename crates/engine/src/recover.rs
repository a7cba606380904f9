//! After a crash, a pause or a lost node: what was left open is brought to an end.
//!
//! At start, and every few seconds after: attempts whose process is gone are judged by the provider's rotation class;
//! tokens that came too late for their grant are adopted if nothing better came since; grants that were withdrawn while
//! somebody stopped are told to the provider.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::ConnectorRef;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::grant::{Cause, GrantState, Rotation};
use carnet_store::grants::{self, GrantRow};
use carnet_store::refreshes::{self, OpenRefresh, Orphan};
use carnet_store::{DbError, Write};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::refresh::{LEASE, ahead_of_time};

impl Broker {
    /// Frees what a process that is gone held here alone. Only where no other process can be working.
    pub(crate) async fn take_over(&self) -> Result<(), DbError> {
        if self.inner.db.is_shared() {
            return Ok(());
        }
        self.inner.db.write(Write::new().step(grants::free_every_lease())).await.map(drop)
    }

    /// Brings to an end what was sent longer ago than `silence` and never answered. One that cannot be brought to an end
    /// does not keep the others from theirs.
    pub(crate) async fn recover(&self, silence: Duration) -> Result<(), DbError> {
        if self.inner.turning.is_shut() {
            return Ok(());
        }
        // First what came back, if late: an attempt that has its answer is not made again with the spent token.
        for orphan in refreshes::orphans(&self.inner.db, BATCH).await? {
            go_on(self.adopt_orphan(&orphan).await, "tokens that came too late")?;
        }
        // By the clock by which it was sent: this node's own may be ahead.
        let before = self.inner.db.clock(&self.inner.env).await?.minus(silence);
        for open in refreshes::stranded(&self.inner.db, before, BATCH).await? {
            go_on(self.recover_one(&open).await, "a refresh left open")?;
        }
        Ok(())
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

    /// When a silence here means that the process that sent it is gone.
    pub(crate) fn silence(&self) -> Duration {
        if self.inner.db.is_shared() { STALE } else { Duration::ZERO }
    }

    async fn recover_one(&self, open: &OpenRefresh) -> Result<(), DbError> {
        let Some((row, entry)) = self.grant_and_connector(open).await? else {
            return self.inner.db.write(Write::new().step(refreshes::cancel(open.id))).await.map(drop);
        };
        if row.grant.rt_version != open.rt_version || row.grant.state != GrantState::Active {
            return self.inner.db.write(Write::new().step(refreshes::cancel(open.id))).await.map(drop);
        }
        let now = self.inner.env.now();
        let lives =
            row.grant.access_expires_at.is_some_and(|end| end > now) && !entry.abilities.old_access_dies;
        let in_grace = match entry.abilities.rotation {
            Rotation::None => true,
            Rotation::Grace { seconds } => now < open.sent_at.plus(Duration::from_secs(u64::from(seconds))),
            Rotation::Strict => false,
        };
        if lives && !in_grace {
            // Nothing may be done while the token lives; who needs the grant then finds the attempt.
            return self.inner.db.write(Write::new().step(refreshes::set_aside(open.id))).await.map(drop);
        }
        let broker = self.clone();
        self.track(async move {
            if let Err(failure) = broker.renew(entry, &row, now).await {
                tracing::info!(grant = %row.grant.id, ?failure, "a refresh left open was brought to an end");
            }
        });
        Ok(())
    }

    async fn grant_and_connector(
        &self,
        open: &OpenRefresh,
    ) -> Result<Option<(GrantRow, Arc<Entry>)>, DbError> {
        let Some(row) = grants::find(&self.inner.db, open.team, open.grant).await? else { return Ok(None) };
        let reference = ConnectorRef::Id(row.grant.place.connector);
        Ok(self.inner.entry(open.team, &reference).await?.map(|entry| (row, entry)))
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
        next.grant.updated_at = now;
        next.grant.access_expires_at = secret.held.access().and_then(|access| access.expires_at);
        next.grant.refresh_expires_at = secret.held.refresh_expires_at();
        next.grant.refreshable = secret.held.refresh().is_some();
        next.held =
            inner.seal_grant(&next.grant, &secret).map_err(|error| DbError::Refused(Box::new(error)))?;
        let due = ahead_of_time(next.grant.id, now, next.grant.access_expires_at);
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

/// Longer than a lease and the call under it.
pub(crate) const STALE: Duration = Duration::from_secs(LEASE.as_secs() + 4);
const BATCH: i64 = 200;
