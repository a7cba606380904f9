//! The opened keys of one deployment.
//!
//! Promised: what is sealed for a team opens with a key of that team alone; every version that was admitted opens and
//! is looked up, the newest whose time has come seals and hashes; a key whose row was altered, moved or relabelled is refused. Reading and
//! writing the rows is the store's work, when to make a new version the engine's. The row of a new key must be
//! committed before the key is admitted, or a crash leaves records that nothing opens.

mod held;
mod turning;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use carnet_model::{Env, Id, SecretBytes, Time, kind};

use self::held::{PurposeKeys, SealingKeys};
pub use self::turning::{NewRoot, ResealError, RewrapError};
use crate::envelope::{Aad, OpenError, SealError, Suite, open, seal, sealed_by};
use crate::hash::{HashKeys, KeyedHash};
use crate::key::{Key, KeyId};
use crate::root_key::{RootKey, RootKeyError, RootVersion};
use crate::wrapped::{KeyRole, Opened, Purpose, WrappedKey};

/// The opened keys of one deployment. Shared by everything in the process that seals, opens or hashes.
pub struct Keyring {
    deployment: Id<kind::Deployment>,
    sealing: RwLock<SealingKeys>,
    hashing: RwLock<PurposeKeys>,
    /// The latest time that [`Keyring::advance`] was told, in milliseconds: hashing has no clock of its own.
    told: AtomicI64,
}

/// Why no keyring could be made for a new deployment.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The provider did not wrap the root key, or does not open what it wrapped.
    #[error("the root key could not be wrapped and unwrapped again")]
    Root(#[from] RootKeyError),
    /// A purpose key could not be sealed.
    #[error("a key could not be wrapped")]
    Seal(#[from] SealError),
}

/// Why the keys of a deployment do not open.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// No root key was wrapped by this provider.
    #[error("no root key is wrapped by {label}; those here are wrapped by: {found}")]
    OtherProvider {
        /// The provider that was tried.
        label: String,
        /// The providers that would open one.
        found: String,
    },
    /// A root key that other keys need was wrapped by a provider that is none of these.
    #[error(
        "root key {id}, version {version}, is wrapped by {found}, which is not among the providers here: {label}"
    )]
    Elsewhere {
        /// The providers that were tried.
        label: String,
        /// The key.
        id: KeyId,
        /// Its version.
        version: i64,
        /// The provider that would open it.
        found: String,
    },
    /// A root key does not open.
    #[error("root key {id}, version {version}, does not open with {label}")]
    Root {
        /// The provider.
        label: String,
        /// The key.
        id: KeyId,
        /// Its version.
        version: i64,
        /// Why not.
        #[source]
        source: RootKeyError,
    },
    /// Another key does not open.
    #[error("a key does not open")]
    Key(#[from] AdmitError),
    /// A purpose has no key. Without it tokens would not be found, so nothing starts.
    #[error("there is no {0} key: restore the table `keys` from a backup")]
    Missing(Purpose),
}

/// Why a wrapped key is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AdmitError {
    /// It is a root key; these open when the keyring is unlocked, by their provider.
    #[error("key {0} is a root key, which only its provider opens")]
    IsRoot(KeyId),
    /// It names a wrapping key that is not a root key here.
    #[error("key {0} is wrapped by a root key that is not open here")]
    UnknownRoot(KeyId),
    /// Its row was altered, or belongs to another deployment.
    #[error("the row of key {0} was altered or belongs to another deployment")]
    Altered(KeyId),
    /// Another key has its role and version.
    #[error("key {0} has the role and version of another key")]
    Contradiction(KeyId),
}

impl Keyring {
    /// The keys of a new deployment: a root key and a key for every purpose. The rows must be committed before the
    /// keyring is used.
    pub async fn create(
        env: &Env,
        deployment: Id<kind::Deployment>,
        kek: &dyn RootKey,
    ) -> Result<(Self, Vec<WrappedKey>), CreateError> {
        let root = Key::generate(env);
        let wrapped = turning::wrap_root(env, deployment, kek, 1, root.id(), root.bytes(), env.now()).await?;
        let mut rows = vec![wrapped];
        let purposes = PurposeKeys::gather(|purpose| {
            let (row, key) = WrappedKey::draw(env, deployment, &root, KeyRole::Purpose(purpose), 1)?;
            rows.push(row);
            Ok::<_, SealError>(HashKeys::new(1, env.now(), &key))
        })?;
        let sealing = SealingKeys::new(1, env.now(), root);
        Ok((Self::with(deployment, sealing, purposes), rows))
    }

