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
        })
    }
}

impl FromRow for User {
    const TABLE: &'static str = "users";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { id: row.get(0)?, email: row.get(1)?, name: row.get(2)?, created_at: row.get(3)? })
    }
}

impl FromRow for Membership {
    const TABLE: &'static str = "members";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { team: Team::from_row(row)?, role: row.parsed(4, Role::parse)? })
    }
}

/// A team by identifier.
pub async fn team(db: &Db, id: Id<kind::Team>) -> Result<Option<Team>, DbError> {
    db.one("select id, slug, name, created_at from teams where id = $1", args![id]).await
}

/// A team by the name in its issuer.
pub async fn team_by_slug(db: &Db, slug: &Slug) -> Result<Option<Team>, DbError> {
    db.one("select id, slug, name, created_at from teams where slug = $1", args![slug.as_str()]).await
}

/// The team that was made first: its owners set the deployment up.
pub async fn first_team(db: &Db) -> Result<Option<Team>, DbError> {
    db.one("select id, slug, name, created_at from teams order by created_at, id limit 1", args![]).await
}

/// Every team.
pub async fn teams(db: &Db) -> Result<Vec<Team>, DbError> {
    db.all("select id, slug, name, created_at from teams order by created_at, id", args![]).await
}

/// Whether anybody has been set up yet.
pub async fn any_team(db: &Db) -> Result<bool, DbError> {
    Ok(db.one::<Team>("select id, slug, name, created_at from teams limit 1", args![]).await?.is_some())
}

/// A person by identifier.
pub async fn user(db: &Db, id: Id<kind::User>) -> Result<Option<User>, DbError> {
    db.one("select id, email, name, created_at from users where id = $1", args![id]).await
}

/// A person by e-mail address.
pub async fn user_by_email(db: &Db, email: &str) -> Result<Option<User>, DbError> {
    db.one("select id, email, name, created_at from users where email = $1", args![email]).await
}

/// The teams of a person.
pub async fn teams_of(db: &Db, user: Id<kind::User>) -> Result<Vec<Membership>, DbError> {
    db.all(
        "select t.id, t.slug, t.name, t.created_at, m.role from members m join teams t on t.id = m.team \
         where m.user_id = $1 order by t.slug",
        args![user],
    )
    .await
}

/// Adds a team.
pub fn insert_team(team: &Team) -> Step {
    Step::one(
        "insert into teams (id, slug, name, created_at) values ($1, $2, $3, $4)",
        args![team.id, team.slug.as_str(), &team.name, team.created_at],
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
