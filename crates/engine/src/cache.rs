//! Tokens in memory, sealed, by everything that decided which token they are.
//!
//! They are sealed with a key that is drawn at the start and ends with the process, and open only for the request that
//! they were kept for. The envelope of the vault derives a key for every record, because nobody counts the records of a
//! stored key; here the nonces are counted, which is as safe and takes a tenth of the time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use carnet_model::{Env, Id, Secret, SecretBytes, Time, kind};
use carnet_store::{Revision, same_rules};
use quick_cache::sync::Cache;

use crate::broker::Inner;
use crate::sealing::{MadeToken, Unsealable};

/// What a token request is, digested: the key of memory and of `minted_tokens`.
pub(crate) type AskKey = [u8; 32];

pub(crate) struct TokenCache {
    tokens: Cache<AskKey, Arc<Cached>>,
    key: LessSafeKey,
    nonces: AtomicU64,
    renewals: Renewals,
}

pub(crate) struct Cached {
    nonce: u64,
    sealed: Vec<u8>,
    expires_at: Option<Time>,
    /// When the grant is due for renewal. A provider may end the old token with the new one, and the new one is not here.
    until: Option<Time>,
    /// A withdrawn grant or a changed connector moves the revision, and with it everything from before is forgotten.
    revision: Revision,
    /// Whose own token it is, if it is one: with a renewal of that, it is forgotten.
    grant: Option<Id<kind::Grant>>,
}

/// The latest grants that this process renewed before their time, by the revision after it. What other processes renewed is
/// not known by name.
#[derive(Default)]
struct Renewals(Mutex<VecDeque<(Revision, Id<kind::Grant>)>>);

impl Renewals {
    fn note(&self, revision: Revision, grant: Id<kind::Grant>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == REMEMBERED {
            latest.pop_front();
        }
        latest.push_back((revision, grant));
    }

    /// Whether it is known that everything that was renewed after `then`, until `now`, is not this grant.
    fn spared(&self, grant: Id<kind::Grant>, then: Revision, now: Revision) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let between: Vec<_> =
            latest.iter().filter(|(revision, _)| *revision > then && *revision <= now).collect();
        i64::try_from(between.len()).is_ok_and(|known| known == now - then)
            && between.iter().all(|(_, other)| *other != grant)
    }
}

