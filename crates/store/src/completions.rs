//! Completion webhooks on their way: one row each, from the write that ended its request until it was taken or given up.
//!
//! An attempt is claimed in the row before it is made, so two nodes do not make the same one; who stops in between is
//! followed by whoever looks after the claim has run out. So a webhook arrives at least once, and may arrive twice.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A completion webhook as stored.
#[derive(Clone, Debug)]
pub struct Completion {
    /// `dlv_…`: the same for every attempt.
    pub id: Id<kind::Delivery>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector that was asked for.
    pub connector: Id<kind::Connector>,
    /// For which project it is signed.
    pub project: Id<kind::Project>,
    /// For which environment.
    pub environment: Environment,
    /// Which request ended.
    pub request: Id<kind::AuthorizationRequest>,
    /// Where to.
    pub url: String,
    /// The body, byte for byte the same at every attempt.
    pub body: String,
    /// Attempts that were claimed.
    pub attempts: i64,
    /// When it was made.
    pub created_at: Time,
}

impl FromRow for Completion {
    const TABLE: &'static str = "completions";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            project: row.get(3)?,
            environment: row.get(4)?,
            request: row.get(5)?,
            url: row.get(6)?,
            body: row.get(7)?,
            attempts: row.get(8)?,
            created_at: row.get(9)?,
        })
    }
}

/// Adds a webhook, due at once.
pub fn insert(completion: &Completion) -> Step {
    Step::one(
        "insert into completions (id, team, connector, project, environment, request, url, body, state, attempts, \
         due_at, last_error, created_at, ended_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', 0, $9, null, $9, null)",
        args![
            completion.id,
            completion.team,
            completion.connector,
            completion.project,
            completion.environment,
            completion.request,
            &completion.url,
            &completion.body,
            completion.created_at
        ],
    )
}

/// Webhooks whose next attempt is due, the oldest first.
pub async fn due(db: &Db, now: Time, limit: i64) -> Result<Vec<Completion>, DbError> {
    db.all(
        "select id, team, connector, project, environment, request, url, body, attempts, created_at from completions \
         where state = 'waiting' and due_at <= $1 order by due_at limit $2",
        args![now, limit],
    )
    .await
}

/// Claims the next attempt until `until`, when it may be made again by anybody.
pub fn claim(completion: &Completion, now: Time, until: Time) -> Step {
    Step::one(
        "update completions set attempts = attempts + 1, due_at = $4 \
         where id = $1 and attempts = $2 and state = 'waiting' and due_at <= $3",
        args![completion.id, completion.attempts, now, until],
    )
}

/// The attempt failed; the next is due at `due`.
pub fn postpone(id: Id<kind::Delivery>, attempts: i64, due: Time, why: &str) -> Step {
    Step::any(
        "update completions set due_at = $3, last_error = $4 where id = $1 and attempts = $2 and state = 'waiting'",
        args![id, attempts, due, why],
    )
}

/// It was taken.
pub fn taken(id: Id<kind::Delivery>, now: Time) -> Step {
    Step::any(
        "update completions set state = 'taken', last_error = null, ended_at = $2 where id = $1 and state = 'waiting'",
        args![id, now],
    )
}

/// It is given up.
pub fn give_up(id: Id<kind::Delivery>, now: Time, why: &str) -> Step {
    Step::any(
        "update completions set state = 'given_up', last_error = $3, ended_at = $2 where id = $1 and state = 'waiting'",
        args![id, now, why],
    )
}

/// Removes what ended long ago.
pub fn sweep(before: Time) -> Step {
    Step::any("delete from completions where ended_at < $1", args![before])
}
