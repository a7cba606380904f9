//! The one thread that writes: takes what has queued up, runs it in one transaction, commits it with one flush.

use std::sync::atomic::{AtomicI64, Ordering};

use carnet_model::failpoint::Point;
use carnet_model::{Env, Id, kind};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::{mpsc, oneshot};

use super::wal::Shortening;
use super::{Texts, failed};
use crate::db::DbError;
use crate::failing::pass_here;
use crate::place::Place;
use crate::row::Value;
use crate::usage::{self, Counts};
use crate::write::{Expect, HEAD, INSERT_EVENT, MOVE_HEAD, Write, Written};

/// A write, and who waits for it.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The answer, and the write: its memory is freed by whoever made it, not by the one thread that everybody waits for.
type Reply = (Result<Written, DbError>, Write);

/// The writer: until every sender is gone, takes what has queued up and commits it together.
pub(super) fn write_all(
    env: &Env,
    connection: Connection,
    shortening: &Shortening,
    place: Option<&Place>,
    mut queue: mpsc::Receiver<Job>,
    revision: &AtomicI64,
) {
    let mut texts = Texts::default();
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        commit(env, &connection, &mut texts, place, &mut jobs, revision);
        shortening.shorten(&connection);
    }
    // Leaves a folder without a WAL behind, so that a copy of the one file is whole.
    let _ = connection.execute_batch("pragma wal_checkpoint(truncate)");
}

/// The head of the log as a transaction sees it: read once at its beginning, written once at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head {
    next: i64,
    revision: i64,
}

/// Commits them together and answers each.
pub(super) fn commit(
    env: &Env,
    connection: &Connection,
    texts: &mut Texts,
    place: Option<&Place>,
    jobs: &mut Vec<Job>,
    revision: &AtomicI64,
) {
    let results = match together(env, connection, texts, place, jobs) {
        Ok((results, head)) => {
            // Before anybody is told, so that nobody who knows of the change can be served by the rules before it.
            revision.fetch_max(head.revision, Ordering::AcqRel);
            match pass_here(env, Point::StoreCommitted) {
                Ok(()) => results,
                Err(error) => to_all(jobs, error),
            }
        }
        Err(error) => {
            let _ = connection.execute_batch("rollback");
            to_all(jobs, error)
        }
    };
    for (Job { write, reply }, result) in jobs.drain(..).zip(results) {
        let _ = reply.send((result, write));
    }
}

/// None of them is known to be done.
fn to_all(jobs: &[Job], error: DbError) -> Vec<Result<Written, DbError>> {
    let why = match error {
        DbError::Unavailable(why) => why,
        other => other.to_string(),
    };
    jobs.iter().map(|_| Err(DbError::Unavailable(why.clone()))).collect()
}

/// All of them in one transaction. An error means that none is known to be on disk.
fn together(
    env: &Env,
    connection: &Connection,
    texts: &mut Texts,
    place: Option<&Place>,
    jobs: &mut [Job],
) -> Result<(Vec<Result<Written, DbError>>, Head), DbError> {
    pass_here(env, Point::StoreBegin)?;
    connection.execute_batch("begin immediate").map_err(failed)?;
    let before = connection
        .prepare_cached(HEAD.lite)
        .and_then(|mut head| head.query_row([], |row| Ok(Head { next: row.get(0)?, revision: row.get(1)? })))
        .map_err(failed)?;
    let mut head = before;
    let mut results = Vec::with_capacity(jobs.len());
    let mut counts = Counts::default();
    for job in jobs {
        let result = run(connection, texts, &mut job.write, head, &mut counts);
        // A full disk or a failed read can end the transaction and not the statement alone; nothing may follow it then.
        if result.is_err() && connection.is_autocommit() {
            return result.map(|_| (results, head));
        }
        results.push(result.map(|(written, after)| {
            head = after;
            written
        }));
    }
    for (sql, args) in counts.statements() {
        let mut add = connection.prepare_cached(texts.of(sql)).map_err(failed)?;
        add.execute(rusqlite::params_from_iter(args)).map_err(failed)?;
    }
    if head != before {
        let mut moved = connection.prepare_cached(texts.of(MOVE_HEAD)).map_err(failed)?;
        moved.execute([head.next, head.revision]).map_err(failed)?;
    }
    pass_here(env, Point::StoreCommit)?;
    if let Some(place) = place {
        place.check()?;
    }
    connection.execute_batch("commit").map_err(failed)?;
    Ok((results, head))
}

