//! Root-key providers: who wraps the key that wraps all others.
//!
//! A provider keeps its own key outside the database. Here are a key file and a passphrase; key services
//! of a cloud are in `carnet-kms`, which is why [`RootKey`] may take time and fail. A wrapped root key is bound to its deployment, its id,
//! its version and the provider's label: the row of another deployment does not open.

mod file;
mod passphrase;

use std::error::Error;
use std::pin::Pin;

use carnet_model::{Env, Id, Secret, kind};

pub use file::{FileKey, FileKeyError};
pub use passphrase::{Cost, CostError, PassphraseError, PassphraseKey};

use crate::envelope::{Failure, SealError, Suite, open_or_tell, seal};
use crate::key::{Key, KeyBytes, KeyId};
use crate::wrapped::place;

/// A future that a trait object can return.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which root key is wrapped or unwrapped; a KMS binds it as its context.
#[derive(Clone, Copy, Debug)]
pub struct RootVersion {
    /// The deployment.
    pub deployment: Id<kind::Deployment>,
    /// The id of the root key.
    pub id: KeyId,
    /// Its version.
    pub version: u64,
}

/// Wraps and unwraps root keys.
pub trait RootKey: Send + Sync {
    /// What stands in the column `wrapped_by`: `kek:` and the kind of provider.
    fn label(&self) -> &str;

    /// Wraps a root key.
    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>>;

    /// Unwraps what [`RootKey::wrap`] made for the same root key.
    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>>;
}

/// Why a root key could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The provider's key is not the one that wrapped it.
    #[error(
        "this is another key file than the one the root key was wrapped with, or the passphrase is wrong"
    )]
    WrongKey,
    /// The provider's key is right, and what it wrapped was altered, cut, or belongs to another deployment.
    #[error(
        "the wrapped root key is damaged or belongs to another deployment: restore the table `keys` from a backup"
    )]
    Damaged,
    /// A key service could not be reached or gave no usable answer. Trying again may help.
    #[error("the key service gave no answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A key service answered that this deployment may not use the key: access was taken away, or the key is disabled
    /// or gone. Somebody meant it.
    #[error("the key service refuses the use of its key: {0}")]
    Denied(String),
    /// It could not be sealed.
    #[error("the root key could not be wrapped")]
    Seal(#[source] SealError),
}

/// A provider's key has no row, so it has no name of its own.
const PROVIDER_KEY: KeyId = KeyId::from_bytes([0; 16]);

fn wrap_with(
    env: &Env,
    provider: &Key,
    label: &str,
    of: RootVersion,
    key: &KeyBytes,
) -> Result<Vec<u8>, RootKeyError> {
    seal(
        env,
        Suite::Aes256Gcm,
        provider,
        &place(of.deployment, None, &of.id, label, of.version),
        key.expose(),
    )
    .map_err(RootKeyError::Seal)
}

fn unwrap_with(
    provider: &Key,
    label: &str,
    of: RootVersion,
    wrapped: &[u8],
) -> Result<KeyBytes, RootKeyError> {
    let opened = open_or_tell(provider, &place(of.deployment, None, &of.id, label, of.version), wrapped)
        .map_err(|failure| match failure {
            Failure::Commitment => RootKeyError::WrongKey,
            Failure::Malformed | Failure::KeyId | Failure::Content => RootKeyError::Damaged,
        })?;
    let bytes = <[u8; 32]>::try_from(opened.expose().as_slice()).map_err(|_| RootKeyError::Damaged)?;
    Ok(Secret::new(bytes))
}