    /// Opens the keys of a deployment: every root key that `kek` wrapped, and every other key in `rows`. One that does
    /// not open fails the whole, so give team keys here or to [`Keyring::admit`] as it suits.
    pub async fn unlock(
        deployment: Id<kind::Deployment>,
        kek: &dyn RootKey,
        rows: Vec<WrappedKey>,
    ) -> Result<Self, UnlockError> {
        Self::unlock_with(deployment, &[kek], rows).await
    }

    /// As [`Keyring::unlock`] with several providers. A root key that several wrapped stands in `rows` once for each
    /// wrap, and opens if one of them does.
    pub async fn unlock_with(
        deployment: Id<kind::Deployment>,
        keks: &[&dyn RootKey],
        rows: Vec<WrappedKey>,
    ) -> Result<Self, UnlockError> {
        let (roots, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.role == KeyRole::Root);
        let mut sealing: Option<SealingKeys> = None;
        for (row, root) in open_roots(deployment, keks, &roots, &BTreeSet::new()).await? {
            match &mut sealing {
                None => sealing = Some(SealingKeys::new(row.version, row.activates_at, root)),
                Some(sealing) => sealing.add(None, row.version, row.activates_at, root)?,
            }
        }
        let mut sealing = sealing.ok_or_else(|| other_provider(keks, &roots))?;
        let mut purposes: BTreeMap<Purpose, HashKeys> = BTreeMap::new();
        for row in &others {
            let (version, from) = (row.version, row.activates_at);
            let opened = row.open(deployment, |id| sealing.held_for(None, id));
            match opened.map_err(|error| elsewhere(keks, &roots, row, error))? {
                Opened::Team(team, key) => sealing.add(Some(team), version, from, key)?,
                Opened::Purpose(purpose, key) => match purposes.get_mut(&purpose) {
                    Some(known) => known.add(version, from, &key)?,
                    None => drop(purposes.insert(purpose, HashKeys::new(version, from, &key))),
                },
            }
        }
        let purposes =
            PurposeKeys::gather(|purpose| purposes.remove(&purpose).ok_or(UnlockError::Missing(purpose)))?;
        Ok(Self::with(deployment, sealing, purposes))
    }

    /// Draws the next key of a team, wrapped by the newest root key. Commit the row, then [`Keyring::admit`] it.
    pub fn new_team_key(&self, env: &Env, team: Id<kind::Team>) -> Result<WrappedKey, SealError> {
        self.new_key(env, KeyRole::Team(team), env.now())
    }

    /// Makes a committed team or purpose key usable, from its time on. The same key again changes nothing.
    pub fn admit(&self, row: &WrappedKey) -> Result<(), AdmitError> {
        let opened = row.open(self.deployment, |id| read(&self.sealing).held_for(None, id))?;
        let (version, from) = (row.version, row.activates_at);
        match opened {
            Opened::Team(team, key) => write(&self.sealing).add(Some(team), version, from, key),
            Opened::Purpose(purpose, key) => write(&self.hashing).of_mut(purpose).add(version, from, &key),
        }
    }

    /// Whether a key of this team is loaded.
    pub fn knows_team(&self, team: Id<kind::Team>) -> bool {
        read(&self.sealing).highest(Some(team)).is_some()
    }

    /// Seals for the team of `aad` with its key in use; without a team, with the root key in use.
    pub fn seal(&self, env: &Env, aad: &Aad<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        if aad.deployment != self.deployment {
            return Err(SealError::NoKey);
        }
        let (_, key) = read(&self.sealing).in_use(aad.team, env.now()).ok_or(SealError::NoKey)?;
        seal(env, Suite::Aes256Gcm, &key, aad, plaintext)
    }

