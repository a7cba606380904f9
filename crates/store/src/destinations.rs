//! Where the events of connectors are forwarded to: a project, one of its environments or branches, and a path.

use carnet_model::{Environment, Id, Time, kind};

use crate::connectors::list_of;
use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Stays the same when its path is changed.
    pub id: Id<kind::Destination>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// The project.
    pub project: Id<kind::Project>,
    /// Where it runs: production, preview or a custom environment.
    pub environment: Environment,
    /// The branch, of a preview.
    pub branch: Option<String>,
    /// The path at the environment's address; the service's name if left out.
    pub path: Option<String>,
    /// Its place in the list, from one: no two of a connector have the same.
    pub position: i64,
    /// When it said that it is gone; nothing is forwarded to it since.
    pub disabled_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A select of every column that a destination is read from, and what follows `from trigger_destinations`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, connector, project, environment, branch, path, position, disabled_at, created_at, \
             updated_at from trigger_destinations ",
            $rest
        )
    };
}

impl FromRow for Destination {
    const TABLE: &'static str = "trigger_destinations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            project: row.get(3)?,
            environment: row.get(4)?,
            branch: row.maybe(5)?,
            path: row.maybe(6)?,
            position: row.get(7)?,
            disabled_at: row.maybe(8)?,
            created_at: row.get(9)?,
            updated_at: row.get(10)?,
        })
    }
}

/// The destinations of a connector, in order.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Destination>, DbError> {
    db.all(select!("where team = $1 and connector = $2 order by position, id"), args![team, connector]).await
}

/// The destinations of some connectors, in order.
pub async fn of_connectors(
    db: &Db,
    team: Id<kind::Team>,
    connectors: &[Id<kind::Connector>],
) -> Result<Vec<Destination>, DbError> {
    db.all(SOME, args![team, list_of(connectors)]).await
}

/// A destination of a team's connector.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    id: Id<kind::Destination>,
) -> Result<Option<Destination>, DbError> {
    db.one(select!("where team = $1 and connector = $2 and id = $3"), args![team, connector, id]).await
}

/// Adds a destination, or changes its path and place and takes it up again.
pub fn put(destination: &Destination) -> Step {
    let d = destination;
    Step::one(
        "insert into trigger_destinations (id, team, connector, project, environment, branch, path, position, \
         disabled_at, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, null, $9, $10) \
         on conflict (id) do update set path = excluded.path, position = excluded.position, disabled_at = null, \
         updated_at = excluded.updated_at \
         where trigger_destinations.team = excluded.team and trigger_destinations.connector = excluded.connector",
        args![
            d.id,
            d.team,
            d.connector,
            d.project,
            d.environment,
            d.branch.clone(),
            d.path.clone(),
            d.position,
            d.created_at,
            d.updated_at
        ],
    )
}

/// Gives up all places of a connector's destinations, so that they can be put in another order.
pub fn make_room(team: Id<kind::Team>, connector: Id<kind::Connector>) -> Step {
    Step::any(
        "update trigger_destinations set position = -position where team = $1 and connector = $2",
        args![team, connector],
    )
}

/// Removes a destination.
pub fn remove(destination: &Destination) -> Step {
    Step::any(
        "delete from trigger_destinations where team = $1 and connector = $2 and id = $3",
        args![destination.team, destination.connector, destination.id],
    )
}

/// Removes those of a project that is no longer linked.
pub fn remove_of_link(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
) -> Step {
    Step::any(
        "delete from trigger_destinations where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
}

/// Removes those of an environment that is gone.
pub fn remove_of_environment(
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environment: Environment,
) -> Step {
    Step::any(
        "delete from trigger_destinations where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
}

/// It said that it is gone for good.
pub fn disable(team: Id<kind::Team>, id: Id<kind::Destination>, now: Time) -> Step {
    Step::any(
        "update trigger_destinations set disabled_at = $3 where team = $1 and id = $2 and disabled_at is null",
        args![team, id, now],
    )
}

const SOME: Sql = Sql {
    lite: select!(
        "where team = $1 and connector in (select unhex(value) from json_each($2)) order by position, id"
    ),
    pg: select!(
        "where team = $1 and connector in (select decode(value, 'hex') from json_array_elements_text(cast(cast($2 as text) as json))) \
         order by position, id"
    ),
};
