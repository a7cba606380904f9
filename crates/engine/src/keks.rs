//! The root-key providers of this process: one, or two while one takes over from the other.
//!
//! Promised: a root key opens if either provider wrapped it. Which of them wraps a new one, and whether one may be
//! dropped, is decided elsewhere ([`crate::keys`]): by what wraps the root keys that are there, and by what every process
//! has shown that it can open.

use std::sync::{Arc, PoisonError, RwLock};

use carnet_model::{Env, SecretString};
use carnet_store::keys::{KeyRow, WrapRow};
use carnet_vault::{
    Boxed, Cost, KeyBytes, PassphraseError, PassphraseKey, RootKey, RootKeyError, RootVersion,
};

use crate::start::StartError;

/// What root keys are wrapped by.
pub enum Root {
    /// A provider that is ready: a key file, a key service.
    Key(Box<dyn RootKey>),
    /// A passphrase, stretched with the parameters that are stored beside what it wraps.
    Passphrase(SecretString),
    /// Two of them, while the second takes over.
    Turning {
        /// The one in use.
        present: Box<Root>,
        /// The one that is to be.
        next: Box<Root>,
    },
}

/// The providers, ready for use.
pub(crate) struct Keks {
    pub(crate) present: Arc<dyn RootKey>,
    pub(crate) next: Option<Arc<dyn RootKey>>,
}

impl Keks {
    /// Makes them ready; a passphrase is stretched with the parameters of what it has wrapped here.
    pub(crate) async fn new(
        root: Root,
        rows: &[KeyRow],
        wraps: &[WrapRow],
        env: &Env,
    ) -> Result<Self, StartError> {
        let wrapped = rows
            .iter()
            .map(|row| (&row.wrapped_by, &row.wrapped))
            .chain(wraps.iter().map(|wrap| (&wrap.wrapped_by, &wrap.wrapped)))
            .find(|(by, _)| *by == PassphraseKey::LABEL)
            .map(|(_, wrapped)| wrapped.clone());
        let ready = async |root: Root| -> Result<Arc<dyn RootKey>, StartError> {
            let ready: Arc<dyn RootKey> = match root {
                Root::Key(key) => Arc::from(key),
                Root::Passphrase(passphrase) => {
                    Arc::new(Stretched::new(passphrase, wrapped.clone(), env).await?)
                }
                Root::Turning { .. } => return Err(StartError::Damaged),
            };
            Ok(ready)
        };
        Ok(match root {
            Root::Turning { present, next } => {
                Self { present: ready(*present).await?, next: Some(ready(*next).await?) }
            }
            one => Self { present: ready(one).await?, next: None },
        })
    }

    pub(crate) fn all(&self) -> Vec<&dyn RootKey> {
        std::iter::once(&*self.present).chain(self.next.as_deref()).collect()
    }
}

/// A passphrase and the key that it was last stretched to. Another process may have wrapped with another salt.
struct Stretched {
    passphrase: SecretString,
    key: RwLock<Arc<PassphraseKey>>,
}

impl Stretched {
    /// With the stored parameters, or with new ones where nothing is stored.
    async fn new(passphrase: SecretString, wrapped: Option<Vec<u8>>, env: &Env) -> Result<Self, StartError> {
        let key = if let Some(wrapped) = wrapped {
            let parameters = PassphraseKey::parameters(&wrapped).map_err(|_| StartError::Damaged)?;
            stretch(&passphrase, parameters.to_owned()).await?
        } else {
            let (secret, env) = (passphrase.duplicate(), env.clone());
            away(move || PassphraseKey::create(&env, &secret, Cost::DEFAULT)).await?
        };
        Ok(Self { passphrase, key: RwLock::new(Arc::new(key)) })
    }

    fn now(&self) -> Arc<PassphraseKey> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RootKey for Stretched {
    fn label(&self) -> &str {
        PassphraseKey::LABEL
    }

    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move { self.now().wrap(env, of, key).await })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            let parameters = PassphraseKey::parameters(wrapped)?;
            let known = self.now();
            if known.made_with() == parameters {
                return known.unwrap(of, wrapped).await;
            }
            let stretched = stretch(&self.passphrase, parameters.to_owned()).await;
            let key = Arc::new(stretched.map_err(|error| RootKeyError::Unavailable(Box::new(error)))?);
            let opened = key.unwrap(of, wrapped).await?;
            *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
            Ok(opened)
        })
    }
}

async fn stretch(passphrase: &SecretString, parameters: String) -> Result<PassphraseKey, PassphraseError> {
    let passphrase = passphrase.duplicate();
    away(move || PassphraseKey::open(&parameters, &passphrase)).await
}

/// Stretching takes about a second and 256 MiB, away from the threads that serve.
async fn away(
    work: impl FnOnce() -> Result<PassphraseKey, PassphraseError> + Send + 'static,
) -> Result<PassphraseKey, PassphraseError> {
    // The thread ends early only with the process.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(PassphraseError::Memory(0)))
}
