//! When a grant is refreshed, who does it, and what it brought: the lease and the fence in the row.

use carnet_model::{Id, Time, kind};

use super::{GrantRow, select};
use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// A connector that has grants whose time to be refreshed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
}

impl FromRow for Due {
    const TABLE: &'static str = "grants";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { team: row.get(0)?, connector: row.get(1)? })
    }
}

/// Connectors with grants whose time to be refreshed has come.
pub async fn due(db: &Db, now: Time, limit: i64) -> Result<Vec<Due>, DbError> {
    db.all(DUE, args![now, limit]).await
}

// SQLite would walk through every grant there is, because an index has them by team and connector: a quarter of a second
// for a million, every second.
pub(super) const DUE: Sql = Sql {
    lite: "select distinct team, connector from grants indexed by grants_due where refresh_due <= $1 limit $2",
    pg: "select distinct team, connector from grants where refresh_due <= $1 limit $2",
};

/// The grants of a connector whose time to be refreshed has come, the most urgent first.
pub async fn due_of(db: &Db, due: Due, now: Time, limit: i64) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!(
            "where connector = $1 and team = $2 and refresh_due <= $3 and state = 'active' and lease_until < $3 \
             order by refresh_due limit $4"
        ),
        args![due.connector, due.team, now, limit],
    )
    .await
}

/// Takes the lease, if nobody holds it and the refresh token is still the one that was read. The fence grows by one.
pub fn lease(row: &GrantRow, owner: [u8; 16], now: Time, until: Time) -> Step {
    Step::one(
        "update grants set lease_owner = $4, lease_until = $5, fence = fence + 1 \
         where id = $1 and team = $2 and rt_version = $3 and fence = $7 and lease_until < $6 and state = 'active'",
        args![row.grant.id, row.grant.place.team, row.grant.rt_version, owner, until, now, row.fence],
    )
}

/// Keeps the lease for longer, if nobody else has taken it.
pub fn hold(team: Id<kind::Team>, id: Id<kind::Grant>, fence: i64, until: Time) -> Step {
    Step::one(
        "update grants set lease_until = $4 where id = $1 and team = $2 and fence = $3 and lease_owner is not null",
        args![id, team, fence, until],
    )
}

/// Gives the lease back without a change.
pub fn release(team: Id<kind::Team>, id: Id<kind::Grant>, fence: i64) -> Step {
    Step::any(
        "update grants set lease_owner = null, lease_until = 0 where id = $1 and team = $2 and fence = $3",
        args![id, team, fence],
    )
}

/// Frees every lease: for a process that holds the store alone, at its start.
pub fn free_every_lease() -> Step {
    Step::any(FREE_EVERY_LEASE, args![])
}

// "Leased" is written as the index of the few that are has it; put in another way, all would be walked through.
pub(super) const FREE_EVERY_LEASE: &str =
    "update grants set lease_owner = null, lease_until = 0 where lease_until > 0";
pub(super) const FREE_LEASES_OF: &str =
    "update grants set lease_owner = null, lease_until = 0 where lease_until > 0 and lease_owner = $1";

/// Frees the leases of a process that is gone.
pub fn free_leases_of(owner: [u8; 16]) -> Step {
    Step::any(FREE_LEASES_OF, args![owner])
}

/// Records what a refresh brought, if the lease is still ours. `row.grant` has the new versions.
pub fn renew(row: &GrantRow, fence: i64, refresh_due: Option<Time>) -> Step {
    let g = &row.grant;
    Step::one(
        "update grants set scopes = $4, external_subject = $5, held = $6, access_expires_at = $7, \
         refresh_expires_at = $8, refreshable = $9, version = $10, rt_version = $11, lease_owner = null, \
         lease_until = 0, refresh_due = $12, updated_at = $13, \
         ends_since = case when refresh_expires_at is null or cast($8 as bigint) > refresh_expires_at + 60000 \
         then cast($13 as bigint) else coalesce(ends_since, updated_at) end \
         where id = $1 and team = $2 and fence = $3 and version = cast($10 as bigint) - 1 and state = 'active'",
        args![
            g.id,
            g.place.team,
            fence,
            g.scopes.as_ref().map(ToString::to_string),
            g.external_subject.clone(),
            row.held.clone(),
            g.access_expires_at,
            g.refresh_expires_at,
            g.refreshable,
            g.version,
            g.rt_version,
            refresh_due,
            g.updated_at
        ],
    )
}

/// Says when to try ahead of time again.
pub fn postpone(team: Id<kind::Team>, id: Id<kind::Grant>, until: Time) -> Step {
    Step::any(
        "update grants set refresh_due = $3 where id = $1 and team = $2 and refresh_due is not null",
        args![id, team, until],
    )
}

/// Says that it is to be refreshed as soon as there is room.
pub fn hasten(team: Id<kind::Team>, id: Id<kind::Grant>) -> Step {
    Step::any(
        "update grants set refresh_due = 0 where id = $1 and team = $2 and state = 'active'",
        args![id, team],
    )
}

/// Says that it is not tried ahead of time any more, until it is used again.
pub fn let_rest(team: Id<kind::Team>, id: Id<kind::Grant>) -> Step {
    Step::any("update grants set refresh_due = null where id = $1 and team = $2", args![id, team])
}

/// Has every grant of a connector looked at again: when they are due has changed.
pub fn consider(team: Id<kind::Team>, connector: Id<kind::Connector>, now: Time) -> Step {
    Step::any(
        "update grants set refresh_due = $3 where team = $1 and connector = $2 and state = 'active' \
         and refreshable = 1 and (refresh_due is null or refresh_due > $3)",
        args![team, connector, now],
    )
}

/// Notes that tokens are being asked for, and when to try ahead of time if it was left to rest.
pub fn used(team: Id<kind::Team>, id: Id<kind::Grant>, now: Time, refresh_due: Option<Time>) -> Step {
    Step::any(
        "update grants set last_used_at = $3, refresh_due = case when state = 'active' then \
         coalesce(refresh_due, $4) else null end where id = $1 and team = $2",
        args![id, team, now, refresh_due],
    )
}

/// Makes every grant that can be renewed due now, and due until that has worked, whoever uses it: what a thief copied is
/// then spent at providers that rotate.
pub fn hurry(now: Time) -> Step {
    Step::any(
        "update grants set refresh_due = $1, leaked_rt = rt_version where state = 'active' and refreshable = 1",
        args![now],
    )
}
