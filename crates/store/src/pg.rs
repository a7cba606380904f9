//! PostgreSQL: a pool of connections, and one task that groups the writes that only record events.
//!
//! Every operation has a deadline. A connection on which a deadline passed is not used again: what it was doing is not
//! known. `synchronous_commit` is asked for on every connection, whatever the server's default, and a server that runs
//! without `fsync` or `full_page_writes` is refused, and a database that cannot hold every text.

mod connecting;
mod opening;
mod trust;

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_model::failpoint::Point;
use carnet_model::{Env, Id, kind};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use futures_util::future::try_join_all;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::db::{DbError, OpenError};
use crate::failing::pass;
use crate::migrate;
use crate::row::{Cells, FromRow, Nul, Row, Sql, Value};
use crate::usage::{self, Counts};
use crate::write::{Expect, HEAD, INSERT_EVENT, MOVE_HEAD, Write, Written};

pub(crate) struct Pg {
    pool: Pool,
    grouped: mpsc::Sender<Job>,
    revision: Arc<AtomicI64>,
    env: Env,
}

struct Job {
    write: Write,
    reply: oneshot::Sender<Result<Written, DbError>>,
}

impl Pg {
    pub(crate) async fn open(url: &str, env: &Env, revision: Arc<AtomicI64>) -> Result<Self, OpenError> {
        let opening::Address { mut config, roots } = opening::address(url)?;
        // What stands last wins: everything else that the address says is as it says.
        let options = format!("{} -c synchronous_commit=on", config.get_options().unwrap_or_default());
        config.connect_timeout(DEADLINE).options(options.trim_start());
        if config.get_application_name().is_none() {
            config.application_name("carnet");
        }
        let place = opening::place(&config);
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(trust::tls(&roots)?);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let hosts = connecting::Hosts::new(&config, tls, env)?;
        let pool = Pool::builder(Manager::from_connect(config, hosts, recycling))
            .max_size(POOL)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(DEADLINE), create: Some(DEADLINE), recycle: Some(DEADLINE) })
            .build()
            .map_err(|error| OpenError::Address(error.to_string()))?;
        let mut client = pool.get().await.map_err(|error| opening::refused(&place, error))?;
        for (setting, show) in [("fsync", "show fsync"), ("full_page_writes", "show full_page_writes")] {
            let row = client.query_one(show, &[]).await.map_err(failed)?;
            if row.try_get::<_, String>(0).is_ok_and(|value| value == "off") {
                return Err(OpenError::Unsafe(setting));
            }
        }
        let row = client.query_one("show server_encoding", &[]).await.map_err(failed)?;
        let encoding: String = row.try_get(0).map_err(failed)?;
        if encoding != "UTF8" {
            return Err(OpenError::Encoding(encoding));
        }
        migrate::pg(&mut client, env.now()).await?;
        let (grouped, queue) = mpsc::channel(QUEUE);
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the last sender, that is, with the store itself"
        )]
        tokio::spawn(group(env.clone(), pool.clone(), queue, revision.clone()));
        Ok(Self { pool, grouped, revision, env: env.clone() })
    }

    pub(crate) async fn all<T: FromRow>(&self, sql: Sql, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        let rows = within(&self.pool, async |client| {
            let statement = client.prepare_cached(sql.pg).await.map_err(failed)?;
            client.query(&statement, &borrowed(&args)).await.map_err(failed)
        })
        .await?;
        rows.iter().map(|row| T::from_row(&Row { table: T::TABLE, cells: Cells::Pg(row) })).collect()
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Written, DbError> {
        if write.steps.is_empty() {
            let (reply, answer) = oneshot::channel();
            let recorded = async {
                self.grouped.send(Job { write, reply }).await.map_err(|_| stopped())?;
                answer.await.map_err(|_| stopped())?
            };
            // The group before it may be waiting out its own deadline.
            return tokio::time::timeout(DEADLINE, recorded).await.unwrap_or_else(|_| Err(late()));
        }
        let result = alone(&self.env, &self.pool, write).await;
        // What the store says of the present rules is news even where it refuses the write: whoever decides again would
        // otherwise decide by the same old ones.
        if let Ok(Written { revision, .. }) | Err(DbError::Stale(revision)) = &result {
            self.revision.fetch_max(*revision, Ordering::AcqRel);
        }
        result
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A write with statements of its own: one transaction, the head of the log locked last.
async fn alone(env: &Env, pool: &Pool, mut write: Write) -> Result<Written, DbError> {
    within(pool, async |client| {
        pass(env, Point::StoreBegin).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        for (number, step) in write.steps.drain(..).enumerate() {
            let statement = transaction.prepare_cached(step.sql.pg).await.map_err(failed)?;
            let touched = transaction.execute(&statement, &borrowed(&step.args)).await.map_err(failed)?;
            if matches!(step.expect, Expect::Rows(want) if want != touched) {
                return Err(DbError::Unmet(number));
            }
        }
        let (first, before) = head(&transaction).await?;
        let mut answers = record(&transaction, first, before, std::slice::from_mut(&mut write)).await?;
        let answer = answers.pop().ok_or_else(stopped)??;
        pass(env, Point::StoreCommit).await?;
        transaction.commit().await.map_err(failed)?;
        pass(env, Point::StoreCommitted).await?;
        Ok(answer)
    })
    .await
}

/// Groups writes that only record events: while one commit is under way the next group gathers.
async fn group(env: Env, pool: Pool, mut queue: mpsc::Receiver<Job>, revision: Arc<AtomicI64>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        // Who has been told that the store does not answer is not waiting any more.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let (mut writes, replies): (Vec<_>, Vec<_>) =
            jobs.drain(..).map(|job| (job.write, job.reply)).unzip();
        let answers = match together(&env, &pool, &mut writes).await {
            Ok(answers) => answers,
            // One of them cannot be written; which one, the database does not say.
            Err(error) if !error.is_unavailable() && writes.len() > 1 => {
                one_by_one(&env, &pool, &mut writes, &replies).await
            }
            Err(DbError::Unavailable(why)) => {
                writes.iter().map(|_| Err(DbError::Unavailable(why.clone()))).collect()
            }
            Err(error) => vec![Err(error)],
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            if let Ok(Written { revision: present, .. }) | Err(DbError::Stale(present)) = &answer {
                revision.fetch_max(*present, Ordering::AcqRel);
            }
            let _ = reply.send(answer);
        }
    }
}

/// Writes that only record events, in one transaction: what became of each, or why none was written.
async fn together(
    env: &Env,
    pool: &Pool,
    writes: &mut [Write],
) -> Result<Vec<Result<Written, DbError>>, DbError> {
    within(pool, async |client| {
        pass(env, Point::StoreBegin).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let (first, before) = head(&transaction).await?;
        let answers = record(&transaction, first, before, writes).await?;
        pass(env, Point::StoreCommit).await?;
        transaction.commit().await.map_err(failed)?;
        pass(env, Point::StoreCommitted).await?;
        Ok(answers)
    })
    .await
}

/// The same, each in a transaction of its own, so that the fault of one is not its neighbours'. Who does not wait any more
/// is passed over; once the database does not answer it is not asked for the rest.
async fn one_by_one(
    env: &Env,
    pool: &Pool,
    writes: &mut [Write],
    replies: &[oneshot::Sender<Result<Written, DbError>>],
) -> Vec<Result<Written, DbError>> {
    let mut answers = Vec::with_capacity(writes.len());
    let mut gone = None;
    for (write, reply) in writes.iter_mut().zip(replies) {
        if reply.is_closed() {
            answers.push(Err(late()));
            continue;
        }
        if let Some(why) = &gone {
            answers.push(Err(DbError::Unavailable(String::clone(why))));
            continue;
        }
        let written = together(env, pool, std::slice::from_mut(write)).await;
        let answer = written.and_then(|mut one| one.pop().ok_or_else(stopped)?);
        if let Err(DbError::Unavailable(why)) = &answer {
            gone = Some(why.clone());
        }
        answers.push(answer);
    }
    answers
}

async fn head(transaction: &deadpool_postgres::Transaction<'_>) -> Result<(i64, i64), DbError> {
    let statement = transaction.prepare_cached(HEAD.pg).await.map_err(failed)?;
    let row = transaction.query_one(&statement, &[]).await.map_err(failed)?;
    Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))
}

