//! Access tokens of Carnet's own API: only a keyed hash is kept.

use carnet_model::caller::Role;
use carnet_model::rights::{Access, Breadth};
use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// An access token as stored.
#[derive(Clone, Debug)]
pub struct AccessTokenRow {
    /// `atk_…`
    pub id: Id<kind::AccessToken>,
    /// The team it was made for.
    pub team: Id<kind::Team>,
    /// The person it acts for.
    pub user: Id<kind::User>,
    /// What people call it.
    pub name: String,
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When it was withdrawn.
    pub revoked_at: Option<Time>,
    /// How much of its person's rights it carries.
    pub access: Access,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
}

/// A select of every column that a row is read from, and what follows `from access_tokens a`.
macro_rules! select {
    ($more:literal, $rest:literal) => {
        concat!(
            "select a.id, a.team, a.user_id, a.name, a.last4, a.created_at, a.expires_at, a.revoked_at, a.access, \
             a.project, a.last_used_at",
            $more,
            " from access_tokens a ",
            $rest
        )
    };
}

/// What an access token says about its bearer.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The token.
    pub token: AccessTokenRow,
    /// The person's role in the token's team, if still a member.
    pub role: Option<Role>,
    /// Whether the team keeps connectors to those who manage them.
    pub strict: bool,
    /// Whether nobody may act as the person.
    pub disabled: bool,
    /// When its person signed in the command line that has it; `None` for one that was made for a purpose of its own.
    pub signed_in_at: Option<Time>,
}

impl FromRow for AccessTokenRow {
    const TABLE: &'static str = "access_tokens";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            user: row.get(2)?,
            name: row.get(3)?,
            last4: row.get(4)?,
            created_at: row.get(5)?,
            expires_at: row.get(6)?,
            revoked_at: row.maybe(7)?,
            access: Access { breadth: row.parsed(8, Breadth::parse)?, project: row.maybe(9)? },
            last_used_at: row.maybe(10)?,
        })
    }
}

impl FromRow for Bearer {
    const TABLE: &'static str = "access_tokens";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let role = row
            .maybe::<String>(11)?
            .map(|text| Role::parse(&text).ok_or_else(|| row.corrupt(11)))
            .transpose()?;
        let disabled = row.maybe::<Time>(13)?.is_some();
        let token = AccessTokenRow::from_row(row)?;
        Ok(Self { token, role, strict: row.get(12)?, disabled, signed_in_at: row.maybe(14)? })
    }
}

/// The bearer of a token, by its keyed hash.
pub async fn by_digest(db: &Db, digest: [u8; 32]) -> Result<Option<Bearer>, DbError> {
    db.one(
        select!(
            ", m.role, t.strict_connectors, u.disabled_at, \
             (select l.created_at from command_line_tokens c join command_lines l on l.id = c.command_line \
              where c.token_id = a.id)",
            "join teams t on t.id = a.team join users u on u.id = a.user_id \
             left join members m on m.team = a.team and m.user_id = a.user_id where a.digest = $1"
        ),
        args![digest],
    )
    .await
}

/// The tokens of a person in a team, newest first.
pub async fn of_user(
    db: &Db,
    team: Id<kind::Team>,
    user: Id<kind::User>,
) -> Result<Vec<AccessTokenRow>, DbError> {
    db.all(
        select!(
            "",
            "where a.team = $1 and a.user_id = $2 and a.revoked_at is null order by a.created_at desc, a.id"
        ),
        args![team, user],
    )
    .await
}

/// The tokens of everybody in a team, newest first.
pub async fn of_team(db: &Db, team: Id<kind::Team>) -> Result<Vec<AccessTokenRow>, DbError> {
    db.all(
        select!("", "where a.team = $1 and a.revoked_at is null order by a.created_at desc, a.id"),
        args![team],
    )
    .await
}

/// A token of a team that was not withdrawn.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::AccessToken>,
) -> Result<Option<AccessTokenRow>, DbError> {
    db.one(select!("", "where a.team = $1 and a.id = $2 and a.revoked_at is null"), args![team, id]).await
}

