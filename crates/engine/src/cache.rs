//! Tokens in memory, sealed, by everything that decided which token they are.

use std::sync::Arc;

use aws_lc_rs::digest;
use carnet_model::{Id, Time};
use carnet_store::Revision;
use carnet_vault::Aad;
use quick_cache::sync::Cache;

use crate::broker::Inner;
use crate::sealing::{MadeToken, Unsealable};

/// What a token request is, digested: the key of memory and of `minted_tokens`.
pub(crate) type AskKey = [u8; 32];

pub(crate) struct TokenCache {
    tokens: Cache<AskKey, Arc<Cached>>,
}

pub(crate) struct Cached {
    sealed: Vec<u8>,
    expires_at: Option<Time>,
    /// A withdrawn grant or a changed connector moves the revision, and with it everything from before is forgotten.
    revision: Revision,
}

/// Digests parts so that no two lists of parts meet: each has its length before it.
pub(crate) struct Parts(digest::Context);

impl Parts {
    pub(crate) fn new(label: &str) -> Self {
        Self(digest::Context::new(&digest::SHA256)).add(label.as_bytes())
    }

    pub(crate) fn add(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn maybe(mut self, part: Option<&[u8]>) -> Self {
        if let Some(part) = part {
            self.add(part)
        } else {
            self.0.update(&u64::MAX.to_be_bytes());
            self
        }
    }

    pub(crate) fn list<'a>(self, parts: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let counted = self.add(&(parts.len() as u64).to_be_bytes());
        parts.fold(counted, |all, part| all.add(part.as_bytes()))
    }

    pub(crate) fn finish(self) -> AskKey {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// SHA-256, for values that are random already.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self { tokens: Cache::new(CAPACITY) }
    }
}

impl Inner {
    /// The token of this request, if it was made at this revision and lives longer than `beyond`.
    pub(crate) fn recall(&self, key: &AskKey, revision: Revision, beyond: Time) -> Option<MadeToken> {
        let cached = self.tokens.tokens.get(key)?;
        if cached.revision != revision || cached.expires_at.is_some_and(|end| end <= beyond) {
            return None;
        }
        let plain = carnet_vault::open(&self.memory_key, &self.memory_aad(key), &cached.sealed).ok()?;
        MadeToken::unpack(plain.expose(), cached.expires_at)
    }

    pub(crate) fn keep(&self, key: &AskKey, revision: Revision, made: &MadeToken) -> Result<(), Unsealable> {
        let sealed = carnet_vault::seal(
            &self.env,
            carnet_vault::Suite::Aes256Gcm,
            &self.memory_key,
            &self.memory_aad(key),
            made.pack().expose(),
        )
        .map_err(|_| Unsealable("memory"))?;
        self.tokens.tokens.insert(*key, Arc::new(Cached { sealed, expires_at: made.expires_at, revision }));
        Ok(())
    }

    fn memory_aad<'a>(&self, key: &'a AskKey) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: None,
            table: "memory",
            column: "token",
            row: key,
            project: None,
            environment: None,
            connector: None,
            subject: None,
            version: 0,
        }
    }
}

/// The type of an identifier in a digest: its bytes.
pub(crate) fn id_bytes<K>(id: Option<&Id<K>>) -> Option<&[u8]>
where
    K: carnet_model::Kind,
{
    id.map(|id| id.bytes().as_slice())
}

/// Tokens in memory; about a kilobyte each.
const CAPACITY: usize = 10_000;
