//! The write-ahead log, kept short: the writer copies what stands in it into the file, after a commit and never in it.
//!
//! SQLite begins its log anew only in a moment in which nobody reads from it. Under a steady load of reads there may be
//! none for seconds: the log grows to tens of mebibytes, every commit tries in vain to copy it, and every request waits.
//! So when it has grown, the writer makes such a moment: it closes the door, waits for the reads that are under way, each
//! of which takes microseconds, and copies the rest. Whoever reads after that reads the file alone, and does not stand in
//! the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::readers::Readers;
use super::{end_if_flush_failed, failed};
use crate::db::DbError;

/// How long the log of the writer's connection is, and who reads from it.
pub(super) struct Shortening {
    /// Pages in the log, after the last commit.
    pages: Arc<AtomicI32>,
    readers: Arc<Readers>,
}

impl Shortening {
    /// In place of SQLite's own, which copies before the commit returns.
    pub(super) fn of(writer: &mut Connection, readers: Arc<Readers>) -> Result<Self, DbError> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = pages.clone();
        let see = move |_: &mut Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(see)).map_err(failed)?;
        Ok(Self { pages, readers })
    }

    /// Copies what has come together, if that is enough.
    pub(super) fn shorten(&self, writer: &Connection) {
        // A commit that wrote nothing leaves the number as it was.
        let pages = self.pages.swap(0, Ordering::Relaxed);
        if pages >= PIECE {
            copy(writer);
        }
        if pages >= LONG {
            self.readers.alone(|| copy(writer));
        }
    }
}

/// As far as nobody reads what was there before; waits for nobody. A copy that fails leaves everything in the log, and
/// the next one begins where it ended.
fn copy(writer: &Connection) {
    if let Err(error) = writer.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())) {
        end_if_flush_failed(&error);
        tracing::warn!(%error, "the write-ahead log was not copied into the database file; it grows meanwhile");
    }
}

/// Pages that are copied together. Writes wait meanwhile, so it is done often and in small pieces: a mebibyte.
const PIECE: i32 = 256;
/// Pages from which on the readers are made to wait too, to begin anew.
const LONG: i32 = 1024;
#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use carnet_model::Env;
    use carnet_model::audit::{Action, AuditEvent};
    use tokio::runtime::Handle;

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
        assert!(longest < 12 << 20, "of {WRITES} writes of 40 kB the log held {longest} bytes");
    }

    const WRITES: usize = 600;
}
