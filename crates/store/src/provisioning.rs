//! In which environments the workloads of a project may make connectors.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

struct Environments(Vec<Environment>);

impl FromRow for Environments {
    const TABLE: &'static str = "provisioning";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.json(0)?))
    }
}

/// The environments, or `None` if nobody has said.
pub async fn of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Option<Vec<Environment>>, DbError> {
    let sql = "select environments from provisioning where project = $1 and team = $2";
    Ok(db.one(sql, args![project, team]).await?.map(|Environments(all)| all))
}

/// Says in which environments.
pub fn put(
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environments: &[Environment],
    now: Time,
) -> Step {
    Step::one(
        "insert into provisioning (project, team, environments, updated_at) values ($1, $2, $3, $4) \
         on conflict (project) do update set environments = excluded.environments, updated_at = $4",
        args![project, team, json(&environments), now],
    )
}
