//! Where projects are told that what they were granted breaks, and what they are told: a row for each break, written
//! together with what broke, and sent from there until it is taken or given up.
//!
//! A row stays for as long as the break does, so that none is told of twice. An attempt is claimed before it is made, as
//! with [`crate::completions`].

use carnet_model::{Environment, Id, Time, kind};

use crate::db::{Db, DbError};
use crate::grants::GrantRow;
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// Where a project is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthWebhook {
    /// The project.
    pub project: Id<kind::Project>,
    /// The address.
    pub url: String,
    /// When it was set or last changed.
    pub updated_at: Time,
}

impl FromRow for HealthWebhook {
    const TABLE: &'static str = "health_webhooks";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { project: row.get(0)?, url: row.get(1)?, updated_at: row.get(2)? })
    }
}

/// The webhook of a project.
pub async fn webhook(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Option<HealthWebhook>, DbError> {
    db.one(
        "select project, url, updated_at from health_webhooks where project = $1 and team = $2",
        args![project, team],
    )
    .await
}

/// Sets it. What waits to be sent goes to the new address.
pub fn set_webhook(team: Id<kind::Team>, project: Id<kind::Project>, url: &str, now: Time) -> Vec<Step> {
    vec![
        Step::one(
            "insert into health_webhooks (project, team, url, created_at, updated_at) values ($1, $2, $3, $4, $4) \
             on conflict (project) do update set url = excluded.url, updated_at = excluded.updated_at",
            args![project, team, url, now],
        ),
        Step::any(
            "update health_notices set url = $3 where team = $1 and project = $2 and state = 'waiting'",
            args![team, project, url],
        ),
    ]
}

/// Forgets it, with what was not sent yet.
pub fn remove_webhook(team: Id<kind::Team>, project: Id<kind::Project>) -> Vec<Step> {
    vec![
        Step::any(
            "delete from health_notices where team = $1 and project = $2 and state = 'waiting'",
            args![team, project],
        ),
        Step::one("delete from health_webhooks where team = $1 and project = $2", args![team, project]),
    ]
}

/// Something that a project is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `dlv_…`: the same for every attempt.
    pub id: Id<kind::Delivery>,
    /// The team.
    pub team: Id<kind::Team>,
    /// For which project it is signed.
    pub project: Id<kind::Project>,
    /// For which environment.
    pub environment: Environment,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// What breaks: the bytes of a grant's, installation's or connector's identifier.
    pub target: [u8; 16],
    /// In which way; with `target` and `since` it names the break.
    pub what: String,
    /// Since when it is broken, or when it will be, or which version of it is.
    pub since: i64,
    /// Digest of what stands in the link that mends it.
    pub mend_digest: Option<[u8; 32]>,
    /// The link itself, in an envelope, until it was taken or given up.
    pub mend: Option<Vec<u8>>,
    /// Where to; decided when it is written.
    pub url: String,
    /// The body but for the link, the same at every attempt.
    pub body: String,
    /// Attempts that were claimed.
    pub attempts: i64,
    /// When it was written.
    pub created_at: Time,
}

/// Every column that a notice is read from.
macro_rules! columns {
    () => {
        "id, team, project, environment, connector, target, what, since, mend_digest, url, body, attempts, created_at, mend"
    };
}

/// A select of these, and what follows `from health_notices`.
macro_rules! select {
    ($rest:literal) => {
        concat!("select ", columns!(), " from health_notices ", $rest)
    };
}

impl FromRow for Notice {
    const TABLE: &'static str = "health_notices";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            project: row.get(2)?,
            environment: row.get(3)?,
            connector: row.get(4)?,
            target: row.get(5)?,
            what: row.get(6)?,
            since: row.get(7)?,
            mend_digest: row.maybe(8)?,
            url: row.get(9)?,
            body: row.get(10)?,
            attempts: row.get(11)?,
            created_at: row.get(12)?,
            mend: row.maybe(13)?,
        })
    }
}

/// Adds a notice, due at once, if the project has a webhook and was not told of this break. `url` is the webhook's.
pub fn tell(notice: &Notice) -> Step {
    Step::any(
        "insert into health_notices (id, team, project, environment, connector, target, what, since, mend_digest, url, \
         body, state, attempts, due_at, last_error, created_at, ended_at, mend) \
         select $1, team, project, $4, $5, $6, $7, $8, $9, url, $10, 'waiting', 0, $11, null, $11, null, $12 \
         from health_webhooks where team = $2 and project = $3 \
         on conflict (project, target, what, since) do nothing",
        args![
            notice.id,
            notice.team,
            notice.project,
            notice.environment,
            notice.connector,
            notice.target,
            notice.what.as_str(),
            notice.since,
            notice.mend_digest,
            notice.body.as_str(),
            notice.created_at,
            notice.mend.clone()
        ],
    )
}

/// The notice in whose link this stands.
pub async fn by_mend(db: &Db, digest: [u8; 32]) -> Result<Option<Notice>, DbError> {
    db.one(select!("where mend_digest = $1"), args![digest]).await
}

