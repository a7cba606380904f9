//! Teams, users and who is in which team.

use carnet_model::caller::Role;
use carnet_model::{Id, Slug, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A team.
#[derive(Clone, Debug)]
pub struct Team {
    /// `team_…`
    pub id: Id<kind::Team>,
    /// Its name in URLs and claims.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// Whether it keeps connectors to those who manage them.
    pub strict_connectors: bool,
}

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// `usr_…`
    pub id: Id<kind::User>,
    /// Unique.
    pub email: String,
    /// For people.
    pub name: String,
    /// When the account was made.
    pub created_at: Time,
    /// Since when nobody may act as this person.
    pub disabled_at: Option<Time>,
}

/// A person in a team.
#[derive(Clone, Debug)]
pub struct TeamMember {
    /// The person.
    pub user: User,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Time,
}

/// A team of a person, with the person's role in it.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The team.
    pub team: Team,
    /// What the person may do there.
    pub role: Role,
}

impl FromRow for Team {
    const TABLE: &'static str = "teams";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            slug: row.parsed(1, |text| Slug::parse(text).ok())?,
            name: row.get(2)?,
            created_at: row.get(3)?,
            strict_connectors: row.get(4)?,
        })
    }
}

impl FromRow for User {
    const TABLE: &'static str = "users";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            name: row.get(2)?,
            created_at: row.get(3)?,
            disabled_at: row.maybe(4)?,
        })
    }
}

impl FromRow for Membership {
    const TABLE: &'static str = "members";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { team: Team::from_row(row)?, role: row.parsed(5, Role::parse)? })
    }
}

impl FromRow for TeamMember {
    const TABLE: &'static str = "members";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { user: User::from_row(row)?, role: row.parsed(5, Role::parse)?, joined_at: row.get(6)? })
    }
}

/// A team by identifier.
pub async fn team(db: &Db, id: Id<kind::Team>) -> Result<Option<Team>, DbError> {
    db.one("select id, slug, name, created_at, strict_connectors from teams where id = $1", args![id]).await
}

/// A team by the name in its issuer.
pub async fn team_by_slug(db: &Db, slug: &Slug) -> Result<Option<Team>, DbError> {
    db.one(
        "select id, slug, name, created_at, strict_connectors from teams where slug = $1",
        args![slug.as_str()],
    )
    .await
}

/// The team that was made first: its owners set the deployment up.
pub async fn first_team(db: &Db) -> Result<Option<Team>, DbError> {
    db.one(
        "select id, slug, name, created_at, strict_connectors from teams order by created_at, id limit 1",
        args![],
    )
    .await
}

/// Every team.
pub async fn teams(db: &Db) -> Result<Vec<Team>, DbError> {
    db.all("select id, slug, name, created_at, strict_connectors from teams order by created_at, id", args![])
        .await
}

/// Whether anybody has been set up yet.
pub async fn any_team(db: &Db) -> Result<bool, DbError> {
    Ok(db
        .one::<Team>("select id, slug, name, created_at, strict_connectors from teams limit 1", args![])
        .await?
        .is_some())
}

/// A person by identifier.
pub async fn user(db: &Db, id: Id<kind::User>) -> Result<Option<User>, DbError> {
    db.one("select id, email, name, created_at, disabled_at from users where id = $1", args![id]).await
}

/// A person by e-mail address. Nobody has one that no database takes: text with NUL is not asked for.
pub async fn user_by_email(db: &Db, email: &str) -> Result<Option<User>, DbError> {
    if email.contains('\0') {
        return Ok(None);
    }
    db.one("select id, email, name, created_at, disabled_at from users where email = $1", args![email]).await
}

/// Whether somebody has this e-mail address, in whatever case it is written.
pub async fn has_email(db: &Db, email: &str) -> Result<bool, DbError> {
    if email.contains('\0') {
        return Ok(false);
    }
    let lower = email.to_lowercase();
    let count = "select count(*) from users where lower(email) = $1 or email = $2";
    Ok(db.one::<i64>(count, args![lower, email]).await? != Some(0))
}

/// The teams of a person.
pub async fn teams_of(db: &Db, user: Id<kind::User>) -> Result<Vec<Membership>, DbError> {
    db.all(
        "select t.id, t.slug, t.name, t.created_at, t.strict_connectors, m.role from members m join teams t on t.id = m.team \
         where m.user_id = $1 order by t.slug",
        args![user],
    )
    .await
}

