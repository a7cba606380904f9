//! Requests for consent: one browser ceremony each, single use.
//!
//! ```text
//! pending ──approve──▶ sent ──callback──▶ exchanging ──▶ done
//!    │                  │                    └─park─▶ parked ──▶ done
//!    └──────cancel──────┴────────────────────────────────┴──────▶ done
//! ```
//! Every arrow is one statement that finds the row in the state before it, or nothing.

use carnet_model::caller::Principal;
use carnet_model::grant::Place;
use carnet_model::{Environment, Id, Time, kind};
use serde_json::Value as Json;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

/// A request for consent as stored.
#[derive(Clone, Debug)]
pub struct Consent {
    /// `car_…`
    pub id: Id<kind::AuthorizationRequest>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// The project that asks; `None` for a person.
    pub project: Option<Id<kind::Project>>,
    /// The environment that asks.
    pub environment: Environment,
    /// Whose consent: [`carnet_model::Subject::key`].
    pub subject: String,
    /// For which installation.
    pub installation: Option<Id<kind::Installation>>,
    /// Who asked.
    pub requested_by: Principal,
    /// What was asked for: scopes, return address, completion webhook, parameters.
    pub ask: Json,
    /// Where it stands.
    pub state: ConsentState,
    /// Digest of the browser's binding cookie, once approved.
    pub browser_digest: Option<[u8; 32]>,
    /// What the driver needs at the callback, in an envelope.
    pub kept: Option<Vec<u8>>,
    /// What the provider gave, in an envelope, while it waits to be confirmed.
    pub parked: Option<Vec<u8>>,
    /// Digest of the code with which the application confirms what is parked; none if a person does.
    pub completion_digest: Option<[u8; 32]>,
    /// What came of it.
    pub result: Option<Json>,
    /// When it was asked.
    pub created_at: Time,
    /// Until when it can be used.
    pub expires_at: Time,
}

impl Consent {
    /// One that nobody has decided yet.
    pub fn pending(
        id: Id<kind::AuthorizationRequest>,
        place: Place,
        requested_by: Principal,
        ask: Json,
        created_at: Time,
        expires_at: Time,
    ) -> Self {
        Self {
            id,
            team: place.team,
            connector: place.connector,
            project: place.project,
            environment: place.environment,
            subject: place.subject,
            installation: place.installation,
            requested_by,
            ask,
            state: ConsentState::Pending,
            browser_digest: None,
            kept: None,
            parked: None,
            completion_digest: None,
            result: None,
            created_at,
            expires_at,
        }
    }
}

/// Where a request for consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// Nobody has decided.
    Pending,
    /// The person said yes here and was sent to the provider.
    Sent,
    /// The provider sent the person back, and the code is being exchanged.
    Exchanging,
    /// The provider gave what was asked for, and a person or the application has yet to confirm it.
    Parked,
    /// It is over; the result says how.
    Done,
}

impl ConsentState {
    const ALL: [Self; 5] = [Self::Pending, Self::Sent, Self::Exchanging, Self::Parked, Self::Done];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Exchanging => "exchanging",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }
}

/// A select of every column that a row is read from, and what follows `from consents`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, connector, project, environment, subject, installation, requested_by, \
             ask, state, browser_digest, kept, parked, completion_digest, result, created_at, expires_at from consents ",
            $rest
        )
    };
}

impl FromRow for Consent {
    const TABLE: &'static str = "consents";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let result = row.maybe::<String>(14)?;
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            project: row.maybe(3)?,
            environment: row.get(4)?,
            subject: row.get(5)?,
            installation: row.maybe(6)?,
            requested_by: row.json(7)?,
            ask: row.json(8)?,
            state: row
                .parsed(9, |text| ConsentState::ALL.into_iter().find(|state| state.as_str() == text))?,
            browser_digest: row.maybe(10)?,
            kept: row.maybe(11)?,
            parked: row.maybe(12)?,
            completion_digest: row.maybe(13)?,
            result: result
                .map(|text| serde_json::from_str(&text).map_err(|_| row.corrupt(14)))
                .transpose()?,
            created_at: row.get(15)?,
            expires_at: row.get(16)?,
        })
    }
}

/// A request by its identifier. The identifier is what the person's link holds, so no team is known yet.
pub async fn find(db: &Db, id: Id<kind::AuthorizationRequest>) -> Result<Option<Consent>, DbError> {
    db.one(select!("where id = $1"), args![id]).await
}

/// A request by the digest of the `state` that went to the provider.
pub async fn by_state(db: &Db, state_digest: [u8; 32]) -> Result<Option<Consent>, DbError> {
    db.one(select!("where state_digest = $1"), args![state_digest]).await
}

