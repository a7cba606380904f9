//! Who signs in to apps with a connector: people as apps know them, and the sessions that apps have of them.
//!
//! ```text
//! signed in ──redeem──▶ redeemed ──turn──▶ redeemed …
//!     └───────────end──────┴──────────▶ ended
//! ```
//! Every arrow is one statement that finds the row in the state before it, or nothing.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// Somebody as the apps of a connector know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `per_…`
    pub id: Id<kind::GatewayPerson>,
    /// The tenant of the provider that the account is in, where accounts are not unique without it; else empty.
    pub tenant: String,
    /// The account at the provider.
    pub account: String,
}

impl FromRow for Person {
    const TABLE: &'static str = "gateway_people";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { id: row.get(0)?, tenant: row.get(1)?, account: row.get(2)? })
    }
}

/// The person with this account.
pub async fn person_of(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    tenant: &str,
    account: &str,
) -> Result<Option<Person>, DbError> {
    db.one(
        "select id, tenant, account from gateway_people \
         where team = $1 and connector = $2 and tenant = $3 and account = $4",
        args![team, connector, tenant, account],
    )
    .await
}

/// The person of this identifier.
pub async fn person(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::GatewayPerson>,
) -> Result<Option<Person>, DbError> {
    db.one("select id, tenant, account from gateway_people where team = $1 and id = $2", args![team, id])
        .await
}

/// Adds a person, unless somebody else did a moment ago.
pub fn insert_person(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    person: &Person,
    now: Time,
) -> Step {
    Step::any(
        "insert into gateway_people (id, team, connector, tenant, account, created_at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (connector, tenant, account) do nothing",
        args![person.id, team, connector, &person.tenant, &person.account, now],
    )
}

/// A session as stored.
#[derive(Clone, Debug)]
pub struct Session {
    /// `gws_…`
    pub id: Id<kind::GatewaySession>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector that was signed in with.
    pub connector: Id<kind::Connector>,
    /// The project whose app it is.
    pub project: Id<kind::Project>,
    /// Where that runs.
    pub environment: Environment,
    /// Who is signed in.
    pub person: Id<kind::GatewayPerson>,
    /// The installation whose grant it is, where there are several.
    pub installation: Option<Id<kind::Installation>>,
    /// What the app calls the connector: its identifier or its UID.
    pub client: String,
    /// Where the code was sent, as the app wrote it.
    pub redirect_uri: String,
    /// The app's PKCE challenge, by S256.
    pub challenge: String,
    /// The app's nonce.
    pub nonce: Option<String>,
    /// What the app asked for, and `offline_access`.
    pub scope: String,
    /// Until when the code is good.
    pub code_expires_at: Time,
    /// When it was redeemed.
    pub redeemed_at: Option<Time>,
    /// The digest of the refresh token.
    pub digest: Option<[u8; 32]>,
    /// That of the one before.
    pub digest_before: Option<[u8; 32]>,
    /// When the one took the place of the other.
    pub turned_at: Option<Time>,
    /// When the provider said who it is.
    pub signed_in_at: Time,
    /// When it is over unless it is renewed.
    pub expires_at: Time,
    /// When it was ended.
    pub ended_at: Option<Time>,
}

/// A select of every column that a row is read from, and what follows `from gateway_sessions`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, connector, project, environment, person, installation, client, redirect_uri, challenge, \
             nonce, scope, code_expires_at, redeemed_at, digest, digest_before, turned_at, signed_in_at, expires_at, \
             ended_at from gateway_sessions ",
            $rest
        )
    };
}

impl FromRow for Session {
    const TABLE: &'static str = "gateway_sessions";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            project: row.get(3)?,
            environment: row.get(4)?,
            person: row.get(5)?,
            installation: row.maybe(6)?,
            client: row.get(7)?,
            redirect_uri: row.get(8)?,
            challenge: row.get(9)?,
            nonce: row.maybe(10)?,
            scope: row.get(11)?,
            code_expires_at: row.get(12)?,
            redeemed_at: row.maybe(13)?,
            digest: row.maybe(14)?,
            digest_before: row.maybe(15)?,
            turned_at: row.maybe(16)?,
            signed_in_at: row.get(17)?,
            expires_at: row.get(18)?,
            ended_at: row.maybe(19)?,
        })
    }
}

