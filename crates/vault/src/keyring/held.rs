//! What a keyring holds: sealing keys by name, owner and version; hash keys by purpose.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use carnet_model::{Id, kind};

use super::AdmitError;
use crate::hash::HashKeys;
use crate::key::{Key, KeyId};
use crate::wrapped::Purpose;

/// Whose key it is: a team's, or the deployment's own root key.
type Owner = Option<Id<kind::Team>>;

/// Root and team keys.
pub(super) struct SealingKeys {
    by_id: HashMap<KeyId, (Owner, Arc<Key>)>,
    by_version: BTreeMap<(Owner, i64), Arc<Key>>,
}

impl SealingKeys {
    /// With a root key.
    pub(super) fn new(version: i64, root: Key) -> Self {
        let root = Arc::new(root);
        Self {
            by_id: HashMap::from([(root.id(), (None, root.clone()))]),
            by_version: BTreeMap::from([((None, version), root)]),
        }
    }

    /// Adds a version. The same key again changes nothing; another key of a known version, and a known name with
    /// another owner or version, are refused.
    pub(super) fn add(&mut self, owner: Owner, version: i64, key: Key) -> Result<(), AdmitError> {
        let id = key.id();
        if let Some(known) = self.by_version.get(&(owner, version)) {
            return if known.id() == id { Ok(()) } else { Err(AdmitError::Contradiction(id)) };
        }
        if self.by_id.contains_key(&id) {
            return Err(AdmitError::Contradiction(id));
        }
        let key = Arc::new(key);
        self.by_id.insert(id, (owner, key.clone()));
        self.by_version.insert((owner, version), key);
        Ok(())
    }

    /// The newest key of an owner.
    pub(super) fn newest(&self, owner: Owner) -> Option<(i64, Arc<Key>)> {
        let all = self.by_version.range((owner, i64::MIN)..=(owner, i64::MAX));
        all.last().map(|((_, version), key)| (*version, key.clone()))
    }

    /// The key of this name, if it belongs to this owner.
    pub(super) fn held_for(&self, owner: Owner, id: KeyId) -> Option<Arc<Key>> {
        self.by_id.get(&id).filter(|(of, _)| *of == owner).map(|(_, key)| key.clone())
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
