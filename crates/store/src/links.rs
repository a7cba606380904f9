//! Project links: this project, in these environments, may ask this connector.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

/// A link as stored.
#[derive(Clone, Debug)]
pub struct Link {
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// The project.
    pub project: Id<kind::Project>,
    /// Where the project may ask; never empty.
    pub environments: Vec<Environment>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl FromRow for Link {
    const TABLE: &'static str = "links";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            connector: row.get(0)?,
            project: row.get(1)?,
            environments: row.json(2)?,
            created_at: row.get(3)?,
            updated_at: row.get(4)?,
        })
    }
}

/// The links of a connector.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Link>, DbError> {
    db.all(
        "select connector, project, environments, created_at, updated_at from links \
         where team = $1 and connector = $2 order by created_at, project",
        args![team, connector],
    )
    .await
}

/// The links of a project.
pub async fn of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Vec<Link>, DbError> {
    db.all(
        "select connector, project, environments, created_at, updated_at from links \
         where team = $1 and project = $2 order by created_at, connector",
        args![team, project],
    )
    .await
}

/// Makes a link or replaces its environments.
pub fn put(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
    environments: &[Environment],
    now: Time,
) -> Step {
    Step::one(
        "insert into links (team, connector, project, environments, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $5) \
         on conflict (connector, project) do update set environments = excluded.environments, updated_at = $5",
        args![team, connector, project, json(&environments), now],
    )
}

/// Removes a link.
pub fn delete(team: Id<kind::Team>, connector: Id<kind::Connector>, project: Id<kind::Project>) -> Step {
    Step::one(
        "delete from links where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
}
