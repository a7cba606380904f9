//! Connectors, and their secrets in an envelope.

use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::{ConnectorRef, Id, Time, Uid, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args, json};
use crate::write::Step;

/// A connector and its sealed secrets.
#[derive(Clone, Debug)]
pub struct ConnectorRow {
    /// What may be seen.
    pub connector: Connector,
    /// The envelope.
    pub secrets: Vec<u8>,
}

/// A select of every column that a row is read from, and what follows `from connectors`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, uid, service, type, name, data, secrets, icon, background_color, \
             accent_color, default_installation, redirect_uri, created_at, updated_at, created_by, \
             updated_by, version from connectors ",
            $rest
        )
    };
}

impl FromRow for ConnectorRow {
    const TABLE: &'static str = "connectors";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            connector: Connector {
                id: row.get(0)?,
                team: row.get(1)?,
                uid: row.parsed(2, |text| Uid::parse(text).ok())?,
                service: row.get(3)?,
                r#type: row.parsed(4, ConnectorType::parse)?,
                name: row.get(5)?,
                data: row.json(6)?,
                branding: Branding {
                    icon: row.maybe(8)?,
                    background_color: row.maybe(9)?,
                    accent_color: row.maybe(10)?,
                },
                default_installation: row.maybe(11)?,
                redirect_uri: row.maybe(12)?,
                created_at: row.get(13)?,
                updated_at: row.get(14)?,
                created_by: row.json(15)?,
                updated_by: row.json(16)?,
                version: row.get(17)?,
            },
            secrets: row.get(7)?,
        })
    }
}

/// Which connectors a list is about.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Linked to this project.
    pub project: Option<Id<kind::Project>>,
    /// One of these types.
    pub types: Vec<String>,
    /// One of these services.
    pub services: Vec<String>,
    /// Name, UID or service contains this, whatever the case.
    pub search: Option<String>,
}

/// A connector of a team, by either name.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    reference: &ConnectorRef,
) -> Result<Option<ConnectorRow>, DbError> {
    match reference {
        ConnectorRef::Id(id) => db.one(select!("where team = $1 and id = $2"), args![team, *id]).await,
        ConnectorRef::Uid(uid) => {
            db.one(select!("where team = $1 and uid = $2"), args![team, uid.as_str()]).await
        }
    }
}

/// The connectors of a team, newest first, from the one after `(created_at, id)`.
pub async fn list(
    db: &Db,
    team: Id<kind::Team>,
    filter: &Filter,
    before: Option<(Time, Id<kind::Connector>)>,
    limit: i64,
) -> Result<Vec<ConnectorRow>, DbError> {
    // A set of names is one text between commas; neither types nor services hold a comma.
    let set = |names: &[String]| (!names.is_empty()).then(|| format!(",{},", names.join(",")));
    let search = filter.search.as_deref().map(|text| format!("%{}%", escaped(&text.to_lowercase())));
    let (at, id) = before.unzip();
    db.all(
        LIST,
        args![team, set(&filter.types), set(&filter.services), search, filter.project, at, id, limit],
    )
    .await
}

/// Connectors of all teams after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<ConnectorRow>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(secrets, 5, 16) = $1) and id > $2 order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Adds a connector.
pub fn insert(row: &ConnectorRow) -> Step {
    let c = &row.connector;
    Step::one(
        "insert into connectors (id, team, uid, service, type, name, data, secrets, icon, background_color, \
         accent_color, default_installation, redirect_uri, created_at, updated_at, created_by, updated_by, version) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        args![
            c.id,
            c.team,
            c.uid.as_str(),
            &c.service,
            c.r#type.as_str(),
            &c.name,
            json(&c.data),
            row.secrets.clone(),
            c.branding.icon.clone(),
            c.branding.background_color.clone(),
            c.branding.accent_color.clone(),
            c.default_installation,
            c.redirect_uri.clone(),
            c.created_at,
            c.updated_at,
            json(&c.created_by),
            json(&c.updated_by),
            c.version
        ],
    )
}

