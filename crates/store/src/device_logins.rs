//! Command lines that ask to be signed in, until somebody has decided and the tokens were fetched.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A command line that asks to be signed in.
#[derive(Clone, Debug)]
pub struct DeviceLoginRow {
    /// What it becomes the identifier of when it is signed in.
    pub id: Id<kind::CommandLine>,
    /// Which program: its client identifier.
    pub client: String,
    /// From where, and what it calls itself.
    pub asked_from: String,
    /// When it asked.
    pub created_at: Time,
    /// Until when somebody may decide.
    pub expires_at: Time,
    /// When it last asked whether somebody has.
    pub polled_at: Time,
    /// What was decided.
    pub decision: Decided,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing yet.
    Open,
    /// It may act for this person in this team.
    Allowed {
        /// Who.
        user: Id<kind::User>,
        /// Where.
        team: Id<kind::Team>,
    },
    /// It may not.
    Denied,
}

impl FromRow for DeviceLoginRow {
    const TABLE: &'static str = "device_logins";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let decision = match (row.get::<String>(6)?.as_str(), row.maybe(7)?, row.maybe(8)?) {
            ("open", None, None) => Decided::Open,
            ("allowed", Some(user), Some(team)) => Decided::Allowed { user, team },
            ("denied", None, None) => Decided::Denied,
            _ => return Err(row.corrupt(6)),
        };
        Ok(Self {
            id: row.get(0)?,
            client: row.get(1)?,
            asked_from: row.get(2)?,
            created_at: row.get(3)?,
            expires_at: row.get(4)?,
            polled_at: row.get(5)?,
            decision,
        })
    }
}

/// The one with this device code, over or not.
pub async fn by_device(db: &Db, digest: [u8; 32]) -> Result<Option<DeviceLoginRow>, DbError> {
    db.one(
        "select id, client, asked_from, created_at, expires_at, polled_at, state, user_id, team \
         from device_logins where device_digest = $1",
        args![digest],
    )
    .await
}

/// The one with this user code about which nothing is decided yet.
pub async fn by_code(db: &Db, digest: [u8; 32], now: Time) -> Result<Option<DeviceLoginRow>, DbError> {
    db.one(
        "select id, client, asked_from, created_at, expires_at, polled_at, state, user_id, team \
         from device_logins where code_digest = $1 and state = 'open' and expires_at > $2",
        args![digest, now],
    )
    .await
}

/// Adds one, and removes those that are long over.
pub fn insert(row: &DeviceLoginRow, device: [u8; 32], code: [u8; 32], over: Time) -> Vec<Step> {
    vec![
        Step::any("delete from device_logins where expires_at < $1", args![over]),
        Step::one(
            "insert into device_logins (id, device_digest, code_digest, client, asked_from, created_at, expires_at, \
             polled_at, state, user_id, team) values ($1, $2, $3, $4, $5, $6, $7, $8, 'open', null, null)",
            args![
                row.id,
                device,
                code,
                &row.client,
                &row.asked_from,
                row.created_at,
                row.expires_at,
                row.polled_at
            ],
        ),
    ]
}

/// How many wait for somebody.
pub async fn waiting(db: &Db, now: Time) -> Result<i64, DbError> {
    let sql = "select count(*) from device_logins where expires_at > $1";
    Ok(db.one::<i64>(sql, args![now]).await?.unwrap_or(0))
}

/// It has asked whether somebody has decided.
pub fn polled(id: Id<kind::CommandLine>, now: Time) -> Step {
    Step::any("update device_logins set polled_at = $2 where id = $1", args![id, now])
}

/// It may act for this person in this team.
pub fn allow(id: Id<kind::CommandLine>, user: Id<kind::User>, team: Id<kind::Team>, now: Time) -> Step {
    Step::one(
        "update device_logins set state = 'allowed', user_id = $2, team = $3 \
         where id = $1 and state = 'open' and expires_at > $4",
        args![id, user, team, now],
    )
}

/// It may not.
pub fn deny(id: Id<kind::CommandLine>, now: Time) -> Step {
    Step::one(
        "update device_logins set state = 'denied' where id = $1 and state = 'open' and expires_at > $2",
        args![id, now],
    )
}

/// Its tokens are fetched, once.
pub fn take(id: Id<kind::CommandLine>, now: Time) -> Step {
    Step::one(
        "delete from device_logins where id = $1 and state = 'allowed' and expires_at > $2",
        args![id, now],
    )
}
