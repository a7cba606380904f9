//! Pictures for connectors, kept under the SHA-1 of their bytes.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A picture as it is sent.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What its first bytes say it is: `image/png` or `image/jpeg`.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl FromRow for Picture {
    const TABLE: &'static str = "pictures";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { media_type: row.get(0)?, bytes: row.get(1)? })
    }
}

/// A picture of a team.
pub async fn find(db: &Db, team: Id<kind::Team>, sha1: &str) -> Result<Option<Picture>, DbError> {
    db.one("select media_type, picture from pictures where team = $1 and sha1 = $2", args![team, sha1]).await
}

/// Whether a team has this picture.
pub async fn is_there(db: &Db, team: Id<kind::Team>, sha1: &str) -> Result<bool, DbError> {
    let found: Option<i64> =
        db.one("select created_at from pictures where team = $1 and sha1 = $2", args![team, sha1]).await?;
    Ok(found.is_some())
}

/// How many pictures of a team no connector shows.
pub async fn unused(db: &Db, team: Id<kind::Team>) -> Result<i64, DbError> {
    let found: Option<i64> = db
        .one(
            "select count(*) from pictures where team = $1 and not exists \
             (select 1 from connectors where team = $1 and icon = pictures.sha1)",
            args![team],
        )
        .await?;
    Ok(found.unwrap_or(0))
}

/// Keeps a picture, or keeps it for longer if it is there.
pub fn put(team: Id<kind::Team>, sha1: &str, picture: &Picture, now: Time) -> Step {
    Step::one(
        "insert into pictures (team, sha1, media_type, picture, created_at) values ($1, $2, $3, $4, $5) \
         on conflict (team, sha1) do update set created_at = excluded.created_at",
        args![team, sha1, &picture.media_type, picture.bytes.clone(), now],
    )
}

/// Drops the pictures of a team that no connector shows and that were there before `before`.
pub fn drop_unused(team: Id<kind::Team>, before: Time) -> Step {
    Step::any(
        "delete from pictures where team = $1 and created_at < $2 and not exists \
         (select 1 from connectors where team = $1 and icon = pictures.sha1)",
        args![team, before],
    )
}

/// Goes through only if the team has this picture, which is then not dropped under the connector that will show it.
pub fn still_there(team: Id<kind::Team>, sha1: &str) -> Step {
    Step::one("update pictures set created_at = created_at where team = $1 and sha1 = $2", args![team, sha1])
}
