//! How a refresh ended, and what is recorded of it.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::failpoint::Point;
use carnet_model::grant::{Cause, GrantState, Rotation};
use carnet_model::{Code, Fault};
use carnet_providers::{DriverError, Minted};
use carnet_store::grants::{self, GrantRow};
use carnet_store::refreshes::{self, OpenRefresh, Orphan};
use carnet_store::{DbError, Write, pass};

use super::{Doubt, Goal, Presented, Refreshed, ahead_of_time, due};
use crate::brake::Word;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::sealing::{Facts, GrantSecret};

/// Why a refresh brought no token.
#[derive(Clone, Debug)]
pub(crate) enum RenewFailure {
    /// Only the person can help.
    Consent(Option<Cause>),
    /// The provider or the connector failed; the grant is untouched.
    Provider(Arc<DriverError>),
    /// The answer was lost, of a provider that may count the refresh token as spent for having been presented.
    Lost {
        /// Until the grant is tried once more.
        wait: Duration,
    },
    /// An answer was lost, and trying again would endanger the token that still lives.
    InDoubt {
        /// Until it is tried once more.
        wait: Duration,
    },
    /// More refreshes of this connector are wanted than may begin in this time; the grant is untouched.
    Row {
        /// How long the row is.
        wait: Duration,
    },
    /// The provider calls so many grants of the connector dead at once that it is not believed.
    ManyRefused {
        /// Until this one is tried again.
        wait: Duration,
    },
    /// Somebody else is at it and does not finish.
    Busy,
    /// The store failed.
    Store(Arc<DbError>),
}

impl RenewFailure {
    /// Whether an access token that still lives may be served all the same.
    pub(crate) const fn spares_the_token(&self) -> bool {
        !matches!(self, Self::Consent(_) | Self::Store(_))
    }

    /// What the caller is told.
    pub(crate) fn fault(self, entry: &Entry, consent: impl FnOnce(Option<Cause>) -> Fault) -> Fault {
        let uid = entry.row.connector.uid.as_str();
        match self {
            Self::Consent(cause) => consent(cause),
            Self::Provider(error) => faults::driver(&error, uid),
            // When it is tried again is decided here, and said as it will be.
            Self::Lost { wait } => Fault::new(
                Code::ProviderUnavailable,
                format!(
                    "The provider of {uid} was asked to renew the grant, and its answer was lost: it may have spent the \
                     refresh token, and nobody has what it gave. The grant is tried again as soon as that is safe; if the \
                     provider refuses it then, reauthorization is required."
                ),
            )
            .with("reason", Cause::AnswerLost.as_str())
            .retry_after(whole_seconds(wait).max(1)),
            Self::InDoubt { wait } => Fault::new(
                Code::ProviderUnavailable,
                format!(
                    "An answer of the provider of {uid} was lost; it is asked again as soon as that is safe."
                ),
            )
            .with("reason", Cause::AnswerLost.as_str())
            .retry_after(whole_seconds(wait).max(1)),
            Self::Row { wait } => Fault::new(
                Code::Unavailable,
                format!(
                    "More refreshes at the provider of {uid} are wanted than it may be asked for in this time. This one's \
                     turn comes in about {} seconds.",
                    wait.as_secs() + 1
                ),
            )
            .retry_after(wait.as_secs() + 1),
            Self::ManyRefused { wait } => Fault::new(
                Code::ProviderRefused,
                format!(
                    "The provider of {uid} refuses so many grants at once that the application itself is likely to be \
                     suspended, or its secret changed. No grant is given up for it: they are tried again."
                ),
            )
            .with("reason", "many_grants_refused")
            .retry_after(wait.as_secs() + 1)
            .next(format!("carnet show {uid}"), "to see the client, then look at the application at the provider")
            .next(
                format!("carnet token {uid} --subject user --yes"),
                "if the application is well: one new consent that works proves it, and the others are asked to consent",
            ),
            Self::Busy => Fault::new(
                Code::ProviderUnavailable,
                format!("A refresh at the provider of {uid} is under way and takes long."),
            )
            .retry_after(2),
            Self::Store(error) => match &*error {
                DbError::Unavailable(why) => faults::store(DbError::Unavailable(why.clone())),
                _ => faults::internal(Shared(error)),
            },
        }
    }
}

