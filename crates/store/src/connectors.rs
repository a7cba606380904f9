//! Connectors, and their secrets in an envelope.

use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::{ConnectorRef, Id, Time, Uid, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, Value, args, json};
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
    ($($rest:tt)*) => {
        concat!(
            "select id, team, uid, service, type, name, data, secrets, icon, background_color, \
             accent_color, default_installation, redirect_uri, created_at, updated_at, created_by, \
             updated_by, version, managed from connectors ",
            $($rest)*
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
                managed: row.get(18)?,
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

/// A connector whose registered client has a secret that ends, and when that is looked after next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToRenew {
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    at: Time,
}

impl FromRow for ToRenew {
    const TABLE: &'static str = "connectors";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { team: row.get(0)?, connector: row.get(1)?, at: row.get(2)? })
    }
}

/// Connectors of all teams whose client's secret is to be looked after, the longest due first.
pub async fn to_renew(db: &Db, now: Time, limit: i64) -> Result<Vec<ToRenew>, DbError> {
    db.all(
        "select team, id, renew_at from connectors where renew_at <= $1 order by renew_at limit $2",
        args![now, limit],
    )
    .await
}

/// Leaves it until `next`, or for good: whoever comes second finds it left.
pub fn put_off(due: &ToRenew, next: Option<Time>) -> Step {
    Step::one(
        "update connectors set renew_at = $4 where team = $1 and id = $2 and renew_at = $3",
        args![due.team, due.connector, due.at, next],
    )
}

/// Says when it is looked after next, whatever was said before.
pub fn look_at(team: Id<kind::Team>, id: Id<kind::Connector>, next: Option<Time>) -> Step {
    Step::one("update connectors set renew_at = $3 where team = $1 and id = $2", args![team, id, next])
}

/// At once, if there is an end: when it is due is for whoever knows what stands in `data` to say.
fn first_look(connector: &Connector) -> Option<Time> {
    let registration = connector.data.get("clientRegistration")?;
    registration.get("secretExpiresAt").map(|_| Time::from_millis(0))
}

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By name, A first.
    Name,
    /// The newest first.
    #[default]
    Created,
    /// The last changed first.
    Updated,
}

/// Where in a list a connector stands: a page begins behind one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a list by name: the name in lower case.
    Named(String, Id<kind::Connector>),
    /// In a list by a time.
    At(Time, Id<kind::Connector>),
}

impl Place {
    /// The place of a connector in a list sorted so.
    pub fn of(connector: &Connector, sort: Sort) -> Self {
        match sort {
            Sort::Name => Self::Named(folded(&connector.name), connector.id),
            Sort::Created => Self::At(connector.created_at, connector.id),
            Sort::Updated => Self::At(connector.updated_at, connector.id),
        }
    }
}

/// How many connectors a team has.
pub async fn count(db: &Db, team: Id<kind::Team>) -> Result<i64, DbError> {
    Ok(db
        .one::<i64>("select count(*) from connectors where team = $1", args![team])
        .await?
        .unwrap_or_default())
}

