//! Project links: this project, in these environments, may ask this connector.

use carnet_model::{Environment, Id, Slug, Time, kind};

use crate::connectors::list_of;
use crate::db::{Db, DbError};
use crate::projects::Project;
use crate::row::{FromRow, Row, Sql, args, json};
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

/// One link.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
) -> Result<Option<Link>, DbError> {
    db.one(
        "select connector, project, environments, created_at, updated_at from links \
         where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
    .await
}

/// A link and the project it is to.
#[derive(Clone, Debug)]
pub struct LinkedProject {
    /// The link.
    pub link: Link,
    /// The project.
    pub project: Project,
}

impl FromRow for LinkedProject {
    const TABLE: &'static str = "links";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            link: Link::from_row(row)?,
            project: Project {
                id: row.get(5)?,
                team: row.get(6)?,
                name: row.parsed(7, |text| Slug::parse(text).ok())?,
                created_at: row.get(8)?,
                updated_at: row.get(9)?,
            },
        })
    }
}

/// A select of a link and its project, and what follows `from links l join projects p`.
macro_rules! with_project {
    ($($rest:tt)*) => {
        concat!(
            "select l.connector, l.project, l.environments, l.created_at, l.updated_at, p.id, p.team, p.name, \
             p.created_at, p.updated_at from ",
            $($rest)*
        )
    };
}

/// The links of a connector with their projects, the oldest first, from the one behind `(created_at, project)`.
pub async fn page_of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    after: Option<(Time, Id<kind::Project>)>,
    limit: i64,
) -> Result<Vec<LinkedProject>, DbError> {
    let (at, project) = after.unzip();
    db.all(PAGE_OF_CONNECTOR, args![team, connector, at, project, limit]).await
}

/// The links of a project, the oldest first, from the one behind `(created_at, connector)`.
pub async fn page_of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    after: Option<(Time, Id<kind::Connector>)>,
    limit: i64,
) -> Result<Vec<Link>, DbError> {
    let (at, connector) = after.unzip();
    db.all(
        "select connector, project, environments, created_at, updated_at from links where team = $1 and project = $2 \
         and (cast($3 as bigint) is null or (created_at, connector) > ($3, $4)) order by created_at, connector limit $5",
        args![team, project, at, connector, limit],
    )
    .await
}

/// The first `most` links of each of these connectors with their projects, in order.
pub async fn of_connectors(
    db: &Db,
    team: Id<kind::Team>,
    connectors: &[Id<kind::Connector>],
    most: i64,
) -> Result<Vec<LinkedProject>, DbError> {
    db.all(OF_CONNECTORS, args![team, list_of(connectors), most]).await
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

/// Holds if the link is to the same environments as when it was read.
pub fn is_still(team: Id<kind::Team>, link: &Link) -> Step {
    Step::one(
        "update links set updated_at = updated_at \
         where team = $1 and connector = $2 and project = $3 and environments = $4",
        args![team, link.connector, link.project, json(&link.environments)],
    )
}

/// Removes a link.
pub fn delete(team: Id<kind::Team>, connector: Id<kind::Connector>, project: Id<kind::Project>) -> Step {
    Step::one(
        "delete from links where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
}

const PAGE_OF_CONNECTOR: &str = with_project!(
    "links l join projects p on p.id = l.project and p.team = l.team where l.team = $1 and l.connector = $2 \
     and (cast($3 as bigint) is null or (l.created_at, l.project) > ($3, $4)) order by l.created_at, l.project limit $5"
);

/// Numbered within each connector, so that one with very many links does not crowd the others out.
macro_rules! of_connectors {
    ($ids:literal) => {
        with_project!(
            "(select *, row_number() over (partition by connector order by created_at, project) as place from links \
             where team = $1 and connector in (",
            $ids,
            ")) l join projects p on p.id = l.project and p.team = l.team where l.place <= $3 \
             order by l.connector, l.place"
        )
    };
}

const OF_CONNECTORS: Sql = Sql {
    lite: of_connectors!("select unhex(value) from json_each($2)"),
    pg: of_connectors!(
        "select decode(value, 'hex') from json_array_elements_text(cast(cast($2 as text) as json))"
    ),
};
