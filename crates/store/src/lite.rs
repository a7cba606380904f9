//! SQLite in the process: one thread that writes, a few connections that read.
//!
//! The writer takes whatever has queued up, runs each write so that it can be undone alone, commits them all with one
//! flush (`synchronous=full`), and only then answers. So every caller waits for its own durable commit, and many share
//! the price of one. As all wait for this one thread, it does nothing that a caller could do for it.
//!
//! Nobody else writes to the files. Where somebody holds them all the same, or has taken them away, a write is refused
//! in less than two seconds, and works again when they are there.
//!
//! If the disk refuses a flush, the process ends: what was acknowledged is on disk, what was not cannot be known, and
//! asking the kernel a second time proves nothing (PostgreSQL ends itself for the same reason).

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use carnet_model::failpoint::Point;
use carnet_model::{Env, Id, kind};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ffi};
use tokio::sync::{mpsc, oneshot};

use crate::db::{DbError, OpenError};
use crate::failing::pass_here;
use crate::migrate;
use crate::place::Place;
use crate::row::{Cells, FromRow, Row, Sql, Value};
use crate::usage::{self, Counts};
use crate::write::{Expect, HEAD, INSERT_EVENT, MOVE_HEAD, Write, Written};

pub(crate) struct Lite {
    readers: Vec<Mutex<Reader>>,
    next: AtomicUsize,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// In place of queue and thread, in a simulation.
    inline: Option<Inline>,
    /// Held as long as the store is open; the lock goes with the file.
    _folder: Option<File>,
}

/// A writer that works where it is called.
struct Inline {
    writer: Mutex<(Connection, Texts)>,
    env: Env,
    revision: Arc<AtomicI64>,
}

struct Job {
    write: Write,
    reply: oneshot::Sender<Reply>,
}

/// The answer, and the write: its memory is freed by whoever made it, not by the one thread that everybody waits for.
type Reply = (Result<Written, DbError>, Write);

/// A connection and the SQLite texts of the statements it has seen.
struct Reader {
    connection: Connection,
    texts: Texts,
}

/// `$1` is a *named* parameter to SQLite, numbered by first appearance; what we mean is `?1`.
#[derive(Default)]
struct Texts(HashMap<(usize, usize), String>);

impl Lite {
    pub(crate) fn open(
        folder: Option<&Path>,
        env: &Env,
        revision: Arc<AtomicI64>,
    ) -> Result<Self, OpenError> {
        let held = folder.map(hold).transpose()?;
        // In memory: the `memdb` file system shares one database among the connections of a process and locks as files
        // do (a shared cache would refuse readers while the writer works). The name keeps two such stores apart.
        let name = match folder {
            Some(folder) => folder.join("carnet.db").display().to_string(),
            None => format!("file:/carnet-{:032x}?vfs=memdb", u128::from_le_bytes(env.bytes())),
        };
        if let Some(folder) = folder {
            // Made for its owner alone; SQLite gives its other files the same mode.
            private(&folder.join("carnet.db"))
                .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        }
        let patience = if folder.is_some() { OUTSIDERS } else { READERS_OF_MEMORY };
        let mut writer = connect(&name, patience)?;
        migrate::lite(&mut writer, env.now())?;
        let place = folder.map(|folder| {
            Place::of(folder).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })
        });
        let place = place.transpose()?;
        let readers = (0..READERS)
            .map(|_| {
                let connection = connect(&name, patience)?;
                Ok(Mutex::new(Reader { connection, texts: Texts::default() }))
            })
            .collect::<Result<_, OpenError>>()?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let env = env.clone();
                move || write_all(&env, writer, place.as_ref(), queue, &revision)
            })
            .map_err(|source| OpenError::Folder {
                path: folder.map(Path::to_owned).unwrap_or_default(),
                source,
            })?;
        Ok(Self {
            readers,
            next: AtomicUsize::new(0),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            inline: None,
            _folder: held,
        })
    }

    /// One of several stores in this process on one database in memory, written where the call is made.
    pub(crate) fn share(name: &str, env: &Env, revision: Arc<AtomicI64>) -> Result<Self, OpenError> {
        let name = format!("file:/{name}?vfs=memdb");
        let mut writer = connect(&name, READERS_OF_MEMORY)?;
        migrate::lite(&mut writer, env.now())?;
        let reader = Reader { connection: connect(&name, READERS_OF_MEMORY)?, texts: Texts::default() };
        let inline = Inline { writer: Mutex::new((writer, Texts::default())), env: env.clone(), revision };
        Ok(Self {
            readers: vec![Mutex::new(reader)],
            next: AtomicUsize::new(0),
            jobs: Mutex::new(None),
            thread: Mutex::new(None),
            inline: Some(inline),
            _folder: None,
        })
    }

    /// Reads inline: a point read takes some microseconds, less than handing it to another thread would.
    pub(crate) fn all<T: FromRow>(&self, sql: Sql, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        let mut reader = self.reader();
        let Reader { connection, texts } = &mut *reader;
        let mut statement = connection.prepare_cached(texts.of(sql.lite)).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(failed)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            out.push(T::from_row(&Row { table: T::TABLE, cells: Cells::Lite(row) })?);
        }
        Ok(out)
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Written, DbError> {
        let (reply, mut answer) = oneshot::channel();
        if let Some(Inline { writer, env, revision }) = &self.inline {
            let mut writer = lock(writer);
            let (connection, texts) = &mut *writer;
            commit(env, connection, texts, None, &mut vec![Job { write, reply }], revision);
            return answer.try_recv().map_err(|_| stopped())?.0;
        }
        let jobs = lock(&self.jobs).clone().ok_or_else(stopped)?;
        jobs.send(Job { write, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?.0
    }

    pub(crate) async fn close(&self) {
        lock(&self.jobs).take();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // Joined off the runtime: the last commit may take a flush.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.readers.len() {
            match self.readers.get((start + offset) % self.readers.len()).map(Mutex::try_lock) {
                Some(Ok(reader)) => return reader,
                Some(Err(TryLockError::Poisoned(poisoned))) => return poisoned.into_inner(),
                _ => {}
            }
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "the remainder is below the length, and there is one at least"
        )]
        lock(&self.readers[start % self.readers.len()])
    }
}

