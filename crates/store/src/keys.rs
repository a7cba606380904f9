//! Wrapped keys and our own signing keys. What is inside is for the vault to know.

use carnet_model::Time;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A wrapped key as stored.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its identifier, as it stands in envelopes.
    pub id: [u8; 16],
    /// What it is for: `root`, `team:…`, `purpose:…`.
    pub role: String,
    /// Counts keys of one role.
    pub version: i64,
    /// What it is wrapped by.
    pub wrapped_by: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
    /// From when it is used.
    pub activates_at: Time,
    /// Since when nothing refers to it any more; only for a version that was superseded.
    pub emptied_at: Option<Time>,
}

/// A further wrap of a root key.
#[derive(Clone, Debug)]
pub struct WrapRow {
    /// Its identifier.
    pub id: [u8; 16],
    /// The root key.
    pub key: [u8; 16],
    /// What it is wrapped by.
    pub wrapped_by: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
}

/// One of our own signing keys as stored.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// JWS name of the algorithm.
    pub algorithm: String,
    /// The public half as JSON.
    pub public_jwk: String,
    /// The private half in an envelope.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
    /// From when it signs; until then it is only published.
    pub activates_at: Time,
    /// From when it no longer signs.
    pub retires_at: Option<Time>,
    /// From when it is no longer published.
    pub gone_at: Option<Time>,
}

impl FromRow for KeyRow {
    const TABLE: &'static str = "keys";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            role: row.get(1)?,
            version: row.get(2)?,
            wrapped_by: row.get(3)?,
            wrapped: row.get(4)?,
            created_at: row.get(5)?,
            activates_at: row.get(6)?,
            emptied_at: row.maybe(7)?,
        })
    }
}

impl FromRow for WrapRow {
    const TABLE: &'static str = "root_wraps";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            wrapped_by: row.get(2)?,
            wrapped: row.get(3)?,
            created_at: row.get(4)?,
        })
    }
}

impl FromRow for SigningKeyRow {
    const TABLE: &'static str = "signing_keys";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            kid: row.get(0)?,
            algorithm: row.get(1)?,
            public_jwk: row.get(2)?,
            sealed: row.get(3)?,
            created_at: row.get(4)?,
            activates_at: row.get(5)?,
            retires_at: row.maybe(6)?,
            gone_at: row.maybe(7)?,
        })
    }
}

/// A select of every column that a row is read from, and what follows `from keys`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, role, version, wrapped_by, wrapped, created_at, \
             coalesce(activates_at, created_at), emptied_at from keys ",
            $rest
        )
    };
}

/// Every wrapped key.
pub async fn all(db: &Db) -> Result<Vec<KeyRow>, DbError> {
    db.all(select!("order by created_at, version"), args![]).await
}

/// The wrapped keys of one role.
pub async fn of_role(db: &Db, role: &str) -> Result<Vec<KeyRow>, DbError> {
    db.all(select!("where role = $1 order by version"), args![role]).await
}

/// Adds a wrapped key.
pub fn insert(key: &KeyRow) -> Step {
    Step::one(
        "insert into keys (id, role, version, wrapped_by, wrapped, created_at, activates_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        args![
            key.id,
            &key.role,
            key.version,
            &key.wrapped_by,
            key.wrapped.clone(),
            key.created_at,
            key.activates_at
        ],
    )
}

/// Puts another wrap in the place of this one, if it is still there.
pub fn rewrap(key: &KeyRow, was: &[u8]) -> Step {
    Step::one(
        "update keys set wrapped_by = $2, wrapped = $3 where id = $1 and wrapped = $4",
        args![key.id, &key.wrapped_by, key.wrapped.clone(), was],
    )
}

/// How many keys a root key wraps.
pub async fn count_wrapped_by(db: &Db, root: &str) -> Result<i64, DbError> {
    Ok(db.one::<i64>("select count(*) from keys where wrapped_by = $1", args![root]).await?.unwrap_or(0))
}

/// Goes through only if this root key wraps nothing.
pub fn wraps_nothing(root: &str) -> Step {
    Step::none("update keys set wrapped_by = wrapped_by where wrapped_by = $1", args![root])
}

