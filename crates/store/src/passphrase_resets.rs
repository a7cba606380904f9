//! Links by which a person chooses another passphrase: single use, expiring, one for each person. Only a keyed hash of
//! what stands in the link is kept.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A link.
#[derive(Clone, Debug)]
pub struct PassphraseReset {
    /// Whose passphrase it is.
    pub user: Id<kind::User>,
    /// The team whose owner made it, and the owner; neither if the operator of the server did.
    pub by: Option<(Id<kind::Team>, Id<kind::User>)>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
}

impl FromRow for PassphraseReset {
    const TABLE: &'static str = "passphrase_resets";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let by = match (row.maybe(1)?, row.maybe(2)?) {
            (Some(team), Some(user)) => Some((team, user)),
            (None, None) => None,
            _ => return Err(row.corrupt(2)),
        };
        Ok(Self { user: row.get(0)?, by, created_at: row.get(3)?, expires_at: row.get(4)? })
    }
}

/// The link of this keyed hash, if it can be used now. Whoever has it has not proved who it is.
pub async fn by_digest(db: &Db, digest: [u8; 32], now: Time) -> Result<Option<PassphraseReset>, DbError> {
    db.one(
        "select user_id, team, made_by, created_at, expires_at from passphrase_resets \
         where digest = $1 and expires_at > $2",
        args![digest, now],
    )
    .await
}

/// Adds a link, in the place of the one before of the same person.
pub fn put(reset: &PassphraseReset, digest: [u8; 32]) -> Step {
    let (team, made_by) = reset.by.unzip();
    Step::one(
        "insert into passphrase_resets (user_id, digest, team, made_by, created_at, expires_at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (user_id) do update set digest = excluded.digest, \
         team = excluded.team, made_by = excluded.made_by, created_at = excluded.created_at, \
         expires_at = excluded.expires_at",
        args![reset.user, digest, team, made_by, reset.created_at, reset.expires_at],
    )
}

/// Uses a link; finds nothing if it was used, replaced or is over.
pub fn take(user: Id<kind::User>, digest: [u8; 32], now: Time) -> Step {
    Step::one(
        "delete from passphrase_resets where user_id = $1 and digest = $2 and expires_at > $3",
        args![user, digest, now],
    )
}

/// Withdraws the link of a person, if there is one.
pub fn withdraw(user: Id<kind::User>) -> Step {
    Step::any("delete from passphrase_resets where user_id = $1", args![user])
}