/// One write inside the open transaction, and the head after it; and its count, if it has one and is done.
fn run(
    connection: &Connection,
    texts: &mut Texts,
    write: &mut Write,
    head: Head,
    counts: &mut Counts,
) -> Result<(Written, Head), DbError> {
    if let Some(tally) = &write.tally {
        if let Some(month) = tally.limited().filter(|month| counts.lacks(month)) {
            counts.learn(month, stored(connection, texts, month)?);
        }
        counts.admit(tally)?;
    }
    let done = undoing(connection, texts, write, head)?;
    if let Some(tally) = &write.tally {
        counts.add(tally);
    }
    Ok(done)
}

/// How many requests the team had in the month before this transaction.
fn stored(
    connection: &Connection,
    texts: &mut Texts,
    (team, month): (Id<kind::Team>, i64),
) -> Result<i64, DbError> {
    let mut sum = connection.prepare_cached(texts.of(usage::SUM)).map_err(failed)?;
    let args: [Value; 2] = [team.into(), month.into()];
    let found =
        sum.query_row(rusqlite::params_from_iter(args), |row| row.get(0)).optional().map_err(failed)?;
    Ok(found.unwrap_or_default())
}

/// The statements of one write. A single event undoes itself if it fails; anything else has a savepoint to go back to.
fn undoing(
    connection: &Connection,
    texts: &mut Texts,
    write: &mut Write,
    head: Head,
) -> Result<(Written, Head), DbError> {
    if write.steps.is_empty() && write.events.len() <= 1 {
        return statements(connection, texts, write, head);
    }
    let go =
        |text: &'static str| connection.prepare_cached(text).and_then(|mut s| s.execute([])).map_err(failed);
    go("savepoint write")?;
    let result = statements(connection, texts, write, head);
    if result.is_err() {
        go("rollback to write")?;
    }
    go("release write")?;
    result
}

fn statements(
    connection: &Connection,
    texts: &mut Texts,
    write: &mut Write,
    head: Head,
) -> Result<(Written, Head), DbError> {
    for (number, step) in write.steps.iter().enumerate() {
        let mut statement = connection.prepare_cached(texts.of(step.sql.lite)).map_err(failed)?;
        let touched = statement.execute(rusqlite::params_from_iter(&step.args)).map_err(failed)?;
        if matches!(step.expect, Expect::Rows(want) if want != touched as u64) {
            return Err(DbError::Unmet(number));
        }
    }
    if write.is_stale(head.revision) {
        return Err(DbError::Stale(head.revision));
    }
    let mut after = Head { revision: write.moved(head.revision), ..head };
    for event in &mut write.events {
        let mut insert = connection.prepare_cached(texts.of(INSERT_EVENT)).map_err(failed)?;
        insert.execute(rusqlite::params_from_iter(event.at(after.next))).map_err(failed)?;
        after.next += 1;
    }
    let first_seq = (after.next != head.next).then_some(head.next);
    Ok((Written { revision: after.revision, first_seq }, after))
}

/// Writes in one commit. More would make the first of them wait without saving another flush worth naming.
const BATCH: usize = 512;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    use carnet_model::Env;
    use carnet_model::audit::{Action, AuditEvent};
    use tokio::sync::oneshot;

    use super::super::{READERS_OF_MEMORY, Texts, connect};
    use super::{Job, commit};
    use crate::db::DbError;
    use crate::write::{Write, Written};

    #[test]
    fn a_disk_that_fills_up_undoes_the_batch_and_leaves_no_gap() {
        let env = Env::system();
        let mut connection = connect("file:/a-disk-that-fills-up?vfs=memdb", READERS_OF_MEMORY).unwrap();
        crate::migrate::lite(&mut connection, env.now()).unwrap();
        let pages: i64 = connection.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
        let limit = |pages| connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(()));
        let revision = Arc::new(AtomicI64::new(0));
        let mut texts = Texts::default();
        let mut batch = |sizes: &[usize]| {
            let mut answers = Vec::new();
            let mut jobs = Vec::new();
            for size in sizes {
                let event = AuditEvent::of_system(env.now(), Action::TokenIssue).with("x", "x".repeat(*size));
                let (reply, answer) = oneshot::channel();
                jobs.push(Job { write: Write::new().event(&env, &event), reply });
                answers.push(answer);
            }
            commit(&env, &connection, &mut texts, None, &mut jobs, &revision);
            answers.into_iter().map(|answer| answer.blocking_recv().unwrap().0).collect::<Vec<_>>()
        };
        limit(pages + 1).unwrap();
        for answer in batch(&[1, 100_000, 1]) {
            assert!(matches!(answer, Err(DbError::Unavailable(_))), "{answer:?}");
        }
        limit(100_000).unwrap();
        let placed: Vec<_> = batch(&[1, 100_000]).into_iter().map(|answer| answer.unwrap()).collect();
        let at = |seq| Written { revision: 1, first_seq: Some(seq) };
        assert_eq!(placed, [at(1), at(2)]);
    }
}