impl Drop for Lite {
    /// Waits for the writer, so that whoever opens the folder next finds everything written.
    fn drop(&mut self) {
        lock(&self.jobs).take();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Texts {
    fn of(&mut self, text: &'static str) -> &str {
        self.0.entry((text.as_ptr() as usize, text.len())).or_insert_with(|| numbered(text))
    }
}

/// Rewrites `$n` to `?n` outside of quotes.
pub(crate) fn numbered(text: &str) -> String {
    let mut quoted = false;
    text.chars()
        .map(|c| match c {
            '\'' => {
                quoted = !quoted;
                c
            }
            '$' if !quoted => '?',
            _ => c,
        })
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopped() -> DbError {
    DbError::Unavailable("it is stopping".to_owned())
}

/// Opens a file, made for its owner alone if it is not there.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Makes the folder (for this user alone) and takes it for this process.
fn hold(folder: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed = |source: std::io::Error| OpenError::Folder { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = private(&folder.join("carnet.lock")).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(folder.to_owned())),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn connect(name: &str, patience: Duration) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(name, flags).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    // The WAL is checkpointed by the writer alone; readers never write, so two connections never checkpoint at once.
    // Everybody waits meanwhile, so it is done often and in small pieces: a mebibyte instead of four.
    connection
        .execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; \
             pragma mmap_size = 0; pragma secure_delete = on; pragma trusted_schema = off; \
             pragma cell_size_check = on; pragma temp_store = memory; pragma cache_size = -4000; pragma wal_autocheckpoint = 256;",
        )
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// The writer: until every sender is gone, takes what has queued up and commits it together.
fn write_all(
    env: &Env,
    connection: Connection,
    place: Option<&Place>,
    mut queue: mpsc::Receiver<Job>,
    revision: &AtomicI64,
) {
    let mut texts = Texts::default();
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        commit(env, &connection, &mut texts, place, &mut jobs, revision);
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

fn commit(
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
    if write.only_at.is_some_and(|at| at != head.revision) {
        return Err(DbError::Stale(head.revision));
    }
    let mut after = Head { revision: head.revision + i64::from(write.revises), ..head };
    for event in &mut write.events {
        let mut insert = connection.prepare_cached(texts.of(INSERT_EVENT)).map_err(failed)?;
        insert.execute(rusqlite::params_from_iter(event.at(after.next))).map_err(failed)?;
        after.next += 1;
    }
    let first_seq = (after.next != head.next).then_some(head.next);
    Ok((Written { revision: after.revision, first_seq }, after))
}

pub(crate) fn failed(error: rusqlite::Error) -> DbError {
    end_if_flush_failed(&error);
    match &error {
        rusqlite::Error::SqliteFailure(inner, _)
            if matches!(
                inner.extended_code,
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            ) =>
        {
            DbError::Conflict
        }
        rusqlite::Error::SqliteFailure(inner, _) => match inner.code {
            rusqlite::ErrorCode::DiskFull => DbError::Unavailable("the disk is full".to_owned()),
            rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => {
                DbError::Unavailable("the database file is locked".to_owned())
            }
            rusqlite::ErrorCode::SystemIoFailure
            | rusqlite::ErrorCode::CannotOpen
            | rusqlite::ErrorCode::ReadOnly => DbError::Unavailable("the disk does not answer".to_owned()),
            _ => DbError::Refused(Box::new(error)),
        },
        _ => DbError::Refused(Box::new(error)),
    }
}

fn end_if_flush_failed(error: &rusqlite::Error) {
    const FLUSHES: [i32; 3] =
        [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_IOERR_TRUNCATE];
    if let rusqlite::Error::SqliteFailure(inner, _) = error
        && FLUSHES.contains(&inner.extended_code)
    {
        tracing::error!(
            code = inner.extended_code,
            "the disk refused a flush; ending so that nothing false is acknowledged"
        );
        std::process::abort();
    }
}

/// Readers: one more than the cores of a small machine, so that a slow list does not hold up a point read.
const READERS: usize = 4;
/// Writes waiting for the writer before callers are held back.
const QUEUE: usize = 4096;
/// How long a lock that another program holds is waited for. A write may have to wait out the group before it besides,
/// and whoever waits is told within two seconds.
const OUTSIDERS: Duration = Duration::from_millis(600);
/// A store in memory has no outsiders; there the writer waits for readers of this process, who always finish.
const READERS_OF_MEMORY: Duration = Duration::from_secs(5);
/// Writes in one commit. More would make the first of them wait without saving another flush worth naming.
const BATCH: usize = 512;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    use carnet_model::Env;
    use carnet_model::audit::{Action, AuditEvent};
    use tokio::sync::oneshot;

    use super::{Job, Texts, commit, connect, numbered};
    use crate::db::DbError;
    use crate::write::{Write, Written};

    #[test]
    fn parameters_are_numbered_outside_of_quotes_only() {
        assert_eq!(numbered("select $2, '$1', $1"), "select ?2, '$1', ?1");
    }

    #[test]
    fn a_disk_that_fills_up_undoes_the_batch_and_leaves_no_gap() {
        let env = Env::system();
        let mut connection =
            connect("file:/a-disk-that-fills-up?vfs=memdb", super::READERS_OF_MEMORY).unwrap();
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
