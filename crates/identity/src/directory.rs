//! The keys of other issuers: fetched once, kept, refreshed, and never at a stranger's command.
//!
//! Promised: per issuer one fetch at a time; keys that are fresh are fetched again for an unknown `kid` at most once in
//! 60 seconds, whatever tokens are thrown at us, so that a rotation is picked up; and what failed is tried again as often,
//! sooner only while there are no keys at all: after 5 seconds, then 10, 20, 40 and 60. Keys that cannot be refreshed are
//! used for 24 hours after they were last seen, then no more. A caller who goes away leaves the fetch to whoever
//! comes next; nobody waits for a caller who is gone.
//!
//! Not promised: that a key set knows a `kid`; [`crate::Presented::verify`] finds out.

mod entry;
mod fetch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use carnet_egress::Egress;
use carnet_model::{Env, Id, Time, kind};
use url::Url;

use crate::jwks::KeySet;

use entry::{Entry, Flight};
pub use fetch::{Document, FetchFailed, can_be_fetched, keys as fetch_keys};

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The issuer's discovery document names the address (OpenID Connect Discovery 1.0 §4).
    Discovery,
    /// This address.
    JwksUri(Url),
    /// This key set, as JSON. Nothing is fetched.
    Pinned(String),
}

/// No keys to verify with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys of the issuer cannot be had")]
pub struct KeysUnavailable {
    /// What went wrong.
    #[source]
    pub why: Arc<FetchFailed>,
    /// When the next attempt may be made.
    pub retry_at: Time,
}

/// The key sets of all trusted issuers.
pub struct KeyDirectory {
    egress: Egress,
    env: Env,
    entries: RwLock<HashMap<Id<kind::TrustedIssuer>, Arc<Entry>>>,
    generations: Arc<AtomicU64>,
}

impl KeyDirectory {
    /// An empty directory that fetches through `egress`.
    pub fn new(egress: Egress, env: Env) -> Self {
        let generations = Arc::new(AtomicU64::new(0));
        Self { egress, env, entries: RwLock::default(), generations }
    }

    /// The keys of an issuer, for a token that names `kid`. `tenant` is on whose behalf a fetch is made.
    pub async fn keys_for(
        &self,
        issuer_id: Id<kind::TrustedIssuer>,
        tenant: Id<kind::Team>,
        issuer: &str,
        source: &KeySource,
        kid: Option<&str>,
    ) -> Result<Arc<KeySet>, KeysUnavailable> {
        let entry = self.entry(issuer_id, issuer, source);
        if let Some(keys) = entry.current(kid, self.env.now()) {
            return Ok(keys);
        }
        // Keys that are merely due for a refresh are good for everybody but the one who refreshes them.
        let mut flight = match entry.flight.try_lock() {
            Ok(flight) => flight,
            Err(_) => match entry.due(kid, self.env.now()) {
                Some(keys) => return Ok(keys),
                None => entry.flight.lock().await,
            },
        };
        let mut is_ours = false;
        loop {
            let now = self.env.now();
            if flight.is_none() {
                // What was fetched for this very caller is the answer, whether it knows the `kid` or not.
                if is_ours {
                    return entry.rest(now);
                }
                if let Some(keys) = entry.current(kid, now) {
                    return Ok(keys);
                }
                if !entry.attempt(now) {
                    return entry.rest(now);
                }
                let fetch = fetch::keys(self.egress.clone(), tenant, issuer.to_owned(), source.clone());
                *flight = Some(Flight { started_at: now, fetch: Box::pin(fetch) });
                is_ours = true;
            }
            // If this caller is dropped while it waits here, the flight stays where it is, and the next to take the
            // lock goes on with it.
            let Some(under_way) = flight.as_mut() else { continue };
            let outcome = under_way.fetch.as_mut().await;
            let started_at = under_way.started_at;
            *flight = None;
            entry.settle(outcome, started_at, || self.next_generation());
        }
    }

    /// A number that changes whenever the usable keys of this issuer do. Zero if none were ever asked for.
    pub fn generation(&self, issuer_id: Id<kind::TrustedIssuer>) -> u64 {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&issuer_id).map_or(0, |entry| entry.generation())
    }

    /// Drops what is kept for an issuer that is trusted no more.
    pub fn forget(&self, issuer_id: Id<kind::TrustedIssuer>) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(&issuer_id);
    }

    /// The entry of an issuer; a fresh one if its configuration is not what the entry was made for.
    fn entry(&self, issuer_id: Id<kind::TrustedIssuer>, issuer: &str, source: &KeySource) -> Arc<Entry> {
        let known = |entry: &&Arc<Entry>| entry.is_for(issuer, source);
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&issuer_id).filter(known) {
            return Arc::clone(entry);
        }
        drop(entries);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&issuer_id).filter(known) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry::new(issuer, source, self.next_generation()));
        entries.insert(issuer_id, Arc::clone(&entry));
        entry
    }

    fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }
}
