//! Tokens that were made for a particular request: an application's own, or narrowed from a grant.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A made token in its envelope.
#[derive(Clone, Debug)]
pub struct MintedRow {
    /// Digest of everything the request said that decides which token it gets.
    pub place: [u8; 32],
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// The grant it was narrowed from, if it was.
    pub grant: Option<Id<kind::Grant>>,
    /// The installation whose token it is, if it is of one.
    pub installation: Option<Id<kind::Installation>>,
    /// The project that asked; `None` for a person.
    pub project: Option<Id<kind::Project>>,
    /// The environment that asked.
    pub environment: Environment,
    /// Who it acts as.
    pub subject: String,
    /// The envelope.
    pub sealed: Vec<u8>,
    /// When it ends, if it does.
    pub expires_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
}

/// A select of every column that a row is read from, and what follows `from minted_tokens`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select place, team, connector, grant_id, project, environment, subject, sealed, \
             expires_at, created_at, installation from minted_tokens ",
            $rest
        )
    };
}

impl FromRow for MintedRow {
    const TABLE: &'static str = "minted_tokens";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            place: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            grant: row.maybe(3)?,
            project: row.maybe(4)?,
            environment: row.get(5)?,
            subject: row.get(6)?,
            sealed: row.get(7)?,
            expires_at: row.maybe(8)?,
            created_at: row.get(9)?,
            installation: row.maybe(10)?,
        })
    }
}

/// The token made for this request before, if there is one.
pub async fn at(db: &Db, team: Id<kind::Team>, place: [u8; 32]) -> Result<Option<MintedRow>, DbError> {
    db.one(select!("where place = $1 and team = $2"), args![place, team]).await
}

/// Tokens of all teams after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<MintedRow>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(sealed, 5, 16) = $1) and place > $2 order by place limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Keeps a token, in place of an earlier one for the same request.
pub fn put(row: &MintedRow) -> Step {
    Step::one(
        "insert into minted_tokens (place, team, connector, grant_id, project, environment, subject, sealed, \
         expires_at, created_at, installation) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         on conflict (place) do update set sealed = excluded.sealed, expires_at = excluded.expires_at, \
         created_at = excluded.created_at, grant_id = excluded.grant_id, installation = excluded.installation, \
         team = excluded.team, connector = excluded.connector, project = excluded.project, \
         environment = excluded.environment, subject = excluded.subject",
        args![
            row.place,
            row.team,
            row.connector,
            row.grant,
            row.project,
            row.environment,
            &row.subject,
            row.sealed.clone(),
            row.expires_at,
            row.created_at,
            row.installation
        ],
    )
}

/// The tokens of a connector that no grant stands behind.
pub async fn without_grant(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<MintedRow>, DbError> {
    db.all(select!("where team = $1 and connector = $2 and grant_id is null"), args![team, connector]).await
}

/// How many of these there are, by installation.
pub async fn count_without_grant(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<(Option<Id<kind::Installation>>, i64)>, DbError> {
    struct Counted(Option<Id<kind::Installation>>, i64);
    impl FromRow for Counted {
        const TABLE: &'static str = "minted_tokens";
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self(row.maybe(0)?, row.get(1)?))
        }
    }
    let counted = db
        .all(
            "select installation, count(*) from minted_tokens where team = $1 and connector = $2 and grant_id is null \
             group by installation",
            args![team, connector],
        )
        .await?;
    Ok(counted.into_iter().map(|Counted(installation, count)| (installation, count)).collect())
}

/// Whether there is a token of this installation.
pub async fn is_there(
    db: &Db,
    team: Id<kind::Team>,
    installation: Id<kind::Installation>,
) -> Result<bool, DbError> {
    let found: Option<MintedRow> =
        db.one(select!("where team = $1 and installation = $2 limit 1"), args![team, installation]).await?;
    Ok(found.is_some())
}

/// Removes the tokens of an installation.
pub fn delete_of_installation(team: Id<kind::Team>, installation: Id<kind::Installation>) -> Step {
    Step::any("delete from minted_tokens where team = $1 and installation = $2", args![team, installation])
}

/// Removes a token.
pub fn delete(team: Id<kind::Team>, place: [u8; 32]) -> Step {
    Step::any("delete from minted_tokens where team = $1 and place = $2", args![team, place])
}

/// Removes the tokens of a connector that no grant stands behind, or of these those of an installation.
pub fn delete_without_grant(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    installation: Option<Id<kind::Installation>>,
) -> Step {
    Step::any(
        "delete from minted_tokens where team = $1 and connector = $2 and grant_id is null \
         and (cast($3 as bytea) is null or installation = $3)",
        args![team, connector, installation],
    )
}

/// Removes the tokens narrowed from a grant.
pub fn delete_of_grant(team: Id<kind::Team>, grant: Id<kind::Grant>) -> Step {
    Step::any("delete from minted_tokens where team = $1 and grant_id = $2", args![team, grant])
}

/// Removes the tokens made for a project.
pub fn delete_of_project(team: Id<kind::Team>, project: Id<kind::Project>) -> Step {
    Step::any("delete from minted_tokens where team = $1 and project = $2", args![team, project])
}

/// Removes the tokens made for an environment of a project.
pub fn delete_of_environment(
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environment: Environment,
) -> Step {
    Step::any(
        "delete from minted_tokens where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
}

/// Removes the tokens of a connector.
pub fn delete_of_connector(team: Id<kind::Team>, connector: Id<kind::Connector>) -> Step {
    Step::any("delete from minted_tokens where team = $1 and connector = $2", args![team, connector])
}

/// Removes tokens that have ended.
pub fn sweep(now: Time) -> Step {
    Step::any("delete from minted_tokens where expires_at is not null and expires_at < $1", args![now])
}
