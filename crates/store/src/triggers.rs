//! Whether a connector's provider events are received, which of them, and the sealed secrets they are signed with.

use carnet_model::{Id, Time, kind};

use crate::connectors::list_of;
use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args, json};
use crate::write::Step;

/// The setting of a connector; without one nothing is received.
#[derive(Clone, Debug)]
pub struct TriggerSetting {
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// Its team.
    pub team: Id<kind::Team>,
    /// Whether events are received.
    pub enabled: bool,
    /// The names of those that are forwarded; empty for all.
    pub events: Vec<String>,
    /// The envelope.
    pub secrets: Vec<u8>,
    /// Counts changes; part of the associated data of the secrets.
    pub version: i64,
    /// When it was first set.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A select of every column that a setting is read from, and what follows `from trigger_settings`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select connector, team, enabled, events, secrets, version, created_at, updated_at from trigger_settings ",
            $rest
        )
    };
}

impl FromRow for TriggerSetting {
    const TABLE: &'static str = "trigger_settings";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            connector: row.get(0)?,
            team: row.get(1)?,
            enabled: row.get(2)?,
            events: row.json(3)?,
            secrets: row.get(4)?,
            version: row.get(5)?,
            created_at: row.get(6)?,
            updated_at: row.get(7)?,
        })
    }
}

/// The setting of a connector.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Option<TriggerSetting>, DbError> {
    db.one(select!("where team = $1 and connector = $2"), args![team, connector]).await
}

/// The settings of some connectors, in no order.
pub async fn of_connectors(
    db: &Db,
    team: Id<kind::Team>,
    connectors: &[Id<kind::Connector>],
) -> Result<Vec<TriggerSetting>, DbError> {
    db.all(SOME, args![team, list_of(connectors)]).await
}

/// The connectors of all teams whose events are received.
pub async fn receiving(db: &Db) -> Result<Vec<Id<kind::Connector>>, DbError> {
    let found: Vec<Receiving> =
        db.all("select connector from trigger_settings where enabled = 1", args![]).await?;
    Ok(found.into_iter().map(|Receiving(connector)| connector).collect())
}

struct Receiving(Id<kind::Connector>);

impl FromRow for Receiving {
    const TABLE: &'static str = "trigger_settings";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

/// Settings of all teams after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<TriggerSetting>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(secrets, 5, 16) = $1) and connector > $2 \
             order by connector limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Adds the first setting of a connector (version 1), or replaces the one of the version before.
pub fn put(setting: &TriggerSetting) -> Step {
    Step::one(
        "insert into trigger_settings (connector, team, enabled, events, secrets, version, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (connector) do update set enabled = excluded.enabled, \
         events = excluded.events, secrets = excluded.secrets, version = excluded.version, \
         updated_at = excluded.updated_at \
         where trigger_settings.team = excluded.team and trigger_settings.version = excluded.version - 1",
        args![
            setting.connector,
            setting.team,
            setting.enabled,
            json(&setting.events),
            setting.secrets.clone(),
            setting.version,
            setting.created_at,
            setting.updated_at
        ],
    )
}

const SOME: Sql = Sql {
    lite: select!("where team = $1 and connector in (select unhex(value) from json_each($2))"),
    pg: select!(
        "where team = $1 and connector in (select decode(value, 'hex') from json_array_elements_text(cast(cast($2 as text) as json)))"
    ),
};
