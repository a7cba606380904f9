//! The book: the ledger behind a lock and, if wished, in a file.
//!
//! Promised: changes happen one after the other; with a file, a change is on disk before anybody sees it or is
//! answered, and a change that cannot be written did not happen. The file is always whole (a new one is written
//! beside it and takes its name) and only its owner can read it. Dropping a waiting caller does not stop a change.
//!
//! Not promised: that two processes may share one file. They may not.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carnet_model::Time;
use serde::{Deserialize, Serialize};

use super::Ledger;

/// The ledger of a running server.
pub(crate) struct Book {
    current: Mutex<Ledger>,
    file: Option<StateFile>,
}

struct StateFile {
    path: PathBuf,
    /// Held for the whole of a change, so that readers of `current` need not wait for the disk.
    turn: Mutex<()>,
}

/// A change that could not be written, and so was not made.
#[derive(Debug, thiserror::Error)]
#[error("the state file cannot be written")]
pub(crate) struct Unsaved;

/// A state file that cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the state file of the demo provider cannot be read: {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not one of ours, or is damaged.
    #[error("not a state file of this demo provider; remove it to start afresh: {}", path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The file's content. The name of the ledger's form is part of it, so that a file of another form is refused.
#[derive(Serialize, Deserialize)]
enum Saved<L> {
    #[serde(rename = "carnet-demo-1")]
    First(L),
}

impl Book {
    /// Takes up the file where the last run left it, or begins a new book.
    pub(crate) fn open(path: Option<PathBuf>, now: Time) -> Result<Self, StateError> {
        let mut ledger = match &path {
            Some(path) => read(path)?.unwrap_or_else(|| Ledger::new(now)),
            None => Ledger::new(now),
        };
        ledger.sweep(now);
        let file = path.map(|path| StateFile { path, turn: Mutex::new(()) });
        Ok(Self { current: Mutex::new(ledger), file })
    }

    /// Looks something up.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&lock(&self.current))
    }

    /// Makes a change.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T, Unsaved> {
        if self.file.is_none() {
            return Ok(change(&mut lock(&self.current)));
        }
        let book = Arc::clone(self);
        tokio::task::spawn_blocking(move || book.change_on_disk(change)).await.map_err(|_| Unsaved)?
    }

    fn change_on_disk<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> Result<T, Unsaved> {
        let Some(file) = &self.file else { return Ok(change(&mut lock(&self.current))) };
        let _turn = lock(&file.turn);
        let before = lock(&self.current).clone();
        let mut after = before.clone();
        let answer = change(&mut after);
        if after != before {
            write(&file.path, &after).map_err(|_| Unsaved)?;
            *lock(&self.current) = after;
        }
        Ok(answer)
    }
}

fn read(path: &Path) -> Result<Option<Ledger>, StateError> {
    match std::fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(Saved::First(ledger)) => Ok(Some(ledger)),
            Err(source) => Err(StateError::Unknown { path: path.to_owned(), source }),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Unreadable { path: path.to_owned(), source }),
    }
}

fn write(path: &Path, ledger: &Ledger) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an interrupted write left; created anew below, so that its mode is ours.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(&Saved::First(ledger))?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The new name is durable once the folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A change that panicked in memory may be half made, but every row of the ledger is sound by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
