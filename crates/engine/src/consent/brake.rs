//! How often device codes may be guessed: few wrong tries from one address, and not too many from all together, whichever
//! process they come to ([`crate::tries`]).
//!
//! It is the second line. The first is that a code is worth nothing once five wrong ones began like it.

use std::net::IpAddr;
use std::time::Duration;

use crate::broker::Broker;
use crate::tries::{Counted, Limit, NoTry};

impl Broker {
    /// Counts a code that somebody entered, before it is looked up.
    pub(crate) async fn count_code(&self, address: Option<IpAddr>) -> Result<Counted, NoTry> {
        let own = Limit { digest: self.tries_from("code-network", address), most: MOST, window: WINDOW };
        let all = Limit { digest: self.tries_by("code-all", b""), most: MOST_OF_ALL, window: WINDOW_OF_ALL };
        // In this order everywhere, so that two do not wait for each other.
        self.count_within(&[own, all]).await
    }
}

const MOST: i64 = 5;
const WINDOW: Duration = Duration::from_mins(10);
/// A code in 20^8 is found by this in thousands of years, and five people in a second may mistype.
const MOST_OF_ALL: i64 = 300;
const WINDOW_OF_ALL: Duration = Duration::from_mins(1);
/// Both, for whoever forgets counts.
#[cfg(test)]
pub(crate) const CODE_WINDOWS: [Duration; 2] = [WINDOW, WINDOW_OF_ALL];