/// Adds a token, whose digest was made with this version of the pepper.
pub fn insert(token: &AccessTokenRow, digest: [u8; 32], pepper: i64) -> Step {
    Step::one(
        "insert into access_tokens (id, digest, team, user_id, name, last4, created_at, expires_at, revoked_at, pepper, \
         access, project, last_used_at) values ($1, $2, $3, $4, $5, $6, $7, $8, null, $9, $10, $11, null)",
        args![
            token.id,
            digest,
            token.team,
            token.user,
            &token.name,
            &token.last4,
            token.created_at,
            token.expires_at,
            pepper,
            token.access.breadth.to_text(),
            token.access.project
        ],
    )
}

/// Puts a digest of a newer pepper in the place of this one.
pub fn rehash(id: Id<kind::AccessToken>, was: [u8; 32], now: [u8; 32], pepper: i64) -> Step {
    Step::any(
        "update access_tokens set digest = $3, pepper = $4 where id = $1 and digest = $2",
        args![id, was, now, pepper],
    )
}

/// The tokens of all teams that still work and whose digest is of an older pepper: nobody has used them since.
pub async fn unseen(db: &Db, pepper: i64, now: Time) -> Result<Vec<AccessTokenRow>, DbError> {
    db.all(
        select!(
            "",
            "where a.pepper < $1 and a.revoked_at is null and a.expires_at > $2 order by a.created_at, a.id"
        ),
        args![pepper, now],
    )
    .await
}

/// How many tokens that still work have a digest of this pepper.
pub async fn count_of_pepper(db: &Db, pepper: i64, now: Time) -> Result<i64, DbError> {
    let count =
        "select count(*) from access_tokens where pepper = $1 and revoked_at is null and expires_at > $2";
    Ok(db.one::<i64>(count, args![pepper, now]).await?.unwrap_or(0))
}

/// Goes through only if no token that still works has a digest of this pepper.
pub fn none_of_pepper(pepper: i64, now: Time) -> Step {
    Step::none(
        "update access_tokens set pepper = pepper where pepper = $1 and revoked_at is null and expires_at > $2",
        args![pepper, now],
    )
}

/// Notes that a token was used, unless that was noted after `before`.
pub fn used(id: Id<kind::AccessToken>, now: Time, before: Time) -> Step {
    Step::any(
        "update access_tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)",
        args![id, now, before],
    )
}

/// Goes through only while this token is good: for what outlives the token that it is asked with.
pub fn still_good(id: Id<kind::AccessToken>, now: Time) -> Step {
    Step::one(
        "update access_tokens set name = name where id = $1 and revoked_at is null and expires_at > $2",
        args![id, now],
    )
}

/// Withdraws a token of this person.
pub fn revoke(team: Id<kind::Team>, user: Id<kind::User>, id: Id<kind::AccessToken>, now: Time) -> Step {
    Step::one(
        "update access_tokens set revoked_at = $4 where id = $3 and team = $1 and user_id = $2 and revoked_at is null",
        args![team, user, id, now],
    )
}

/// Withdraws every token of a person in a team.
pub fn revoke_of_member(team: Id<kind::Team>, user: Id<kind::User>, now: Time) -> Step {
    Step::any(
        "update access_tokens set revoked_at = $3 where team = $1 and user_id = $2 and revoked_at is null",
        args![team, user, now],
    )
}

/// Withdraws every token of a person, in all teams.
pub fn revoke_of_person(user: Id<kind::User>, now: Time) -> Step {
    Step::any(
        "update access_tokens set revoked_at = $2 where user_id = $1 and revoked_at is null",
        args![user, now],
    )
}

/// Withdraws every token that is limited to a project.
pub fn revoke_of_project(team: Id<kind::Team>, project: Id<kind::Project>, now: Time) -> Step {
    Step::any(
        "update access_tokens set revoked_at = $3 where team = $1 and project = $2 and revoked_at is null",
        args![team, project, now],
    )
}
