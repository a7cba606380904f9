//! What stands between an allowed request and its token: the grant, and where the provider has to be asked, whether it may
//! be. By what `issue` and `refresh` go by, in their order; nothing is taken, neither a place nor a request.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::grant::Cause;
use carnet_model::{Fault, Subject, Time};
use carnet_store::grants::GrantRow;
use carnet_store::{DbError, refreshes};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::issue::{Given, PATIENT, Unmet, Wanted, consent_required, only_as_granted, spent};
use crate::refresh::{DEADLINE, Doubt, RenewFailure};

/// A rule that denies, and the refusal.
type Denial = (&'static str, Fault);

impl Broker {
    /// What keeps a token from being made that hangs on no grant.
    pub(super) async fn mint_obstacle(
        &self,
        entry: &Entry,
        wanted: &Wanted,
    ) -> Result<Option<Denial>, Fault> {
        if self.is_at_hand(wanted).await? {
            return Ok(None);
        }
        let refusal = self.inner.breakers.refusal(entry.line(), self.inner.env.now());
        Ok(refusal.map(|error| (BREAKER, faults::driver(&error, entry.row.connector.uid.as_str()))))
    }

    /// What a grant lacks for what is wanted, or what keeps it from being refreshed where it has to be.
    pub(super) async fn grant_obstacle(
        &self,
        entry: &Entry,
        wanted: &Wanted,
    ) -> Result<Option<Denial>, Fault> {
        let Given { row, secret, narrowed } = match self.given(entry, wanted).await {
            Ok(given) => given,
            Err(Unmet { rule: Some(rule), fault }) => return Ok(Some((rule, fault))),
            Err(Unmet { rule: None, fault }) => return Err(fault),
        };
        let now = self.inner.env.now();
        if self.is_at_hand(wanted).await? {
            return Ok(None);
        }
        if let Some(left) = &narrowed {
            if !row.grant.refreshable {
                return Ok(Some(("grant-scopes", only_as_granted(entry, wanted, &row, left))));
            }
            if let Some(fault) = self.unnarrowed(entry, wanted, &secret.facts, left) {
                return Ok(Some(("grant-scopes", fault)));
            }
        } else {
            if spent(&row, &secret, now) {
                return Ok(Some(("grant-lives", consent_required(entry, wanted, Some(Cause::Expired)))));
            }
            let ends = row.grant.access_expires_at;
            let lives_beyond = |until: Time| ends.is_none_or(|end| end > until);
            let fits = secret.held.access().is_some() && lives_beyond(now.plus(wanted.buffer));
            let lives = ends.is_some() && lives_beyond(now) && !entry.abilities.old_access_dies;
            // A living token is given out where a better one cannot be had.
            if secret.held.key().is_some() || fits || lives || !row.grant.refreshable {
                return Ok(None);
            }
        }
        let line = entry.line();
        if let Some(wait) = self.is_in_doubt(entry, &row).await.map_err(faults::store)? {
            let fault =
                RenewFailure::InDoubt { wait }.fault(entry, |cause| consent_required(entry, wanted, cause));
            return Ok(Some((DOUBT, fault)));
        }
        let denied = |rule, failure: RenewFailure| {
            Ok(Some((rule, failure.fault(entry, |cause| consent_required(entry, wanted, cause)))))
        };
        if let Some(error) = self.inner.breakers.refusal(line, now) {
            return denied(BREAKER, RenewFailure::Provider(Arc::new(error)));
        }
        if let Some(wait) = self.inner.brakes.wait(line, row.grant.id, now) {
            return denied(BRAKE, RenewFailure::ManyRefused { wait });
        }
        match self.inner.paces.of(line).wait() {
            wait if wait >= DEADLINE => denied(ROW, RenewFailure::Row { wait }),
            wait if wait >= PATIENT => denied(ROW, RenewFailure::Busy),
            _ => Ok(None),
        }
    }

    /// For how long the present refresh token may not be presented again, because an answer about it was lost. An attempt that
    /// is under way is not lost; tokens that came too late are put into their place before anybody asks.
    async fn is_in_doubt(&self, entry: &Entry, row: &GrantRow) -> Result<Option<Duration>, DbError> {
        let db = &self.inner.db;
        let (team, id) = (row.grant.place.team, row.grant.id);
        let now = db.clock(&self.inner.env).await?;
        let open = refreshes::open_of(db, team, id).await?;
        if row.is_leased(now) || open.iter().any(|attempt| attempt.fence > row.fence) {
            return Ok(None);
        }
        if Doubt::judge(&open, row, &entry.abilities, now) != Doubt::Wait {
            return Ok(None);
        }
        let kept = refreshes::orphans_of(db, team, id).await?;
        let has_come = kept.iter().any(|orphan| orphan.rt_version == row.grant.rt_version);
        Ok((!has_come).then(|| Doubt::wait(&open, row, &entry.abilities, now)))
    }

    /// Whether a token for just this is kept, so that nobody has to be asked.
    async fn is_at_hand(&self, wanted: &Wanted) -> Result<bool, Fault> {
        let beyond = self.inner.env.now().plus(wanted.buffer);
        if self.inner.recall(&wanted.key, self.inner.db.revision(), beyond).is_some() {
            return Ok(true);
        }
        Ok(self.stored_token(wanted).await?.is_some())
    }
}

/// Whether a token for this subject comes from a grant: a person's, or what an installation left.
pub(super) fn hangs_on_a_grant(entry: &Entry, subject: &Subject) -> bool {
    match subject {
        Subject::User { .. } => true,
        Subject::App => entry.abilities.app.as_ref().is_some_and(|app| app.left_by_installation),
        Subject::JwtBearer { .. } | Subject::Token { .. } => false,
    }
}

/// How fast the team asks.
pub(super) const TEAM_PACE: &str = "team-pace";
/// Whether the refresh token may be presented again after an answer was lost.
pub(super) const DOUBT: &str = "refresh-in-doubt";
/// How long the provider is left alone ([`crate::breaker`]).
pub(super) const BREAKER: &str = "provider-breaker";
/// Whether it is believed ([`crate::brake`]).
pub(super) const BRAKE: &str = "provider-brake";
/// How long the row of refreshes is ([`crate::pace`]).
pub(super) const ROW: &str = "provider-pace";
