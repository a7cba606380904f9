//! Signing keys of connectors. The private half is sealed; the public half is made from it.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A signing key of a connector as stored.
#[derive(Clone, Debug)]
pub struct ConnectorKeyRow {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// Counts the keys of one connector.
    pub version: i64,
    /// JWS name of the algorithm.
    pub algorithm: String,
    /// The private half in an envelope.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
    /// From when it signs; until then it is only published.
    pub activates_at: Time,
    /// From when it is no longer published.
    pub gone_at: Option<Time>,
}

impl FromRow for ConnectorKeyRow {
    const TABLE: &'static str = "connector_keys";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            kid: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            version: row.get(3)?,
            algorithm: row.get(4)?,
            sealed: row.get(5)?,
            created_at: row.get(6)?,
            activates_at: row.get(7)?,
            gone_at: row.maybe(8)?,
        })
    }
}

/// The keys of a connector that are still published, oldest first.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    now: Time,
) -> Result<Vec<ConnectorKeyRow>, DbError> {
    db.all(
        "select kid, team, connector, version, algorithm, sealed, created_at, activates_at, gone_at \
         from connector_keys where team = $1 and connector = $2 and (gone_at is null or gone_at > $3) \
         order by version",
        args![team, connector, now],
    )
    .await
}

/// The keys after this name, of all teams: those that `key` sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: &str,
    limit: i64,
) -> Result<Vec<ConnectorKeyRow>, DbError> {
    db.all(
        "select kid, team, connector, version, algorithm, sealed, created_at, activates_at, gone_at \
         from connector_keys where (cast($1 as bytea) is null or substr(sealed, 5, 16) = $1) and kid > $2 \
         order by kid limit $3",
        args![key, after, limit],
    )
    .await
}

/// Adds a key. One of the same number is a conflict.
pub fn insert(key: &ConnectorKeyRow) -> Step {
    Step::one(
        "insert into connector_keys (kid, team, connector, version, algorithm, sealed, created_at, activates_at, \
         gone_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            &key.kid,
            key.team,
            key.connector,
            key.version,
            &key.algorithm,
            key.sealed.clone(),
            key.created_at,
            key.activates_at,
            key.gone_at
        ],
    )
}

/// Says until when the keys before this number are published. Only for keys that have no such end yet.
pub fn retire_before(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    version: i64,
    gone_at: Time,
) -> Step {
    Step::any(
        "update connector_keys set gone_at = $4 \
         where team = $1 and connector = $2 and version < $3 and gone_at is null",
        args![team, connector, version, gone_at],
    )
}

/// Removes the keys before this number at once.
pub fn delete_before(team: Id<kind::Team>, connector: Id<kind::Connector>, version: i64) -> Step {
    Step::any(
        "delete from connector_keys where team = $1 and connector = $2 and version < $3",
        args![team, connector, version],
    )
}

/// Removes what is no longer published.
pub fn sweep(now: Time) -> Step {
    Step::any("delete from connector_keys where gone_at <= $1", args![now])
}
