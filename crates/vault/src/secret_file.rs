//! Files that hold secrets: key files, passphrases, tokens with which key services are asked.
//!
//! Refused, each with what to do about it: a file that others may read or write, that another user owns, that has a
//! second name, or that lies where it must not, inside the data directory, where a plain backup would carry key and data
//! together. A symbolic link is followed, as those are by which an orchestrator hands out secrets, and what it leads to is
//! judged. Kind, owner, mode, names and place are those of the file that is read: they are asked of it after it was opened.
//! Who may write to the directories above is the operator's business.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use carnet_model::SecretString;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Where such a file may lie.
#[derive(Clone, Copy, Debug)]
pub enum Location<'a> {
    /// Anywhere but below this directory, which holds the data.
    OutsideOf(&'a Path),
    /// Anywhere: for development, where one folder holds everything, and for what opens no data.
    Anywhere,
}

/// Why such a file is not used. Each text begins with the path, quoted for a shell, and names what mends it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// There is none.
    #[error("{path} is not there")]
    Missing {
        /// Quoted, as in all of these.
        path: String,
    },
    /// Others have access to it.
    #[error("{path} has mode {mode:04o}, so others can get at it; run: chmod 600 {path}")]
    Exposed {
        /// The path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error("{path} belongs to user {owner}, and this process is user {user}; run: chown {user} {path}")]
    ForeignOwner {
        /// The path.
        path: String,
        /// The user id that owns it.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
    /// It is a directory, a pipe, a device.
    #[error("{path} is not a regular file; give the path of one")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// It has more than one name.
    #[error(
        "{path} has {links} names (hard links), so it may lie somewhere else too; run: cp {path} {path}.own && mv {path}.own {path}"
    )]
    Linked {
        /// The path.
        path: String,
        /// How many names.
        links: u64,
    },
    /// It lies where the data lies.
    #[error(
        "{path} lies inside the data directory {data_dir}, so every backup of the data would hold it too; move it out with mv and give its new path"
    )]
    InsideData {
        /// The path.
        path: String,
        /// The data directory.
        data_dir: String,
    },
    /// The system said no.
    #[error("{path} cannot be used: {why}; see that its folder exists and that this user may enter it")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

/// The text of such a file.
pub fn read_secret_file(path: &Path, location: Location<'_>) -> Result<SecretString, SecretFileError> {
    let file = open(path, location)?;
    // Room for all of it at once: what grows leaves pieces behind that nobody wipes.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
    let length = file.take(MAX_TEXT as u64).read_to_string(&mut text).map_err(io_error(path))?;
    if length == MAX_TEXT {
        return Err(io_error(path)(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(SecretString::new(std::mem::take(&mut *text)))
}

/// Opens such a file, or says why it is not to be trusted.
pub(crate) fn open(path: &Path, location: Location<'_>) -> Result<File, SecretFileError> {
    for _ in 0..TRIES {
        // NONBLOCK, because opening a pipe would wait for somebody to write to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Err(SecretFileError::Missing { path: quoted(path) }),
            Err(error) => {
                // A file that root made for a service: the reason is its owner, not that it cannot be read.
                path.metadata().map_or(Ok(()), |facts| check_owner(&facts, path))?;
                return Err(io_error(path)(error.into()));
            }
        };
        let facts = file.metadata().map_err(io_error(path))?;
        check_file(&facts, path)?;
        let Location::OutsideOf(_) = location else { return Ok(file) };
        check_location(path, location)?;
        // What was looked at is the file that is open, unless a link was turned to another one in between.
        let found = resolved(path).and_then(|real| real.metadata()).map_err(io_error(path))?;
        if (found.dev(), found.ino()) == (facts.dev(), facts.ino()) {
            return Ok(file);
        }
    }
    Err(io_error(path)(io::Error::other("it leads elsewhere each time that it is looked at")))
}

fn check_file(facts: &Metadata, path: &Path) -> Result<(), SecretFileError> {
    if !facts.is_file() {
        return Err(SecretFileError::NotAFile { path: quoted(path) });
    }
    check_owner(facts, path)?;
    let mode = facts.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(SecretFileError::Exposed { path: quoted(path), mode });
    }
    if facts.nlink() > 1 {
        return Err(SecretFileError::Linked { path: quoted(path), links: facts.nlink() });
    }
    Ok(())
}

fn check_owner(facts: &Metadata, path: &Path) -> Result<(), SecretFileError> {
    let user = rustix::process::geteuid().as_raw();
    if facts.uid() != user {
        return Err(SecretFileError::ForeignOwner { path: quoted(path), owner: facts.uid(), user });
    }
    Ok(())
}

/// Compares the paths with every symlink resolved, so that a detour into the data directory is seen.
pub(crate) fn check_location(path: &Path, location: Location<'_>) -> Result<(), SecretFileError> {
    let Location::OutsideOf(data_dir) = location else { return Ok(()) };
    let real_path = resolved(path).map_err(io_error(path))?;
    let real_data_dir = resolved(data_dir).map_err(io_error(path))?;
    if real_path.starts_with(real_data_dir) {
        return Err(SecretFileError::InsideData { path: quoted(path), data_dir: quoted(data_dir) });
    }
    Ok(())
}

/// `path` without symlinks, also where its last parts do not exist yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Ok(resolved(parent)?.join(name))
        }
        found => found,
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> SecretFileError {
    |why| SecretFileError::Io { path: quoted(path), why }
}

/// The path as a shell reads it, with control characters made visible.
pub(crate) fn quoted(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,@%=:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Of a text; what an operator's file holds is far shorter.
const MAX_TEXT: usize = 256 * 1024;

/// How often a link may be turned while it is looked at.
const TRIES: usize = 3;
