//! Projects and their custom environments.

use carnet_model::{Id, Slug, Time, kind};

use crate::connectors::{escaped, folded};
use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// `prj_…`
    pub id: Id<kind::Project>,
    /// Its team.
    pub team: Id<kind::Team>,
    /// Its name, unique in the team.
    pub name: Slug,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// An environment that a team made itself.
#[derive(Clone, Debug)]
pub struct CustomEnvironment {
    /// `env_…`
    pub id: Id<kind::CustomEnvironment>,
    /// Its project.
    pub project: Id<kind::Project>,
    /// Its name, unique in the project.
    pub slug: Slug,
}

impl FromRow for Project {
    const TABLE: &'static str = "projects";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            name: row.parsed(2, |text| Slug::parse(text).ok())?,
            created_at: row.get(3)?,
            updated_at: row.get(4)?,
        })
    }
}

impl FromRow for CustomEnvironment {
    const TABLE: &'static str = "custom_environments";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            project: row.get(1)?,
            slug: row.parsed(2, |text| Slug::parse(text).ok())?,
        })
    }
}

/// A project of a team by identifier.
pub async fn find(db: &Db, team: Id<kind::Team>, id: Id<kind::Project>) -> Result<Option<Project>, DbError> {
    db.one(
        "select id, team, name, created_at, updated_at from projects where team = $1 and id = $2",
        args![team, id],
    )
    .await
}

/// A project of a team by name.
pub async fn by_name(db: &Db, team: Id<kind::Team>, name: &Slug) -> Result<Option<Project>, DbError> {
    db.one(
        "select id, team, name, created_at, updated_at from projects where team = $1 and name = $2",
        args![team, name.as_str()],
    )
    .await
}

/// The projects of a team by name, from the one after `after`.
pub async fn list(db: &Db, team: Id<kind::Team>, after: &str, limit: i64) -> Result<Vec<Project>, DbError> {
    db.all(
        "select id, team, name, created_at, updated_at from projects where team = $1 and name > $2 \
         order by name limit $3",
        args![team, after, limit],
    )
    .await
}

/// The same, of those with this text in the name.
pub async fn search(
    db: &Db,
    team: Id<kind::Team>,
    text: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Project>, DbError> {
    let like = format!("%{}%", escaped(&folded(text)));
    db.all(
        "select id, team, name, created_at, updated_at from projects where team = $1 and name > $2 \
         and name like $3 escape '\\' order by name limit $4",
        args![team, after, like, limit],
    )
    .await
}

/// Adds a project.
pub fn insert(project: &Project) -> Step {
    Step::one(
        "insert into projects (id, team, name, created_at, updated_at) values ($1, $2, $3, $4, $5)",
        args![project.id, project.team, project.name.as_str(), project.created_at, project.updated_at],
    )
}

/// Removes a project with its environments and links. Grants given to it must be gone before.
pub fn delete(team: Id<kind::Team>, id: Id<kind::Project>) -> Vec<Step> {
    vec![
        Step::any("delete from redirect_uris where team = $1 and project = $2", args![team, id]),
        Step::any("delete from gateway_sessions where team = $1 and project = $2", args![team, id]),
        Step::any("delete from links where team = $1 and project = $2", args![team, id]),
        Step::any("delete from return_origins where team = $1 and project = $2", args![team, id]),
        Step::any("delete from provisioning where team = $1 and project = $2", args![team, id]),
        Step::any("delete from health_notices where team = $1 and project = $2", args![team, id]),
        Step::any("delete from health_webhooks where team = $1 and project = $2", args![team, id]),
        Step::any("delete from trigger_destinations where team = $1 and project = $2", args![team, id]),
        Step::any("delete from project_urls where team = $1 and project = $2", args![team, id]),
        Step::any("delete from custom_environments where team = $1 and project = $2", args![team, id]),
        Step::one("delete from projects where team = $1 and id = $2", args![team, id]),
    ]
}

/// The custom environments of a project.
pub async fn environments(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Vec<CustomEnvironment>, DbError> {
    db.all(
        "select id, project, slug from custom_environments where team = $1 and project = $2 order by slug",
        args![team, project],
    )
    .await
}

/// A custom environment of a team.
pub async fn environment(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::CustomEnvironment>,
) -> Result<Option<CustomEnvironment>, DbError> {
    db.one("select id, project, slug from custom_environments where team = $1 and id = $2", args![team, id])
        .await
}

/// Adds a custom environment to a project.
pub fn insert_environment(team: Id<kind::Team>, environment: &CustomEnvironment, now: Time) -> Step {
    Step::one(
        "insert into custom_environments (id, team, project, slug, created_at) values ($1, $2, $3, $4, $5)",
        args![environment.id, team, environment.project, environment.slug.as_str(), now],
    )
}

/// Removes a custom environment.
pub fn delete_environment(team: Id<kind::Team>, id: Id<kind::CustomEnvironment>) -> Step {
    Step::one("delete from custom_environments where team = $1 and id = $2", args![team, id])
}
