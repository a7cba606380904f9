//! Where a project's environments are reached.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// Where one environment is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectUrl {
    /// The environment.
    pub environment: Environment,
    /// Its address; for previews `{branch}` stands for the branch.
    pub url: String,
    /// When it was last set.
    pub updated_at: Time,
}

impl FromRow for ProjectUrl {
    const TABLE: &'static str = "project_urls";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { environment: row.get(0)?, url: row.get(1)?, updated_at: row.get(2)? })
    }
}

/// All of a project.
pub async fn of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Vec<ProjectUrl>, DbError> {
    db.all(
        "select environment, url, updated_at from project_urls where team = $1 and project = $2 order by environment",
        args![team, project],
    )
    .await
}

/// That of one environment.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environment: Environment,
) -> Result<Option<ProjectUrl>, DbError> {
    db.one(
        "select environment, url, updated_at from project_urls \
         where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
    .await
}

/// Replaces all of a project.
pub fn replace(team: Id<kind::Team>, project: Id<kind::Project>, urls: &[ProjectUrl]) -> Vec<Step> {
    let mut steps =
        vec![Step::any("delete from project_urls where team = $1 and project = $2", args![team, project])];
    steps.extend(urls.iter().map(|one| {
        Step::one(
            "insert into project_urls (project, environment, team, url, updated_at) values ($1, $2, $3, $4, $5)",
            args![project, one.environment, team, one.url.as_str(), one.updated_at],
        )
    }));
    steps
}

/// Removes that of an environment that is gone.
pub fn remove(team: Id<kind::Team>, project: Id<kind::Project>, environment: Environment) -> Step {
    Step::any(
        "delete from project_urls where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
}
