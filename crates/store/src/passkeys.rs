//! Keys with which people sign in.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A passkey as stored.
#[derive(Clone, Debug)]
pub struct PasskeyRow {
    /// `pky_…`
    pub id: Id<kind::Passkey>,
    /// Whose.
    pub user: Id<kind::User>,
    /// Its identifier, as the authenticator chose it.
    pub credential: Vec<u8>,
    /// `ES256` or `EdDSA`.
    pub algorithm: String,
    /// Its public key.
    pub public_key: Vec<u8>,
    /// How often it says that it was used.
    pub uses: i64,
    /// Whether it is kept in more places than one.
    pub synced: bool,
    /// What its person calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Time,
    /// When it was last used.
    pub used_at: Option<Time>,
}

impl FromRow for PasskeyRow {
    const TABLE: &'static str = "passkeys";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            user: row.get(1)?,
            credential: row.get(2)?,
            algorithm: row.get(3)?,
            public_key: row.get(4)?,
            uses: row.get(5)?,
            synced: row.get(6)?,
            name: row.get(7)?,
            created_at: row.get(8)?,
            used_at: row.maybe(9)?,
        })
    }
}

/// The passkey with this identifier.
pub async fn find(db: &Db, credential: &[u8]) -> Result<Option<PasskeyRow>, DbError> {
    db.one(
        "select id, user_id, credential, algorithm, public_key, uses, synced, name, created_at, used_at \
         from passkeys where credential = $1",
        args![credential],
    )
    .await
}

/// The passkeys of a person, oldest first.
pub async fn of_user(db: &Db, user: Id<kind::User>) -> Result<Vec<PasskeyRow>, DbError> {
    db.all(
        "select id, user_id, credential, algorithm, public_key, uses, synced, name, created_at, used_at \
         from passkeys where user_id = $1 order by created_at, id",
        args![user],
    )
    .await
}

/// Adds one.
pub fn insert(passkey: &PasskeyRow) -> Step {
    Step::one(
        "insert into passkeys (id, user_id, credential, algorithm, public_key, uses, synced, name, created_at, used_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, null)",
        args![
            passkey.id,
            passkey.user,
            passkey.credential.clone(),
            &passkey.algorithm,
            passkey.public_key.clone(),
            passkey.uses,
            passkey.synced,
            &passkey.name,
            passkey.created_at
        ],
    )
}

/// It was used: finds nothing if it was used meanwhile, so that of two copies one is found out.
pub fn used(id: Id<kind::Passkey>, before: i64, uses: i64, now: Time) -> Step {
    Step::one(
        "update passkeys set uses = $3, used_at = $4 where id = $1 and uses = $2",
        args![id, before, uses, now],
    )
}

/// Removes one of this person.
pub fn remove(user: Id<kind::User>, id: Id<kind::Passkey>) -> Step {
    Step::one("delete from passkeys where id = $1 and user_id = $2", args![id, user])
}

/// A challenge is answered. A conflict, if it was before.
pub fn answer(digest: [u8; 32], expires_at: Time, now: Time) -> Vec<Step> {
    vec![
        Step::any("delete from passkey_challenges where expires_at <= $1", args![now]),
        Step::one(
            "insert into passkey_challenges (digest, expires_at) values ($1, $2)",
            args![digest, expires_at],
        ),
    ]
}
