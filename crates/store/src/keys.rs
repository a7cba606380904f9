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

/// Every wrapped key.
pub async fn all(db: &Db) -> Result<Vec<KeyRow>, DbError> {
    db.all(
        "select id, role, version, wrapped_by, wrapped, created_at from keys order by created_at, version",
        args![],
    )
    .await
}

/// The wrapped keys of one role.
pub async fn of_role(db: &Db, role: &str) -> Result<Vec<KeyRow>, DbError> {
    db.all(
        "select id, role, version, wrapped_by, wrapped, created_at from keys where role = $1 order by version",
        args![role],
    )
    .await
}

/// Adds a wrapped key.
pub fn insert(key: &KeyRow) -> Step {
    Step::one(
        "insert into keys (id, role, version, wrapped_by, wrapped, created_at) values ($1, $2, $3, $4, $5, $6)",
        args![key.id, &key.role, key.version, &key.wrapped_by, key.wrapped.clone(), key.created_at],
    )
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

/// Says until when a key signs and is published. Only for keys that have no such end yet.
pub fn retire_signing(kid: &str, retires_at: Time, gone_at: Time) -> Step {
    Step::one(
        "update signing_keys set retires_at = $2, gone_at = $3 where kid = $1 and retires_at is null",
        args![kid, retires_at, gone_at],
    )
}