/// A request of a team by the digest of what its poller knows.
pub async fn by_code(
    db: &Db,
    team: Id<kind::Team>,
    code_digest: [u8; 32],
) -> Result<Option<Consent>, DbError> {
    db.one(select!("where code_digest = $1 and team = $2"), args![code_digest, team]).await
}

/// Requests of all teams that keep something, after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<Consent>, DbError> {
    db.all(
        select!(
            "where kept is not null and (cast($1 as bytea) is null or substr(kept, 5, 16) = $1) and id > $2 \
             order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Requests of all teams for which something is parked, after this one: those that a key sealed, or all.
pub async fn parked(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<Consent>, DbError> {
    db.all(
        select!(
            "where parked is not null and (cast($1 as bytea) is null or substr(parked, 5, 16) = $1) and id > $2 \
             order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// The digests of a device code: of the whole, and of its first half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDigests {
    /// Of the whole code.
    pub whole: [u8; 32],
    /// Of its first half.
    pub half: [u8; 32],
}

/// Adds a request.
pub fn insert(consent: &Consent, code_digest: [u8; 32], device: Option<DeviceDigests>) -> Step {
    Step::one(
        "insert into consents (id, team, connector, project, environment, subject, installation, requested_by, ask, \
         state, state_digest, browser_digest, kept, code_digest, result, created_at, expires_at, updated_at, \
         device_digest, device_half) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', null, null, null, $10, null, $11, $12, $11, $13, $14)",
        args![
            consent.id,
            consent.team,
            consent.connector,
            consent.project,
            consent.environment,
            &consent.subject,
            consent.installation,
            json(&consent.requested_by),
            json(&consent.ask),
            code_digest,
            consent.created_at,
            consent.expires_at,
            device.map(|device| device.whole),
            device.map(|device| device.half)
        ],
    )
}

/// The request that waits for this device code, unless it was missed by too many wrong tries.
pub async fn by_device_code(
    db: &Db,
    whole: [u8; 32],
    most_tries: i64,
    now: Time,
) -> Result<Option<Consent>, DbError> {
    db.one(
        select!("where device_digest = $1 and device_tries < $2 and state = 'pending' and expires_at > $3"),
        args![whole, most_tries, now],
    )
    .await
}

/// Binds a request to the browser in which its device code was entered. A second browser finds nothing.
pub fn enter(
    id: Id<kind::AuthorizationRequest>,
    browser_digest: [u8; 32],
    most_tries: i64,
    now: Time,
) -> Step {
    Step::one(
        "update consents set browser_digest = $2, updated_at = $4 where id = $1 and device_tries < $3 \
         and state = 'pending' and expires_at > $4 and (browser_digest is null or browser_digest = $2)",
        args![id, browser_digest, most_tries, now],
    )
}

/// Counts a wrong try against the codes that begin like it.
pub fn miss(device: DeviceDigests, now: Time) -> Step {
    Step::any(
        "update consents set device_tries = device_tries + 1 where device_half = $1 and device_digest <> $2 \
         and browser_digest is null and state = 'pending' and expires_at > $3",
        args![device.half, device.whole, now],
    )
}

/// The person said yes: binds the browser and remembers what the driver needs. A person who went back in the same
/// browser may say yes again; the `state` of the first time is then worth nothing.
pub fn approve(
    id: Id<kind::AuthorizationRequest>,
    state_digest: [u8; 32],
    browser_digest: [u8; 32],
    kept: Vec<u8>,
    now: Time,
) -> Step {
    Step::one(
        "update consents set state = 'sent', state_digest = $2, browser_digest = $3, kept = $4, updated_at = $5 \
         where id = $1 and expires_at > $5 and state in ('pending', 'sent') \
         and (browser_digest = $3 or (state = 'pending' and browser_digest is null))",
        args![id, state_digest, browser_digest, kept, now],
    )
}

/// The provider sent the person back: whoever takes this step first exchanges the code, and nobody else.
pub fn take(id: Id<kind::AuthorizationRequest>, state_digest: [u8; 32], now: Time) -> Step {
    Step::one(
        "update consents set state = 'exchanging', updated_at = $3 \
         where id = $1 and state_digest = $2 and state = 'sent' and expires_at > $3",
        args![id, state_digest, now],
    )
}

/// What the provider gave waits to be confirmed, until `until`.
pub fn park(
    id: Id<kind::AuthorizationRequest>,
    parked: Vec<u8>,
    completion_digest: Option<[u8; 32]>,
    until: Time,
    now: Time,
) -> Step {
    Step::one(
        "update consents set state = 'parked', kept = null, parked = $2, completion_digest = $3, expires_at = $4, \
         updated_at = $5 where id = $1 and state <> 'done'",
        args![id, parked, completion_digest, until, now],
    )
}

/// It is over, from whatever state it was in before.
pub fn finish(id: Id<kind::AuthorizationRequest>, result: &Json, now: Time) -> Step {
    Step::one(
        "update consents set state = 'done', kept = null, parked = null, completion_digest = null, device_digest = null, \
         device_half = null, result = $2, updated_at = $3 where id = $1 and state <> 'done'",
        args![id, json(result), now],
    )
}

/// The person said no, or pasted a key, on our own page.
pub fn finish_pending(id: Id<kind::AuthorizationRequest>, result: &Json, now: Time) -> Step {
    Step::one(
        "update consents set state = 'done', kept = null, device_digest = null, device_half = null, result = $2, \
         updated_at = $3 where id = $1 and state in ('pending', 'sent') and expires_at > $3",
        args![id, json(result), now],
    )
}

/// Whose consent it is, where that was not known before the provider said it.
pub fn belongs_to(id: Id<kind::AuthorizationRequest>, subject: &str) -> Step {
    Step::one(
        "update consents set subject = $2 where id = $1 and kept is null and parked is null",
        args![id, subject],
    )
}

/// What was parked is confirmed or declined: whoever takes this step first, and in time.
pub fn finish_parked(id: Id<kind::AuthorizationRequest>, result: &Json, now: Time) -> Step {
    Step::one(
        "update consents set state = 'done', parked = null, completion_digest = null, device_digest = null, \
         device_half = null, result = $2, updated_at = $3 where id = $1 and state = 'parked' and expires_at > $3",
        args![id, json(result), now],
    )
}

/// What the connector's provider gave and nobody confirmed so far.
pub async fn parked_of(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Consent>, DbError> {
    db.all(select!("where team = $1 and connector = $2 and state = 'parked'"), args![team, connector]).await
}

/// Ends the time of requests whose person is at the provider: what comes back is redeemed nowhere.
pub fn call_off(team: Id<kind::Team>, connector: Id<kind::Connector>, now: Time) -> Step {
    Step::any(
        "update consents set kept = null, expires_at = $3, updated_at = $3 \
         where team = $1 and connector = $2 and state = 'sent' and expires_at > $3",
        args![team, connector, now],
    )
}

/// Drops it: the connector is about to be somebody else's. Who waits for these requests is told that their time is over.
pub fn drop_parked(team: Id<kind::Team>, connector: Id<kind::Connector>, now: Time) -> Step {
    Step::any(
        "update consents set state = 'sent', parked = null, completion_digest = null, expires_at = $3, updated_at = $3 \
         where team = $1 and connector = $2 and state = 'parked'",
        args![team, connector, now],
    )
}

/// Nobody came in time, or back: over, unless somebody did meanwhile.
pub fn lapse(consent: &Consent, result: &Json, now: Time) -> Step {
    Step::one(
        "update consents set state = 'done', kept = null, parked = null, completion_digest = null, device_digest = null, \
         device_half = null, result = $2, updated_at = $3 where id = $1 and state = $4",
        args![consent.id, json(result), now, consent.state.as_str()],
    )
}

/// The request whose completion code has this digest.
pub async fn by_completion(
    db: &Db,
    team: Id<kind::Team>,
    completion_digest: [u8; 32],
) -> Result<Option<Consent>, DbError> {
    db.one(
        select!("where completion_digest = $1 and team = $2 and state = 'parked'"),
        args![completion_digest, team],
    )
    .await
}

/// Requests whose time is over and that have no end yet. One that is being exchanged has its own.
pub async fn lapsed(db: &Db, now: Time, limit: i64) -> Result<Vec<Consent>, DbError> {
    db.all(
        select!(
            "where state in ('pending', 'sent', 'parked') and expires_at <= $1 order by expires_at limit $2"
        ),
        args![now, limit],
    )
    .await
}

/// Requests whose exchange began before and never ended: the process that made it is gone.
pub async fn interrupted(db: &Db, before: Time, limit: i64) -> Result<Vec<Consent>, DbError> {
    db.all(
        select!("where state = 'exchanging' and updated_at <= $1 order by updated_at limit $2"),
        args![before, limit],
    )
    .await
}

/// The requests of a connector that have no end yet.
pub async fn open_of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<Vec<Consent>, DbError> {
    db.all(
        select!("where team = $1 and connector = $2 and state <> 'done' order by id"),
        args![team, connector],
    )
    .await
}

/// Removes requests that ended long ago.
pub fn sweep(before: Time) -> Step {
    Step::any("delete from consents where expires_at < $1 and state = 'done'", args![before])
}
