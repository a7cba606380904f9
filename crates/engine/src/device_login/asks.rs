//! How often programs may ask to be signed in from one address.
//!
//! Kept in memory, by each process for itself: nothing can be guessed by asking, and what is held back is only that
//! strangers fill a table, which has an end of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::Time;

use crate::tries::network;

/// Who asked, and since when.
#[derive(Default)]
pub(crate) struct Asks(Mutex<HashMap<Option<IpAddr>, Window>>);

struct Window {
    since: Time,
    asks: u32,
}

impl Asks {
    /// Counts one; says how long to wait if there were too many.
    pub(super) fn count(&self, address: Option<IpAddr>, now: Time) -> Result<(), Duration> {
        let mut asks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |window: &Window| window.since.plus(WINDOW) <= now;
        if asks.len() >= MANY {
            asks.retain(|_, window| !is_over(window));
        }
        let from = address.map(network);
        // Beyond that, nobody makes this server keep what it cannot; known ones go on being counted.
        if asks.len() >= MANY && !asks.contains_key(&from) {
            return Err(WINDOW);
        }
        let window = asks.entry(from).or_insert(Window { since: now, asks: 0 });
        if is_over(window) {
            *window = Window { since: now, asks: 0 };
        }
        if window.asks >= MOST {
            return Err(now.until(window.since.plus(WINDOW)));
        }
        window.asks += 1;
        Ok(())
    }
}

const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_mins(15);
const MANY: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_ten_and_others_do_not() {
        let now = Time::from_secs(1_000_000);
        let at = |last: u8| Some(IpAddr::from([203, 0, 113, last]));
        let asks = Asks::default();
        for n in 0..10 {
            assert_eq!(asks.count(at(1), now), Ok(()), "{n}");
        }
        assert_eq!(asks.count(at(1), now), Err(WINDOW));
        assert_eq!(asks.count(at(2), now), Ok(()));
        assert_eq!(asks.count(at(1), now.plus(WINDOW)), Ok(()));
    }
}
