//! Tokens that were presented in exchange, where a connector takes each of them once.
//!
//! A row stands in the same write as the event of the token that was handed out for it, so that of several who present
//! the same at the same moment, on whatever nodes, one is served. It is kept for as long as the token would be taken.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::args;
use crate::write::Step;

/// Spends it; the step finds nothing to do where that was done before.
pub fn spend(team: Id<kind::Team>, connector: Id<kind::Connector>, digest: [u8; 32], ends_at: Time) -> Step {
    Step::one(
        "insert into spent_inbound (team, connector, digest, ends_at) values ($1, $2, $3, $4) \
         on conflict (team, connector, digest) do nothing",
        args![team, connector, digest, ends_at],
    )
}

/// Whether it was spent.
pub async fn is_spent(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    digest: [u8; 32],
) -> Result<bool, DbError> {
    let found = db
        .one::<i64>(
            "select ends_at from spent_inbound where team = $1 and connector = $2 and digest = $3",
            args![team, connector, digest],
        )
        .await?;
    Ok(found.is_some())
}

/// Forgets those that have ended.
pub fn sweep(now: Time) -> Step {
    Step::any("delete from spent_inbound where ends_at < $1", args![now])
}
