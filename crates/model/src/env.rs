//! Time and randomness, handed in. Code that takes an [`Env`] can be run at any hour with any dice.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failpoint::Failures;
use crate::id::{Id, Kind};
use crate::time::Time;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;
}

/// A cryptographic random source.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);
}

/// What a process needs of the world besides its network: a clock and a random source. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    #[cfg(debug_assertions)]
    failures: Option<Arc<dyn Failures>>,
}

impl Env {
    /// The machine's clock and the operating system's random source.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(OsRandom))
    }

    /// With a clock and a random source of the caller's choice.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            #[cfg(debug_assertions)]
            failures: None,
        }
    }

    /// With failures on purpose, for tests; see [`crate::failpoint`].
    #[must_use]
    #[cfg(debug_assertions)]
    pub fn with_failures(mut self, failures: Arc<dyn Failures>) -> Self {
        self.failures = Some(failures);
        self
    }

    /// The same environment: nothing fails on purpose in this build.
    #[must_use]
    #[cfg(not(debug_assertions))]
    pub fn with_failures(self, _: Arc<dyn Failures>) -> Self {
        self
    }

    #[cfg(debug_assertions)]
    pub(crate) fn failures(&self) -> Option<&dyn Failures> {
        self.failures.as_deref()
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Fills `out` with unpredictable bytes.
    pub fn fill(&self, out: &mut [u8]) {
        self.random.fill(out);
    }

    /// `N` unpredictable bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.random.fill(&mut out);
        out
    }

    /// A fresh identifier.
    pub fn id<K: Kind>(&self) -> Id<K> {
        Id::from_bytes(self.bytes())
    }

    /// A duration drawn evenly from zero up to `limit`, for jitter.
    pub fn jitter(&self, limit: Duration) -> Duration {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(u64::from_le_bytes(self.bytes()) % millis)
    }
}

/// The machine's wall clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random source. A process that cannot get randomness must not go on: it aborts.
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, out: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where the system's random source is read"
        )]
        if getrandom::fill(out).is_err() {
            std::process::abort();
        }
    }
}
