//! Applications that are being registered at a provider: one row each, from the request for a connector to the connector
//! or the reason why there is none.

use carnet_model::caller::Principal;
use carnet_model::{Id, Time, kind};
use serde_json::Value as Json;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

/// A registration as stored.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `reg_…`
    pub id: Id<kind::Registration>,
    /// The team that will own the connector.
    pub team: Id<kind::Team>,
    /// Who asked; nobody else may go on with it.
    pub requested_by: Principal,
    /// At which service.
    pub service: String,
    /// The connector that was asked for. No secret.
    pub ask: Json,
    /// The code of the create, by which whoever polls finds the outcome.
    pub code: String,
    /// Where it stands.
    pub state: RegistrationState,
    /// Digest of the binding secret of the browser that went to the provider.
    pub browser_digest: Option<[u8; 32]>,
    /// What was chosen on the way there.
    pub chosen: Option<Json>,
    /// The connector that came of it.
    pub connector: Option<Id<kind::Connector>>,
    /// Code and sentence of why there is none.
    pub error: Option<(String, String)>,
    /// When it last changed.
    pub updated_at: Time,
    /// Until when it can be gone on with.
    pub expires_at: Time,
}

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Nobody has gone to the provider, or somebody came to the page again.
    Open,
    /// A browser is at the provider.
    Sent,
    /// It came back, and the application is being taken over.
    Redeeming,
    /// It is over.
    Done,
}

impl RegistrationState {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Open, "open"), (Self::Sent, "sent"), (Self::Redeeming, "redeeming"), (Self::Done, "done")];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(state, _)| state)
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, requested_by, service, ask, code, state, browser_digest, chosen, connector, error_code, \
             error_message, updated_at, expires_at from registrations ",
            $rest
        )
    };
}

impl FromRow for Registration {
    const TABLE: &'static str = "registrations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let chosen = row.maybe::<String>(8)?;
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            requested_by: row.json(2)?,
            service: row.get(3)?,
            ask: row.json(4)?,
            code: row.get(5)?,
            state: row.parsed(6, RegistrationState::parse)?,
            browser_digest: row.maybe(7)?,
            chosen: chosen.map(|text| serde_json::from_str(&text).map_err(|_| row.corrupt(8))).transpose()?,
            connector: row.maybe(9)?,
            error: row.maybe::<String>(10)?.zip(row.maybe::<String>(11)?),
            updated_at: row.get(12)?,
            expires_at: row.get(13)?,
        })
    }
}

/// A registration by its identifier: whose it is stands in it.
pub async fn find(db: &Db, id: Id<kind::Registration>) -> Result<Option<Registration>, DbError> {
    db.one(select!("where id = $1"), args![id]).await
}

/// The registration that was begun under this code.
pub async fn by_code(db: &Db, team: Id<kind::Team>, code: &str) -> Result<Option<Registration>, DbError> {
    db.one(select!("where team = $1 and code = $2"), args![team, code]).await
}

/// The registration whose browser was sent away with this state.
pub async fn by_state(db: &Db, state: [u8; 32]) -> Result<Option<Registration>, DbError> {
    db.one(select!("where state_digest = $1"), args![state]).await
}

/// Those that were taken before this and have not ended since, the oldest first.
pub async fn interrupted(db: &Db, before: Time, limit: i64) -> Result<Vec<Registration>, DbError> {
    db.all(
        select!("where state = 'redeeming' and updated_at <= $1 order by updated_at, id limit $2"),
        args![before, limit],
    )
    .await
}

/// Adds one; fails as a conflict if there is one under the same code.
pub fn insert(registration: &Registration) -> Step {
    Step::one(
        "insert into registrations (id, team, requested_by, service, ask, code, state, state_digest, browser_digest, \
         chosen, connector, error_code, error_message, created_at, updated_at, expires_at) \
         values ($1, $2, $3, $4, $5, $6, 'open', null, null, null, null, null, null, $7, $7, $8)",
        args![
            registration.id,
            registration.team,
            json(&registration.requested_by),
            &registration.service,
            registration.ask.to_string(),
            &registration.code,
            registration.updated_at,
            registration.expires_at
        ],
    )
}

/// A browser goes to the provider; one that went before comes back in vain.
pub fn send(
    registration: &Registration,
    state: [u8; 32],
    browser: [u8; 32],
    chosen: &Json,
    now: Time,
) -> Step {
    Step::one(
        "update registrations set state = 'sent', state_digest = $3, browser_digest = $4, chosen = $5, updated_at = $6 \
         where id = $1 and team = $2 and state in ('open', 'sent') and expires_at > $6",
        args![registration.id, registration.team, state, browser, chosen.to_string(), now],
    )
}

/// Takes the answer of the provider: once.
pub fn take(registration: &Registration, from: RegistrationState, now: Time) -> Step {
    let from = if from == RegistrationState::Sent { "sent" } else { "open" };
    Step::one(
        "update registrations set state = 'redeeming', updated_at = $4 \
         where id = $1 and team = $2 and state = $3 and expires_at > $4",
        args![registration.id, registration.team, from, now],
    )
}

/// How one ends: with its connector, or with code and sentence of why there is none.
pub type End<'a> = Result<Id<kind::Connector>, (&'a str, &'a str)>;

fn parts(end: End<'_>) -> (Option<Id<kind::Connector>>, Option<&str>, Option<&str>) {
    match end {
        Ok(connector) => (Some(connector), None, None),
        Err((code, message)) => (None, Some(code), Some(message)),
    }
}

/// It is over: with a connector, or with code and sentence of why there is none. A connector is there whatever was said
/// before by somebody who took its maker for dead.
pub fn finish(registration: &Registration, end: End<'_>, now: Time) -> Step {
    let (connector, code, message) = parts(end);
    Step::one(
        "update registrations set state = 'done', connector = $3, error_code = $4, error_message = $5, updated_at = $6 \
         where id = $1 and team = $2 \
         and (state <> 'done' or (connector is null and cast($3 as bytea) is not null))",
        args![registration.id, registration.team, connector, code, message, now],
    )
}

/// Ends one whose maker is gone, if nothing was heard of it since it was read.
pub fn finish_interrupted(registration: &Registration, end: End<'_>, now: Time) -> Step {
    let (connector, code, message) = parts(end);
    Step::one(
        "update registrations set state = 'done', connector = $3, error_code = $4, error_message = $5, updated_at = $6 \
         where id = $1 and team = $2 and state = 'redeeming' and updated_at = $7",
        args![registration.id, registration.team, connector, code, message, now, registration.updated_at],
    )
}

/// Lets it be tried again: the provider took nothing.
pub fn reopen(registration: &Registration, now: Time) -> Step {
    Step::any(
        "update registrations set state = 'open', state_digest = null, updated_at = $3 \
         where id = $1 and team = $2 and state = 'redeeming'",
        args![registration.id, registration.team, now],
    )
}

/// Removes what nobody asks about any more.
pub fn sweep(before: Time) -> Step {
    Step::any("delete from registrations where expires_at < $1", args![before])
}
