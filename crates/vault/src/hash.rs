//! Keyed hashes: how a token is found again without being stored.
//!
//! A keyed hash is HMAC-SHA-256 (RFC 2104) under a purpose key. The value to be hashed is random already, so there is
//! nothing to slow down.

use aws_lc_rs::{constant_time, hmac};
use carnet_model::Time;

use crate::key::{Key, KeyId};
use crate::keyring::AdmitError;

/// A keyed hash and the version of the key it was made with. Compare digests with [`equal`].
#[derive(Clone, Copy, Debug)]
pub struct KeyedHash {
    /// The version of the purpose key.
    pub version: i64,
    /// HMAC-SHA-256.
    pub digest: [u8; 32],
}

/// Whether two byte strings are the same, in a time that depends on their lengths alone.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// One version of a purpose key.
struct HashKey {
    id: KeyId,
    version: i64,
    activates_at: Time,
    key: hmac::Key,
}

impl HashKey {
    fn new(version: i64, activates_at: Time, key: &Key) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, key.bytes().expose());
        Self { id: key.id(), version, activates_at, key: hmac }
    }

    fn hash(&self, bytes: &[u8]) -> KeyedHash {
        let mut digest = [0; 32];
        // HMAC-SHA-256 has 32 bytes, so nothing is cut and nothing is left zero.
        for (to, from) in digest.iter_mut().zip(hmac::sign(&self.key, bytes).as_ref()) {
            *to = *from;
        }
        KeyedHash { version: self.version, digest }
    }
}

/// Every known version of one purpose key; there is at least one.
pub(crate) struct HashKeys {
    newest: HashKey,
    /// Newest first.
    older: Vec<HashKey>,
}

impl HashKeys {
    pub(crate) fn new(version: i64, activates_at: Time, key: &Key) -> Self {
        Self { newest: HashKey::new(version, activates_at, key), older: Vec::new() }
    }

    /// Adds a version. The same key again changes nothing; another key of a known version is refused.
    pub(crate) fn add(&mut self, version: i64, activates_at: Time, key: &Key) -> Result<(), AdmitError> {
        if let Some(known) = self.all().find(|known| known.version == version) {
            return if known.id == key.id() { Ok(()) } else { Err(AdmitError::Contradiction(key.id())) };
        }
        let added = HashKey::new(version, activates_at, key);
        let older =
            if version > self.newest.version { std::mem::replace(&mut self.newest, added) } else { added };
        let at = self.older.partition_point(|known| known.version > older.version);
        self.older.insert(at, older);
        Ok(())
    }

    /// Forgets a version that is not the newest.
    pub(crate) fn remove(&mut self, id: KeyId) {
        self.older.retain(|known| known.id != id);
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.all().map(|key| key.id)
    }

    /// The highest version, in use or not.
    pub(crate) fn highest(&self) -> i64 {
        self.newest.version
    }

    /// The id and version in use at `now`.
    pub(crate) fn in_use(&self, now: Time) -> (KeyId, i64) {
        let key = self.at(now);
        (key.id, key.version)
    }

    /// With the newest version that is in use at `now`.
    pub(crate) fn hash(&self, now: Time, bytes: &[u8]) -> KeyedHash {
        self.at(now).hash(bytes)
    }

    /// With every version, newest first.
    pub(crate) fn hashes(&self, bytes: &[u8]) -> Vec<KeyedHash> {
        self.all().map(|key| key.hash(bytes)).collect()
    }

    /// The newest version whose time has come. If none has, a clock was turned back, and the newest is as good as any.
    fn at(&self, now: Time) -> &HashKey {
        self.all().find(|key| key.activates_at <= now).unwrap_or(&self.newest)
    }

    fn all(&self) -> impl Iterator<Item = &HashKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}
