//! A clock that goes with the machine's, and can be put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_model::{Clock as Source, Env, OsRandom, SystemClock, Time};

/// The machine's time and what was added to it. It never stands still, so what waits by it ends.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    /// Puts the clock forward.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// An environment with this clock and the system's dice.
    pub fn env(self: &Arc<Self>) -> Env {
        Env::new(self.clone(), Arc::new(OsRandom))
    }
}

impl Source for Clock {
    fn now(&self) -> Time {
        Time::from_millis(SystemClock.now().millis() + self.0.load(Ordering::SeqCst))
    }
}
