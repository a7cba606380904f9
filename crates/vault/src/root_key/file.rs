//! The root-key provider that is a file: 32 random bytes, raw or in base64.
//!
//! Refused, each with what to do about it: a file that others may read, that another user owns, that is a symlink or
//! has a second name, that lies inside the data directory (where a plain backup would carry key and data together),
//! and content that is not 32 random-looking bytes. Kind, owner, mode and names are those of the file that is read: they
//! are asked of it after it was opened. Who may write to the directories above is the operator's business.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use carnet_model::{Env, Secret};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Boxed, PROVIDER_KEY, RootKey, RootKeyError, RootVersion, unwrap_with, wrap_with};
use crate::key::{Key, KeyBytes};

/// A key file.
#[derive(Debug)]
pub struct FileKey {
    key: Key,
}

/// Where a key file may lie.
#[derive(Clone, Copy, Debug)]
pub enum Location<'a> {
    /// Anywhere but below this directory, which holds the data.
    OutsideOf(&'a Path),
    /// Anywhere, for development, where one folder holds everything.
    Anywhere,
}

/// Why a key file is not used. Each text names what mends it.
#[derive(Debug, thiserror::Error)]
pub enum FileKeyError {
    /// There is none.
    #[error(
        "there is no key file at {path}; restore it, or for a new deployment make one: (umask 077; openssl rand -base64 32 > {path})"
    )]
    Missing {
        /// Quoted for a shell, as in all of these.
        path: String,
    },
    /// One is to be made where something is.
    #[error("{path} exists already, and a key file is never overwritten; choose another path")]
    Exists {
        /// The path.
        path: String,
    },
    /// Others have access to it.
    #[error("key file {path} has mode {mode:04o}, so others can get at it; run: chmod 600 {path}")]
    Exposed {
        /// The path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error(
        "key file {path} belongs to user {owner}, and this process is user {user}; run: chown {user} {path}"
    )]
    ForeignOwner {
        /// The path.
        path: String,
        /// The user id that owns it.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
    /// It is a symbolic link.
    #[error("key file {path} is a symbolic link; give the path that it leads to: readlink -f {path}")]
    Symlink {
        /// The path.
        path: String,
    },
    /// It is a directory, a pipe, a device.
    #[error("{path} is not a regular file; give the path of a file with 32 random bytes in it")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// It has more than one name.
    #[error(
        "key file {path} has {links} names (hard links), so it may lie somewhere else too; run: cp {path} {path}.own && mv {path}.own {path}"
    )]
    Linked {
        /// The path.
        path: String,
        /// How many names.
        links: u64,
    },
    /// It lies where the data lies.
    #[error(
        "key file {path} lies inside the data directory {data_dir}, so every backup of the data would hold the key too; move it out with mv and give its new path"
    )]
    InsideData {
        /// The path.
        path: String,
        /// The data directory.
        data_dir: String,
    },
    /// Its content is not a key.
    #[error(
        "key file {path} does not hold 32 bytes or their base64; restore it, or for a new deployment make one: openssl rand -base64 32"
    )]
    Malformed {
        /// The path.
        path: String,
    },
    /// Its content was not drawn at random.
    #[error(
        "key file {path} holds text or one repeated byte instead of 32 random bytes; make one with: openssl rand -base64 32"
    )]
    NotRandom {
        /// The path.
        path: String,
    },
    /// The system said no.
    #[error("key file {path} cannot be used; see that its folder exists and that this user may enter it")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileKey {
    /// What stands in `wrapped_by`.
    pub const LABEL: &'static str = "kek:file";

    /// Draws a key and writes it to a new file, in base64, readable by its owner alone. It is on disk, its name in the
    /// folder too, when this returns.
    pub fn create(env: &Env, path: &Path, location: Location<'_>) -> Result<Self, FileKeyError> {
        check_location(path, location)?;
        let mut bytes = Zeroizing::new([0; 32]);
        env.fill(&mut *bytes);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => File::from(fd),
            Err(Errno::EXIST) => return Err(FileKeyError::Exists { path: quoted(path) }),
            Err(error) => return Err(io_error(path)(error.into())),
        };
        let written = write_durably(file, &bytes, path);
        if let Err(source) = written {
            // Half a key would be refused at the next start with a misleading reason.
            std::fs::remove_file(path).ok();
            return Err(io_error(path)(source));
        }
        Ok(Self { key: Key::new(PROVIDER_KEY, Secret::new(*bytes)) })
    }

    /// Reads a key file, or says why it is not to be trusted.
    pub fn open(path: &Path, location: Location<'_>) -> Result<Self, FileKeyError> {
        // NONBLOCK, because opening a pipe would wait for somebody to write to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Err(FileKeyError::Missing { path: quoted(path) }),
            Err(Errno::LOOP) => return Err(FileKeyError::Symlink { path: quoted(path) }),
            Err(error) => {
                // A file that root made for a service: the reason is its owner, not that it cannot be read.
                path.symlink_metadata().map_or(Ok(()), |facts| check_owner(&facts, path))?;
                return Err(io_error(path)(error.into()));
            }
        };
        check_file(&file, path)?;
        check_location(path, location)?;
        let mut content = Zeroizing::new([0; MAX_CONTENT]);
        let len = read_up_to(file, &mut *content).map_err(io_error(path))?;
        let content = content.get(..len).unwrap_or_default();
        let bytes = key_in(content).ok_or_else(|| FileKeyError::Malformed { path: quoted(path) })?;
        if !looks_random(&bytes) {
            return Err(FileKeyError::NotRandom { path: quoted(path) });
        }
        Ok(Self { key: Key::new(PROVIDER_KEY, Secret::new(*bytes)) })
    }
}

