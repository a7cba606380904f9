//! Accounts elsewhere with which people sign in, and browsers on the way there.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// An account at an issuer, and whose it is.
#[derive(Clone, Debug)]
pub struct SignInLink {
    /// The issuer, byte for byte.
    pub issuer: String,
    /// Its identifier of the account.
    pub subject: String,
    /// Whose it is here.
    pub user: Id<kind::User>,
    /// What the issuer called the account when it was linked; for people, and nothing is decided by it.
    pub shown: String,
    /// When it was linked.
    pub created_at: Time,
}

/// A browser that was sent to an issuer.
#[derive(Clone, Debug)]
pub struct SignInWay {
    /// Which browser.
    pub browser_digest: [u8; 32],
    /// With which version of the key the rest is made of the state.
    pub key_version: i64,
    /// The issuer.
    pub issuer: String,
    /// Where to go afterwards.
    pub back: String,
    /// What for.
    pub purpose: WayPurpose,
    /// Until when.
    pub expires_at: Time,
}

/// What a browser was sent to an issuer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayPurpose {
    /// To sign in.
    SignIn,
    /// This person adds the account.
    Link(Id<kind::User>),
    /// This person proves again who it is.
    Again(Id<kind::User>),
}

impl FromRow for SignInLink {
    const TABLE: &'static str = "sign_in_links";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            issuer: row.get(0)?,
            subject: row.get(1)?,
            user: row.get(2)?,
            shown: row.get(3)?,
            created_at: row.get(4)?,
        })
    }
}

impl FromRow for SignInWay {
    const TABLE: &'static str = "sign_in_ways";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let purpose = match (row.get::<String>(4)?.as_str(), row.maybe(5)?) {
            ("sign-in", None) => WayPurpose::SignIn,
            ("link", Some(user)) => WayPurpose::Link(user),
            ("again", Some(user)) => WayPurpose::Again(user),
            _ => return Err(row.corrupt(4)),
        };
        Ok(Self {
            browser_digest: row.get(0)?,
            key_version: row.get(1)?,
            issuer: row.get(2)?,
            back: row.get(3)?,
            purpose,
            expires_at: row.get(6)?,
        })
    }
}

/// Whose account this is.
pub async fn find(db: &Db, issuer: &str, subject: &str) -> Result<Option<SignInLink>, DbError> {
    db.one(
        "select issuer, subject, user_id, shown, created_at from sign_in_links where issuer = $1 and subject = $2",
        args![issuer, subject],
    )
    .await
}

/// The accounts of a person, oldest first.
pub async fn of_user(db: &Db, user: Id<kind::User>) -> Result<Vec<SignInLink>, DbError> {
    db.all(
        "select issuer, subject, user_id, shown, created_at from sign_in_links where user_id = $1 \
         order by created_at, issuer, subject",
        args![user],
    )
    .await
}

/// Adds an account.
pub fn insert(link: &SignInLink) -> Step {
    Step::one(
        "insert into sign_in_links (issuer, subject, user_id, shown, created_at) values ($1, $2, $3, $4, $5)",
        args![&link.issuer, &link.subject, link.user, &link.shown, link.created_at],
    )
}

/// Removes an account of this person.
pub fn remove(user: Id<kind::User>, issuer: &str, subject: &str) -> Step {
    Step::one(
        "delete from sign_in_links where user_id = $1 and issuer = $2 and subject = $3",
        args![user, issuer, subject],
    )
}

/// A browser leaves. Those that never came back are removed.
pub fn leave(way: &SignInWay, state: [u8; 32], now: Time) -> Vec<Step> {
    let (purpose, user) = match way.purpose {
        WayPurpose::SignIn => ("sign-in", None),
        WayPurpose::Link(user) => ("link", Some(user)),
        WayPurpose::Again(user) => ("again", Some(user)),
    };
    vec![
        Step::any("delete from sign_in_ways where expires_at <= $1", args![now]),
        Step::one(
            "insert into sign_in_ways (state_digest, browser_digest, key_version, issuer, back, purpose, user_id, \
             expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                state,
                way.browser_digest,
                way.key_version,
                &way.issuer,
                &way.back,
                purpose,
                user,
                way.expires_at
            ],
        ),
    ]
}

/// The browser that left with this state.
pub async fn way(db: &Db, state: [u8; 32], now: Time) -> Result<Option<SignInWay>, DbError> {
    db.one(
        "select browser_digest, key_version, issuer, back, purpose, user_id, expires_at from sign_in_ways \
         where state_digest = $1 and expires_at > $2",
        args![state, now],
    )
    .await
}

/// It is back, once.
pub fn arrive(state: [u8; 32]) -> Step {
    Step::one("delete from sign_in_ways where state_digest = $1", args![state])
}
