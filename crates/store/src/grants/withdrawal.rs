//! Grants that are taken back: useless at once, and kept until their providers were told.

use carnet_model::grant::Cause;
use carnet_model::{Id, Time, kind};

use super::{GrantRow, select};
use crate::db::{Db, DbError};
use crate::row::args;
use crate::write::Step;

/// Withdraws a grant: from now on no token comes from it, and its place is free. It stays until the provider was told.
pub fn withdraw(team: Id<kind::Team>, id: Id<kind::Grant>, now: Time) -> Step {
    Step::any(
        "update grants set state = 'withdrawn', state_since = $3, place = id, refresh_due = null, fence = fence + 1, \
         lease_owner = null, lease_until = 0 where id = $1 and team = $2 and state <> 'withdrawn'",
        args![id, team, now],
    )
}

/// Withdraws every grant of a connector, or of one of its installations.
pub fn withdraw_of_connector(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    installation: Option<Id<kind::Installation>>,
    now: Time,
) -> Step {
    Step::any(
        "update grants set state = 'withdrawn', state_since = $4, place = id, refresh_due = null, fence = fence + 1, \
         lease_owner = null, lease_until = 0 where team = $1 and connector = $2 and state <> 'withdrawn' \
         and (cast($3 as bytea) is null or installation = $3)",
        args![team, connector, installation, now],
    )
}

/// Withdraws every grant that people gave a project.
pub fn withdraw_of_project(team: Id<kind::Team>, project: Id<kind::Project>, now: Time) -> Step {
    Step::any(
        "update grants set state = 'withdrawn', state_since = $3, place = id, refresh_due = null, fence = fence + 1, \
         lease_owner = null, lease_until = 0 where team = $1 and project = $2 and state <> 'withdrawn'",
        args![team, project, now],
    )
}

/// Marks every grant of a connector as needing consent again. The fence moves: what a refresh under way brings does not
/// land on it any more.
pub fn needs_consent_of_connector(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    cause: Cause,
    now: Time,
) -> Step {
    Step::any(
        "update grants set state = 'needs_consent', state_since = $4, cause = $3, lease_owner = null, lease_until = 0, \
         fence = fence + 1, refresh_due = null, updated_at = $4 \
         where team = $1 and connector = $2 and state = 'active'",
        args![team, connector, cause.as_str(), now],
    )
}

/// Notes that somebody is telling the provider of the withdrawn grants of a connector.
pub fn still_withdrawing(team: Id<kind::Team>, connector: Id<kind::Connector>, now: Time) -> Step {
    Step::any(
        "update grants set state_since = $3 where team = $1 and connector = $2 and state = 'withdrawn'",
        args![team, connector, now],
    )
}

/// Goes through only if the connector has no grant, not even a withdrawn one whose provider has yet to be told.
pub fn none_left(team: Id<kind::Team>, connector: Id<kind::Connector>) -> Step {
    Step::none(
        "update grants set updated_at = updated_at where team = $1 and connector = $2",
        args![team, connector],
    )
}

/// Grants that were withdrawn and whose provider has not been told yet: somebody stopped in between.
pub async fn withdrawn(db: &Db, before: Time, limit: i64) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!("where state = 'withdrawn' and state_since <= $1 order by state_since limit $2"),
        args![before, limit],
    )
    .await
}
