//! To which origins browsers may be sent for a project. Without any, the project has not said.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

struct Origin(String);

impl FromRow for Origin {
    const TABLE: &'static str = "return_origins";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

/// The origins of a project, in order.
pub async fn of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Vec<String>, DbError> {
    let rows: Vec<Origin> = db
        .all(
            "select origin from return_origins where team = $1 and project = $2 order by origin",
            args![team, project],
        )
        .await?;
    Ok(rows.into_iter().map(|Origin(origin)| origin).collect())
}

/// Puts these in the place of whatever there was.
pub fn replace(team: Id<kind::Team>, project: Id<kind::Project>, origins: &[String], now: Time) -> Vec<Step> {
    let cleared =
        Step::any("delete from return_origins where team = $1 and project = $2", args![team, project]);
    let added = origins.iter().map(|origin| {
        Step::one(
            "insert into return_origins (project, team, origin, created_at) values ($1, $2, $3, $4)",
            args![project, team, origin, now],
        )
    });
    std::iter::once(cleared).chain(added).collect()
}
