//! What turns out to be wrong with the configuration only when what it names is opened: told like everything else that is
//! wrong in it, with its line.
//!
//! Folders are tried before a key or a store is made: a start that is refused leaves nothing behind.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use carnet_engine::{Location, OpenError, StartError};

use super::{ConfigFile, wrong};
use crate::cli::failure::Failure;

/// Folders that were made to see whether they can be. They are kept by [`Tried::keep`], and else go again.
#[derive(Default)]
pub(crate) struct Tried(Vec<PathBuf>);

impl Tried {
    /// The start goes on.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }

    /// Makes a folder, for this user alone, and writes into it.
    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        let missing = folder.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists());
        let missing: Vec<_> = missing.map(Path::to_owned).collect();
        for part in missing.into_iter().rev() {
            match DirBuilder::new().mode(0o700).create(&part) {
                Ok(()) => self.0.push(part),
                // By another process that starts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let file = folder.join("carnet.tried");
        File::options().create(true).truncate(true).write(true).mode(0o600).open(&file)?;
        // Another process that starts may have taken it away.
        drop(std::fs::remove_file(file));
        Ok(())
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        for folder in self.0.drain(..).rev() {
            // Only where nothing is in it.
            drop(std::fs::remove_dir(folder));
        }
    }
}

impl ConfigFile {
    /// Sees whether the folders can be used in which the server keeps something.
    pub(crate) fn try_folders(&self, location: &Location, spill: &Path) -> Result<Tried, Failure> {
        let mut tried = Tried::default();
        let data = match location {
            Location::Folder(data) => Some(("data", data.as_path())),
            Location::Memory | Location::Shared(_) | Location::Postgres(_) => None,
        };
        for (member, folder) in data.into_iter().chain([("spill", spill)]) {
            let done = tried.folder(folder).map_err(|error| {
                wrong(format!("{member}: the folder {} cannot be used: {error}.", folder.display()))
            });
            self.at(member, done)?;
        }
        Ok(tried)
    }

    /// Why the store does not open, where that is the configuration's fault.
    pub(crate) fn blame(&self, error: StartError) -> anyhow::Error {
        let member = match &error {
            StartError::Open(OpenError::Folder { .. }) => "data",
            StartError::Open(OpenError::Address(_) | OpenError::Unsafe(_) | OpenError::Encoding(_)) => {
                "database_url"
            }
            StartError::Open(OpenError::Db(_)) if self.database_url.is_some() => "database_url",
            _ => return error.into(),
        };
        let error = format!("{:#}", anyhow::Error::from(error));
        self.told(member, wrong(format!("{member}: {error}."))).into()
    }

    /// A failure that is about this member, with its line.
    pub(crate) fn told(&self, member: &str, failure: Failure) -> Failure {
        self.written.told(member, failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_only_tried_goes_again_and_a_kept_one_stays() {
        let home = tempfile::tempdir().unwrap();
        let (below, file) = (home.path().join("a/b"), home.path().join("file"));
        std::fs::write(&file, "").unwrap();
        let mut tried = Tried::default();
        tried.folder(&below).unwrap();
        assert!(tried.folder(&file).is_err() && tried.folder(&file.join("x")).is_err());
        assert!(below.is_dir());
        drop(tried);
        assert!(!home.path().join("a").exists() && file.exists());

        let mut tried = Tried::default();
        tried.folder(&below).unwrap();
        tried.keep();
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0);
        let mut again = Tried::default();
        again.folder(&below).unwrap();
        drop(again);
        assert!(below.is_dir(), "it was there before");
    }
}
