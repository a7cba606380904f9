//! Installations: one tenant at the provider each.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// An installation as stored.
#[derive(Clone, Debug)]
pub struct Installation {
    /// `sci_…`
    pub id: Id<kind::Installation>,
    /// Its connector.
    pub connector: Id<kind::Connector>,
    /// The provider's own name for it, unique in the connector.
    pub external_id: Option<String>,
    /// The provider's account.
    pub tenant_id: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Since when it is one of a client that the connector is no more, if it is.
    pub ended_at: Option<Time>,
}

impl FromRow for Installation {
    const TABLE: &'static str = "installations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            connector: row.get(1)?,
            external_id: row.maybe(2)?,
            tenant_id: row.maybe(3)?,
            name: row.maybe(4)?,
            created_at: row.get(5)?,
            updated_at: row.get(6)?,
            ended_at: row.maybe(7)?,
        })
    }
}

/// The installations of a connector that have not ended.
pub async fn list(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Installation>, DbError> {
    let all = all(db, team, connector).await?;
    Ok(all.into_iter().filter(|one| one.ended_at.is_none()).collect())
}

/// All of them.
pub async fn all(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Installation>, DbError> {
    db.all(
        "select id, connector, external_id, tenant_id, name, created_at, updated_at, ended_at from installations \
         where team = $1 and connector = $2 order by created_at, id",
        args![team, connector],
    )
    .await
}

/// All of them, the oldest first, from the one behind `(created_at, id)`.
pub async fn page(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    after: Option<(Time, Id<kind::Installation>)>,
    limit: i64,
) -> Result<Vec<Installation>, DbError> {
    let (at, id) = after.unzip();
    db.all(
        "select id, connector, external_id, tenant_id, name, created_at, updated_at, ended_at from installations \
         where team = $1 and connector = $2 \
         and (cast($3 as bigint) is null or (created_at, id) > ($3, $4)) order by created_at, id limit $5",
        args![team, connector, at, id, limit],
    )
    .await
}

/// Adds an installation.
pub fn insert(team: Id<kind::Team>, installation: &Installation) -> Step {
    Step::one(
        "insert into installations (id, team, connector, external_id, tenant_id, name, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            installation.id,
            team,
            installation.connector,
            installation.external_id.clone(),
            installation.tenant_id.clone(),
            installation.name.clone(),
            installation.created_at,
            installation.updated_at
        ],
    )
}

/// Says anew what is known about an installation. One that had ended is in use again.
pub fn renew(team: Id<kind::Team>, installation: &Installation) -> Step {
    Step::one(
        "update installations set tenant_id = $4, name = $5, updated_at = $6, ended_at = null \
         where team = $1 and connector = $2 and id = $3",
        args![
            team,
            installation.connector,
            installation.id,
            installation.tenant_id.clone(),
            installation.name.clone(),
            installation.updated_at
        ],
    )
}

/// Ends all installations of a connector, because it is another client by now; its default is none.
pub fn end_all(team: Id<kind::Team>, connector: Id<kind::Connector>, now: Time) -> Vec<Step> {
    vec![
        Step::any(
            "update connectors set default_installation = null where team = $1 and id = $2",
            args![team, connector],
        ),
        Step::any(
            "update installations set ended_at = $3, updated_at = $3 \
             where team = $1 and connector = $2 and ended_at is null",
            args![team, connector, now],
        ),
    ]
}

/// Removes an installation; the connector's default no longer points to it.
pub fn delete(team: Id<kind::Team>, connector: Id<kind::Connector>, id: Id<kind::Installation>) -> Vec<Step> {
    vec![
        Step::any(
            "update connectors set default_installation = null where team = $1 and id = $2 and default_installation = $3",
            args![team, connector, id],
        ),
        Step::one(
            "delete from installations where team = $1 and connector = $2 and id = $3",
            args![team, connector, id],
        ),
    ]
}
