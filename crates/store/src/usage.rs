//! How many token requests were answered, and the budgets that are set for them.
//!
//! A request is counted in the transaction that records it: [`crate::Write::count`]. What a commit counts is folded
//! first: one row per team, day, connector, project and person for all writes that share the flush, however many there
//! are. So a count costs the one writer nearly nothing, and no crash comes between a request and its count.
//!
//! The rows of counts are only ever touched by who holds the head of the log, so two writes cannot wait for each other.

use std::collections::HashMap;

use carnet_model::{Environment, Id, Month, Time, day_of, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Value, args};
use crate::write::Step;

/// A token request, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector that was asked.
    pub connector: Id<kind::Connector>,
    /// The project that asked, if it was a workload.
    pub project: Option<Id<kind::Project>>,
    /// The person who asked, by an access token or a development identity.
    pub user: Option<Id<kind::User>>,
    /// When.
    pub at: Time,
    /// How many the team may have in the month, if it may not have any number. At that, the write is refused.
    pub most: Option<i64>,
}

/// What one transaction counts.
#[derive(Default)]
pub(crate) struct Counts {
    days: HashMap<DayOf, i64>,
    /// The requests of months: those that are stored, where somebody had to know, and those of this transaction.
    months: HashMap<(Id<kind::Team>, i64), Sum>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct DayOf {
    team: Id<kind::Team>,
    day: i64,
    connector: Id<kind::Connector>,
    project: Option<Id<kind::Project>>,
    user: Option<Id<kind::User>>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    stored: Option<i64>,
    new: i64,
}

impl Tally {
    const fn month(&self) -> (Id<kind::Team>, i64) {
        (self.team, Month::of(self.at).number())
    }

    /// Whose stored sum has to be known before this one can be let through.
    pub(crate) fn limited(&self) -> Option<(Id<kind::Team>, i64)> {
        self.most.map(|_| self.month())
    }
}

impl Counts {
    /// Whether the stored sum of this month has to be read first.
    pub(crate) fn lacks(&self, month: &(Id<kind::Team>, i64)) -> bool {
        self.months.get(month).is_none_or(|sum| sum.stored.is_none())
    }

    /// The stored sum of a month, as the transaction found it.
    pub(crate) fn learn(&mut self, month: (Id<kind::Team>, i64), stored: i64) {
        self.months.entry(month).or_default().stored = Some(stored);
    }

    /// Refuses what would go beyond the team's most.
    pub(crate) fn admit(&self, tally: &Tally) -> Result<(), DbError> {
        let Some(most) = tally.most else { return Ok(()) };
        let sum = self.months.get(&tally.month()).copied().unwrap_or_default();
        let used = sum.stored.unwrap_or_default() + sum.new;
        if used >= most { Err(DbError::Spent(used)) } else { Ok(()) }
    }

    pub(crate) fn add(&mut self, tally: &Tally) {
        let Tally { team, connector, project, user, at, most: _ } = *tally;
        *self.days.entry(DayOf { team, day: day_of(at), connector, project, user }).or_default() += 1;
        self.months.entry(tally.month()).or_default().new += 1;
    }

    /// The statements that write them, in an order that is the same for everybody.
    pub(crate) fn statements(&self) -> Vec<(&'static str, Vec<Value>)> {
        let nothing = || Value::Blob(Vec::new());
        let mut all = Vec::with_capacity(self.days.len() + self.months.len());
        for (day, requests) in &self.days {
            let project = day.project.map_or_else(nothing, Value::from);
            let user = day.user.map_or_else(nothing, Value::from);
            all.push((ADD_DAY, args![day.team, day.day, day.connector, project, user, *requests]));
        }
        for ((team, month), sum) in self.months.iter().filter(|(_, sum)| sum.new > 0) {
            all.push((ADD_MONTH, args![*team, *month, sum.new]));
        }
        all
    }
}

const ADD_DAY: &str = "insert into usage_days (team, day, connector, project, user_id, requests) \
    values ($1, $2, $3, $4, $5, $6) on conflict (team, day, connector, project, user_id) \
    do update set requests = usage_days.requests + excluded.requests";

const ADD_MONTH: &str = "insert into usage_months (team, month, requests) values ($1, $2, $3) \
    on conflict (team, month) do update set requests = usage_months.requests + excluded.requests";

/// The stored sum of a team's month.
pub(crate) const SUM: &str = "select requests from usage_months where team = $1 and month = $2";

/// By what usage is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Connectors; the name is the UID.
    Connector,
    /// Projects.
    Project,
    /// People; the name is the address.
    User,
}

/// How many requests one of them made, or was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its identifier, as bytes; `None` for requests that have none of this kind.
    pub id: Option<[u8; 16]>,
    /// What it is called; `None` once it is gone.
    pub name: Option<String>,
    /// How many.
    pub requests: i64,
}

