//! What proves who calls, and where it comes from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use carnet_model::SecretString;

use crate::error::Error;

/// What proves who calls.
#[derive(Debug)]
pub enum Credential {
    /// A person's access token, `crn_…`.
    AccessToken(SecretString),
    /// The OIDC token of a workload: a project in an environment.
    Identity(SecretString),
    /// A file that holds the OIDC token of a workload, and that somebody keeps fresh.
    IdentityFile(IdentityFile),
}

/// A file with the OIDC token of a workload, as Kubernetes projects it into a pod. It is read for every use, so a token
/// that was put there a moment ago is the one that is presented.
pub struct IdentityFile {
    path: PathBuf,
    last: Mutex<Option<Arc<SecretString>>>,
}

impl Credential {
    /// The credential as it is now.
    pub(crate) fn present(&self) -> Result<Arc<SecretString>, Error> {
        match self {
            Self::AccessToken(token) | Self::Identity(token) => Ok(Arc::new(token.duplicate())),
            Self::IdentityFile(file) => file.read(),
        }
    }
}

impl IdentityFile {
    /// The file at this path. It need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), last: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token that stands in it. While the file is being replaced it can be missing or empty for a moment; then it is
    /// the token that was read last. Whether that is still good, the server decides.
    pub fn read(&self) -> Result<Arc<SecretString>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.look(), &*last) {
            (Ok(token), Some(known)) if is_same(&token, known) => Ok(known.clone()),
            (Ok(token), _) => Ok(last.insert(Arc::new(token)).clone()),
            (Err(_), Some(known)) => Ok(known.clone()),
            (Err(error), None) => {
                Err(Error::IdentityFile { path: self.path.clone(), source: Arc::new(error) })
            }
        }
    }

    fn look(&self) -> io::Result<SecretString> {
        let mut text = String::with_capacity(LONGEST);
        let read = File::open(&self.path)?.take(LONGEST as u64).read_to_string(&mut text)?;
        let text = SecretString::from(text);
        if read == LONGEST {
            return Err(io::Error::other("it is too long for a token"));
        }
        let token = text.expose().trim();
        if token.is_empty() {
            return Err(io::Error::other("it is empty"));
        }
        Ok(SecretString::from(token.to_owned()))
    }
}

impl fmt::Debug for IdentityFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentityFile").field(&self.path).finish()
    }
}

/// Whether two tokens are one.
pub(crate) fn is_same(one: &SecretString, other: &SecretString) -> bool {
    verify_slices_are_equal(one.expose().as_bytes(), other.expose().as_bytes()).is_ok()
}

/// The server takes no longer headers, so no token is longer.
const LONGEST: usize = 16 << 10;
