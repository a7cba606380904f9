//! The root-key provider that is a file: 32 random bytes, raw or in base64.
//!
//! Which files are taken at all is said in [`crate::secret_file`]; here also content that is not 32
//! random-looking bytes is refused.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use carnet_model::{Env, Secret};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Boxed, PROVIDER_KEY, RootKey, RootKeyError, RootVersion, unwrap_with, wrap_with};
use crate::key::{Key, KeyBytes};
use crate::secret_file::{self, Location, SecretFileError, check_location, io_error, quoted};

/// A key file.
#[derive(Debug)]
pub struct FileKey {
    key: Key,
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
    /// It is not to be trusted, or cannot be had.
    #[error("key file {0}")]
    File(SecretFileError),
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
}

impl From<SecretFileError> for FileKeyError {
    fn from(error: SecretFileError) -> Self {
        Self::File(error)
    }
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
            Err(error) => return Err(io_error(path)(error.into()).into()),
        };
        let written = write_durably(file, &bytes, path);
        if let Err(source) = written {
            // Half a key would be refused at the next start with a misleading reason.
            std::fs::remove_file(path).ok();
            return Err(io_error(path)(source).into());
        }
        Ok(Self { key: Key::new(PROVIDER_KEY, Secret::new(*bytes)) })
    }

    /// Reads a key file, or says why it is not to be trusted.
    pub fn open(path: &Path, location: Location<'_>) -> Result<Self, FileKeyError> {
        let file = match secret_file::open(path, location) {
            Err(SecretFileError::Missing { path }) => return Err(FileKeyError::Missing { path }),
            opened => opened?,
        };
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

/// More than any spelling of 32 bytes needs; a longer file is no key file.
const MAX_CONTENT: usize = 128;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
