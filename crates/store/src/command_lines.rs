//! Command lines that are signed in: only keyed hashes of their refresh tokens are kept.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A command line that is signed in.
#[derive(Clone, Debug)]
pub struct CommandLineRow {
    /// `cli_…`
    pub id: Id<kind::CommandLine>,
    /// The team in which it acts.
    pub team: Id<kind::Team>,
    /// The person for whom it acts.
    pub user: Id<kind::User>,
    /// Which program: its client identifier.
    pub client: String,
    /// From where it asked, and what it called itself.
    pub asked_from: String,
    /// The digest of its refresh token.
    pub digest: [u8; 32],
    /// When that took the place of the one before.
    pub turned_at: Time,
    /// When it was signed in.
    pub created_at: Time,
    /// When it is over unless it is used.
    pub expires_at: Time,
}

impl FromRow for CommandLineRow {
    const TABLE: &'static str = "command_lines";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            user: row.get(2)?,
            client: row.get(3)?,
            asked_from: row.get(4)?,
            digest: row.get(5)?,
            turned_at: row.get(6)?,
            created_at: row.get(7)?,
            expires_at: row.get(8)?,
        })
    }
}

/// The one whose refresh token this is, or was until the last turn.
pub async fn by_digest(db: &Db, digest: [u8; 32], now: Time) -> Result<Option<CommandLineRow>, DbError> {
    db.one(
        "select id, team, user_id, client, asked_from, digest, turned_at, created_at, expires_at \
         from command_lines where (digest = $1 or digest_before = $1) and expires_at > $2",
        args![digest, now],
    )
    .await
}

/// The one that has had this access token.
pub async fn by_token(db: &Db, token: Id<kind::AccessToken>) -> Result<Option<CommandLineRow>, DbError> {
    db.one(
        "select c.id, c.team, c.user_id, c.client, c.asked_from, c.digest, c.turned_at, c.created_at, c.expires_at \
         from command_line_tokens t join command_lines c on c.id = t.command_line where t.token_id = $1",
        args![token],
    )
    .await
}

/// Those of a person that are not over, newest first.
pub async fn of_user(db: &Db, user: Id<kind::User>, now: Time) -> Result<Vec<CommandLineRow>, DbError> {
    db.all(
        "select id, team, user_id, client, asked_from, digest, turned_at, created_at, expires_at \
         from command_lines where user_id = $1 and expires_at > $2 order by created_at desc, id",
        args![user, now],
    )
    .await
}

/// Adds one.
pub fn insert(row: &CommandLineRow) -> Step {
    Step::one(
        "insert into command_lines (id, team, user_id, client, asked_from, digest, digest_before, turned_at, \
         created_at, expires_at) values ($1, $2, $3, $4, $5, $6, null, $7, $8, $9)",
        args![
            row.id,
            row.team,
            row.user,
            &row.client,
            &row.asked_from,
            row.digest,
            row.turned_at,
            row.created_at,
            row.expires_at
        ],
    )
}

/// Another refresh token in the place of this one.
pub fn turn(id: Id<kind::CommandLine>, was: [u8; 32], digest: [u8; 32], now: Time, expires_at: Time) -> Step {
    Step::one(
        "update command_lines set digest = $3, digest_before = $2, turned_at = $4, expires_at = $5 \
         where id = $1 and digest = $2",
        args![id, was, digest, now, expires_at],
    )
}

/// This access token is one of its.
pub fn has(id: Id<kind::CommandLine>, token: Id<kind::AccessToken>) -> Step {
    Step::one("insert into command_line_tokens (token_id, command_line) values ($1, $2)", args![token, id])
}

/// Goes through only while it is signed in.
pub fn still_there(id: Id<kind::CommandLine>) -> Step {
    Step::one("update command_lines set client = client where id = $1", args![id])
}

/// Ends all of a person, in one team or in every one; the access tokens are withdrawn with the person's others.
pub fn end_of_person(user: Id<kind::User>, team: Option<Id<kind::Team>>) -> Vec<Step> {
    vec![
        Step::any(
            "delete from command_line_tokens where command_line in (select id from command_lines \
             where user_id = $1 and (cast($2 as bytea) is null or team = $2))",
            args![user, team],
        ),
        Step::any(
            "delete from command_lines where user_id = $1 and (cast($2 as bytea) is null or team = $2)",
            args![user, team],
        ),
    ]
}

/// Ends one, and withdraws its access tokens.
pub fn end(id: Id<kind::CommandLine>, now: Time) -> Vec<Step> {
    vec![
        Step::any(
            "update access_tokens set revoked_at = $2 where revoked_at is null \
             and id in (select token_id from command_line_tokens where command_line = $1)",
            args![id, now],
        ),
        Step::any("delete from command_line_tokens where command_line = $1", args![id]),
        Step::one("delete from command_lines where id = $1", args![id]),
    ]
}