/// Gives each write's events their places, and moves the head of the log past them.
async fn record(
    transaction: &deadpool_postgres::Transaction<'_>,
    first: i64,
    before: i64,
    writes: &mut [Write],
) -> Result<Vec<Result<Written, DbError>>, DbError> {
    let (mut next, mut revision) = (first, before);
    let mut answers = Vec::with_capacity(writes.len());
    let mut rows = Vec::new();
    let mut counts = Counts::default();
    for write in writes {
        if write.is_stale(revision) {
            answers.push(Err(DbError::Stale(revision)));
            continue;
        }
        if let Some(tally) = &write.tally {
            if let Some(month) = tally.limited().filter(|month| counts.lacks(month)) {
                counts.learn(month, stored(transaction, month).await?);
            }
            if let Err(spent) = counts.admit(tally) {
                answers.push(Err(spent));
                continue;
            }
            counts.add(tally);
        }
        revision = write.moved(revision);
        let first_seq = (!write.events.is_empty()).then_some(next);
        for event in &mut write.events {
            event.at(next);
            rows.push(&*event);
            next += 1;
        }
        answers.push(Ok(Written { revision, first_seq }));
    }
    if !rows.is_empty() {
        let insert = transaction.prepare_cached(INSERT_EVENT).await.map_err(failed)?;
        let parameters: Vec<_> = rows.iter().map(|row| borrowed(row.args())).collect();
        // Sent one behind the other without waiting in between; the server answers them in order.
        try_join_all(parameters.iter().map(|row| transaction.execute(&insert, row))).await.map_err(failed)?;
    }
    for (sql, args) in counts.statements() {
        let add = transaction.prepare_cached(sql).await.map_err(failed)?;
        transaction.execute(&add, &borrowed(&args)).await.map_err(failed)?;
    }
    if next != first || revision != before {
        let statement = transaction.prepare_cached(MOVE_HEAD).await.map_err(failed)?;
        transaction.execute(&statement, &[&next, &revision]).await.map_err(failed)?;
    }
    Ok(answers)
}