impl From<DbError> for RenewFailure {
    fn from(error: DbError) -> Self {
        Self::Store(Arc::new(error))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the store failed during a refresh")]
struct Shared(#[source] Arc<DbError>);

impl Broker {
    /// The provider gave new tokens: they are on disk before anybody sees one.
    pub(super) async fn renewed(
        &self,
        entry: &Entry,
        row: &GrantRow,
        operation: &OpenRefresh,
        before: GrantSecret,
        mut minted: Minted,
        goal: &Goal,
    ) -> Result<Presented, RenewFailure> {
        let inner = &self.inner;
        let now = inner.env.now();
        let Some(held) = minted.held.take() else {
            // A refresh that keeps nothing is a mistake of the driver; the old token may be spent.
            return self
                .not_renewed(
                    entry,
                    row,
                    operation,
                    DriverError::Garbage { in_doubt: true, what: "nothing of it was kept" },
                    Doubt::None,
                    goal,
                )
                .await;
        };
        let mut next = row.clone();
        next.grant.version += 1;
        next.grant.rt_version += 1;
        next.grant.updated_at = now;
        next.grant.access_expires_at = held.access().and_then(|access| access.expires_at);
        next.grant.refresh_expires_at = held.refresh_expires_at();
        next.grant.refreshable = held.refresh().is_some();
        let facts = match goal {
            Goal::Narrowed(_) => before.facts,
            Goal::Token { .. } => {
                next.grant.scopes = minted.scopes.clone().or_else(|| row.grant.scopes.clone());
                let external_subject = minted.external_subject.clone().or(before.facts.external_subject);
                next.grant.external_subject.clone_from(&external_subject);
                let kept =
                    |fresh: &serde_json::Map<_, _>, old| if fresh.is_empty() { old } else { fresh.clone() };
                Facts {
                    // It is the token before, if any is kept.
                    token_id: if minted.flawed { before.facts.token_id } else { Some(inner.env.id()) },
                    asked: before.facts.asked,
                    named: before.facts.named,
                    resources: before.facts.resources,
                    audience: before.facts.audience,
                    details: before.facts.details,
                    given_by: before.facts.given_by,
                    imported: before.facts.imported,
                    name: before.facts.name,
                    external_subject,
                    metadata: kept(&minted.metadata, before.facts.metadata),
                    claims: kept(&minted.claims, before.facts.claims),
                    profile: before.facts.profile,
                }
            }
        };
        // Memory serves a token until its grant is due for renewal, and no longer. What is renewed before that would be
        // served on from there, by every process, although its provider may have ended it.
        let spent = row.grant.access_expires_at.is_some_and(|end| end <= now);
        let set = ahead_of_time(row.grant.id, row.grant.updated_at, row.grant.access_expires_at);
        let is_early = !spent && set.is_none_or(|due| now < due);
        let replaces = matches!(goal, Goal::Token { .. }) && !minted.flawed;
        let secret = GrantSecret { facts, held };
        next.held = inner.seal_grant(&next.grant, &secret).map_err(sealing)?;
        let due = due(&next.grant, entry.idle());
        let mut event = AuditEvent::of_system(now, Action::GrantRefresh)
            .in_team(operation.team)
            .on(operation.grant)
            .with("operation", operation.id.to_string())
            .with("rtVersion", next.grant.rt_version);
        if let Some(why) = &minted.stray {
            event = event.with("notHandedOut", why.clone());
        }
        loop {
            let mut write = Write::new()
                .step(grants::renew(&next, operation.fence, due))
                .step(refreshes::end(operation.team, operation.grant, operation.rt_version))
                .event(&inner.env, &event);
            let renews = entry.abilities.old_access_dies || (replaces && is_early);
            if renews {
                write = write.renews();
            }
            match inner.db.write(write).await {
                Ok(written) => {
                    if renews {
                        inner.tokens.renewed(written.revision, row.grant.id);
                    }
                    inner.spill.forget(operation.id);
                    // There is nothing left that could fail.
                    let _ = pass(&inner.env, Point::RefreshRecorded).await;
                    if inner.brakes.works(entry.line(), operation.grant, now) {
                        self.brake_ended(entry, "a refresh works").await;
                    }
                    return Ok(Presented::Done(Box::new(Refreshed { row: next, minted: Some(minted) })));
                }
                Err(DbError::Unmet(_)) => {
                    self.keep_orphan(entry, row, operation, &secret).await?;
                    return Ok(Presented::Again);
                }
                Err(DbError::Unavailable(why)) => {
                    let orphan = self.orphan(row, operation, &secret)?;
                    self.wait_for_the_store(&orphan, &why).await?;
                }
                Err(error) => {
                    // Whatever is wrong with the row, the tokens are not lost with it.
                    self.keep_orphan(entry, row, operation, &secret).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// The grant was withdrawn while it was being refreshed: the provider was told of the tokens before these, and is
    /// now told of these.
    async fn give_back(&self, entry: &Entry, operation: &OpenRefresh, secret: &GrantSecret) {
        // The place among the calls is that of the refresh.
        let told = self.tell_now(entry, &secret.held).await;
        let event = AuditEvent::of_system(self.inner.env.now(), Action::TokenRevoke)
            .in_team(operation.team)
            .on(operation.grant)
            .with("operation", operation.id.to_string())
            .with("provider", told.as_str());
        let write = Write::new().step(refreshes::cancel(operation.id)).event(&self.inner.env, &event);
        if let Err(error) = self.inner.db.write(write).await {
            tracing::warn!(grant = %operation.grant, %error, "that tokens were given back could not be recorded");
        }
        self.inner.spill.forget(operation.id);
    }

    fn orphan(
        &self,
        row: &GrantRow,
        operation: &OpenRefresh,
        secret: &GrantSecret,
    ) -> Result<Orphan, RenewFailure> {
        let held = self.inner.seal_orphan(operation.id, &row.grant.place, operation.rt_version, secret);
        Ok(Orphan {
            id: operation.id,
            team: operation.team,
            grant: operation.grant,
            rt_version: operation.rt_version,
            held: held.map_err(sealing)?,
            created_at: self.inner.env.now(),
        })
    }

    /// New tokens are in hand and the store does not take them: keeps them in a file, tells whoever waits, and tries on.
    /// Only the end of the process stops it, and the next start reads the file.
    async fn wait_for_the_store(&self, operation: &Orphan, why: &str) -> Result<(), RenewFailure> {
        let mut kept = pass(&self.inner.env, Point::SpillWrite).await.map_err(std::io::Error::other);
        if kept.is_ok() {
            kept = self.inner.spill.keep(operation);
            let _ = pass(&self.inner.env, Point::SpillWritten).await;
        }
        if let Err(error) = kept {
            tracing::error!(operation = %operation.id, %error, "refreshed tokens cannot be kept in a file either");
        }
        tracing::error!(operation = %operation.id, grant = %operation.grant, why, "the store does not take refreshed tokens; trying on");
        self.inner.flights.not_recorded(operation.grant);
        if self.inner.stop.is_cancelled() {
            return Err(RenewFailure::Store(Arc::new(DbError::Unavailable(why.to_owned()))));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        Ok(())
    }

    /// The grant has moved on: the new tokens may be the only valid ones, so they are kept, and used if nothing better
    /// has come since.
    async fn keep_orphan(
        &self,
        entry: &Entry,
        row: &GrantRow,
        operation: &OpenRefresh,
        secret: &GrantSecret,
    ) -> Result<(), RenewFailure> {
        let inner = &self.inner;
        let orphan = self.orphan(row, operation, secret)?;
        let event = AuditEvent::of_system(inner.env.now(), Action::GrantRefresh)
            .in_team(operation.team)
            .on(operation.grant)
            .ended(Outcome::Failed)
            .with("operation", operation.id.to_string())
            .with("kept", "orphan");
        loop {
            if let Err(DbError::Unavailable(why)) = pass(&inner.env, Point::OrphanKeep).await {
                self.wait_for_the_store(&orphan, &why).await?;
            }
            let write = Write::new()
                .step(grants::present(operation.team, operation.grant))
                .step(refreshes::keep_orphan(&orphan))
                .step(refreshes::cancel(operation.id))
                .event(&inner.env, &event);
            match inner.db.write(write).await {
                // In conflict with itself alone: an earlier try was committed, and its answer lost.
                Ok(_) | Err(DbError::Conflict) => {
                    inner.spill.forget(operation.id);
                    break;
                }
                // Withdrawn meanwhile, and the provider told.
                Err(DbError::Unmet(_)) => {
                    self.give_back(entry, operation, secret).await;
                    return Err(RenewFailure::Consent(None));
                }
                Err(DbError::Unavailable(why)) => self.wait_for_the_store(&orphan, &why).await?,
                Err(error) => {
                    // Whatever the store has against them, they are handed to it once more by the next start.
                    if let Err(why) = inner.spill.keep(&orphan) {
                        tracing::error!(operation = %operation.id, %why, "refreshed tokens cannot be kept in a file either");
                    }
                    return Err(error.into());
                }
            }
        }
        self.adopt_orphan(&orphan).await.map_err(RenewFailure::from)
    }

    /// No new tokens.
    pub(super) async fn not_renewed(
        &self,
        entry: &Entry,
        row: &GrantRow,
        operation: &OpenRefresh,
        error: DriverError,
        doubt: Doubt,
        goal: &Goal,
    ) -> Result<Presented, RenewFailure> {
        // One caller's particular wish says nothing certain about the grant.
        if let (DriverError::Gone { cause, .. }, Goal::Token { .. }) = (&error, goal) {
            return self.gone(entry, row, operation, doubt.cause(), *cause).await;
        }
        let event = AuditEvent::of_system(self.inner.env.now(), Action::GrantRefresh)
            .in_team(operation.team)
            .on(operation.grant)
            .ended(Outcome::Failed)
            .with("operation", operation.id.to_string())
            .with("code", faults::driver(&error, "").code.as_str())
            .with("inDoubt", error.in_doubt());
        let release = grants::release(operation.team, operation.grant, operation.fence);
        let safe_to_repeat = entry.abilities.rotation == Rotation::None || !error.in_doubt();
        let end =
            if safe_to_repeat { refreshes::cancel(operation.id) } else { refreshes::lose(operation.id) };
        let write = Write::new().step(release).step(end).event(&self.inner.env, &event);
        if let Err(failed) = self.inner.db.write(write).await {
            // The lease ends by itself, and the open attempt is found by the next who needs the grant.
            tracing::warn!(grant = %operation.grant, error = %failed, "the end of a refresh could not be recorded");
        }
        // Within the grace the same token may be presented once more, at once: later may be too late.
        if matches!(entry.abilities.rotation, Rotation::Grace { .. })
            && error.in_doubt()
            && doubt == Doubt::None
        {
            return Ok(Presented::Again);
        }
        if safe_to_repeat {
            return Err(RenewFailure::Provider(Arc::new(error)));
        }
        Err(RenewFailure::Lost { wait: self.until_it_is_safe(entry, row).await })
    }

    /// How long a grant is left alone from now on, whose provider's answer was lost; and the provider, if that is longer.
    async fn until_it_is_safe(&self, entry: &Entry, row: &GrantRow) -> Duration {
        let inner = &self.inner;
        let looked = async {
            let now = inner.db.clock(&inner.env).await?;
            let open = refreshes::open_of(&inner.db, row.grant.place.team, row.grant.id).await?;
            Ok::<_, DbError>(Doubt::wait(&open, row, &entry.abilities, now))
        };
        // Where the store does not say, as long as of any provider.
        let wait = looked.await.unwrap_or(UNKNOWN);
        wait.max(inner.breakers.wait(entry.line(), inner.env.now()).unwrap_or_default())
    }

    /// The provider says the grant is dead. It is believed only about the refresh token that is still the stored one:
    /// whoever lost a race reads it again.
    async fn gone(
        &self,
        entry: &Entry,
        row: &GrantRow,
        operation: &OpenRefresh,
        doubt: Option<Cause>,
        cause: Cause,
    ) -> Result<Presented, RenewFailure> {
        let inner = &self.inner;
        let now = inner.env.now();
        pass(&inner.env, Point::RefreshRefused).await?;
        let present = grants::find(&inner.db, operation.team, operation.grant).await?;
        let Some(present) = present.filter(|present| present.grant.state == GrantState::Active) else {
            return Err(RenewFailure::Consent(None));
        };
        if present.grant.rt_version != row.grant.rt_version {
            self.strike_out(row, operation).await;
            return Ok(Presented::Again);
        }
        if self.adopt_for(&present).await? {
            return Ok(Presented::Again);
        }
        // Where the reason is our own, or the person's, it says nothing about the application.
        if doubt.is_none() && cause == Cause::RevokedAtProvider {
            let word = inner.brakes.dead(entry.line(), operation.grant, now);
            if word != Word::Believed {
                return self.not_believed(entry, operation, word).await;
            }
        }
        let cause = doubt.unwrap_or(cause);
        let event = AuditEvent::of_system(now, Action::GrantNeedsConsent)
            .in_team(operation.team)
            .on(operation.grant)
            .ended(Outcome::Failed)
            .with("operation", operation.id.to_string())
            .with("cause", cause.as_str());
        let write = Write::new()
            .step(grants::needs_consent(operation.team, operation.grant, row.grant.rt_version, cause, now))
            .step(refreshes::end(operation.team, operation.grant, row.grant.rt_version))
            .steps(self.tell_broken(entry, &row.grant, cause, now))
            .event(&inner.env, &event)
            .revises();
        match inner.db.write(write).await {
            Ok(_) => Err(RenewFailure::Consent(Some(cause))),
            Err(DbError::Unmet(_)) => Ok(Presented::Again),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing depends on the attempt: the refresh token was certainly not presented, or is not the present one any more.
    pub(super) async fn strike_out(&self, row: &GrantRow, operation: &OpenRefresh) {
        let write = Write::new()
            .step(grants::release(operation.team, row.grant.id, operation.fence))
            .step(refreshes::cancel(operation.id));
        if let Err(error) = self.inner.db.write(write).await {
            tracing::warn!(grant = %operation.grant, %error, "an attempt could not be struck out");
        }
    }

    /// The access token has ended, or its provider does not know it any more, and there is nothing to renew it with.
    pub(crate) async fn grant_over(&self, entry: &Entry, row: &GrantRow, cause: Cause) -> Result<(), Fault> {
        let now = self.inner.env.now();
        let (team, id) = (row.grant.place.team, row.grant.id);
        let event = AuditEvent::of_system(now, Action::GrantNeedsConsent)
            .in_team(team)
            .on(id)
            .ended(Outcome::Failed)
            .with("cause", cause.as_str());
        let write = Write::new()
            .step(grants::needs_consent(team, id, row.grant.rt_version, cause, now))
            .steps(self.tell_broken(entry, &row.grant, cause, now))
            .event(&self.inner.env, &event)
            .revises();
        match self.inner.db.write(write).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(faults::store(error)),
        }
    }
}

/// After which time a provider is tried again of which nothing is known, as callers are told.
const UNKNOWN: Duration = Duration::from_secs(5);

/// Rounded up: whoever comes at the time that was named is not too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn sealing(error: crate::sealing::Unsealable) -> RenewFailure {
    RenewFailure::Store(Arc::new(DbError::Refused(Box::new(error))))
}