/// A token from memory.
pub(crate) struct Recalled {
    pub(crate) made: MadeToken,
    /// Whose own it is, if it is a grant's.
    pub(crate) grant: Option<Id<kind::Grant>>,
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
    pub(crate) fn new(env: &Env) -> Result<Self, Unspecified> {
        let bytes = Secret::new(env.bytes::<32>());
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.expose())?);
        Ok(Self {
            tokens: Cache::new(CAPACITY),
            key,
            nonces: AtomicU64::new(0),
            renewals: Renewals::default(),
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.tokens.clear();
    }

    /// This grant was renewed before its time, which made the revision this one: its old token is not served any more.
    pub(crate) fn renewed(&self, revision: Revision, grant: Id<kind::Grant>) {
        self.renewals.note(revision, grant);
    }

    /// Whether what was kept is still what would be found.
    fn holds(&self, cached: &Cached, now: Revision) -> bool {
        cached.revision == now
            || (same_rules(cached.revision, now)
                && cached.revision < now
                && cached.grant.is_none_or(|grant| self.renewals.spared(grant, cached.revision, now)))
    }

    /// The number of the nonce, and what was sealed with it.
    fn seal(&self, ask: &AskKey, plain: &SecretBytes) -> Result<(u64, Vec<u8>), Unspecified> {
        // Room for the tag too: a vector that grows leaves a copy behind.
        let mut sealed = Vec::with_capacity(plain.expose().len() + MAX_TAG_LEN);
        sealed.extend_from_slice(plain.expose());
        let number = self.nonces.fetch_add(1, Ordering::Relaxed);
        self.key.seal_in_place_append_tag(nonce(number), Aad::from(ask), &mut sealed)?;
        Ok((number, sealed))
    }

    fn open(&self, ask: &AskKey, cached: &Cached) -> Option<SecretBytes> {
        let (ciphertext, tag) = cached.sealed.split_last_chunk::<MAX_TAG_LEN>()?;
        let mut plain = vec![0; ciphertext.len()];
        self.key
            .open_separate_gather(nonce(cached.nonce), Aad::from(ask), ciphertext, tag, &mut plain)
            .ok()?;
        Some(Secret::new(plain))
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Inner {
    /// The token of this request, if it is what the rules of this revision give and lives longer than `beyond`; and whose
    /// own it is.
    pub(crate) fn recall(&self, ask: &AskKey, revision: Revision, beyond: Time) -> Option<Recalled> {
        let cached = self.tokens.tokens.get(ask)?;
        let ended = |at: Option<Time>, by| at.is_some_and(|at| at <= by);
        if !self.tokens.holds(&cached, revision)
            || ended(cached.expires_at, beyond)
            || ended(cached.until, self.env.now())
        {
            return None;
        }
        let made = MadeToken::unpack(self.tokens.open(ask, &cached)?.expose(), cached.expires_at)?;
        Some(Recalled { made, grant: cached.grant })
    }

    /// Keeps the token of this request; not beyond `until`, when the store may have a better one. `grant` says whose own it
    /// is.
    pub(crate) fn keep(
        &self,
        ask: &AskKey,
        revision: Revision,
        made: &MadeToken,
        until: Option<Time>,
        grant: Option<Id<kind::Grant>>,
    ) -> Result<(), Unsealable> {
        let (nonce, sealed) = self.tokens.seal(ask, &made.pack()).map_err(|_| Unsealable("memory"))?;
        let cached = Cached { nonce, sealed, expires_at: made.expires_at, until, revision, grant };
        self.tokens.tokens.insert(*ask, Arc::new(cached));
        Ok(())
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
/// Renewals that are known by name. Whatever was kept before the oldest of them is read again.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_opens_whole_and_for_its_request_alone() {
        let cache = TokenCache::new(&Env::system()).unwrap();
        let (mine, other) = ([1; 32], [2; 32]);
        let keep = |text: &str| {
            let (nonce, sealed) = cache.seal(&mine, &Secret::new(text.as_bytes().to_vec())).unwrap();
            assert!(!sealed.windows(text.len()).any(|part| part == text.as_bytes()));
            Cached { nonce, sealed, expires_at: None, until: None, revision: 1, grant: None }
        };
        let opened =
            |ask: &AskKey, cached: &Cached| cache.open(ask, cached).map(|plain| plain.expose().clone());
        let (first, second) = (keep("a token"), keep("another"));
        assert_eq!(opened(&mine, &first).unwrap(), b"a token");
        assert_eq!(opened(&mine, &second).unwrap(), b"another");
        assert_eq!(opened(&other, &first), None);
        let swapped = Cached { nonce: second.nonce, ..first };
        assert_eq!(opened(&mine, &swapped), None);
        for length in 0..second.sealed.len() {
            let cut = Cached { sealed: second.sealed[..length].to_vec(), ..keep("another") };
            assert_eq!(opened(&mine, &cut), None);
        }
    }

    #[test]
    fn a_renewal_takes_from_memory_what_it_must_and_nothing_else() {
        let cache = TokenCache::new(&Env::system()).unwrap();
        let id = |n| Some(Id::from_bytes([n; 16]));
        let at = |revision, grant| Cached {
            nonce: 0,
            sealed: Vec::new(),
            expires_at: None,
            until: None,
            revision,
            grant,
        };
        cache.renewed(6, Id::from_bytes([1; 16]));
        for (revision, grant, now, holds) in [
            (5, id(1), 5, true),
            (5, id(1), 6, false),
            (5, id(2), 6, true),
            (5, None, 6, true),
            (6, id(1), 6, true),
            // Of somebody else's it is not known whose it was.
            (5, id(2), 7, false),
            (5, None, 7, true),
            (7, id(2), 6, false),
            // The rules are others.
            (5, None, 1 << 20, false),
        ] {
            assert_eq!(cache.holds(&at(revision, grant), now), holds, "{revision} {grant:?} {now}");
        }
        for n in 0..=REMEMBERED {
            cache.renewed(7 + i64::try_from(n).unwrap(), Id::from_bytes([3; 16]));
        }
        let last = 7 + i64::try_from(REMEMBERED).unwrap();
        assert!(!cache.holds(&at(6, id(2)), last), "too long ago");
        assert!(cache.holds(&at(last - 1, id(2)), last));
        assert!(!cache.holds(&at(last - 1, id(3)), last));
    }
}