/// Says since when nothing refers to a key, or that something does.
pub fn emptied(id: [u8; 16], at: Option<Time>) -> Step {
    match at {
        Some(at) => {
            Step::one("update keys set emptied_at = $2 where id = $1 and emptied_at is null", args![id, at])
        }
        None => Step::one("update keys set emptied_at = null where id = $1", args![id]),
    }
}

/// Removes a key and the further wraps of it.
pub fn remove(id: [u8; 16]) -> [Step; 2] {
    [
        Step::any("delete from root_wraps where key_id = $1", args![id]),
        Step::one("delete from keys where id = $1 and emptied_at is not null", args![id]),
    ]
}

/// The further wraps of root keys, oldest first.
pub async fn wraps(db: &Db) -> Result<Vec<WrapRow>, DbError> {
    db.all(
        "select id, key_id, wrapped_by, wrapped, created_at from root_wraps order by created_at, id",
        args![],
    )
    .await
}

/// Adds a wrap of a root key.
pub fn insert_wrap(wrap: &WrapRow) -> Step {
    Step::one(
        "insert into root_wraps (id, key_id, wrapped_by, wrapped, created_at) values ($1, $2, $3, $4, $5)",
        args![wrap.id, wrap.key, &wrap.wrapped_by, wrap.wrapped.clone(), wrap.created_at],
    )
}

/// Goes through only while no root key has a further wrap.
pub fn no_wraps() -> Step {
    Step::none("update root_wraps set wrapped_by = wrapped_by", args![])
}

/// Removes a wrap.
pub fn remove_wrap(id: [u8; 16]) -> Step {
    Step::one("delete from root_wraps where id = $1", args![id])
}

/// How often the keys have changed.
pub async fn epoch(db: &Db) -> Result<i64, DbError> {
    let found = db.one::<i64>("select epoch from key_epoch where one = 1", args![]).await?;
    found.ok_or(DbError::Corrupt { table: "key_epoch", column: 0 })
}

/// Says that the keys have changed.
pub fn turn() -> Step {
    Step::one("update key_epoch set epoch = epoch + 1 where one = 1", args![])
}

/// The signing keys that are still published.
pub async fn signing(db: &Db, now: Time) -> Result<Vec<SigningKeyRow>, DbError> {
    db.all(
        "select kid, algorithm, public_jwk, sealed, created_at, activates_at, retires_at, gone_at from signing_keys \
         where gone_at is null or gone_at > $1 order by activates_at",
        args![now],
    )
    .await
}

/// Adds a signing key.
pub fn insert_signing(key: &SigningKeyRow) -> Step {
    Step::one(
        "insert into signing_keys (kid, algorithm, public_jwk, sealed, created_at, activates_at, retires_at, gone_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            &key.kid,
            &key.algorithm,
            &key.public_jwk,
            key.sealed.clone(),
            key.created_at,
            key.activates_at,
            key.retires_at,
            key.gone_at
        ],
    )
}

/// Goes through only if no signing key waits for its time.
pub fn no_signing_to_come(now: Time) -> Step {
    Step::none(
        "update signing_keys set algorithm = algorithm where gone_at is null and activates_at > $1",
        args![now],
    )
}

/// Takes every signing key but this one out of the published set, at once.
pub fn withdraw_signing_but(kid: &str, now: Time) -> Step {
    Step::any(
        "update signing_keys set retires_at = coalesce(retires_at, $2), gone_at = $2 \
         where kid <> $1 and (gone_at is null or gone_at > $2)",
        args![kid, now],
    )
}

/// Every signing key, for sealing anew: also those that are gone.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: &str,
    limit: i64,
) -> Result<Vec<SigningKeyRow>, DbError> {
    db.all(
        "select kid, algorithm, public_jwk, sealed, created_at, activates_at, retires_at, gone_at from signing_keys \
         where (cast($1 as bytea) is null or substr(sealed, 5, 16) = $1) and kid > $2 order by kid limit $3",
        args![key, after, limit],
    )
    .await
}

/// Says until when a key signs and is published. Only for keys that have no such end yet.
pub fn retire_signing(kid: &str, retires_at: Time, gone_at: Time) -> Step {
    Step::one(
        "update signing_keys set retires_at = $2, gone_at = $3 where kid = $1 and retires_at is null",
        args![kid, retires_at, gone_at],
    )
}
