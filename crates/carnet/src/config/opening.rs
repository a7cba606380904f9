//! What turns out to be wrong with the configuration only when what it names is opened: told like everything else that is
//! wrong in it, with its line.
//!
//! Folders are tried before a key or a store is made: a start that is refused leaves nothing behind.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use carnet_engine::{Location, OpenError, StartError, UnlockError, copy};

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
        if let StartError::Unlock(
            UnlockError::OtherProvider { label, found } | UnlockError::Elsewhere { label, found, .. },
        ) = &error
            && found.contains("kek:")
        {
            let given = member_of(label.split(' ').next().unwrap_or_default());
            let names: Vec<&str> = found.split(", ").collect();
            let failure = wrong(format!(
                "The keys of this deployment are wrapped by {found}, and the configuration names another root-key provider: \
                 {label}."
            ));
            return self.told(&given, with_way_in(failure, &names)).into();
        }
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

/// A master key that is looked for because nothing else is named, and is not there, beside a store that has keys: what
/// they are wrapped by, which may be another provider.
pub(crate) fn with_what_wraps(member: &str, location: &Location, mut failure: Failure) -> Failure {
    let Location::Folder(data) = location else { return failure };
    if member != "master_key_file" {
        return failure;
    }
    // Where it cannot be read, what is known already is said.
    let found = copy::wrapped_by(data).unwrap_or_default();
    let others: Vec<&str> = found.iter().map(String::as_str).filter(|name| *name != "kek:file").collect();
    if others.is_empty() {
        return failure;
    }
    failure.message = format!(
        "{} The keys of the data in {} are wrapped by {}.",
        failure.message,
        data.display(),
        found.join(", ")
    );
    with_way_in(failure, &others)
}

/// With the members of the configuration that name these providers.
fn with_way_in(failure: Failure, providers: &[&str]) -> Failure {
    providers.iter().fold(failure, |failure, name| {
        failure.next(
            format!("{} = …", member_of(name)),
            format!("in the file of --config, to name the one that {name} was (docs/keys.md)"),
        )
    })
}

/// The member of the configuration that names a provider with this label.
fn member_of(label: &str) -> String {
    match label.strip_prefix("kek:").unwrap_or(label) {
        "file" => "master_key_file".to_owned(),
        "passphrase" => "passphrase_file".to_owned(),
        service => service.replace('-', "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_that_wrapped_the_keys_is_named_with_its_member() {
        let error = |found: &str| {
            let error = UnlockError::OtherProvider { label: "kek:file".to_owned(), found: found.to_owned() };
            ConfigFile::default().blame(StartError::Unlock(error))
        };
        for (found, members) in [
            ("kek:aws-kms", &["aws_kms"][..]),
            ("kek:passphrase, kek:vault-transit", &["passphrase_file", "vault_transit"]),
        ] {
            let error = error(found);
            let failure = error.downcast_ref::<Failure>().unwrap();
            assert_eq!(failure.exit, crate::cli::failure::Exit::Usage);
            assert!(failure.message.contains(&format!("wrapped by {found},")), "{}", failure.message);
            let ways: Vec<_> = failure.next.iter().map(|next| next.command.clone()).collect();
            let wanted: Vec<_> = members.iter().map(|member| format!("{member} = …")).collect();
            assert_eq!(ways, wanted);
        }
        assert!(
            error("nothing").downcast_ref::<Failure>().is_none(),
            "rows are missing, and nothing else is wrong"
        );
    }

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
