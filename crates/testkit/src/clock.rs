//! A clock that goes with the machine's, can be put forward, and can be held.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_model::{Clock as Source, Env, OsRandom, SystemClock, Time};

/// The machine's time and what was added to it. It goes on by itself, so what waits by it ends, unless it is held.
#[derive(Default)]
pub struct Clock {
    added: AtomicI64,
    /// The machine's time at which it was held; nothing while it goes.
    held: AtomicI64,
}

impl Clock {
    /// Puts the clock forward.
    pub fn pass(&self, time: Duration) {
        self.added.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// From here on no time passes but what is added: for what follows from the time between two requests, however
    /// long the machine takes over them.
    pub fn hold(&self) {
        let now = SystemClock.now().millis();
        let _ = self.held.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// An environment with this clock and the system's dice.
    pub fn env(self: &Arc<Self>) -> Env {
        Env::new(self.clone(), Arc::new(OsRandom))
    }
}

impl Source for Clock {
    fn now(&self) -> Time {
        let machine = match self.held.load(Ordering::SeqCst) {
            0 => SystemClock.now().millis(),
            held => held,
        };
        Time::from_millis(machine + self.added.load(Ordering::SeqCst))
    }
}