/// Notices whose next attempt is due, of no team more than `each`: the oldest of every team first, then the second of each.
/// One whose receivers do not answer does not stand before the others, however much waits for it.
pub async fn due(db: &Db, now: Time, each: i64, limit: i64) -> Result<Vec<Notice>, DbError> {
    db.all(DUE, args![now, each, limit]).await
}

/// From team to team by the index, and the first few due of each.
macro_rules! due {
    ($each:literal) => {
        concat!(
            "with recursive line(of_team) as (\
             select team from (select team from health_notices where state = 'waiting' order by team limit 1) first_one \
             union all \
             select (select n.team from health_notices n where n.state = 'waiting' and n.team > line.of_team \
             order by n.team limit 1) from line where line.of_team is not null) \
             select ",
            columns!(),
            " from (select n.*, row_number() over (partition by n.team order by n.due_at, n.id) as place ",
            $each,
            ") each_in_turn order by place, due_at, id limit $3"
        )
    };
}

const DUE: Sql = Sql {
    lite: due!(
        "from line cross join health_notices n on n.id in (select x.id from health_notices x \
         where x.state = 'waiting' and x.team = line.of_team and x.due_at <= $1 order by x.due_at, x.id limit $2)"
    ),
    pg: due!(
        "from line cross join lateral (select * from health_notices x \
         where x.state = 'waiting' and x.team = line.of_team and x.due_at <= $1 order by x.due_at, x.id limit $2) n"
    ),
};

/// Claims the next attempt until `until`, when it may be made again by anybody.
pub fn claim(notice: &Notice, now: Time, until: Time) -> Step {
    Step::one(
        "update health_notices set attempts = attempts + 1, due_at = $4 \
         where id = $1 and attempts = $2 and state = 'waiting' and due_at <= $3",
        args![notice.id, notice.attempts, now, until],
    )
}

/// The attempt failed; the next is due at `due`.
pub fn postpone(id: Id<kind::Delivery>, attempts: i64, due: Time, why: &str) -> Step {
    Step::any(
        "update health_notices set due_at = $3, last_error = $4 \
         where id = $1 and attempts = $2 and state = 'waiting'",
        args![id, attempts, due, why],
    )
}

/// It was taken. What it said, with the link in it, is kept no longer.
pub fn taken(id: Id<kind::Delivery>, now: Time) -> Step {
    Step::any(
        "update health_notices set state = 'taken', body = '', mend = null, last_error = null, ended_at = $2 \
         where id = $1 and state = 'waiting'",
        args![id, now],
    )
}

/// It is given up, and said no longer.
pub fn give_up(id: Id<kind::Delivery>, now: Time, why: &str) -> Step {
    Step::any(
        "update health_notices set state = 'given_up', body = '', mend = null, last_error = $3, ended_at = $2 \
         where id = $1 and state = 'waiting'",
        args![id, now, why],
    )
}

/// Notices of all teams that keep a link, after this one: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<Notice>, DbError> {
    db.all(
        select!(
            "where mend is not null and (cast($1 as bytea) is null or substr(mend, 5, 16) = $1) and id > $2 \
             order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Removes what ended long ago, except where a grant is still broken in the same way.
pub fn sweep(before: Time) -> Step {
    Step::any(
        "delete from health_notices where ended_at < $1 and not exists (select 1 from grants g \
         where g.id = health_notices.target and g.state = 'needs_consent' and g.state_since = health_notices.since)",
        args![before],
    )
}

/// Grants of projects with a webhook that end between `now` and `until`, although they work, and were not told of: those
/// whose last quarter has begun, of a life of a day or more since the end was what it is.
pub async fn ending(db: &Db, now: Time, until: Time, limit: i64) -> Result<Vec<GrantRow>, DbError> {
    let mut found: Vec<GrantRow> = db.all(ENDING_REFRESH, args![now, until, limit]).await?;
    found.extend(db.all::<GrantRow>(ENDING_ACCESS, args![now, until, limit]).await?);
    Ok(found)
}

macro_rules! ending {
    ($end:literal, $which:literal) => {
        crate::grants::select!(
            "g where state = 'active' and ",
            $which,
            " and ", $end, " > $1 and ", $end, " <= $2 \
             and ", $end, " - coalesce(ends_since, updated_at) >= 86400000 \
             and ($1 - coalesce(ends_since, updated_at)) >= (", $end, " - coalesce(ends_since, updated_at)) / 4 * 3 \
             and exists (select 1 from health_webhooks w where w.project = g.project and w.team = g.team) \
             and not exists (select 1 from health_notices n where n.project = g.project and n.target = g.id \
             and n.what = 'ending' and n.since = ", $end, ") order by ", $end, " limit $3"
        )
    };
}

const ENDING_REFRESH: &str =
    ending!("refresh_expires_at", "refreshable = 1 and refresh_expires_at is not null");
const ENDING_ACCESS: &str = ending!("access_expires_at", "refreshable = 0");