/// A session of a team by its identifier.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::GatewaySession>,
) -> Result<Option<Session>, DbError> {
    db.one(select!("where team = $1 and id = $2"), args![team, id]).await
}

/// A session of a team by the digest of its code.
pub async fn by_code(
    db: &Db,
    team: Id<kind::Team>,
    code_digest: [u8; 32],
) -> Result<Option<Session>, DbError> {
    db.one(select!("where code_digest = $2 and team = $1"), args![team, code_digest]).await
}

/// Adds a session, whose code nobody has redeemed.
pub fn insert(session: &Session, code_digest: [u8; 32]) -> Step {
    Step::one(
        "insert into gateway_sessions (id, team, connector, project, environment, person, installation, client, \
         redirect_uri, challenge, nonce, scope, code_digest, code_expires_at, signed_in_at, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        args![
            session.id,
            session.team,
            session.connector,
            session.project,
            session.environment,
            session.person,
            session.installation,
            &session.client,
            &session.redirect_uri,
            &session.challenge,
            session.nonce.as_ref(),
            &session.scope,
            code_digest,
            session.code_expires_at,
            session.signed_in_at,
            session.expires_at
        ],
    )
}

/// The code is redeemed: by whoever takes this step first, and in time.
pub fn redeem(
    team: Id<kind::Team>,
    id: Id<kind::GatewaySession>,
    digest: [u8; 32],
    now: Time,
    expires_at: Time,
) -> Step {
    Step::one(
        "update gateway_sessions set redeemed_at = $4, digest = $3, turned_at = $4, expires_at = $5 \
         where team = $1 and id = $2 and redeemed_at is null and ended_at is null and code_expires_at > $4",
        args![team, id, digest, now, expires_at],
    )
}

/// Another refresh token in the place of this one.
pub fn turn(
    team: Id<kind::Team>,
    id: Id<kind::GatewaySession>,
    was: [u8; 32],
    digest: [u8; 32],
    now: Time,
    expires_at: Time,
) -> Step {
    Step::one(
        "update gateway_sessions set digest = $4, digest_before = $3, turned_at = $5, expires_at = $6 \
         where team = $1 and id = $2 and digest = $3 and ended_at is null and expires_at > $5",
        args![team, id, was, digest, now, expires_at],
    )
}

/// Goes through only while it lasts.
pub fn still_lasts(team: Id<kind::Team>, id: Id<kind::GatewaySession>, now: Time) -> Step {
    Step::one(
        "update gateway_sessions set client = client where team = $1 and id = $2 and ended_at is null and expires_at > $3",
        args![team, id, now],
    )
}

/// Ends it, once. The row stays behind until its time is over, so that what was ended is known.
pub fn end(team: Id<kind::Team>, id: Id<kind::GatewaySession>, now: Time) -> Step {
    Step::one(
        "update gateway_sessions set ended_at = $3 where team = $1 and id = $2 and ended_at is null",
        args![team, id, now],
    )
}

/// Forgets those of a link: nobody could renew them.
pub fn delete_of_link(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Id<kind::Project>,
) -> Step {
    Step::any(
        "delete from gateway_sessions where team = $1 and connector = $2 and project = $3",
        args![team, connector, project],
    )
}

/// Forgets those of an environment.
pub fn delete_of_environment(
    team: Id<kind::Team>,
    project: Id<kind::Project>,
    environment: Environment,
) -> Step {
    Step::any(
        "delete from gateway_sessions where team = $1 and project = $2 and environment = $3",
        args![team, project, environment],
    )
}

/// Forgets those whose time was over before.
pub fn sweep(before: Time) -> Step {
    Step::any("delete from gateway_sessions where expires_at < $1", args![before])
}