/// A person in a team.
pub async fn member(
    db: &Db,
    team: Id<kind::Team>,
    user: Id<kind::User>,
) -> Result<Option<TeamMember>, DbError> {
    db.one(
        "select u.id, u.email, u.name, u.created_at, u.disabled_at, m.role, m.created_at from members m \
         join users u on u.id = m.user_id where m.team = $1 and m.user_id = $2",
        args![team, user],
    )
    .await
}

/// The people in a team, by e-mail address.
pub async fn members(db: &Db, team: Id<kind::Team>) -> Result<Vec<TeamMember>, DbError> {
    db.all(
        "select u.id, u.email, u.name, u.created_at, u.disabled_at, m.role, m.created_at from members m \
         join users u on u.id = m.user_id where m.team = $1 order by u.email",
        args![team],
    )
    .await
}

/// Everybody who has an account, by e-mail address, from the one after `after`.
pub async fn users(db: &Db, after: &str, limit: i64) -> Result<Vec<User>, DbError> {
    db.all(
        "select id, email, name, created_at, disabled_at from users where email > $1 order by email limit $2",
        args![after, limit],
    )
    .await
}

/// Adds a team.
pub fn insert_team(team: &Team) -> Step {
    Step::one(
        "insert into teams (id, slug, name, created_at, strict_connectors) values ($1, $2, $3, $4, $5)",
        args![team.id, team.slug.as_str(), &team.name, team.created_at, team.strict_connectors],
    )
}

/// Adds a person.
pub fn insert_user(user: &User) -> Step {
    Step::one(
        "insert into users (id, email, name, created_at) values ($1, $2, $3, $4)",
        args![user.id, &user.email, &user.name, user.created_at],
    )
}

/// Puts a person into a team.
pub fn insert_member(team: Id<kind::Team>, user: Id<kind::User>, role: Role, now: Time) -> Step {
    Step::one(
        "insert into members (team, user_id, role, created_at) values ($1, $2, $3, $4)",
        args![team, user, role.as_str(), now],
    )
}

/// Changes the name and the settings of a team.
pub fn update_team(team: &Team) -> Step {
    Step::one(
        "update teams set name = $2, strict_connectors = $3 where id = $1",
        args![team.id, &team.name, team.strict_connectors],
    )
}

/// Keeps others from changing who is in a team until this write is done. It comes before such a change, and
/// [`has_owner`] after it.
pub fn hold(team: Id<kind::Team>) -> Step {
    Step::one("update teams set name = name where id = $1", args![team])
}

/// Goes through only if the team has an owner who can sign in.
pub fn has_owner(team: Id<kind::Team>) -> Step {
    Step::one(
        "update teams set name = name where id = $1 and exists (select 1 from members m join users u on u.id = m.user_id \
         where m.team = $1 and m.role = $2 and u.disabled_at is null)",
        args![team, Role::Owner.as_str()],
    )
}

/// Goes through only while a person has this role in a team: for what outlives the role that it is asked with.
pub fn still_is(team: Id<kind::Team>, user: Id<kind::User>, role: Role) -> Step {
    Step::one(
        "update members set role = role where team = $1 and user_id = $2 and role = $3",
        args![team, user, role.as_str()],
    )
}

/// Gives a member another role in the place of this one.
pub fn change_role(team: Id<kind::Team>, user: Id<kind::User>, was: Role, role: Role) -> Step {
    Step::one(
        "update members set role = $4 where team = $1 and user_id = $2 and role = $3",
        args![team, user, was.as_str(), role.as_str()],
    )
}

/// Takes a person out of a team.
pub fn remove_member(team: Id<kind::Team>, user: Id<kind::User>) -> Step {
    Step::one("delete from members where team = $1 and user_id = $2", args![team, user])
}

/// Goes through only while a person is in no other team than this one.
pub fn only_in(team: Id<kind::Team>, user: Id<kind::User>) -> Step {
    Step::none("update members set role = role where user_id = $2 and team <> $1", args![team, user])
}

/// Goes through only while somebody may act as a person: for what outlives the moment in which that was looked at.
pub fn still_enabled(user: Id<kind::User>) -> Step {
    Step::one("update users set name = name where id = $1 and disabled_at is null", args![user])
}

/// Lets nobody act as a person any more.
pub fn disable(user: Id<kind::User>, now: Time) -> Step {
    Step::one("update users set disabled_at = $2 where id = $1 and disabled_at is null", args![user, now])
}

/// Lets a person act again.
pub fn enable(user: Id<kind::User>) -> Step {
    Step::one("update users set disabled_at = null where id = $1 and disabled_at is not null", args![user])
}
