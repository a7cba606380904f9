//! Provider events that were received: what is known about each, and its headers and body in an envelope.

use carnet_model::{Id, Time, kind};

use crate::connectors::list_of;
use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// An event.
#[derive(Clone, Debug)]
pub struct TriggerEvent {
    /// `evt_…`
    pub id: Id<kind::Event>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// Digest of the provider's own name for it, or of its body: a second one of a connector is the same event.
    pub dedupe: [u8; 32],
    /// What the provider calls its kind.
    pub name: String,
    /// The provider's account that it is about.
    pub tenant: Option<String>,
    /// Bytes of its body.
    pub size: i64,
    /// The envelope of headers and body.
    pub content: Vec<u8>,
    /// When it came.
    pub received_at: Time,
}

/// A select of every column that an event is read from, and what follows `from trigger_events`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, team, connector, dedupe, name, tenant, size, content, received_at from trigger_events ",
            $rest
        )
    };
}

impl FromRow for TriggerEvent {
    const TABLE: &'static str = "trigger_events";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            dedupe: row.get(3)?,
            name: row.get(4)?,
            tenant: row.maybe(5)?,
            size: row.get(6)?,
            content: row.get(7)?,
            received_at: row.get(8)?,
        })
    }
}

/// Adds an event. Refused with [`DbError::Conflict`] if it is there already.
pub fn insert(event: &TriggerEvent) -> Step {
    Step::one(
        "insert into trigger_events (id, team, connector, dedupe, name, tenant, size, content, received_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            event.id,
            event.team,
            event.connector,
            event.dedupe,
            event.name.as_str(),
            event.tenant.clone(),
            event.size,
            event.content.clone(),
            event.received_at
        ],
    )
}

/// An event of a team.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    id: Id<kind::Event>,
) -> Result<Option<TriggerEvent>, DbError> {
    db.one(select!("where team = $1 and id = $2"), args![team, id]).await
}

/// Events of all teams after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<TriggerEvent>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(content, 5, 16) = $1) and id > $2 order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Removes what came before `before`, with its deliveries and their attempts.
pub fn sweep(before: Time) -> Vec<Step> {
    vec![
        Step::any(
            "delete from trigger_attempts where delivery in (select d.id from trigger_deliveries d \
             join trigger_events e on e.id = d.event where e.received_at < $1)",
            args![before],
        ),
        Step::any(
            "delete from trigger_deliveries where event in (select id from trigger_events where received_at < $1)",
            args![before],
        ),
        Step::any("delete from trigger_events where received_at < $1", args![before]),
    ]
}

/// What is known about an event without opening it.
#[derive(Clone, Debug)]
pub struct EventHead {
    /// `evt_…`
    pub id: Id<kind::Event>,
    /// What the provider calls its kind.
    pub name: String,
    /// The provider's account that it is about.
    pub tenant: Option<String>,
    /// Bytes of its body.
    pub size: i64,
    /// When it came.
    pub received_at: Time,
}

impl FromRow for EventHead {
    const TABLE: &'static str = "trigger_events";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            tenant: row.maybe(2)?,
            size: row.get(3)?,
            received_at: row.get(4)?,
        })
    }
}

/// What is known about some events of a team, in no order.
pub async fn heads(
    db: &Db,
    team: Id<kind::Team>,
    ids: &[Id<kind::Event>],
) -> Result<Vec<EventHead>, DbError> {
    db.all(HEADS, args![team, list_of(ids)]).await
}

const HEADS: Sql = Sql {
    lite: "select id, name, tenant, size, received_at from trigger_events \
           where team = $1 and id in (select unhex(value) from json_each($2))",
    pg: "select id, name, tenant, size, received_at from trigger_events where team = $1 and id in \
         (select decode(value, 'hex') from json_array_elements_text(cast(cast($2 as text) as json)))",
};
