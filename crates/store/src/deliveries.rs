//! Events on their way to destinations, and every attempt.
//!
//! A delivery waits until it was taken, or until nothing more is tried. An attempt is claimed in the row before it is
//! made, until a time at which anybody may make the next: so of several processes one makes it, and none is forgotten
//! because its process died. The number of attempts is the fence. A replay begins another round of the same delivery.

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// There is another attempt to come.
    Waiting,
    /// The destination took it.
    Taken,
    /// Nothing more is tried, unless somebody replays it.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Taken, Self::Dead];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::Dead => "dead",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One event on its way to one destination.
#[derive(Clone, Debug)]
pub struct TriggerDelivery {
    /// `dlv_…`: the same for every attempt.
    pub id: Id<kind::Delivery>,
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// What is forwarded.
    pub event: Id<kind::Event>,
    /// Where to; may be gone.
    pub destination: Id<kind::Destination>,
    /// The destination's project, as it was.
    pub project: Id<kind::Project>,
    /// Its environment.
    pub environment: Environment,
    /// Its branch.
    pub branch: Option<String>,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts that were claimed, in all rounds.
    pub attempts: i64,
    /// How many there were when this round began.
    pub round_from: i64,
    /// When the next attempt may be made, while it waits.
    pub due_at: Time,
    /// What the destination last answered.
    pub last_status: Option<i64>,
    /// Why it was not taken last.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Time,
    /// When it was taken or given up.
    pub ended_at: Option<Time>,
}

/// The columns that a delivery is read from.
macro_rules! columns {
    () => {
        "id, team, connector, event, destination, project, environment, branch, state, attempts, round_from, due_at, \
         last_status, last_error, created_at, ended_at"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("select ", columns!(), " from trigger_deliveries ", $rest)
    };
}

impl FromRow for TriggerDelivery {
    const TABLE: &'static str = "trigger_deliveries";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            connector: row.get(2)?,
            event: row.get(3)?,
            destination: row.get(4)?,
            project: row.get(5)?,
            environment: row.get(6)?,
            branch: row.maybe(7)?,
            state: row.parsed(8, DeliveryState::parse)?,
            attempts: row.get(9)?,
            round_from: row.get(10)?,
            due_at: row.get(11)?,
            last_status: row.maybe(12)?,
            last_error: row.maybe(13)?,
            created_at: row.get(14)?,
            ended_at: row.maybe(15)?,
        })
    }
}

/// Adds a delivery.
pub fn insert(delivery: &TriggerDelivery) -> Step {
    let d = delivery;
    Step::one(
        "insert into trigger_deliveries (id, team, connector, event, destination, project, environment, branch, state, \
         attempts, round_from, due_at, last_status, last_error, created_at, ended_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, null, null, $13, null)",
        args![
            d.id,
            d.team,
            d.connector,
            d.event,
            d.destination,
            d.project,
            d.environment,
            d.branch.clone(),
            d.state.as_str(),
            d.attempts,
            d.round_from,
            d.due_at,
            d.created_at
        ],
    )
}

/// Deliveries whose next attempt is due, of no destination more than `each`: the oldest of every destination first, then the
/// second of each. One that cannot keep up does not stand before the others, however much waits for it.
pub async fn due(db: &Db, now: Time, each: i64, limit: i64) -> Result<Vec<TriggerDelivery>, DbError> {
    db.all(DUE, args![now, each, limit]).await
}

/// Claims the next attempt until `until`, when it may be made again by anybody.
pub fn claim(delivery: &TriggerDelivery, now: Time, until: Time) -> Step {
    Step::one(
        "update trigger_deliveries set attempts = attempts + 1, due_at = $4 \
         where id = $1 and attempts = $2 and state = 'waiting' and due_at <= $3",
        args![delivery.id, delivery.attempts, now, until],
    )
}

/// Frees every attempt that was claimed and not noted: for a store that no other process is working on.
pub fn free_every_claim(now: Time) -> Step {
    Step::any(
        "update trigger_deliveries set due_at = $1 where state = 'waiting' and attempts > 0 and due_at > $1 \
         and not exists (select 1 from trigger_attempts a \
         where a.delivery = trigger_deliveries.id and a.number = trigger_deliveries.attempts)",
        args![now],
    )
}

/// Nothing is tried at a destination until `until`; no attempt is used up by it.
pub fn put_off(destination: Id<kind::Destination>, now: Time, until: Time) -> Step {
    Step::any(
        "update trigger_deliveries set due_at = $3 where destination = $1 and state = 'waiting' and due_at <= $2",
        args![destination, now, until],
    )
}

/// One HTTP try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Counted from one.
    pub number: i64,
    /// When it began.
    pub at: Time,
    /// How long it took.
    pub millis: i64,
    /// What the destination answered.
    pub status: Option<i64>,
    /// Why it was not taken.
    pub error: Option<String>,
}

