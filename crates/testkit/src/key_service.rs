//! A root-key provider that can fall silent, or say no.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use carnet_model::Env;
use carnet_vault::{Boxed, FileKey, KeyBytes, RootKey, RootKeyError, RootVersion};

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As it should.
    Yes = 0,
    /// Not at all.
    Nothing = 1,
    /// That the deployment may not use the key.
    No = 2,
}

/// The provider; clones are the same one.
#[derive(Clone)]
pub struct KeyService(Arc<Inner>);

struct Inner {
    key: FileKey,
    answers: AtomicU8,
}

impl KeyService {
    pub(crate) fn new(key: FileKey) -> Self {
        Self(Arc::new(Inner { key, answers: AtomicU8::new(0) }))
    }

    /// How it answers from now on.
    pub fn answers(&self, answers: Answers) {
        self.0.answers.store(answers as u8, Ordering::SeqCst);
    }

    fn refusal(&self) -> Result<(), RootKeyError> {
        match self.0.answers.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(RootKeyError::Unavailable("connection refused".into())),
            _ => Err(RootKeyError::Denied("AccessDeniedException".to_owned())),
        }
    }
}

impl RootKey for KeyService {
    fn label(&self) -> &str {
        self.0.key.label()
    }

    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move {
            self.refusal()?;
            self.0.key.wrap(env, of, key).await
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            self.refusal()?;
            self.0.key.unwrap(of, wrapped).await
        })
    }
}
