//! Invitations: a link by which one person may join a team. Only a keyed hash of what stands in the link is kept.

use carnet_model::caller::Role;
use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// An invitation as stored.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// `inv_…`
    pub id: Id<kind::Invitation>,
    /// The team to join.
    pub team: Id<kind::Team>,
    /// As what.
    pub role: Role,
    /// The e-mail address of the only account that may use it; any account where it names none.
    pub email: Option<String>,
    /// Who made it.
    pub by: Id<kind::User>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was used or withdrawn.
    pub ended_at: Option<Time>,
}

impl FromRow for Invitation {
    const TABLE: &'static str = "invitations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            role: row.parsed(2, Role::parse)?,
            email: row.maybe(3)?,
            by: row.get(4)?,
            created_at: row.get(5)?,
            expires_at: row.get(6)?,
            ended_at: row.maybe(7)?,
        })
    }
}

/// A select of every column that a row is read from, and what follows `from invitations`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, role, email, user_id, created_at, expires_at, ended_at from invitations ",
            $rest
        )
    };
}

/// The invitation of this keyed hash. Whoever has what stands in the link is of no team yet.
pub async fn by_digest(db: &Db, digest: [u8; 32]) -> Result<Option<Invitation>, DbError> {
    db.one(select!("where digest = $1"), args![digest]).await
}

/// The invitations of a team that can be used, newest first.
pub async fn open(db: &Db, team: Id<kind::Team>, now: Time) -> Result<Vec<Invitation>, DbError> {
    db.all(
        select!("where team = $1 and ended_at is null and expires_at > $2 order by created_at desc, id"),
        args![team, now],
    )
    .await
}

/// Adds an invitation, whose digest was made with this version of the pepper.
pub fn insert(invitation: &Invitation, digest: [u8; 32], pepper: i64) -> Step {
    Step::one(
        "insert into invitations (id, digest, pepper, team, role, email, user_id, created_at, expires_at, ended_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, null)",
        args![
            invitation.id,
            digest,
            pepper,
            invitation.team,
            invitation.role.as_str(),
            invitation.email.clone(),
            invitation.by,
            invitation.created_at,
            invitation.expires_at
        ],
    )
}

/// Ends an invitation, by using or withdrawing it; finds nothing if it has ended or expired.
pub fn end(team: Id<kind::Team>, id: Id<kind::Invitation>, now: Time) -> Step {
    Step::one(
        "update invitations set ended_at = $3 where id = $2 and team = $1 and ended_at is null and expires_at > $3",
        args![team, id, now],
    )
}

/// Goes through only if no invitation that still works has a digest of this pepper.
pub fn none_of_pepper(pepper: i64, now: Time) -> Step {
    Step::none(
        "update invitations set pepper = pepper where pepper = $1 and ended_at is null and expires_at > $2",
        args![pepper, now],
    )
}

/// How many invitations that still work have a digest of this pepper.
pub async fn count_of_pepper(db: &Db, pepper: i64, now: Time) -> Result<i64, DbError> {
    let count = "select count(*) from invitations where pepper = $1 and ended_at is null and expires_at > $2";
    Ok(db.one::<i64>(count, args![pepper, now]).await?.unwrap_or(0))
}