impl FromRow for Share {
    const TABLE: &'static str = "usage_days";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let id: Vec<u8> = row.get(0)?;
        let id = if id.is_empty() { None } else { Some(id.try_into().map_err(|_| row.corrupt(0))?) };
        Ok(Self { id, name: row.maybe(1)?, requests: row.get(2)? })
    }
}

/// The requests of a team from the first of `since` on, told apart, the most first.
pub async fn shares(db: &Db, team: Id<kind::Team>, since: Month, by: By) -> Result<Vec<Share>, DbError> {
    let sql = match by {
        By::Connector => {
            "select u.connector, max(c.uid), cast(sum(u.requests) as bigint) from usage_days u \
             left join connectors c on c.id = u.connector and c.team = u.team \
             where u.team = $1 and u.day >= $2 group by u.connector order by 3 desc, 1 limit 1000"
        }
        By::Project => {
            "select u.project, max(p.name), cast(sum(u.requests) as bigint) from usage_days u \
             left join projects p on p.id = u.project and p.team = u.team \
             where u.team = $1 and u.day >= $2 group by u.project order by 3 desc, 1 limit 1000"
        }
        By::User => {
            "select u.user_id, max(p.email), cast(sum(u.requests) as bigint) from usage_days u \
             left join users p on p.id = u.user_id \
             where u.team = $1 and u.day >= $2 group by u.user_id order by 3 desc, 1 limit 1000"
        }
    };
    db.all(sql, args![team, since.first_day()]).await
}

/// The requests of one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthSum {
    /// The month.
    pub month: Month,
    /// How many.
    pub requests: i64,
}

impl FromRow for MonthSum {
    const TABLE: &'static str = "usage_months";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { month: Month::from_number(row.get(0)?), requests: row.get(1)? })
    }
}

/// The months of a team since this one, the oldest first; those without a request are left out.
pub async fn months(db: &Db, team: Id<kind::Team>, since: Month) -> Result<Vec<MonthSum>, DbError> {
    db.all(
        "select month, requests from usage_months where team = $1 and month >= $2 order by month",
        args![team, since.number()],
    )
    .await
}

/// How many requests a team has had in a month.
pub async fn of_month(db: &Db, team: Id<kind::Team>, month: Month) -> Result<i64, DbError> {
    Ok(db.one::<i64>(SUM, args![team, month.number()]).await?.unwrap_or_default())
}

/// How many token requests of a month somebody wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The team.
    pub team: Id<kind::Team>,
    /// So many.
    pub requests: i64,
    /// Where to say so besides the audit log.
    pub webhook: Option<Webhook>,
    /// The month in which it was last reached.
    pub alerted: Option<Month>,
}

/// Where an alert is sent, and for whom it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The project.
    pub project: Id<kind::Project>,
    /// Its environment.
    pub environment: Environment,
}

impl FromRow for Budget {
    const TABLE: &'static str = "budgets";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let webhook = match (row.maybe(2)?, row.maybe(3)?, row.maybe(4)?) {
            (Some(url), Some(project), Some(environment)) => Some(Webhook { url, project, environment }),
            (None, None, None) => None,
            _ => return Err(row.corrupt(2)),
        };
        let alerted = row.maybe::<i64>(5)?.map(Month::from_number);
        Ok(Self { team: row.get(0)?, requests: row.get(1)?, webhook, alerted })
    }
}

/// The budget of a team.
pub async fn budget(db: &Db, team: Id<kind::Team>) -> Result<Option<Budget>, DbError> {
    db.one(
        "select team, requests, webhook, project, environment, alerted_month from budgets where team = $1",
        args![team],
    )
    .await
}

/// Sets the budget of a team; it can be reached anew in the month that is under way.
pub fn set_budget(budget: &Budget, now: Time) -> Step {
    let webhook = budget.webhook.as_ref();
    Step::one(
        "insert into budgets (team, requests, webhook, project, environment, alerted_month, alert_id, alert_body, \
         alert_attempts, alert_due_at, updated_at) values ($1, $2, $3, $4, $5, null, null, null, 0, null, $6) \
         on conflict (team) do update set requests = excluded.requests, webhook = excluded.webhook, \
         project = excluded.project, environment = excluded.environment, alerted_month = null, alert_id = null, \
         alert_body = null, alert_attempts = 0, alert_due_at = null, updated_at = excluded.updated_at",
        args![
            budget.team,
            budget.requests,
            webhook.map(|webhook| webhook.url.as_str()),
            webhook.map(|webhook| webhook.project),
            webhook.map(|webhook| webhook.environment),
            now
        ],
    )
}

/// Forgets the budget of a team.
pub fn remove_budget(team: Id<kind::Team>) -> Step {
    Step::one("delete from budgets where team = $1", args![team])
}

/// A budget that is reached and was not told of.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The budget.
    pub budget: Budget,
    /// How many there are by now.
    pub used: i64,
}

impl FromRow for Reached {
    const TABLE: &'static str = "budgets";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { budget: Budget::from_row(row)?, used: row.get(6)? })
    }
}