impl RootKey for FileKey {
    fn label(&self) -> &str {
        Self::LABEL
    }

    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move { wrap_with(env, &self.key, Self::LABEL, of, key) })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move { unwrap_with(&self.key, Self::LABEL, of, wrapped) })
    }
}

fn check_file(file: &File, path: &Path) -> Result<(), FileKeyError> {
    let facts = file.metadata().map_err(io_error(path))?;
    if !facts.is_file() {
        return Err(FileKeyError::NotAFile { path: quoted(path) });
    }
    check_owner(&facts, path)?;
    let mode = facts.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(FileKeyError::Exposed { path: quoted(path), mode });
    }
    if facts.nlink() > 1 {
        return Err(FileKeyError::Linked { path: quoted(path), links: facts.nlink() });
    }
    Ok(())
}

fn check_owner(facts: &Metadata, path: &Path) -> Result<(), FileKeyError> {
    let user = rustix::process::geteuid().as_raw();
    if facts.uid() != user {
        return Err(FileKeyError::ForeignOwner { path: quoted(path), owner: facts.uid(), user });
    }
    Ok(())
}

/// Compares the paths with every symlink resolved, so that a detour into the data directory is seen.
fn check_location(path: &Path, location: Location<'_>) -> Result<(), FileKeyError> {
    let Location::OutsideOf(data_dir) = location else { return Ok(()) };
    let real_path = resolved(path).map_err(io_error(path))?;
    let real_data_dir = resolved(data_dir).map_err(io_error(path))?;
    if real_path.starts_with(real_data_dir) {
        return Err(FileKeyError::InsideData { path: quoted(path), data_dir: quoted(data_dir) });
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

fn write_durably(mut file: File, bytes: &[u8; 32], path: &Path) -> io::Result<()> {
    let mut text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes));
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read_up_to(mut file: File, out: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = out.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// 32 bytes as they are, or in base64 with or without padding and line end.
fn key_in(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if let Ok(raw) = <[u8; 32]>::try_from(content) {
        return Some(Zeroizing::new(raw));
    }
    let text = content.trim_ascii_end();
    let mut decoded = Zeroizing::new([0; MAX_CONTENT]);
    let len = BASE64.decode_slice(text, &mut *decoded).ok()?;
    decoded.get(..len)?.try_into().ok().map(Zeroizing::new)
}

/// A key that is readable text was typed or is a hex or base64 spelling of fewer bytes, and 32 equal bytes are what a
/// failed write leaves. 32 random bytes look like text once in 10^13.
fn looks_random(bytes: &[u8; 32]) -> bool {
    let text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let repeated = bytes.windows(2).all(|pair| pair.first() == pair.last());
    !text && !repeated
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FileKeyError {
    |source| FileKeyError::Io { path: quoted(path), source }
}

/// The path as a shell reads it, with control characters made visible.
fn quoted(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,@%=:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// More than any spelling of 32 bytes needs; a longer file is no key file.
const MAX_CONTENT: usize = 128;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
