//! The write-ahead log, kept short: what stands in it is copied into the file, after commits and never in one.
//!
//! A thread of its own copies, piece by piece, while the writer goes on: a copy flushes the file, which takes as long as
//! several commits, and in the writer all that comes meanwhile would wait for it.
//!
//! SQLite begins its log anew only in a moment in which all is copied and nobody reads from it. Under a steady load there
//! may be none for seconds: the log would grow to tens of mebibytes. So when it has grown, the writer makes such a moment:
//! it closes the door, waits for the reads that are under way, each of which takes microseconds, and copies the little that
//! the thread has left. Whoever reads after that reads the file alone, and does not stand in the way.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::readers::Readers;
use super::{end_if_flush_failed, failed, lock};
use crate::db::DbError;

/// How long the log of the writer's connection is, who reads from it, and who copies from it.
pub(super) struct Shortening {
    /// Pages in the log, after the last commit.
    pages: Arc<AtomicI32>,
    /// How many there were when the thread was last woken.
    told: Cell<i32>,
    readers: Arc<Readers>,
    /// Held by whoever copies: SQLite has one at a time, and no queue.
    copying: Arc<Mutex<()>>,
    beside: Option<Beside>,
}

/// The thread that copies while the writer goes on.
struct Beside {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Shortening {
    /// In place of SQLite's own, which copies before the commit returns. `own` is the thread's connection.
    pub(super) fn of(
        writer: &mut Connection,
        own: Connection,
        readers: Arc<Readers>,
    ) -> Result<Self, DbError> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = pages.clone();
        let see = move |_: &mut Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(see)).map_err(failed)?;
        let copying = Arc::new(Mutex::new(()));
        // One call that nobody has heard yet is enough: whoever hears it copies all that is there.
        let (wake, calls) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-copier".to_owned()).spawn({
            let copying = copying.clone();
            move || copy_beside(&own, &calls, &copying)
        });
        let thread = thread.map_err(|error| DbError::Unavailable(error.to_string()))?;
        Ok(Self { pages, told: Cell::new(0), readers, copying, beside: Some(Beside { wake, thread }) })
    }

    /// Has copied what has come together, if that is enough.
    pub(super) fn shorten(&self, writer: &Connection) {
        // A commit that wrote nothing leaves the number as it was.
        let pages = self.pages.swap(0, Ordering::Relaxed);
        if pages == 0 {
            return;
        }
        if pages < self.told.get() {
            // It was begun anew.
            self.told.set(0);
        }
        if pages >= self.told.get() + PIECE {
            self.told.set(pages);
            if let Some(Beside { wake, .. }) = &self.beside {
                let _ = wake.try_send(());
            }
        }
        if pages < LONG {
            return;
        }
        let turn = match self.copying.try_lock() {
            // It will have copied most of it in a moment, and there is room until then.
            Err(TryLockError::WouldBlock) if pages < LONGEST => return,
            Ok(turn) => turn,
            Err(_) => lock(&self.copying),
        };
        self.readers.alone(|| copy(writer));
        drop(turn);
    }
}

impl Drop for Shortening {
    /// Waits for the thread, so that nobody else has the log when the writer's connection ends it.
    fn drop(&mut self) {
        if let Some(Beside { wake, thread }) = self.beside.take() {
            drop(wake);
            let _ = thread.join();
        }
    }
}

/// Copies whenever it is woken, until nobody is there who could.
fn copy_beside(own: &Connection, calls: &Receiver<()>, copying: &Mutex<()>) {
    while calls.recv().is_ok() {
        let _turn = lock(copying);
        copy(own);
    }
}

/// As far as nobody reads what was there before; waits for nobody. A copy that fails leaves everything in the log, and
/// the next one begins where it ended.
fn copy(connection: &Connection) {
    if let Err(error) = connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())) {
        end_if_flush_failed(&error);
        tracing::warn!(%error, "the write-ahead log was not copied into the database file; it grows meanwhile");
    }
}

/// Pages that are copied together: a mebibyte. The fewer, the less is left for the writer; the more, the fewer flushes.
const PIECE: i32 = 256;
/// Pages from which on writer and readers are made to wait, to begin anew.
const LONG: i32 = 1024;
/// Pages from which on even the thread is waited for.
const LONGEST: i32 = 1280;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use carnet_model::Env;
    use carnet_model::audit::{Action, AuditEvent};
    use tokio::runtime::Handle;

    use super::super::readers::Readers;
    use super::super::{OUTSIDERS, connect};
    use super::{LONG, Shortening};
    use crate::row::args;
    use crate::{Db, Location, Write};

    #[tokio::test]
    async fn the_log_stays_short_under_readers_that_never_pause() {
        let env = Env::system();
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&Location::Folder(folder.path().to_owned()), &env).await.unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (db, over, runtime) = (db.clone(), over.clone(), Handle::current());
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let newest = "select seq from audit_events order by seq desc limit 20";
                        runtime.block_on(db.all::<i64>(newest, args![])).unwrap();
                    }
                })
            })
            .collect();
        let mut longest = 0;
        for _ in 0..WRITES {
            let event = AuditEvent::of_system(env.now(), Action::TokenIssue).with("x", "x".repeat(40_000));
            db.write(Write::new().event(&env, &event)).await.unwrap();
            longest = longest.max(std::fs::metadata(folder.path().join("carnet.db-wal")).unwrap().len());
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        assert!(longest < 6 << 20, "of {WRITES} writes of 40 kB the log held {longest} bytes");
    }

    const WRITES: usize = 600;

    #[test]
    fn the_writer_goes_on_while_the_thread_copies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let another = || connect(path.to_str().unwrap(), OUTSIDERS).unwrap();
        let mut writer = another();
        writer.execute_batch("create table some (thing blob)").unwrap();
        let shortening = Shortening::of(&mut writer, another(), Arc::new(Readers::of([another()]))).unwrap();
        let size = || std::fs::metadata(&path).unwrap().len();
        let before = size();
        // As if the thread were at it, and took long.
        let at_it = shortening.copying.lock().unwrap();
        let mut pages = 0;
        while pages <= LONG {
            writer.execute("insert into some values (zeroblob(40000))", []).unwrap();
            pages = shortening.pages.load(Ordering::Relaxed);
            shortening.shorten(&writer);
        }
        assert_eq!(size(), before, "the writer wrote on, and copied nothing itself");
        drop(at_it);
        let begun = Instant::now();
        while size() < before + 1_000_000 {
            assert!(begun.elapsed() < Duration::from_mins(1), "the thread was woken, and copies");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