/// How many requests the team had in the month before this transaction. Whoever counts holds the head of the log, so
/// nobody counts meanwhile.
async fn stored(
    transaction: &deadpool_postgres::Transaction<'_>,
    (team, month): (Id<kind::Team>, i64),
) -> Result<i64, DbError> {
    let statement = transaction.prepare_cached(usage::SUM).await.map_err(failed)?;
    let args: [Value; 2] = [team.into(), month.into()];
    let row = transaction.query_opt(&statement, &borrowed(&args)).await.map_err(failed)?;
    row.map_or(Ok(0), |row| row.try_get(0).map_err(failed))
}

/// Runs `work` on a connection; getting one and the work have one deadline together. A connection on which the deadline
/// passed, or the server could not do what was asked, is closed. Where the server said that it only reads, the idle ones
/// go too: a session that began while that was so may stay so as long as it lives, whatever the server does by then.
async fn within<T>(
    pool: &Pool,
    work: impl AsyncFnOnce(&mut Object) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut client = match tokio::time::timeout_at(deadline, pool.get()).await {
        Ok(client) => client.map_err(unreachable)?,
        Err(_) => return Err(late()),
    };
    let result = tokio::time::timeout_at(deadline, work(&mut client)).await.unwrap_or_else(|_| Err(late()));
    if let Err(DbError::Unavailable(why)) = &result {
        drop(Object::take(client));
        if why == READ_ONLY {
            pool.retain(|_, _| false);
        }
    }
    result
}

fn borrowed(args: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    args.iter().map(|value| value as _).collect()
}

fn late() -> DbError {
    DbError::Unavailable("the database does not answer in time".to_owned())
}

fn stopped() -> DbError {
    DbError::Unavailable("it is stopping".to_owned())
}

fn unreachable(error: deadpool_postgres::PoolError) -> DbError {
    match error {
        deadpool_postgres::PoolError::Backend(error) => failed(error),
        deadpool_postgres::PoolError::Timeout(_) => DbError::Unavailable("no connection in time".to_owned()),
        _ => DbError::Unavailable("no connection".to_owned()),
    }
}

pub(crate) fn failed(error: tokio_postgres::Error) -> DbError {
    let Some(state) = error.code() else {
        // Without a state it did not come from the server. Either the connection is gone or was never made, or a
        // value could not be sent as what the statement takes it for.
        let mismatch = error
            .source()
            .is_some_and(|source| source.is::<tokio_postgres::types::WrongType>() || source.is::<Nul>());
        return if mismatch {
            DbError::Refused(Box::new(error))
        } else {
            DbError::Unavailable("the database cannot be reached".to_owned())
        };
    };
    // Classes of SQLSTATE (PostgreSQL 15, appendix A): 08 connection, 53 resources, 57 operator, 25006 read-only.
    let class = state.code().get(..2).unwrap_or_default();
    match state {
        state if *state == SqlState::UNIQUE_VIOLATION => DbError::Conflict,
        state
            if *state == SqlState::T_R_DEADLOCK_DETECTED || *state == SqlState::T_R_SERIALIZATION_FAILURE =>
        {
            DbError::Unavailable("two changes met; try again".to_owned())
        }
        state if *state == SqlState::READ_ONLY_SQL_TRANSACTION => DbError::Unavailable(READ_ONLY.to_owned()),
        _ if matches!(class, "08" | "53" | "57" | "58" | "28") => {
            DbError::Unavailable(format!("the database answers with state {}", state.code()))
        }
        _ => DbError::Refused(Box::new(error)),
    }
}

const READ_ONLY: &str = "the database is read-only";
/// Callers are told within two seconds that the store is gone; the rest is for writing the answer.
const DEADLINE: Duration = Duration::from_millis(1_700);
/// Connections. Groups of events share one; the rest are for changes and look-ups.
const POOL: usize = 16;
const QUEUE: usize = 4096;
const BATCH: usize = 256;
