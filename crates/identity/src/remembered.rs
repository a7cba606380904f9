//! What a bearer was found to be, for the next few minutes.
//!
//! Verifying a token costs tens of microseconds; recalling it costs a hash and a lookup. A memory holds good until
//! the token expires, five minutes have passed, or anything it was derived from has changed: the revision of the
//! trust rules or the issuer's keys. Decisions are never remembered, only who calls.
//!
//! Bearers are kept as digests, so a dump of this memory holds no token.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use carnet_model::Time;
use quick_cache::sync::Cache;

const LONGEST: Duration = Duration::from_mins(5);

/// The versions of what a verification was derived from. Take them **before** asking for the keys and the rules, so
/// that a change in the middle makes the memory useless instead of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The revision of trust rules, teams and projects.
    pub revision: u64,
    /// [`crate::KeyDirectory::generation`] of the issuer, or the equivalent for Carnet's own keys.
    pub generation: u64,
}

/// A bearer as it is remembered. Digested once per request, because it is looked up whenever a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BearerKey([u8; 32]);

/// A bounded memory of verified bearers.
pub struct Remembered<T> {
    cache: Cache<BearerKey, Memory<T>>,
}

struct Memory<T> {
    value: Arc<T>,
    until: Time,
    seen: Freshness,
}

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), until: self.until, seen: self.seen }
    }
}

impl<T> Remembered<T> {
    /// Room for about `capacity` bearers; the least useful are forgotten first.
    pub fn new(capacity: usize) -> Self {
        Self { cache: Cache::new(capacity) }
    }

    /// What the bearer was found to be. `present` tells the versions that are in force for the remembered value.
    pub fn recall(
        &self,
        bearer: &BearerKey,
        now: Time,
        present: impl FnOnce(&T) -> Freshness,
    ) -> Option<Arc<T>> {
        let memory = self.cache.get(bearer)?;
        if now >= memory.until || present(&memory.value) != memory.seen {
            self.cache.remove(bearer);
            return None;
        }
        Some(memory.value)
    }

    /// Remembers `value` for the bearer, whose token expires at `expires_at`.
    pub fn remember(&self, bearer: &BearerKey, value: Arc<T>, seen: Freshness, expires_at: Time, now: Time) {
        let until = expires_at.min(now.plus(LONGEST));
        if until > now {
            self.cache.insert(*bearer, Memory { value, until, seen });
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.cache.clear();
    }
}

impl BearerKey {
    /// `context` is whatever besides the bearer decides what it is found to be, the team named in the request for
    /// instance.
    pub fn of(context: &[u8], bearer: &str) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        // The length keeps `ab` + `c` apart from `a` + `bc`.
        hash.update(&context.len().to_be_bytes());
        hash.update(context);
        hash.update(bearer.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        Self(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Freshness = Freshness { revision: 1, generation: 1 };
    const NOW: Time = Time::from_secs(1_000);

    fn recall(memory: &Remembered<&'static str>, bearer: &str, now: Time, present: Freshness) -> bool {
        memory.recall(&BearerKey::of(b"team", bearer), now, |_| present).is_some()
    }

    fn one(expires_at: Time) -> Remembered<&'static str> {
        let memory = Remembered::new(100);
        memory.remember(&BearerKey::of(b"team", "bearer"), Arc::new("caller"), SEEN, expires_at, NOW);
        memory
    }

    #[test]
    fn a_bearer_is_remembered_until_it_expires_and_five_minutes_at_most() {
        let later = |seconds| NOW.plus(Duration::from_secs(seconds));
        for (expires, asked, known) in [
            (later(600), later(0), true),
            (later(600), later(299), true),
            (later(600), later(300), false),
            (later(20), later(19), true),
            (later(20), later(20), false),
            (later(0), later(0), false),
        ] {
            assert_eq!(recall(&one(expires), "bearer", asked, SEEN), known, "{expires} {asked}");
        }
    }

    #[test]
    fn a_change_of_rules_or_keys_makes_it_forget() {
        for changed in [Freshness { revision: 2, ..SEEN }, Freshness { generation: 2, ..SEEN }] {
            let memory = one(NOW.plus(LONGEST));
            assert!(!recall(&memory, "bearer", NOW, changed));
            assert!(!recall(&memory, "bearer", NOW, SEEN), "what was once stale does not come back");
        }
    }

    #[test]
    fn another_bearer_or_context_is_not_known() {
        let memory = one(NOW.plus(LONGEST));
        assert!(!recall(&memory, "bearer2", NOW, SEEN));
        assert!(!recall(&memory, "", NOW, SEEN));
        for (context, bearer) in [("teambearer", ""), ("teamb", "earer"), ("", "teambearer")] {
            let key = BearerKey::of(context.as_bytes(), bearer);
            assert!(memory.recall(&key, NOW, |_| SEEN).is_none(), "{context} {bearer}");
        }
        memory.clear();
        assert!(!recall(&memory, "bearer", NOW, SEEN));
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let memory = Remembered::new(50);
        for n in 0..5_000 {
            memory.remember(&BearerKey::of(b"", &n.to_string()), Arc::new(()), SEEN, NOW.plus(LONGEST), NOW);
        }
        assert!(memory.cache.len() <= 100, "{}", memory.cache.len());
    }
}
