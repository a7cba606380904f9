//! How often device codes may be guessed: few wrong tries from one address, and not too many from all together.
//!
//! Kept in memory, by each process for itself. It is the second line: the first is in the store, where a code is worth
//! nothing once five wrong ones began like it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::Time;

/// Wrong tries, by address.
#[derive(Default)]
pub(crate) struct Brake(Mutex<State>);

#[derive(Default)]
struct State {
    tries: HashMap<Option<IpAddr>, Window>,
    all: Window,
}

/// Tries since the window began.
#[derive(Clone, Copy, Default)]
struct Window {
    since: Time,
    tries: u32,
}

impl Window {
    /// How long until the next try, if there were too many.
    fn wait(&self, now: Time, length: Duration, most: u32) -> Option<Duration> {
        let end = self.since.plus(length);
        (self.tries >= most && end > now).then(|| now.until(end))
    }

    fn count(&mut self, now: Time, length: Duration) {
        if self.since.plus(length) <= now {
            *self = Self { since: now, tries: 0 };
        }
        self.tries += 1;
    }
}

impl Brake {
    /// How long this address has to wait, if it has to.
    pub(crate) fn wait(&self, address: Option<IpAddr>, now: Time) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = state.tries.get(&address.map(network)).and_then(|tries| tries.wait(now, WINDOW, MOST));
        own.into_iter().chain(state.all.wait(now, WINDOW_OF_ALL, MOST_OF_ALL)).max()
    }

    /// Counts a wrong try.
    pub(crate) fn count(&self, address: Option<IpAddr>, now: Time) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tries.len() >= ADDRESSES {
            state.tries.retain(|_, tries| tries.since.plus(WINDOW) > now);
        }
        // Beyond that only the brake for all holds; nobody makes this server keep what it cannot.
        if state.tries.len() < ADDRESSES || state.tries.contains_key(&address.map(network)) {
            state.tries.entry(address.map(network)).or_default().count(now, WINDOW);
        }
        state.all.count(now, WINDOW_OF_ALL);
    }

    /// It was a right one after all: whoever types what stands elsewhere is not held up.
    pub(crate) fn take_back(&self, address: Option<IpAddr>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tries) = state.tries.get_mut(&address.map(network)) {
            tries.tries = tries.tries.saturating_sub(1);
        }
        state.all.tries = state.all.tries.saturating_sub(1);
    }
}

/// One household has one IPv4 address or one /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

const MOST: u32 = 5;
const WINDOW: Duration = Duration::from_mins(10);
/// A code in 20^8 is found by this in thousands of years, and five people in a second may mistype.
const MOST_OF_ALL: u32 = 300;
const WINDOW_OF_ALL: Duration = Duration::from_mins(1);
const ADDRESSES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_five_wrong_tries_and_others_do_not() {
        let brake = Brake::default();
        let now = Time::from_secs(1_000_000);
        let at = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for _ in 0..4 {
            brake.count(at("203.0.113.7"), now);
            brake.count(at("2001:db8::1"), now);
        }
        assert_eq!(brake.wait(at("203.0.113.7"), now), None);
        brake.count(at("::ffff:203.0.113.7"), now);
        brake.count(at("2001:db8::2"), now);
        for held in ["203.0.113.7", "2001:db8::ffff:1"] {
            assert_eq!(brake.wait(at(held), now), Some(WINDOW), "{held}");
        }
        for free in ["203.0.113.8", "2001:db8:0:1::1"] {
            assert_eq!(brake.wait(at(free), now), None, "{free}");
        }
        assert_eq!(brake.wait(at("203.0.113.7"), now.plus(WINDOW)), None);
    }

    #[test]
    fn all_wait_when_many_addresses_guess() {
        let brake = Brake::default();
        let now = Time::from_secs(1_000_000);
        for n in 0..MOST_OF_ALL {
            brake.count(Some(IpAddr::from(n.to_be_bytes())), now);
        }
        assert_eq!(brake.wait(None, now), Some(WINDOW_OF_ALL));
        assert_eq!(brake.wait(None, now.plus(WINDOW_OF_ALL)), None);
    }
}
