//! Passphrases of people: stretched, and sealed besides.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A passphrase as stored.
#[derive(Clone, Debug)]
pub struct PassphraseRow {
    /// Whose.
    pub user: Id<kind::User>,
    /// The envelope.
    pub sealed: Vec<u8>,
    /// When it was chosen.
    pub changed_at: Time,
}

impl FromRow for PassphraseRow {
    const TABLE: &'static str = "passphrases";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { user: row.get(0)?, sealed: row.get(1)?, changed_at: row.get(2)? })
    }
}

/// The passphrase of a person.
pub async fn of_user(db: &Db, user: Id<kind::User>) -> Result<Option<PassphraseRow>, DbError> {
    db.one("select user_id, sealed, changed_at from passphrases where user_id = $1", args![user]).await
}

/// Puts a passphrase in the place of the one before, if there was one.
pub fn put(passphrase: &PassphraseRow) -> Vec<Step> {
    vec![
        Step::any("delete from passphrases where user_id = $1", args![passphrase.user]),
        Step::one(
            "insert into passphrases (user_id, sealed, changed_at) values ($1, $2, $3)",
            args![passphrase.user, passphrase.sealed.clone(), passphrase.changed_at],
        ),
    ]
}

/// The next passphrases after a person, in the order of people: those that this key sealed, or all.
pub async fn sealed(
    db: &Db,
    by: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<PassphraseRow>, DbError> {
    match by {
        Some(key) => {
            db.all(
                "select user_id, sealed, changed_at from passphrases \
                 where user_id > $1 and substr(sealed, 5, 16) = $2 order by user_id limit $3",
                args![after, key, limit],
            )
            .await
        }
        None => {
            db.all(
                "select user_id, sealed, changed_at from passphrases where user_id > $1 order by user_id limit $2",
                args![after, limit],
            )
            .await
        }
    }
}
