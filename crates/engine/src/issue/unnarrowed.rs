//! What a provider would not make narrower: remembered, so that the same request does not cost a refresh each time.
//!
//! A server may ignore `scope` at a refresh, or give other scopes (RFC 6749 §3.3, §6). Such a token is not handed out; but
//! it spent a refresh token and gave another, and whoever asks again would have that done again. So what was given is kept
//! for a while, and the same request is refused by it. The while begins with a minute and doubles each time that it turns
//! out to be the same, since a server may be mended. A changed connector and a new consent begin anew.
//!
//! Only in memory: a process that does not know it yet finds out with one refresh.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::{Fault, ScopeRequest, Scopes, Time};

use super::Wanted;
use crate::broker::Broker;
use crate::cache::{AskKey, Parts, id_bytes};
use crate::directory::Entry;
use crate::sealing::Facts;

/// What was given in place of what was asked, by the request and the consent.
#[derive(Default)]
pub(crate) struct Unnarrowed(Mutex<HashMap<AskKey, Known>>);

struct Known {
    given: Scopes,
    times: u32,
    until: Time,
}

impl Unnarrowed {
    /// What was given the last time, if that was not long ago.
    fn given(&self, key: &AskKey, now: Time) -> Option<Scopes> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not make it longer.
        let known = all.get(key).filter(|known| known.until > now && now.until(known.until) <= LONGEST)?;
        Some(known.given.clone())
    }

    fn keep(&self, key: AskKey, given: Scopes, now: Time) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY && !all.contains_key(&key) {
            all.retain(|_, known| known.until > now);
            if all.len() >= MANY {
                all.clear();
            }
        }
        let times = all.get(&key).map_or(0, |known| known.times).saturating_add(1);
        let pause = (FIRST * (1 << (times - 1).min(4))).min(LONGEST);
        all.insert(key, Known { given, times, until: now.plus(pause) });
    }

    fn forget(&self, key: &AskKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Broker {
    /// The refusal of a request for just these scopes, if a refresh for it was in vain a short time ago.
    pub(crate) fn unnarrowed(
        &self,
        entry: &Entry,
        wanted: &Wanted,
        facts: &Facts,
        scopes: &Scopes,
    ) -> Option<Fault> {
        let given = self.inner.unnarrowed.given(&key(wanted, facts), self.inner.env.now())?;
        self.check_scopes(entry, &exactly(wanted, scopes), Some(&given)).err()
    }

    /// Holds what a refresh gave against the scopes that it was for, and remembers how that ended.
    pub(super) fn check_narrowed(
        &self,
        entry: &Entry,
        wanted: &Wanted,
        facts: &Facts,
        scopes: &Scopes,
        given: Option<&Scopes>,
    ) -> Result<(), Fault> {
        let key = key(wanted, facts);
        let checked = self.check_scopes(entry, &exactly(wanted, scopes), given);
        match (&checked, given) {
            (Err(_), Some(given)) => self.inner.unnarrowed.keep(key, given.clone(), self.inner.env.now()),
            _ => self.inner.unnarrowed.forget(&key),
        }
        checked
    }
}

fn exactly(wanted: &Wanted, scopes: &Scopes) -> Wanted {
    Wanted { scopes: ScopeRequest::Exactly(scopes.clone()), ..wanted.duplicate() }
}

/// The request, of a connector as it is, and the consent on which it hangs.
fn key(wanted: &Wanted, facts: &Facts) -> AskKey {
    Parts::new("unnarrowed/1").add(&wanted.key).maybe(id_bytes(facts.given_by.as_ref())).finish()
}

/// The while after the first time, as long as a provider's hiccup may last.
const FIRST: Duration = Duration::from_mins(1);
/// The longest while: a server that was mended is found out within it.
const LONGEST: Duration = Duration::from_mins(16);
/// Entries beyond which those are dropped whose while is over.
const MANY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_vain_is_tried_again_after_a_while_that_grows() {
        let (all, key, given) = (Unnarrowed::default(), [7; 32], Scopes::parse(["wide"]).unwrap());
        let mut now = Time::from_secs(1000);
        for minutes in [1, 2, 4, 8, 16, 16] {
            assert_eq!(all.given(&key, now), None);
            all.keep(key, given.clone(), now);
            assert_eq!(all.given(&key, now), Some(given.clone()));
            assert_eq!(all.given(&[8; 32], now), None, "another request");
            let end = now.plus(Duration::from_mins(minutes));
            assert_eq!(all.given(&key, end.minus(Duration::from_secs(1))), Some(given.clone()));
            now = end;
        }
        all.forget(&key);
        all.keep(key, given.clone(), now);
        assert_eq!(all.given(&key, now.plus(Duration::from_mins(1))), None, "it begins anew");
        assert_eq!(all.given(&key, Time::from_secs(0)), None, "a clock that was set back");
        for n in 0..2 * MANY {
            let mut one = [0; 32];
            one[..8].copy_from_slice(&n.to_be_bytes());
            all.keep(one, given.clone(), now);
        }
        assert!(all.0.lock().unwrap().len() <= MANY);
    }
}
