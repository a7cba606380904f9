//! What is known of one issuer's keys, and the rules about when to ask again.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carnet_model::Time;

use super::fetch::FetchFailed;
use super::{KeySource, KeysUnavailable};
use crate::jwks::KeySet;

/// Keys older than this are refreshed when they are next used.
const FRESH: Duration = Duration::from_mins(10);
/// Keys that were not seen for this long are not used.
const USABLE: Duration = Duration::from_hours(24);
/// The least time between two attempts, while there are keys.
const PAUSE: Duration = Duration::from_mins(1);
/// The same after the first failure while there are none; twice as long after each further one, up to [`PAUSE`].
const SOON: Duration = Duration::from_secs(5);

/// A fetch under way. It lives in the entry and not in the caller, so it survives the caller.
pub(super) struct Flight {
    pub(super) started_at: Time,
    pub(super) fetch: Pin<Box<dyn Future<Output = Result<KeySet, FetchFailed>> + Send>>,
}

/// One issuer.
pub(super) struct Entry {
    issuer: String,
    source: KeySource,
    state: Mutex<State>,
    generation: AtomicU64,
    /// Held by the one caller who drives the flight.
    pub(super) flight: tokio::sync::Mutex<Option<Flight>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    attempted_at: Option<Time>,
    /// The last attempt for the sake of a `kid` that fresh keys did not know.
    refetched_at: Option<Time>,
    failure: Option<Arc<FetchFailed>>,
    /// How many attempts failed since the last that did not.
    failures: u32,
}

impl State {
    /// How long after the last attempt the next may follow. Without keys every caller is refused meanwhile, for what may
    /// have been a moment's failure.
    fn pause(&self, now: Time) -> Duration {
        let has_keys = self.held.as_ref().is_some_and(|held| held.seen_at.until(now) <= USABLE);
        if has_keys {
            return PAUSE;
        }
        SOON.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(PAUSE)
    }
}

struct Held {
    keys: Arc<KeySet>,
    seen_at: Time,
}

impl Entry {
    pub(super) fn new(issuer: &str, source: &KeySource, generation: u64) -> Self {
        Self {
            issuer: issuer.to_owned(),
            source: source.clone(),
            state: Mutex::default(),
            generation: AtomicU64::new(generation),
            flight: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) fn is_for(&self, issuer: &str, source: &KeySource) -> bool {
        self.issuer == issuer && self.source == *source
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The keys, if they are fresh and know `kid`. Pinned keys are always fresh and know all there is to know.
    pub(super) fn current(&self, kid: Option<&str>, now: Time) -> Option<Arc<KeySet>> {
        let state = self.state();
        let held = state.held.as_ref()?;
        let pinned = matches!(self.source, KeySource::Pinned(_));
        let current = pinned || (held.seen_at.until(now) < FRESH && knows(&held.keys, kid));
        current.then(|| Arc::clone(&held.keys))
    }

    /// The keys, if they know `kid` and may still be used.
    pub(super) fn due(&self, kid: Option<&str>, now: Time) -> Option<Arc<KeySet>> {
        let state = self.state();
        let held = state.held.as_ref()?;
        let usable = held.seen_at.until(now) <= USABLE && knows(&held.keys, kid);
        usable.then(|| Arc::clone(&held.keys))
    }

    /// Notes an attempt, if the last one is long enough ago. Where the keys are fresh and another is asked for, that is
    /// the last one that was made for such a sake: a rotation just after the keys came is picked up all the same. A clock
    /// that was set back does not lock us out.
    pub(super) fn attempt(&self, now: Time) -> bool {
        let mut state = self.state();
        let is_fresh = state.held.as_ref().is_some_and(|held| held.seen_at.until(now) < FRESH);
        let is_refetch = is_fresh && state.failure.is_none();
        let last = if is_refetch { state.refetched_at } else { state.attempted_at };
        if last.is_some_and(|last| now >= last && last.until(now) < state.pause(now)) {
            return false;
        }
        state.attempted_at = Some(now);
        if is_refetch {
            state.refetched_at = Some(now);
        }
        true
    }

    /// Without a fresh answer: the last keys, or the last failure.
    pub(super) fn rest(&self, now: Time) -> Result<Arc<KeySet>, KeysUnavailable> {
        let state = self.state();
        match &state.held {
            Some(held) if held.seen_at.until(now) <= USABLE => Ok(Arc::clone(&held.keys)),
            _ => Err(KeysUnavailable {
                why: state.failure.clone().unwrap_or_else(|| Arc::new(FetchFailed::Pending)),
                retry_at: state.attempted_at.unwrap_or(now).plus(state.pause(now)),
            }),
        }
    }

    /// Takes in what a fetch begun at `started_at` brought.
    pub(super) fn settle(
        &self,
        outcome: Result<KeySet, FetchFailed>,
        started_at: Time,
        next_generation: impl FnOnce() -> u64,
    ) {
        let mut state = self.state();
        match outcome {
            Ok(keys) => {
                let same =
                    state.held.as_ref().is_some_and(|held| held.keys.fingerprint() == keys.fingerprint());
                state.held = Some(Held { keys: Arc::new(keys), seen_at: started_at });
                state.failure = None;
                state.failures = 0;
                if !same {
                    self.generation.store(next_generation(), Ordering::Release);
                }
            }
            Err(failure) => {
                let cause = failure.source().map(ToString::to_string);
                tracing::warn!(issuer = self.issuer, error = %failure, cause, "keys of an issuer were not fetched");
                state.failure = Some(Arc::new(failure));
                state.failures = state.failures.saturating_add(1);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn knows(keys: &KeySet, kid: Option<&str>) -> bool {
    kid.is_none_or(|kid| keys.has(kid))
}
