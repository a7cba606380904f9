//! The two files in `.carnet` that a command looks for, in its folder and those above.
//!
//! `project.json` says which project a folder belongs to; it holds no secret. `dev.json` is left by `carnet dev` and
//! holds credentials: it is read only if nobody else can.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use carnet_model::{Id, SecretString, kind};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::failure::{Exit, Failure};

/// The folder's name.
pub(crate) const FOLDER: &str = ".carnet";

/// `.carnet/project.json`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectFile {
    /// The project.
    pub(crate) project_id: Id<kind::Project>,
    /// Its team.
    pub(crate) team_id: Id<kind::Team>,
    /// Its name when it was linked.
    pub(crate) project_name: String,
    /// The server that knows it.
    pub(crate) url: String,
}

/// `.carnet/dev.json`, as far as a command needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DevFile {
    /// Where the development server listens.
    pub(crate) url: String,
    /// Its team.
    pub(crate) team_id: Id<kind::Team>,
    /// Its project.
    pub(crate) project_id: Id<kind::Project>,
    /// The developer's access token.
    pub(crate) access_token: SecretString,
}

/// The nearest `.carnet/NAME`, from this folder upwards.
pub(crate) fn nearest(from: &Path, name: &str) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(FOLDER).join(name)).find(|path| path.is_file())
}

impl ProjectFile {
    /// Its name.
    pub(crate) const NAME: &'static str = "project.json";

    /// Reads it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let broken = |why: &dyn std::fmt::Display| {
            Failure::new(
                "project_file_invalid",
                format!("{} is not the file that `link` writes ({why}).", path.display()),
            )
            .next("carnet link PROJECT", "to write it anew")
        };
        let text = fs::read(path).map_err(|error| broken(&error))?;
        serde_json::from_slice(&text).map_err(|error| broken(&error))
    }

    /// Writes it below `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let parent = folder.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
        let path = parent.join(Self::NAME);
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        replace(&path, &text, 0o644)?;
        Ok(path)
    }
}

impl DevFile {
    /// Its name.
    pub(crate) const NAME: &'static str = "dev.json";

    /// Reads it, if it belongs to the person and nobody else can read it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_private(path, "carnet dev")?;
        // The reader's own message could quote a credential.
        serde_json::from_str(&text).map_err(|_| {
            unusable(path, "it is not the file that `dev` writes").next("carnet dev", "to write it anew")
        })
    }
}

fn unusable(path: &Path, why: &str) -> Failure {
    let message = format!("{} cannot be used: {why}.", path.display());
    Failure::new("credential_file_unusable", message).exit(Exit::SignIn)
}

/// The text of a file with credentials, if it belongs to the person and nobody else can read it. `writer` is the command
/// that writes it.
pub(crate) fn read_private(path: &Path, writer: &str) -> Result<String, Failure> {
    let anew = |why: &str| unusable(path, why).next(writer, "to write it anew");
    // The file that was looked at is the file that is read: one descriptor, and no symbolic link.
    let descriptor =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| anew(&io::Error::from(error).to_string()))?;
    let mut file = File::from(descriptor);
    let metadata = file.metadata().map_err(|error| anew(&error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(unusable(path, "others can read it")
            .next(format!("chmod 600 '{}'", path.display()), "so that only you can"));
    }
    let me = rustix::process::geteuid();
    if metadata.uid() != me.as_raw() && !me.is_root() {
        return Err(anew("it belongs to somebody else"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| anew(&error.to_string()))?;
    Ok(text)
}

/// Puts a file in place in one step: whoever looks sees the old one or the new one, after a crash too.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut draft = path.to_owned();
    draft.set_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&draft, flags, Mode::from_raw_mode(mode))?);
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        drop(fs::remove_file(&draft));
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dev_json() -> String {
        json!({"url": "http://127.0.0.1:7070", "teamId": "team_0000000000000000000001", "teamSlug": "dev",
            "projectId": "prj_0000000000000000000001", "projectName": "my-app",
            "userId": "usr_0000000000000000000001", "accessToken": "crn_secret", "oidcToken": "a.b.c"})
        .to_string()
    }

    #[test]
    fn the_nearest_file_upwards_is_found() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(nearest(&inner, ProjectFile::NAME), None);
        let file = ProjectFile {
            project_id: "prj_0000000000000000000001".parse().unwrap(),
            team_id: "team_0000000000000000000001".parse().unwrap(),
            project_name: "my-app".to_owned(),
            url: "https://c.example".to_owned(),
        };
        let path = file.write(root.path()).unwrap();
        assert_eq!(nearest(&inner, ProjectFile::NAME), Some(path.clone()));
        assert_eq!(ProjectFile::read(&path), Ok(file));
        let keys: Vec<_> = serde_json::from_slice::<serde_json::Map<_, _>>(&fs::read(&path).unwrap())
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["projectId", "projectName", "teamId", "url"]);
    }

    #[test]
    fn credentials_that_others_could_read_are_refused_with_the_command_that_mends_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(DevFile::NAME);
        replace(&path, dev_json().as_bytes(), 0o600).unwrap();
        assert_eq!(DevFile::read(&path).unwrap().access_token.expose(), "crn_secret");
        for mode in [0o644, 0o640, 0o604, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let failure = DevFile::read(&path).unwrap_err();
            assert_eq!(failure.exit, Exit::SignIn);
            assert!(failure.next[0].command.starts_with("chmod 600 "), "{mode:o}");
        }
    }

    #[test]
    fn a_link_to_credentials_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("real");
        replace(&real, dev_json().as_bytes(), 0o600).unwrap();
        let link = root.path().join(DevFile::NAME);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(DevFile::read(&link).is_err());
    }

    #[test]
    fn a_broken_credential_file_is_never_quoted() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(DevFile::NAME);
        replace(&path, br#"{"url":1,"accessToken":"crn_secret"}"#, 0o600).unwrap();
        let failure = DevFile::read(&path).unwrap_err();
        assert!(!failure.message.contains("crn_"), "{failure}");
    }

    #[test]
    fn a_failed_replacement_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("folder");
        fs::create_dir(&target).unwrap();
        assert!(replace(&target, b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
