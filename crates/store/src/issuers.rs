//! Trusted issuers. The rules are JSON that `identity` reads; the issuer string is a column, because it is what an
//! unverified token is looked up by.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A trusted issuer as stored.
#[derive(Clone, Debug)]
pub struct IssuerRow {
    /// `iss_…`
    pub id: Id<kind::TrustedIssuer>,
    /// The team that trusts it.
    pub team: Id<kind::Team>,
    /// Its `iss`, exactly.
    pub issuer: String,
    /// Keys, audiences and rules, as JSON.
    pub config: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A select of every column that a row is read from, and what follows `from trusted_issuers`.
macro_rules! select {
    ($rest:literal) => {
        concat!("select id, team, issuer, config, created_at, updated_at from trusted_issuers ", $rest)
    };
}

impl FromRow for IssuerRow {
    const TABLE: &'static str = "trusted_issuers";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            issuer: row.get(2)?,
            config: row.get(3)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    }
}

/// Every entry for this `iss`, of whatever team: which team the caller belongs to is what the entry decides.
pub async fn by_issuer(db: &Db, issuer: &str) -> Result<Vec<IssuerRow>, DbError> {
    db.all(select!("where issuer = $1 order by id"), args![issuer]).await
}

/// The entries of a team.
pub async fn list(db: &Db, team: Id<kind::Team>) -> Result<Vec<IssuerRow>, DbError> {
    db.all(select!("where team = $1 order by created_at"), args![team]).await
}

/// One entry of a team.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::TrustedIssuer>,
) -> Result<Option<IssuerRow>, DbError> {
    db.one(select!("where team = $1 and id = $2"), args![team, id]).await
}

/// Adds an entry.
pub fn insert(row: &IssuerRow) -> Step {
    Step::one(
        "insert into trusted_issuers (id, team, issuer, config, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6)",
        args![row.id, row.team, &row.issuer, &row.config, row.created_at, row.updated_at],
    )
}

/// Removes an entry.
pub fn delete(team: Id<kind::Team>, id: Id<kind::TrustedIssuer>) -> Step {
    Step::one("delete from trusted_issuers where team = $1 and id = $2", args![team, id])
}