impl FromRow for Attempt {
    const TABLE: &'static str = "trigger_attempts";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            number: row.get(0)?,
            at: row.get(1)?,
            millis: row.get(2)?,
            status: row.maybe(3)?,
            error: row.maybe(4)?,
        })
    }
}

/// Notes an attempt.
pub fn note(delivery: Id<kind::Delivery>, attempt: &Attempt) -> Step {
    Step::one(
        "insert into trigger_attempts (delivery, number, at, millis, status, error) values ($1, $2, $3, $4, $5, $6)",
        args![delivery, attempt.number, attempt.at, attempt.millis, attempt.status, attempt.error.clone()],
    )
}

/// The attempts of a delivery, in order.
pub async fn attempts(db: &Db, delivery: Id<kind::Delivery>) -> Result<Vec<Attempt>, DbError> {
    db.all(
        "select number, at, millis, status, error from trigger_attempts where delivery = $1 order by number",
        args![delivery],
    )
    .await
}

/// The attempt failed; the next is due at `due`.
pub fn postpone(id: Id<kind::Delivery>, attempt: &Attempt, due: Time) -> Step {
    Step::any(
        "update trigger_deliveries set due_at = $3, last_status = $4, last_error = $5 \
         where id = $1 and attempts = $2 and state = 'waiting'",
        args![id, attempt.number, due, attempt.status, attempt.error.clone()],
    )
}

/// It was taken, whoever is at it besides.
pub fn taken(id: Id<kind::Delivery>, attempt: &Attempt, now: Time) -> Step {
    Step::any(
        "update trigger_deliveries set state = 'taken', last_status = $2, last_error = null, ended_at = $3 \
         where id = $1 and state = 'waiting'",
        args![id, attempt.status, now],
    )
}

/// Nothing more is tried.
pub fn give_up(id: Id<kind::Delivery>, attempt: &Attempt, now: Time) -> Step {
    Step::any(
        "update trigger_deliveries set state = 'dead', last_status = $3, last_error = $4, ended_at = $5 \
         where id = $1 and attempts = $2 and state = 'waiting'",
        args![id, attempt.number, attempt.status, attempt.error.clone(), now],
    )
}

/// Begins another round of a delivery that has ended.
pub fn replay(team: Id<kind::Team>, id: Id<kind::Delivery>, now: Time) -> Step {
    Step::one(
        "update trigger_deliveries set state = 'waiting', round_from = attempts, due_at = $3, ended_at = null \
         where team = $1 and id = $2 and state <> 'waiting'",
        args![team, id, now],
    )
}

/// A delivery of a team's connector.
pub async fn find(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    id: Id<kind::Delivery>,
) -> Result<Option<TriggerDelivery>, DbError> {
    db.one(select!("where team = $1 and connector = $2 and id = $3"), args![team, connector, id]).await
}

/// The deliveries of a connector, the newest first, from the one behind `(created_at, id)`.
pub async fn page(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    state: Option<DeliveryState>,
    after: Option<(Time, Id<kind::Delivery>)>,
    limit: i64,
) -> Result<Vec<TriggerDelivery>, DbError> {
    let (at, id) = after.unzip();
    db.all(
        select!(
            "where team = $1 and connector = $2 and (cast($3 as text) is null or state = $3) \
             and (cast($4 as bigint) is null or (created_at, id) < ($4, $5)) order by created_at desc, id desc limit $6"
        ),
        args![team, connector, state.map(DeliveryState::as_str), at, id, limit],
    )
    .await
}

/// From destination to destination by the index, and the first few due of each: as long as there are destinations that
/// wait, and no longer where one of them has many. Each gets its first before any gets its second.
macro_rules! due {
    ($each:literal) => {
        concat!(
            "with recursive line(destination) as (\
             select destination from (select destination from trigger_deliveries where state = 'waiting' \
             order by destination limit 1) first_one \
             union all \
             select (select d.destination from trigger_deliveries d where d.state = 'waiting' \
             and d.destination > line.destination order by d.destination limit 1) \
             from line where line.destination is not null) \
             select ",
            columns!(),
            " from (select d.*, row_number() over (partition by d.destination order by d.due_at, d.id) as place ",
            $each,
            ") each_in_turn order by place, due_at, id limit $3"
        )
    };
}

const DUE: Sql = Sql {
    lite: due!(
        "from line cross join trigger_deliveries d on d.id in (select x.id from trigger_deliveries x \
         where x.state = 'waiting' and x.destination = line.destination and x.due_at <= $1 \
         order by x.due_at, x.id limit $2)"
    ),
    pg: due!(
        "from line cross join lateral (select * from trigger_deliveries x \
         where x.state = 'waiting' and x.destination = line.destination and x.due_at <= $1 \
         order by x.due_at, x.id limit $2) d"
    ),
};
