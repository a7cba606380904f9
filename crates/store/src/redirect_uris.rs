//! Where apps of a project have people sent back who sign in with a connector.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A registered address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    /// Whose.
    pub project: Id<kind::Project>,
    /// Which of its environments redeems the codes that are sent there.
    pub environment: Environment,
    /// The address; without a port if it is on the person's own machine.
    pub uri: String,
}

impl FromRow for RedirectUri {
    const TABLE: &'static str = "redirect_uris";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { project: row.get(0)?, environment: row.get(1)?, uri: row.get(2)? })
    }
}

/// The one of this connector, whoever registered it.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    uri: &str,
) -> Result<Option<RedirectUri>, DbError> {
    db.one(
        "select project, environment, uri from redirect_uris where team = $1 and connector = $2 and uri = $3",
        args![team, connector, uri],
    )
    .await
}

/// Those of a link, in order.
pub async fn of_link(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
) -> Result<Vec<RedirectUri>, DbError> {
    db.all(
        "select project, environment, uri from redirect_uris where team = $1 and connector = $2 and project = $3 \
         order by environment, uri",
        args![team, connector, project],
    )
    .await
}

/// Puts these in the place of those of the link. Refused, at the step of the address, where another project has one.
pub fn replace(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
    uris: &[(String, Environment)],
    now: Time,
) -> Vec<Step> {
    let added = uris.iter().map(|(uri, environment)| {
        Step::one(
            "insert into redirect_uris (team, connector, project, environment, uri, created_at) \
             values ($1, $2, $3, $4, $5, $6) on conflict (connector, uri) do nothing",
            args![team, connector, project, *environment, uri, now],
        )
    });
    std::iter::once(delete_of_link(team, connector, project)).chain(added).collect()
}

/// Forgets those of a link.
pub fn delete_of_link(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
) -> Step {
    Step::any(
        "delete from redirect_uris where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
}

/// Forgets those of an environment.
pub fn delete_of_environment(
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environment: Environment,
) -> Step {
    Step::any(
        "delete from redirect_uris where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
}