/// Replaces everything that can change, if nobody changed it since it was read. `row.connector.version` is the new one.
pub fn update(row: &ConnectorRow) -> Step {
    let c = &row.connector;
    Step::one(
        "update connectors set uid = $4, name = $5, data = $6, secrets = $7, icon = $8, background_color = $9, \
         accent_color = $10, default_installation = $11, redirect_uri = $12, updated_at = $13, updated_by = $14, \
         version = $3 where team = $1 and id = $2 and version = cast($3 as bigint) - 1",
        args![
            c.team,
            c.id,
            c.version,
            c.uid.as_str(),
            &c.name,
            json(&c.data),
            row.secrets.clone(),
            c.branding.icon.clone(),
            c.branding.background_color.clone(),
            c.branding.accent_color.clone(),
            c.default_installation,
            c.redirect_uri.clone(),
            c.updated_at,
            json(&c.updated_by)
        ],
    )
}

/// The team of a connector. The one question about a connector that is asked without knowing its team: by readers of
/// public keys.
pub async fn team_of(db: &Db, id: Id<kind::Connector>) -> Result<Option<Id<kind::Team>>, DbError> {
    let found: Option<ConnectorRow> = db.one(select!("where id = $1"), args![id]).await?;
    Ok(found.map(|row| row.connector.team))
}

/// Goes through only while the connector is as it was read.
pub fn still_at(team: Id<kind::Team>, id: Id<kind::Connector>, version: i64) -> Step {
    Step::one(
        "update connectors set version = version where team = $1 and id = $2 and version = $3",
        args![team, id, version],
    )
}

/// Says which installation is used when a request names none.
pub fn set_default_installation(
    team: Id<kind::Team>,
    id: Id<kind::Connector>,
    installation: Option<Id<kind::Installation>>,
) -> Step {
    Step::one(
        "update connectors set default_installation = $3 where team = $1 and id = $2",
        args![team, id, installation],
    )
}

/// Removes a connector with its links, installations, keys, requests for consent and whatever tokens are left.
pub fn delete(team: Id<kind::Team>, id: Id<kind::Connector>) -> Vec<Step> {
    vec![
        Step::any("delete from minted_tokens where team = $1 and connector = $2", args![team, id]),
        Step::any(
            "delete from refresh_orphans where grant_id in \
             (select id from grants where team = $1 and connector = $2)",
            args![team, id],
        ),
        Step::any(
            "delete from refresh_operations where grant_id in \
             (select id from grants where team = $1 and connector = $2)",
            args![team, id],
        ),
        Step::any("delete from grants where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from consents where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from connector_keys where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from consent_rules where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from links where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from installations where team = $1 and connector = $2", args![team, id]),
        Step::one("delete from connectors where team = $1 and id = $2", args![team, id]),
    ]
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

const LIST: Sql = Sql {
    lite: select!(
        "where team = $1 and (cast($2 as text) is null or instr($2, ',' || type || ',') > 0) and (cast($3 as text) is null or instr($3, ',' || service || ',') > 0) and (cast($4 as text) is null or lower(name) like $4 escape '\\' or lower(uid) like $4 escape '\\' or lower(service) like $4 escape '\\') and ($5 is null or exists (select 1 from links where connector = connectors.id and project = $5)) and (cast($6 as bigint) is null or (created_at, id) < ($6, $7)) order by created_at desc, id desc limit $8"
    ),
    pg: select!(
        "where team = $1 and (cast($2 as text) is null or strpos($2, ',' || type || ',') > 0) and (cast($3 as text) is null or strpos($3, ',' || service || ',') > 0) and (cast($4 as text) is null or lower(name) like $4 escape '\\' or lower(uid) like $4 escape '\\' or lower(service) like $4 escape '\\') and (cast($5 as bytea) is null or exists (select 1 from links where connector = connectors.id and project = $5)) and (cast($6 as bigint) is null or (created_at, id) < ($6, $7)) order by created_at desc, id desc limit $8"
    ),
};
