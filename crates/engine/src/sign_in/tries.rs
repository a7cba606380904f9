//! How often a passphrase may be guessed: few wrong tries for one account, more from one address.
//!
//! Kept in memory, by each process for itself. Who has too many waits until the window in which they came is over; a
//! right try does not count.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::Time;

use crate::consent::network;

/// Wrong tries.
#[derive(Default)]
pub(crate) struct Tries(Mutex<HashMap<Of, Window>>);

/// What they are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// The digest of an e-mail address, whether it has an account or not.
    Account([u8; 32]),
    Network(Option<IpAddr>),
}

#[derive(Clone, Copy)]
struct Window {
    since: Time,
    tries: u32,
}

impl Of {
    fn both(account: [u8; 32], address: Option<IpAddr>) -> [Self; 2] {
        [Self::Account(account), Self::Network(address.map(network))]
    }

    const fn most(self) -> u32 {
        match self {
            Self::Account(_) => MOST_OF_ACCOUNT,
            Self::Network(_) => MOST_OF_NETWORK,
        }
    }
}

impl Tries {
    /// How long until the next try for this account from this address, if it must wait.
    pub(crate) fn wait(&self, account: [u8; 32], address: Option<IpAddr>, now: Time) -> Option<Duration> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = Of::both(account, address).into_iter().filter_map(|of| {
            let window = tries.get(&of)?;
            let end = window.since.plus(WINDOW);
            (window.tries >= of.most() && end > now).then(|| now.until(end))
        });
        waits.max()
    }

    /// Counts a try.
    pub(crate) fn count(&self, account: [u8; 32], address: Option<IpAddr>, now: Time) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= MANY {
            tries.retain(|_, window| window.since.plus(WINDOW) > now);
        }
        for of in Of::both(account, address) {
            // Beyond that, nobody makes this server keep what it cannot; known ones go on being counted.
            if tries.len() >= MANY && !tries.contains_key(&of) {
                continue;
            }
            let window = tries.entry(of).or_insert(Window { since: now, tries: 0 });
            if window.since.plus(WINDOW) <= now {
                *window = Window { since: now, tries: 0 };
            }
            window.tries += 1;
        }
    }

    /// It was a right one after all.
    pub(crate) fn take_back(&self, account: [u8; 32], address: Option<IpAddr>) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of in Of::both(account, address) {
            if let Some(window) = tries.get_mut(&of) {
                window.tries = window.tries.saturating_sub(1);
            }
        }
    }
}

/// A thousand tries a day at one account: a passphrase of four random words holds for longer than anybody lives.
const MOST_OF_ACCOUNT: u32 = 10;
/// Several people behind one address may have forgotten theirs.
const MOST_OF_NETWORK: u32 = 30;
const WINDOW: Duration = Duration::from_mins(15);
const MANY: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_waits_wherever_it_is_tried_from_and_an_address_whatever_it_tries() {
        let now = Time::from_secs(1_000_000);
        let at = |last: u8| Some(IpAddr::from([203, 0, 113, last]));
        let tries = Tries::default();
        for n in 0..10 {
            assert_eq!(tries.wait([1; 32], at(n), now), None, "{n}");
            tries.count([1; 32], at(n), now);
        }
        assert_eq!(tries.wait([1; 32], at(99), now), Some(WINDOW));
        assert_eq!(tries.wait([2; 32], at(0), now), None, "another account");
        assert_eq!(tries.wait([1; 32], at(99), now.plus(WINDOW)), None);
        tries.take_back([1; 32], at(0));
        assert_eq!(tries.wait([1; 32], at(99), now), None);

        let tries = Tries::default();
        for n in 0..30 {
            assert_eq!(tries.wait([n; 32], at(1), now), None, "{n}");
            tries.count([n; 32], at(1), now);
        }
        assert_eq!(tries.wait([77; 32], at(1), now), Some(WINDOW));
        assert_eq!(tries.wait([77; 32], at(2), now), None);
    }
}