    /// Opens what was sealed for the same place, by any loaded version of the key.
    pub fn open(&self, aad: &Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let id = sealed_by(sealed).ok_or(OpenError::Malformed)?;
        let key = read(&self.sealing).held_for(aad.team, id).ok_or(OpenError::WrongKey)?;
        open(&key, aad, sealed)
    }

    /// The keyed hash to store: with the key of the purpose that is in use at the time of [`Keyring::advance`].
    pub fn hash(&self, purpose: Purpose, bytes: &[u8]) -> KeyedHash {
        read(&self.hashing).of(purpose).hash(self.told(), bytes)
    }

    /// The keyed hashes to look for: with every loaded key of the purpose, newest first.
    pub fn hashes(&self, purpose: Purpose, bytes: &[u8]) -> Vec<KeyedHash> {
        read(&self.hashing).of(purpose).hashes(bytes)
    }

    fn told(&self) -> Time {
        Time::from_millis(self.told.load(Ordering::Acquire))
    }

    fn with(deployment: Id<kind::Deployment>, sealing: SealingKeys, hashing: PurposeKeys) -> Self {
        Self {
            deployment,
            sealing: RwLock::new(sealing),
            hashing: RwLock::new(hashing),
            told: AtomicI64::new(0),
        }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("deployment", &self.deployment).finish_non_exhaustive()
    }
}

async fn open_root(
    deployment: Id<kind::Deployment>,
    kek: &dyn RootKey,
    row: &WrappedKey,
) -> Result<Key, UnlockError> {
    let failed = |source| UnlockError::Root {
        label: kek.label().to_owned(),
        id: row.id,
        version: row.version,
        source,
    };
    let version = u64::try_from(row.version).map_err(|_| failed(RootKeyError::Damaged))?;
    let of = RootVersion { deployment, id: row.id, version };
    kek.unwrap(of, &row.wrapped).await.map(|bytes| Key::new(row.id, bytes)).map_err(failed)
}

/// Every root key that one of the providers wrapped, once, but for those in `known`.
async fn open_roots<'a>(
    deployment: Id<kind::Deployment>,
    keks: &[&dyn RootKey],
    roots: &'a [WrappedKey],
    known: &BTreeSet<KeyId>,
) -> Result<Vec<(&'a WrappedKey, Key)>, UnlockError> {
    let mut opened: Vec<(&WrappedKey, Key)> = Vec::new();
    let mut failed: Vec<(KeyId, UnlockError)> = Vec::new();
    for row in roots {
        for kek in keks.iter().filter(|kek| kek.label() == row.wrapped_by) {
            if known.contains(&row.id) || opened.iter().any(|(of, _)| of.id == row.id) {
                break;
            }
            match open_root(deployment, *kek, row).await {
                Ok(key) => opened.push((row, key)),
                Err(error) => failed.push((row.id, error)),
            }
        }
    }
    match failed.into_iter().find(|(id, _)| !opened.iter().any(|(row, _)| row.id == *id)) {
        Some((_, error)) => Err(error),
        None => Ok(opened),
    }
}

fn other_provider(keks: &[&dyn RootKey], roots: &[WrappedKey]) -> UnlockError {
    let mut found: Vec<&str> = roots.iter().map(|row| row.wrapped_by.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    UnlockError::OtherProvider { label: labels(keks), found }
}

/// Why a key does not open, where its root key is one that no provider here has wrapped.
fn elsewhere(keks: &[&dyn RootKey], roots: &[WrappedKey], of: &WrappedKey, error: AdmitError) -> UnlockError {
    let root = roots.iter().find(|root| root.id.to_string() == of.wrapped_by);
    match root.filter(|_| matches!(error, AdmitError::UnknownRoot(_))) {
        Some(root) => UnlockError::Elsewhere {
            label: labels(keks),
            id: root.id,
            version: root.version,
            found: root.wrapped_by.clone(),
        },
        None => error.into(),
    }
}

fn labels(keks: &[&dyn RootKey]) -> String {
    keks.iter().map(|kek| kek.label()).collect::<Vec<_>>().join(" or ")
}

/// A lock whose holder panicked is still good: every change under it is one insertion.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
