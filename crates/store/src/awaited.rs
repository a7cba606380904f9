//! Requests for consent of which the provider is asked, now and then, whether the person has decided.
//!
//! Whoever moves `due_at` on from where it read it asks next, and nobody else: two processes never ask at once, and one
//! that ended is replaced by whoever finds the row overdue.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A request that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// `car_…`
    pub consent: Id<kind::AuthorizationRequest>,
    /// When the provider is asked next.
    pub due_at: Time,
    /// How many seconds lie between two questions.
    pub every_seconds: i64,
}

impl FromRow for Awaited {
    const TABLE: &'static str = "awaited_consents";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { consent: row.get(0)?, due_at: row.get(1)?, every_seconds: row.get(2)? })
    }
}

/// Begins to await, or begins anew.
pub fn put(awaited: Awaited) -> Step {
    Step::one(
        "insert into awaited_consents (consent, due_at, every_seconds) values ($1, $2, $3) \
         on conflict (consent) do update set due_at = excluded.due_at, every_seconds = excluded.every_seconds",
        args![awaited.consent, awaited.due_at, awaited.every_seconds],
    )
}

/// Takes the turn that is due at `due_at`, and says when the next one is.
pub fn take(awaited: Awaited, next: Time, every_seconds: i64) -> Step {
    Step::one(
        "update awaited_consents set due_at = $3, every_seconds = $4 where consent = $1 and due_at = $2",
        args![awaited.consent, awaited.due_at, next, every_seconds],
    )
}

/// Awaits it no longer.
pub fn forget(consent: Id<kind::AuthorizationRequest>) -> Step {
    Step::any("delete from awaited_consents where consent = $1", args![consent])
}

/// What was due before `before` and nobody took, the oldest first.
pub async fn overdue(db: &Db, before: Time, limit: i64) -> Result<Vec<Awaited>, DbError> {
    db.all(
        "select consent, due_at, every_seconds from awaited_consents where due_at < $1 order by due_at limit $2",
        args![before, limit],
    )
    .await
}
