//! What a keyring holds: sealing keys by name, owner and version; hash keys by purpose.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use carnet_model::{Id, Time, kind};

use super::AdmitError;
use crate::hash::HashKeys;
use crate::key::{Key, KeyId};
use crate::wrapped::Purpose;

/// Whose key it is: a team's, or the deployment's own root key.
type Owner = Option<Id<kind::Team>>;

/// Root and team keys.
pub(super) struct SealingKeys {
    by_id: HashMap<KeyId, (Owner, Arc<Key>)>,
    by_version: BTreeMap<(Owner, i64), Version>,
}

/// One version of somebody's key.
struct Version {
    key: Arc<Key>,
    activates_at: Time,
}

impl SealingKeys {
    /// With a root key.
    pub(super) fn new(version: i64, activates_at: Time, root: Key) -> Self {
        let key = Arc::new(root);
        Self {
            by_id: HashMap::from([(key.id(), (None, key.clone()))]),
            by_version: BTreeMap::from([((None, version), Version { key, activates_at })]),
        }
    }

    /// Without any key: sealed shut.
    pub(super) fn none() -> Self {
        Self { by_id: HashMap::new(), by_version: BTreeMap::new() }
    }

    /// Adds a version. The same key again changes nothing; another key of a known version, and a known name with
    /// another owner or version, are refused.
    pub(super) fn add(
        &mut self,
        owner: Owner,
        version: i64,
        activates_at: Time,
        key: Key,
    ) -> Result<(), AdmitError> {
        let id = key.id();
        if let Some(known) = self.by_version.get(&(owner, version)) {
            return if known.key.id() == id { Ok(()) } else { Err(AdmitError::Contradiction(id)) };
        }
        if self.by_id.contains_key(&id) {
            return Err(AdmitError::Contradiction(id));
        }
        let key = Arc::new(key);
        self.by_id.insert(id, (owner, key.clone()));
        self.by_version.insert((owner, version), Version { key, activates_at });
        Ok(())
    }

    /// Forgets a version, unless it is the only one of its owner.
    pub(super) fn remove(&mut self, id: KeyId) {
        let Some((owner, _)) = self.by_id.get(&id) else { return };
        let owner = *owner;
        if self.of(owner).count() < 2 {
            return;
        }
        self.by_id.remove(&id);
        self.by_version.retain(|(of, _), version| *of != owner || version.key.id() != id);
    }

    /// The highest version of an owner, in use or not.
    pub(super) fn highest(&self, owner: Owner) -> Option<i64> {
        self.of(owner).next_back().map(|(version, _)| version)
    }

    /// The newest key of an owner, in use or not.
    pub(super) fn newest(&self, owner: Owner) -> Option<Arc<Key>> {
        self.of(owner).next_back().map(|(_, held)| held.key.clone())
    }

    /// The newest key of an owner that is in use at `now`. If the time of none has come, a clock was turned back, and
    /// the newest is as good as any.
    pub(super) fn in_use(&self, owner: Owner, now: Time) -> Option<(i64, Arc<Key>)> {
        let active = self.of(owner).rfind(|(_, version)| version.activates_at <= now);
        active.or_else(|| self.of(owner).next_back()).map(|(version, held)| (version, held.key.clone()))
    }

    /// The key of this name, if it belongs to this owner.
    pub(super) fn held_for(&self, owner: Owner, id: KeyId) -> Option<Arc<Key>> {
        self.by_id.get(&id).filter(|(of, _)| *of == owner).map(|(_, key)| key.clone())
    }

    pub(super) fn ids(&self) -> BTreeSet<KeyId> {
        self.by_id.keys().copied().collect()
    }

    /// Every root key with its version.
    pub(super) fn roots(&self) -> Vec<(i64, Arc<Key>)> {
        self.of(None).map(|(version, held)| (version, held.key.clone())).collect()
    }

    fn of(&self, owner: Owner) -> impl DoubleEndedIterator<Item = (i64, &Version)> {
        self.by_version
            .range((owner, i64::MIN)..=(owner, i64::MAX))
            .map(|((_, number), held)| (*number, held))
    }
}

/// The keys of every purpose; none can be missing.
pub(super) struct PurposeKeys {
    token_pepper: HashKeys,
    audit_hmac: HashKeys,
    cursor: HashKeys,
    state: HashKeys,
    csrf: HashKeys,
}

impl PurposeKeys {
    /// Asks for the keys of every purpose, in the order of [`Purpose::ALL`].
    pub(super) fn gather<E>(mut keys_of: impl FnMut(Purpose) -> Result<HashKeys, E>) -> Result<Self, E> {
        Ok(Self {
            token_pepper: keys_of(Purpose::TokenPepper)?,
            audit_hmac: keys_of(Purpose::AuditHmac)?,
            cursor: keys_of(Purpose::Cursor)?,
            state: keys_of(Purpose::State)?,
            csrf: keys_of(Purpose::Csrf)?,
        })
    }

    pub(super) fn ids(&self) -> BTreeSet<KeyId> {
        Purpose::ALL.into_iter().flat_map(|purpose| self.of(purpose).ids()).collect()
    }

    pub(super) const fn of(&self, purpose: Purpose) -> &HashKeys {
        match purpose {
            Purpose::TokenPepper => &self.token_pepper,
            Purpose::AuditHmac => &self.audit_hmac,
            Purpose::Cursor => &self.cursor,
            Purpose::State => &self.state,
            Purpose::Csrf => &self.csrf,
        }
    }

    pub(super) const fn of_mut(&mut self, purpose: Purpose) -> &mut HashKeys {
        match purpose {
            Purpose::TokenPepper => &mut self.token_pepper,
            Purpose::AuditHmac => &mut self.audit_hmac,
            Purpose::Cursor => &mut self.cursor,
            Purpose::State => &mut self.state,
            Purpose::Csrf => &mut self.csrf,
        }
    }
}
