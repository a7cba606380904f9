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

mod readers;
mod wal;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use carnet_model::Env;
use rusqlite::{Connection, OpenFlags, ffi};
use tokio::sync::{mpsc, oneshot};

use crate::db::{DbError, OpenError};
use crate::migrate;
use crate::place::Place;
use crate::row::{Cells, FromRow, Row, Sql, Value};
use crate::write::{Write, Written};
use readers::{Reader, Readers};
use wal::Shortening;
use writer::{Job, commit, write_all};

pub(crate) struct Lite {
    readers: Arc<Readers>,
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
        let connections = (0..READERS).map(|_| connect(&name, patience));
        let readers = Arc::new(Readers::of(connections.collect::<Result<Vec<_>, _>>()?));
        let shortening = Shortening::of(&mut writer, readers.clone())?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let env = env.clone();
                move || write_all(&env, writer, &shortening, place.as_ref(), queue, &revision)
            })
            .map_err(|source| OpenError::Folder {
                path: folder.map(Path::to_owned).unwrap_or_default(),
                source,
            })?;
        Ok(Self {
            readers,
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
        let readers = Readers::of([connect(&name, READERS_OF_MEMORY)?]);
        let inline = Inline { writer: Mutex::new((writer, Texts::default())), env: env.clone(), revision };
        Ok(Self {
            readers: Arc::new(readers),
            jobs: Mutex::new(None),
            thread: Mutex::new(None),
            inline: Some(inline),
            _folder: None,
        })
    }

    /// Reads inline: a point read takes some microseconds, less than handing it to another thread would.
    pub(crate) fn all<T: FromRow>(&self, sql: Sql, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        let mut reader = self.readers.borrow();
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
    connection
        .execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; \
             pragma mmap_size = 0; pragma secure_delete = on; pragma trusted_schema = off; \
             pragma cell_size_check = on; pragma temp_store = memory; pragma cache_size = -4000;",
        )
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
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
#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn parameters_are_numbered_outside_of_quotes_only() {
        assert_eq!(numbered("select $2, '$1', $1"), "select ?2, '$1', ?1");
    }
}
