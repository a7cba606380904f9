//! How often something may be guessed: counted in the store, so that all processes on it share the counts and none forgets
//! them.
//!
//! A try is counted before it is compared, in one statement that counts nothing beyond the limit; a right one is taken
//! back. Who had too many waits until the window in which they came is over. What is counted by is kept as a keyed hash.
//! What may be guessed how often is said by whoever asks: [`crate::sign_in`] for passphrases, [`crate::consent`] for device
//! codes.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use carnet_model::Time;
use carnet_store::{DbError, Step, Write, sign_in_tries};
use carnet_vault::Purpose;

use crate::broker::Broker;

/// By what tries are counted, and how many there may be.
pub(crate) struct Limit {
    pub(crate) digest: [u8; 32],
    pub(crate) most: i64,
    /// From the first of them on; [`LONGEST_WINDOW`] at most.
    pub(crate) window: Duration,
}

/// A try that was counted.
pub(crate) struct Counted(Vec<[u8; 32]>);

/// Why a try is not made.
pub(crate) enum NoTry {
    /// There were too many; how long to wait for the next.
    Wait(Duration),
    /// The store failed.
    Store(DbError),
}

impl Counted {
    /// The steps by which it was none, for the write of what it led to.
    pub(crate) fn taken_back(&self) -> Vec<Step> {
        self.0.iter().map(|digest| sign_in_tries::take_back(*digest)).collect()
    }
}

impl Broker {
    /// Counts a try within all of these limits, or says how long to wait for the next.
    pub(crate) async fn count_within(&self, limits: &[Limit]) -> Result<Counted, NoTry> {
        let inner = &self.inner;
        let now = inner.env.now();
        // A read first: who has to wait costs no write.
        self.wait_within(limits, now).await?;
        let count =
            |limit: &Limit| sign_in_tries::count(limit.digest, limit.most, now, now.minus(limit.window));
        match inner.db.write(Write::new().steps(limits.iter().map(count))).await {
            Ok(_) => Ok(Counted(limits.iter().map(|limit| limit.digest).collect())),
            // Others were faster by a moment.
            Err(DbError::Unmet(at)) => {
                self.wait_within(limits, now).await?;
                Err(NoTry::Wait(limits.get(at).map_or(LONGEST_WINDOW, |limit| limit.window)))
            }
            Err(error) => Err(NoTry::Store(error)),
        }
    }

    /// Takes a try back that led to nothing that is written.
    pub(crate) async fn uncount(&self, counted: &Counted) -> Result<(), DbError> {
        self.inner.db.write(Write::new().steps(counted.taken_back())).await.map(drop)
    }

    async fn wait_within(&self, limits: &[Limit], now: Time) -> Result<(), NoTry> {
        let mut longest = None;
        for limit in limits {
            let found = sign_in_tries::find(&self.inner.db, limit.digest).await.map_err(NoTry::Store)?;
            let end =
                found.filter(|found| found.tries >= limit.most).map(|found| found.since.plus(limit.window));
            longest = longest.max(end.filter(|end| *end > now).map(|end| now.until(end)));
        }
        longest.map_or(Ok(()), |wait| Err(NoTry::Wait(wait)))
    }

    /// By what tries of one kind are counted.
    pub(crate) fn tries_by(&self, label: &str, what: &[u8]) -> [u8; 32] {
        let text = [b"sign-in-tries/1 ", label.as_bytes(), b" ", what].concat();
        self.inner.keyring.hash(Purpose::State, &text).digest
    }

    /// The same by the network of an address.
    pub(crate) fn tries_from(&self, label: &str, address: Option<IpAddr>) -> [u8; 32] {
        let text = address.map(network).as_ref().map_or_else(String::new, ToString::to_string);
        self.tries_by(label, text.as_bytes())
    }
}

/// One household has one IPv4 address or one /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// After which no count is of any use, whatever it is of.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        for other in ["203.0.113.8", "2001:db8:0:1::1"] {
            assert!(of(other) != of("203.0.113.7") && of(other) != of("2001:db8::1"), "{other}");
        }
    }

    #[test]
    fn nothing_is_forgotten_while_it_counts() {
        for window in crate::consent::CODE_WINDOWS.into_iter().chain([crate::sign_in::WINDOW]) {
            assert!(window <= LONGEST_WINDOW);
        }
    }
}
