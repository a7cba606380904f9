//! Turning keys: new versions, the same keys under another wrap, and what is no longer needed.
//!
//! Every step here makes rows; the caller commits them before it admits them. A version is known before it is used
//! ([`WrappedKey::activates_at`]), so that whoever meets a record sealed by it can open it.

use std::collections::BTreeSet;

use carnet_model::{Env, Id, Time, kind};

use super::{AdmitError, CreateError, Keyring, UnlockError, open_roots, read, write};
use crate::envelope::{Aad, OpenError, SealError, Suite, open, seal, sealed_by};
use crate::hash::equal;
use crate::key::{Key, KeyBytes, KeyId};
use crate::root_key::{RootKey, RootKeyError, RootVersion};
use crate::wrapped::{KeyRole, Purpose, WrappedKey};

/// A root key that was drawn and wrapped, and is not in use.
pub struct NewRoot {
    /// Its row.
    pub row: WrappedKey,
    key: Key,
}

/// Why keys were not wrapped by another root key.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// One does not open.
    #[error("a key does not open")]
    Open(#[from] AdmitError),
    /// One does not seal.
    #[error("a key could not be wrapped")]
    Seal(#[from] SealError),
}

/// Why a record was not sealed anew.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResealError {
    /// It does not open.
    #[error("it does not open: {0}")]
    Open(#[from] OpenError),
    /// It does not seal.
    #[error("it does not seal: {0}")]
    Seal(#[from] SealError),
}

impl Keyring {
    /// Draws the next version of a team or purpose key, to be used from `activates_at` on. It is wrapped by the newest
    /// root key, in use or not: whoever reads its row reads that one's too, and after a leak nothing new is to be under
    /// the old one. A root key is drawn by [`Keyring::new_root`].
    pub fn new_key(&self, env: &Env, role: KeyRole, activates_at: Time) -> Result<WrappedKey, SealError> {
        let highest = match role {
            KeyRole::Root => return Err(SealError::NoKey),
            KeyRole::Team(team) => read(&self.sealing).highest(Some(team)).unwrap_or(0),
            KeyRole::Purpose(purpose) => read(&self.hashing).of(purpose).highest(),
        };
        let root = read(&self.sealing).newest(None).ok_or(SealError::NoKey)?;
        let (row, _) = WrappedKey::draw(env, self.deployment, &root, role, highest.saturating_add(1))?;
        Ok(WrappedKey { activates_at, ..row })
    }

    /// Draws the next root key and wraps it.
    pub async fn new_root(
        &self,
        env: &Env,
        kek: &dyn RootKey,
        activates_at: Time,
    ) -> Result<NewRoot, CreateError> {
        let version = read(&self.sealing).highest(None).unwrap_or(0).saturating_add(1);
        let key = Key::generate(env);
        let row = wrap_root(env, self.deployment, kek, version, key.id(), key.bytes(), activates_at).await?;
        Ok(NewRoot { row, key })
    }

    /// These team and purpose keys, wrapped by a new root key. Rows of roots are left out.
    pub fn rewrap(
        &self,
        env: &Env,
        root: &NewRoot,
        rows: &[WrappedKey],
    ) -> Result<Vec<WrappedKey>, RewrapError> {
        rows.iter()
            .filter(|row| row.role != KeyRole::Root)
            .map(|row| {
                let opened = row.open(self.deployment, |id| read(&self.sealing).held_for(None, id))?;
                Ok(row.rewrap(env, self.deployment, opened.key(), &root.key)?)
            })
            .collect()
    }

    /// A team or purpose key, wrapped by the root key in use; `None` if it is already.
    pub fn rewrap_one(&self, env: &Env, row: &WrappedKey) -> Result<Option<WrappedKey>, RewrapError> {
        let (_, root) = read(&self.sealing).in_use(None, env.now()).ok_or(SealError::NoKey)?;
        if row.role == KeyRole::Root || row.wrapped_by == root.id().to_string() {
            return Ok(None);
        }
        let opened = row.open(self.deployment, |id| read(&self.sealing).held_for(None, id))?;
        Ok(Some(row.rewrap(env, self.deployment, opened.key(), &root)?))
    }

    /// Makes a committed root key usable.
    pub fn admit_root(&self, new: NewRoot) -> Result<(), AdmitError> {
        write(&self.sealing).add(None, new.row.version, new.row.activates_at, new.key)
    }

    /// Opens the root keys in `rows` that are not known yet: another node made them.
    pub async fn admit_roots(&self, keks: &[&dyn RootKey], rows: &[WrappedKey]) -> Result<(), UnlockError> {
        let known: BTreeSet<KeyId> = read(&self.sealing).roots().iter().map(|(_, key)| key.id()).collect();
        let roots: Vec<WrappedKey> = rows.iter().filter(|row| row.role == KeyRole::Root).cloned().collect();
        for (row, key) in open_roots(self.deployment, keks, &roots, &known).await? {
            write(&self.sealing).add(None, row.version, row.activates_at, key)?;
        }
        Ok(())
    }

    /// Every root key that is known, wrapped by one more provider, which has shown that it opens what it wrapped.
    pub async fn wrap_roots(&self, env: &Env, kek: &dyn RootKey) -> Result<Vec<WrappedKey>, CreateError> {
        let roots = read(&self.sealing).roots();
        let mut rows = Vec::with_capacity(roots.len());
        for (version, root) in roots {
            let (id, now) = (root.id(), env.now());
            rows.push(wrap_root(env, self.deployment, kek, version, id, root.bytes(), now).await?);
        }
        Ok(rows)
    }

    /// Whether this wrap of a root key opens to the key that is in use here.
    pub async fn proves(&self, kek: &dyn RootKey, row: &WrappedKey) -> Result<bool, RootKeyError> {
        let version = u64::try_from(row.version).map_err(|_| RootKeyError::Damaged)?;
        let of = RootVersion { deployment: self.deployment, id: row.id, version };
        let bytes = kek.unwrap(of, &row.wrapped).await?;
        let held = read(&self.sealing).held_for(None, row.id);
        Ok(held.is_some_and(|held| equal(held.bytes().expose(), bytes.expose())))
    }

    /// Tells the time by which hashes are made.
    pub fn advance(&self, now: Time) {
        self.told.store(now.millis(), std::sync::atomic::Ordering::Release);
    }

    /// The key in use for a role, and its version.
    pub fn in_use(&self, role: KeyRole, now: Time) -> Option<(KeyId, i64)> {
        let owner = match role {
            KeyRole::Purpose(purpose) => return Some(read(&self.hashing).of(purpose).in_use(now)),
            KeyRole::Root => None,
            KeyRole::Team(team) => Some(team),
        };
        read(&self.sealing).in_use(owner, now).map(|(version, key)| (key.id(), version))
    }

    /// The version by which this purpose hashes now.
    pub fn hashing_version(&self, purpose: Purpose) -> i64 {
        read(&self.hashing).of(purpose).in_use(self.told()).1
    }

    /// What was sealed for this place, sealed anew with the key in use; `None` if that key sealed it already.
    pub fn reseal(&self, env: &Env, aad: &Aad<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, ResealError> {
        let id = sealed_by(sealed).ok_or(OpenError::Malformed)?;
        let (old, new) = {
            let keys = read(&self.sealing);
            let new = keys.in_use(aad.team, env.now()).ok_or(SealError::NoKey)?.1;
            (keys.held_for(aad.team, id).ok_or(OpenError::WrongKey)?, new)
        };
        if old.id() == new.id() {
            return Ok(None);
        }
        let plain = open(&old, aad, sealed)?;
        Ok(Some(seal(env, Suite::Aes256Gcm, &new, aad, plain.expose())?))
    }

    /// Forgets a version to which nothing refers any more. The newest of a role stays.
    pub fn forget(&self, id: KeyId) {
        write(&self.sealing).remove(id);
        let mut hashing = write(&self.hashing);
        for purpose in Purpose::ALL {
            hashing.of_mut(purpose).remove(id);
        }
    }

    /// Forgets every version but these: the others were dropped by another process. The newest of a role stays.
    pub fn retain(&self, ids: &BTreeSet<KeyId>) {
        let mut known = read(&self.sealing).ids();
        known.extend(read(&self.hashing).ids());
        for id in known.difference(ids) {
            self.forget(*id);
        }
    }

    /// Wipes the keys that open secrets: nothing is sealed or opened from now on. Hashes are still made, so that a
    /// caller is told what is wrong instead of being a stranger.
    pub fn shut(&self) {
        *write(&self.sealing) = super::held::SealingKeys::none();
    }

    /// Whether [`Keyring::shut`] was called and nothing was opened since.
    pub fn is_shut(&self) -> bool {
        read(&self.sealing).highest(None).is_none()
    }

    /// Takes over the opened keys of another keyring of this deployment.
    pub fn replace(&self, other: Self) {
        let Self { sealing, hashing, .. } = other;
        *write(&self.sealing) = sealing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        *write(&self.hashing) = hashing.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    }
}

pub(super) async fn wrap_root(
    env: &Env,
    deployment: Id<kind::Deployment>,
    kek: &dyn RootKey,
    version: i64,
    id: KeyId,
    key: &KeyBytes,
    activates_at: Time,
) -> Result<WrappedKey, CreateError> {
    let counted = u64::try_from(version).map_err(|_| RootKeyError::Damaged)?;
    let of = RootVersion { deployment, id, version: counted };
    let wrapped = kek.wrap(env, of, key).await?;
    // A provider may be allowed to wrap and not to unwrap; better to learn that before anything depends on it.
    let again = kek.unwrap(of, &wrapped).await?;
    if !equal(again.expose(), key.expose()) {
        return Err(CreateError::Root(RootKeyError::Damaged));
    }
    let wrapped_by = kek.label().to_owned();
    Ok(WrappedKey {
        id,
        role: KeyRole::Root,
        version,
        wrapped_by,
        wrapped,
        created_at: env.now(),
        activates_at,
    })
}

#[cfg(test)]
mod tests;
