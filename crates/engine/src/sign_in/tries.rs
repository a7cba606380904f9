//! How often it may be guessed who somebody is: a few tries for one account, more from one network.
//!
//! Counted in the store, so that all processes on it share the counts and none forgets them. A try is counted before it
//! is compared, in one statement that counts nothing beyond the limit; a right one is taken back. Who had too many waits
//! until the window in which they came is over.
//!
//! Whoever knows an address could keep its owner waiting for ever, were tries counted by account alone. So a browser in
//! which somebody signed in with a passphrase is known to that account from then on, by a cookie, and its tries are
//! counted apart; those of somebody who is signed in are counted by session. Strangers use up what strangers have.
//!
//! What is kept is a keyed hash: of an address, whether it has an account or not, of a browser, a session, a network.

use std::net::IpAddr;
use std::time::Duration;

use carnet_model::{Id, SecretString, Time, kind};
use carnet_store::{DbError, Step, Write, sign_in_tries};
use carnet_vault::Purpose;

use super::SignInRefused;
use crate::broker::Broker;
use crate::consent::{hex, network};
use crate::faults;
use crate::sessions::Visitor;

/// By what a try is counted, besides the network that it comes from.
#[derive(Debug)]
pub(crate) enum By<'a> {
    /// The e-mail address, in a browser that may be known to its account.
    Account(&'a str, Option<&'a SecretString>),
    /// Whoever is signed in.
    Session(Id<kind::Session>),
    /// Nothing besides: what is tried cannot be guessed, or is nobody's.
    Nothing,
}

/// A try that was counted.
pub(crate) struct Counted(Vec<[u8; 32]>);

impl Counted {
    /// The steps by which it was none, for the write of what it led to.
    pub(crate) fn taken_back(&self) -> Vec<Step> {
        self.0.iter().map(|digest| sign_in_tries::take_back(*digest)).collect()
    }
}

impl Broker {
    /// Counts a try, or says how long to wait for the next.
    pub(crate) async fn count_try(&self, by: By<'_>, visitor: &Visitor) -> Result<Counted, SignInRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        let mut counted = Vec::with_capacity(2);
        match by {
            By::Account(email, browser) => {
                let known = browser.and_then(|browser| self.drawn_of(email, browser));
                let counted_by = match known {
                    Some(drawn) => self.hashed("browser", &drawn),
                    None => self.of_account(email),
                };
                counted.push((counted_by, MOST));
            }
            By::Session(id) => counted.push((self.hashed("session", id.bytes().as_slice()), MOST)),
            By::Nothing => {}
        }
        counted.push((self.of_network(visitor.address), MOST_OF_NETWORK));
        // A read first: who has to wait costs no write.
        self.may_try(&counted, now).await?;
        let over = now.minus(WINDOW);
        let steps = counted.iter().map(|(digest, most)| sign_in_tries::count(*digest, *most, now, over));
        match inner.db.write(Write::new().steps(steps)).await {
            Ok(_) => Ok(Counted(counted.into_iter().map(|(digest, _)| digest).collect())),
            // Others were faster by a moment.
            Err(DbError::Unmet(_)) => {
                self.may_try(&counted, now).await?;
                Err(SignInRefused::Wait(WINDOW))
            }
            Err(error) => Err(faults::store(error).into()),
        }
    }

    /// Takes a try back that led to nothing that is written.
    pub(crate) async fn take_back(&self, counted: &Counted) -> Result<(), SignInRefused> {
        let write = Write::new().steps(counted.taken_back());
        self.inner.db.write(write).await.map(drop).map_err(|error| faults::store(error).into())
    }

    /// The step after which nobody's tries of this account count.
    pub(crate) fn forget_tries(&self, email: &str) -> Step {
        sign_in_tries::forget(self.of_account(email))
    }

    /// What a browser gets in which somebody signed in with a passphrase: it is known to the account from then on.
    pub fn known_browser(&self, email: &str) -> SecretString {
        let drawn = self.inner.env.bytes::<16>();
        [hex(&drawn), hex(&self.mac_of_browser(email, &drawn))].concat().into()
    }

    /// What was drawn for this browser, if it is known to this account.
    fn drawn_of(&self, email: &str, browser: &SecretString) -> Option<Vec<u8>> {
        let (drawn, mac) = browser.expose().split_at_checked(32)?;
        let drawn = bytes(drawn)?;
        let expected = hex(&self.mac_of_browser(email, &drawn));
        carnet_vault::equal(expected.as_bytes(), mac.as_bytes()).then_some(drawn)
    }

    /// Half of a hash is enough, as one can only be tried here. When the key was turned, a browser is unknown until its
    /// person signs in again.
    fn mac_of_browser(&self, email: &str, drawn: &[u8]) -> [u8; 16] {
        let hash = self.hashed("known-browser", &[drawn, account(email).as_bytes()].concat());
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(hash) {
            *to = from;
        }
        half
    }

    async fn may_try(&self, counted: &[([u8; 32], i64)], now: Time) -> Result<(), SignInRefused> {
        let mut longest = None;
        for (digest, most) in counted {
            let found = sign_in_tries::find(&self.inner.db, *digest).await.map_err(faults::store)?;
            let end = found.filter(|found| found.tries >= *most).map(|found| found.since.plus(WINDOW));
            longest = longest.max(end.filter(|end| *end > now).map(|end| now.until(end)));
        }
        longest.map_or(Ok(()), |wait| Err(SignInRefused::Wait(wait)))
    }

    fn of_account(&self, email: &str) -> [u8; 32] {
        self.hashed("account", account(email).as_bytes())
    }

    fn of_network(&self, address: Option<IpAddr>) -> [u8; 32] {
        let text = address.map(network).as_ref().map_or_else(String::new, ToString::to_string);
        self.hashed("network", text.as_bytes())
    }

    fn hashed(&self, label: &str, what: &[u8]) -> [u8; 32] {
        let text = [b"sign-in-tries/1 ", label.as_bytes(), b" ", what].concat();
        self.inner.keyring.hash(Purpose::State, &text).digest
    }
}

/// However it is typed.
fn account(email: &str) -> String {
    email.trim().to_lowercase()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// A thousand tries a day at one account: a passphrase of four random words holds for longer than anybody lives.
const MOST: i64 = 10;
/// Several people behind one address may have forgotten theirs.
const MOST_OF_NETWORK: i64 = 30;
pub(crate) const WINDOW: Duration = Duration::from_mins(15);
