//! Applications that the operator registered at providers for all teams, one for a service. They belong to no team.

use std::collections::{BTreeMap, BTreeSet};

use carnet_model::caller::Principal;
use carnet_model::connector::ConnectorType;
use carnet_model::{Id, Time, kind};
use serde_json::{Map, Value as Json};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

/// An application as stored.
#[derive(Clone, Debug)]
pub struct ManagedAppRow {
    /// The service, by its name in the catalog.
    pub service: String,
    /// The driver of connectors that are made from it.
    pub r#type: ConnectorType,
    /// The way of the catalog by which they are made.
    pub method: Option<String>,
    /// Their `data` but for the members with secrets.
    pub data: Map<String, Json>,
    /// The members with secrets, in an envelope of the root key.
    pub secrets: Vec<u8>,
    /// Which teams may use it; all, if nobody has said.
    pub teams: Option<BTreeSet<Id<kind::Team>>>,
    /// Whether a team that ejects a connector without a client of its own takes this one along.
    pub goes_along: bool,
    /// When it was registered here.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Who registered it here.
    pub created_by: Principal,
    /// Who changed it last.
    pub updated_by: Principal,
    /// Moves with every change.
    pub version: i64,
    /// What the operator filled into the addresses of the way.
    pub params: BTreeMap<String, String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select service, type, method, data, secrets, teams, goes_along, created_at, updated_at, created_by, \
             updated_by, version, params from managed_apps ",
            $rest
        )
    };
}

impl FromRow for ManagedAppRow {
    const TABLE: &'static str = "managed_apps";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let teams = row.maybe::<String>(5)?;
        let params = row.maybe::<String>(12)?;
        Ok(Self {
            service: row.get(0)?,
            r#type: row.parsed(1, ConnectorType::parse)?,
            method: row.maybe(2)?,
            data: row.json(3)?,
            secrets: row.get(4)?,
            teams: teams.map(|text| serde_json::from_str(&text).map_err(|_| row.corrupt(5))).transpose()?,
            goes_along: row.get(6)?,
            created_at: row.get(7)?,
            updated_at: row.get(8)?,
            created_by: row.json(9)?,
            updated_by: row.json(10)?,
            version: row.get(11)?,
            params: params.map_or_else(
                || Ok(BTreeMap::new()),
                |text| serde_json::from_str(&text).map_err(|_| row.corrupt(12)),
            )?,
        })
    }
}

/// All of them, by service.
pub async fn all(db: &Db) -> Result<Vec<ManagedAppRow>, DbError> {
    db.all(select!("order by service"), args![]).await
}

/// The one for a service.
pub async fn of_service(db: &Db, service: &str) -> Result<Option<ManagedAppRow>, DbError> {
    db.one(select!("where service = $1"), args![service]).await
}

/// Adds one; fails as a conflict if the service has one.
pub fn insert(app: &ManagedAppRow) -> Step {
    Step::one(
        "insert into managed_apps (service, type, method, data, secrets, teams, goes_along, created_at, updated_at, \
         created_by, updated_by, version, params) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        args![
            &app.service,
            app.r#type.as_str(),
            app.method.clone(),
            json(&app.data),
            app.secrets.clone(),
            app.teams.as_ref().map(json),
            app.goes_along,
            app.created_at,
            app.updated_at,
            json(&app.created_by),
            json(&app.updated_by),
            app.version,
            filled_in(app)
        ],
    )
}

/// Puts another version in the place of the one before it.
pub fn update(app: &ManagedAppRow) -> Step {
    Step::one(
        "update managed_apps set data = $2, secrets = $3, teams = $4, goes_along = $5, updated_at = $6, updated_by = $7, \
         version = $8, params = $9 where service = $1 and version = cast($8 as bigint) - 1",
        args![
            &app.service,
            json(&app.data),
            app.secrets.clone(),
            app.teams.as_ref().map(json),
            app.goes_along,
            app.updated_at,
            json(&app.updated_by),
            app.version,
            filled_in(app)
        ],
    )
}

fn filled_in(app: &ManagedAppRow) -> Option<String> {
    Some(&app.params).filter(|params| !params.is_empty()).map(json)
}

/// Removes the one for a service.
pub fn delete(service: &str) -> Step {
    Step::one("delete from managed_apps where service = $1", args![service])
}

/// Goes through only while the application is as it was at this version, and keeps it so until the commit.
pub fn is_still(app: &ManagedAppRow) -> Step {
    Step::one(
        "update managed_apps set version = version where service = $1 and version = $2",
        args![&app.service, app.version],
    )
}

/// How many connectors of all teams were made from the operator's application for a service.
pub async fn connectors_of(db: &Db, service: &str) -> Result<i64, DbError> {
    let count = "select count(*) from connectors where service = $1 and managed = 1";
    Ok(db.one::<i64>(count, args![service]).await?.unwrap_or(0))
}

/// The teams that have such connectors.
pub async fn teams_with(db: &Db, service: &str) -> Result<Vec<Id<kind::Team>>, DbError> {
    struct Found(Id<kind::Team>);
    impl FromRow for Found {
        const TABLE: &'static str = "connectors";
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.get(0).map(Self)
        }
    }
    let teams = "select distinct team from connectors where service = $1 and managed = 1 order by team";
    let found: Vec<Found> = db.all(teams, args![service]).await?;
    Ok(found.into_iter().map(|Found(team)| team).collect())
}

/// Goes through only while no connector is made from the application for a service.
pub fn has_no_connectors(service: &str) -> Step {
    Step::none("update connectors set managed = managed where service = $1 and managed = 1", args![service])
}

/// The next applications after a service: those that this key sealed, or all.
pub async fn sealed(
    db: &Db,
    by: Option<[u8; 16]>,
    after: &str,
    limit: i64,
) -> Result<Vec<ManagedAppRow>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(secrets, 5, 16) = $1) and service > $2 order by service limit $3"
        ),
        args![by, after, limit],
    )
    .await
}
