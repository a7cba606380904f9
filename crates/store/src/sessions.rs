//! Browsers in which somebody has signed in: only a keyed hash of what stands in the cookie is kept.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `ses_…`
    pub id: Id<kind::Session>,
    /// Who signed in.
    pub user: Id<kind::User>,
    /// By what: `passphrase`, `passkey`, or the address of an issuer.
    pub means: String,
    /// What the browser calls itself, shortened.
    pub browser: String,
    /// When the person signed in.
    pub created_at: Time,
    /// When the person last proved who it is.
    pub proved_at: Time,
    /// When it was last used, to within a minute.
    pub seen_at: Time,
    /// The last moment, whatever happens.
    pub expires_at: Time,
}

impl FromRow for SessionRow {
    const TABLE: &'static str = "sessions";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            user: row.get(1)?,
            means: row.get(2)?,
            browser: row.get(3)?,
            created_at: row.get(4)?,
            proved_at: row.get(5)?,
            seen_at: row.get(6)?,
            expires_at: row.get(7)?,
        })
    }
}

/// The session of a cookie, unless it is over: by its end, or because it was not used since `idle`.
pub async fn by_digest(
    db: &Db,
    digest: [u8; 32],
    now: Time,
    idle: Time,
) -> Result<Option<SessionRow>, DbError> {
    db.one(
        "select id, user_id, means, browser, created_at, proved_at, seen_at, expires_at from sessions \
         where digest = $1 and expires_at > $2 and seen_at > $3",
        args![digest, now, idle],
    )
    .await
}

/// The sessions of a person that are not over, newest first.
pub async fn of_user(
    db: &Db,
    user: Id<kind::User>,
    now: Time,
    idle: Time,
) -> Result<Vec<SessionRow>, DbError> {
    db.all(
        "select id, user_id, means, browser, created_at, proved_at, seen_at, expires_at from sessions \
         where user_id = $1 and expires_at > $2 and seen_at > $3 order by created_at desc, id",
        args![user, now, idle],
    )
    .await
}

/// Adds a session, and removes what is over of its person.
pub fn insert(session: &SessionRow, digest: [u8; 32], idle: Time) -> Vec<Step> {
    vec![
        Step::any(
            "delete from sessions where user_id = $1 and (expires_at <= $2 or seen_at <= $3)",
            args![session.user, session.created_at, idle],
        ),
        Step::one(
            "insert into sessions (id, digest, user_id, means, browser, created_at, proved_at, seen_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                session.id,
                digest,
                session.user,
                &session.means,
                &session.browser,
                session.created_at,
                session.proved_at,
                session.seen_at,
                session.expires_at
            ],
        ),
    ]
}

/// Says that it was used.
pub fn touch(id: Id<kind::Session>, now: Time) -> Step {
    Step::any("update sessions set seen_at = $2 where id = $1 and seen_at < $2", args![id, now])
}

/// The person has proved again who it is: from now on another cookie opens it.
pub fn prove(id: Id<kind::Session>, user: Id<kind::User>, digest: [u8; 32], now: Time) -> Step {
    Step::one(
        "update sessions set digest = $3, proved_at = $4, seen_at = $4 where id = $1 and user_id = $2",
        args![id, user, digest, now],
    )
}

/// Goes through only while this session is not over: for what outlives the session in which it is asked.
pub fn still_good(id: Id<kind::Session>, now: Time, idle: Time) -> Step {
    Step::one(
        "update sessions set means = means where id = $1 and expires_at > $2 and seen_at > $3",
        args![id, now, idle],
    )
}

/// Ends a session of this person.
pub fn end(user: Id<kind::User>, id: Id<kind::Session>) -> Step {
    Step::one("delete from sessions where id = $1 and user_id = $2", args![id, user])
}

/// Ends all sessions of this person but one.
pub fn end_others(user: Id<kind::User>, but: Option<Id<kind::Session>>) -> Step {
    match but {
        Some(id) => Step::any("delete from sessions where user_id = $1 and id <> $2", args![user, id]),
        None => Step::any("delete from sessions where user_id = $1", args![user]),
    }
}
