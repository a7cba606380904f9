//! The connections that read, and the door before them, which the writer closes for a moment to be alone with the file.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use rusqlite::Connection;

use super::{Texts, lock};

pub(super) struct Readers {
    all: Vec<Mutex<Reader>>,
    next: AtomicUsize,
    is_closed: AtomicBool,
    /// Held by whoever closed it.
    door: Mutex<()>,
}

/// A connection and the SQLite texts of the statements it has seen.
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) texts: Texts,
}

impl Readers {
    pub(super) fn of(connections: impl IntoIterator<Item = Connection>) -> Self {
        let reader = |connection| Mutex::new(Reader { connection, texts: Texts::default() });
        Self {
            all: connections.into_iter().map(reader).collect(),
            next: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            door: Mutex::new(()),
        }
    }

    /// One of them, which nobody else has meanwhile.
    pub(super) fn borrow(&self) -> MutexGuard<'_, Reader> {
        if self.is_closed.load(Ordering::Acquire) {
            drop(lock(&self.door));
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.all.len() {
            match self.all.get((start + offset) % self.all.len()).map(Mutex::try_lock) {
                Some(Ok(reader)) => return reader,
                Some(Err(TryLockError::Poisoned(poisoned))) => return poisoned.into_inner(),
                _ => {}
            }
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "the remainder is below the length, and there is one at least"
        )]
        lock(&self.all[start % self.all.len()])
    }

    /// Does `work` while nobody reads. Not at all if a read that is under way takes long: that can be waited for better by
    /// the work than by everybody.
    pub(super) fn alone(&self, work: impl FnOnce()) {
        let _door = lock(&self.door);
        self.is_closed.store(true, Ordering::Release);
        let mut tries = TRIES;
        let taken: Option<Vec<_>> = self.all.iter().map(|reader| take(reader, &mut tries)).collect();
        if taken.is_some() {
            work();
        }
        self.is_closed.store(false, Ordering::Release);
    }
}

/// When its read has ended, unless that takes more tries than are left.
fn take<'a>(reader: &'a Mutex<Reader>, tries: &mut u32) -> Option<MutexGuard<'a, Reader>> {
    loop {
        match reader.try_lock() {
            Ok(reader) => return Some(reader),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                *tries = tries.checked_sub(1)?;
                std::thread::sleep(BETWEEN);
            }
        }
    }
}

/// How often a read that is under way is waited for, and how long each time: two milliseconds altogether.
const TRIES: u32 = 40;
const BETWEEN: Duration = Duration::from_micros(50);