/// Budgets that are reached in this month.
pub async fn reached(db: &Db, month: Month, limit: i64) -> Result<Vec<Reached>, DbError> {
    db.all(
        "select b.team, b.requests, b.webhook, b.project, b.environment, b.alerted_month, m.requests \
         from budgets b join usage_months m on m.team = b.team and m.month = $1 \
         where m.requests >= b.requests and (b.alerted_month is null or b.alerted_month < $1) limit $2",
        args![month.number(), limit],
    )
    .await
}

/// Tells of a budget that is reached: once, by whoever comes first. With `alert`, its webhook is due at once.
pub fn tell(budget: &Budget, month: Month, alert: Option<(Id<kind::Delivery>, &str)>, now: Time) -> Step {
    Step::one(
        "update budgets set alerted_month = $2, alert_id = $3, alert_body = $4, alert_attempts = 0, alert_due_at = $5 \
         where team = $1 and requests = $6 and (alerted_month is null or alerted_month < $2)",
        args![
            budget.team,
            month.number(),
            alert.map(|(id, _)| id),
            alert.map(|(_, body)| body),
            alert.map(|_| now),
            budget.requests
        ],
    )
}

/// An alert on its way.
#[derive(Clone, Debug)]
pub struct Alert {
    /// `dlv_…`: the same for every attempt.
    pub id: Id<kind::Delivery>,
    /// The team.
    pub team: Id<kind::Team>,
    /// Where to, and for whom it is signed.
    pub webhook: Webhook,
    /// The body, byte for byte the same at every attempt.
    pub body: String,
    /// Attempts that were claimed.
    pub attempts: i64,
}

impl FromRow for Alert {
    const TABLE: &'static str = "budgets";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            webhook: Webhook { url: row.get(2)?, project: row.get(3)?, environment: row.get(4)? },
            body: row.get(5)?,
            attempts: row.get(6)?,
        })
    }
}

/// Alerts whose next attempt is due.
pub async fn due(db: &Db, now: Time, limit: i64) -> Result<Vec<Alert>, DbError> {
    db.all(
        "select alert_id, team, webhook, project, environment, alert_body, alert_attempts from budgets \
         where alert_due_at <= $1 and webhook is not null order by alert_due_at limit $2",
        args![now, limit],
    )
    .await
}

/// Claims the next attempt until `until`, when anybody may make it again.
pub fn claim(alert: &Alert, now: Time, until: Time) -> Step {
    Step::one(
        "update budgets set alert_attempts = alert_attempts + 1, alert_due_at = $4 \
         where alert_id = $1 and alert_attempts = $2 and alert_due_at <= $3",
        args![alert.id, alert.attempts, now, until],
    )
}

/// The attempt failed; the next is due at `due`, or there is none.
pub fn again(id: Id<kind::Delivery>, due: Option<Time>) -> Step {
    Step::any("update budgets set alert_due_at = $2 where alert_id = $1", args![id, due])
}

/// One forwarded event: to a project, or to nobody.
pub fn count_trigger(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    project: Option<Id<kind::Project>>,
    at: Time,
) -> Step {
    let project = project.map_or_else(|| Value::Blob(Vec::new()), Value::from);
    Step::one(
        "insert into trigger_days (team, day, connector, project, triggers) values ($1, $2, $3, $4, 1) \
         on conflict (team, day, connector, project) do update set triggers = trigger_days.triggers + 1",
        args![team, day_of(at), connector, project],
    )
}

/// Forwarded events of a team from the first of `since` on, told apart, the most first. People forward none.
pub async fn trigger_shares(
    db: &Db,
    team: Id<kind::Team>,
    since: Month,
    by: By,
) -> Result<Vec<Share>, DbError> {
    let sql = match by {
        By::Connector => {
            "select u.connector, max(c.uid), cast(sum(u.triggers) as bigint) from trigger_days u \
             left join connectors c on c.id = u.connector and c.team = u.team \
             where u.team = $1 and u.day >= $2 group by u.connector order by 3 desc, 1 limit 1000"
        }
        By::Project => {
            "select u.project, max(p.name), cast(sum(u.triggers) as bigint) from trigger_days u \
             left join projects p on p.id = u.project and p.team = u.team \
             where u.team = $1 and u.day >= $2 group by u.project order by 3 desc, 1 limit 1000"
        }
        By::User => return Ok(Vec::new()),
    };
    db.all(sql, args![team, since.first_day()]).await
}

/// Forwarded events of a team on the days from `from` and before `until`.
pub async fn triggers_between(db: &Db, team: Id<kind::Team>, from: i64, until: i64) -> Result<i64, DbError> {
    let sql = "select cast(coalesce(sum(triggers), 0) as bigint) from trigger_days \
               where team = $1 and day >= $2 and day < $3";
    Ok(db.one::<i64>(sql, args![team, from, until]).await?.unwrap_or_default())
}