/// The connectors of a team in order, from the one behind `after`, which is a place in a list sorted the same way.
pub async fn list(
    db: &Db,
    team: Id<kind::Team>,
    filter: &Filter,
    sort: Sort,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<ConnectorRow>, DbError> {
    // A set of names is one text between commas; neither types nor services hold a comma.
    let set = |names: &[String]| (!names.is_empty()).then(|| format!(",{},", names.join(",")));
    let search = filter.search.as_deref().map(|text| format!("%{}%", escaped(&folded(text))));
    let (key, id) = match after {
        None => (Value::Null, None),
        Some(Place::Named(name, id)) => (name.into(), Some(id)),
        Some(Place::At(at, id)) => (at.into(), Some(id)),
    };
    let sql = match sort {
        Sort::Name => BY_NAME,
        Sort::Created => BY_CREATED,
        Sort::Updated => BY_UPDATED,
    };
    db.all(
        sql,
        args![team, set(&filter.types), set(&filter.services), search, filter.project, key, id, limit],
    )
    .await
}

/// Those of these connectors that are the team's, in no order.
pub async fn some(
    db: &Db,
    team: Id<kind::Team>,
    ids: &[Id<kind::Connector>],
) -> Result<Vec<ConnectorRow>, DbError> {
    db.all(SOME, args![team, list_of(ids)]).await
}

/// The connector with this identifier, if it shows this picture. The identifier is in the address of the picture, which
/// pages for people show; so no team is known.
pub async fn by_icon(db: &Db, id: Id<kind::Connector>, sha1: &str) -> Result<Option<ConnectorRow>, DbError> {
    db.one(select!("where id = $1 and icon = $2"), args![id, sha1]).await
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

/// Connectors of all teams whose people come back to an address that does not begin with this one, at most `limit`.
pub async fn called_back_elsewhere(db: &Db, here: &str, limit: i64) -> Result<Vec<ConnectorRow>, DbError> {
    let length = i64::try_from(here.chars().count()).unwrap_or(i64::MAX);
    let sql = select!(
        "where substr(redirect_uri, 1, cast(cast($1 as bigint) as integer)) <> $2 order by id limit $3"
    );
    db.all(sql, args![length, here, limit]).await
}

/// Adds a connector.
pub fn insert(row: &ConnectorRow) -> Step {
    let c = &row.connector;
    Step::one(
        "insert into connectors (id, team, uid, service, type, name, data, secrets, icon, background_color, \
         accent_color, default_installation, redirect_uri, created_at, updated_at, created_by, updated_by, version, \
         managed, folded_name, renew_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
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
            c.version,
            c.managed,
            folded(&c.name),
            first_look(c)
        ],
    )
}

/// Replaces everything that can change, if nobody changed it since it was read. `row.connector.version` is the new one.
pub fn update(row: &ConnectorRow) -> Step {
    let c = &row.connector;
    Step::one(
        "update connectors set uid = $4, name = $5, data = $6, secrets = $7, icon = $8, background_color = $9, \
         accent_color = $10, default_installation = $11, redirect_uri = $12, updated_at = $13, updated_by = $14, \
         managed = $15, folded_name = $16, renew_at = $17, version = $3 where team = $1 and id = $2 and version = cast($3 as bigint) - 1",
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
            json(&c.updated_by),
            c.managed,
            folded(&c.name),
            first_look(c)
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
        Step::any("delete from creations where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from redirect_uris where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from gateway_sessions where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from gateway_people where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from links where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from installations where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from health_notices where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from registrations where team = $1 and connector = $2", args![team, id]),
        Step::any(
            "delete from trigger_attempts where delivery in \
             (select id from trigger_deliveries where team = $1 and connector = $2)",
            args![team, id],
        ),
        Step::any("delete from trigger_deliveries where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from trigger_events where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from trigger_destinations where team = $1 and connector = $2", args![team, id]),
        Step::any("delete from trigger_settings where team = $1 and connector = $2", args![team, id]),
        Step::one("delete from connectors where team = $1 and id = $2", args![team, id]),
    ]
}

/// Literally, within a pattern of `like`.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// As names are searched and sorted.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Identifiers as one parameter: a JSON list of their bytes in hexadecimal, which both engines can take apart.
pub(crate) fn list_of<K: carnet_model::Kind>(ids: &[Id<K>]) -> String {
    use std::fmt::Write as _;
    let hex = |id: &Id<K>| {
        id.bytes().iter().fold(String::with_capacity(32), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    };
    json(&ids.iter().map(hex).collect::<Vec<_>>())
}

/// A list sorted by a column: what it holds, and where a page begins and ends.
macro_rules! by {
    ($find:literal, $project:literal, $begin:literal, $order:literal) => {
        select!(
            "where team = $1 and (cast($2 as text) is null or ",
            $find,
            "($2, ',' || type || ',') > 0) and (cast($3 as text) is null or ",
            $find,
            "($3, ',' || service || ',') > 0) and (cast($4 as text) is null or folded_name like $4 escape '\\' \
             or lower(uid) like $4 escape '\\' or lower(service) like $4 escape '\\') and (",
            $project,
            " is null or exists (select 1 from links where connector = connectors.id and project = $5)) and (",
            $begin,
            ") order by ",
            $order,
            " limit $8"
        )
    };
}

const BY_NAME: Sql = Sql {
    lite: by!("instr", "$5", "$6 is null or (folded_name, id) > ($6, $7)", "folded_name, id"),
    pg: by!(
        "strpos",
        "cast($5 as bytea)",
        "cast($6 as text) is null or (folded_name, id) > ($6, $7)",
        "folded_name, id"
    ),
};

const BY_CREATED: Sql = Sql {
    lite: by!("instr", "$5", "$6 is null or (created_at, id) < ($6, $7)", "created_at desc, id desc"),
    pg: by!(
        "strpos",
        "cast($5 as bytea)",
        "cast($6 as bigint) is null or (created_at, id) < ($6, $7)",
        "created_at desc, id desc"
    ),
};

const BY_UPDATED: Sql = Sql {
    lite: by!("instr", "$5", "$6 is null or (updated_at, id) < ($6, $7)", "updated_at desc, id desc"),
    pg: by!(
        "strpos",
        "cast($5 as bytea)",
        "cast($6 as bigint) is null or (updated_at, id) < ($6, $7)",
        "updated_at desc, id desc"
    ),
};

const SOME: Sql = Sql {
    lite: select!("where team = $1 and id in (select unhex(value) from json_each($2))"),
    pg: select!(
        "where team = $1 and id in (select decode(value, 'hex') from json_array_elements_text(cast(cast($2 as text) as json)))"
    ),
};
