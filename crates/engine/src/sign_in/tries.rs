//! How often it may be guessed who somebody is: a few tries for one account, more from one network, whichever process they
//! come to ([`crate::tries`]).
//!
//! Whoever knows an address could keep its owner waiting for ever, were tries counted by account alone. So a browser in
//! which somebody signed in with a passphrase is known to that account from then on, by a cookie, and its tries are
//! counted apart; those of somebody who is signed in are counted by session. Strangers use up what strangers have.
//!
//! What is kept is a keyed hash: of an address, whether it has an account or not, of a browser, a session, a network.

use std::time::Duration;

use carnet_model::{Id, SecretString, kind};
use carnet_store::{Step, sign_in_tries};

use super::SignInRefused;
use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;
use crate::sessions::Visitor;
use crate::tries::{Counted, Limit, NoTry};

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

impl From<NoTry> for SignInRefused {
    fn from(why: NoTry) -> Self {
        match why {
            NoTry::Wait(wait) => Self::Wait(wait),
            NoTry::Store(error) => faults::store(error).into(),
        }
    }
}

impl Broker {
    /// Counts a try, or says how long to wait for the next.
    pub(crate) async fn count_try(&self, by: By<'_>, visitor: &Visitor) -> Result<Counted, SignInRefused> {
        let limit = |digest, most| Limit { digest, most, window: WINDOW };
        let mut limits = Vec::with_capacity(2);
        match by {
            By::Account(email, browser) => {
                let known = browser.and_then(|browser| self.drawn_of(email, browser));
                let counted_by = match known {
                    Some(drawn) => self.tries_by("browser", &drawn),
                    None => self.of_account(email),
                };
                limits.push(limit(counted_by, MOST));
            }
            By::Session(id) => limits.push(limit(self.tries_by("session", id.bytes().as_slice()), MOST)),
            By::Nothing => {}
        }
        limits.push(limit(self.tries_from("network", visitor.address), MOST_OF_NETWORK));
        Ok(self.count_within(&limits).await?)
    }

    /// Takes a try back that led to nothing that is written.
    pub(crate) async fn take_back(&self, counted: &Counted) -> Result<(), SignInRefused> {
        self.uncount(counted).await.map_err(|error| faults::store(error).into())
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
        let hash = self.tries_by("known-browser", &[drawn, account(email).as_bytes()].concat());
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(hash) {
            *to = from;
        }
        half
    }

    fn of_account(&self, email: &str) -> [u8; 32] {
        self.tries_by("account", account(email).as_bytes())
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
