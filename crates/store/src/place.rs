//! Whether the files of an embedded store are still where they were opened.
//!
//! The kernel lets a process write on into a file that somebody has removed or put another one in the place of. What is
//! acknowledged then is gone with the process, and nobody notices before. So it is looked at before every commit.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::db::DbError;

/// The files that hold what was acknowledged, and which files those were.
pub(crate) struct Place(Vec<(PathBuf, (u64, u64))>);

impl Place {
    /// Of a store that is open, and has a write-ahead log.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let files = ["carnet.db", "carnet.db-wal"].map(|name| folder.join(name));
        files
            .into_iter()
            .map(|path| identity(&path).map(|file| (path, file)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Refuses where one of them is gone, or another is in its place.
    pub(crate) fn check(&self) -> Result<(), DbError> {
        for (path, file) in &self.0 {
            if !identity(path).is_ok_and(|found| found == *file) {
                return Err(DbError::Unavailable(format!(
                    "{} is not the file that was opened",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}
