//! Breakers: how long a connector's provider is left alone after it asked to be, kept failing, or kept refusing the
//! connector's own credentials.
//!
//! A breaker says only when to call again. It never touches a grant, and never keeps a living token from a caller.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::{Id, Time, kind};
use carnet_providers::{DriverError, Vendor};

pub(crate) struct Breakers(Mutex<HashMap<(Id<kind::Connector>, i64), State>>);

#[derive(Default)]
struct State {
    failures: u32,
    closed_until: Time,
    /// What the latest failure was, if it was a refusal of the client: whoever comes meanwhile is told the same.
    rejection: Option<Vendor>,
}

/// The connector and its version: a changed connector starts anew.
pub(crate) type Line = (Id<kind::Connector>, i64);

impl Breakers {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// For how long this provider must not be called; `None` if it may be.
    pub(crate) fn wait(&self, line: Line, now: Time) -> Option<Duration> {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = now.until(states.get(&line)?.closed_until);
        (!left.is_zero()).then_some(left)
    }

    /// What a call would come to while the provider must not be called; `None` if it may be.
    pub(crate) fn refusal(&self, line: Line, now: Time) -> Option<DriverError> {
        let wait = self.wait(line, now)?;
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match &states.get(&line)?.rejection {
            Some(vendor) => DriverError::ClientRejected { vendor: vendor.clone() },
            None => DriverError::Later { retry_after: Some(wait.as_secs().max(1)), in_doubt: false },
        })
    }

    /// The provider answered.
    pub(crate) fn answered(&self, line: Line) {
        self.with(line, |state| *state = State::default());
    }

    /// The provider refuses the connector's own credentials. One call is as good as a thousand, until they are changed
    /// here, which starts anew, or there, which is noticed within a minute.
    pub(crate) fn rejected(&self, line: Line, now: Time, vendor: &Vendor) {
        self.failed_for(line, now, None, Some(vendor.clone()));
    }

    /// The provider failed, and may have said when to come back.
    pub(crate) fn failed(&self, line: Line, now: Time, retry_after: Option<u64>) {
        self.failed_for(line, now, retry_after, None);
    }

    fn failed_for(&self, line: Line, now: Time, retry_after: Option<u64>, rejection: Option<Vendor>) {
        self.with(line, |state| {
            state.failures = state.failures.saturating_add(1);
            state.rejection = rejection;
            let pause = match retry_after {
                Some(seconds) => Some(Duration::from_secs(seconds).min(LONGEST_NAMED)),
                None if state.failures >= PATIENCE => {
                    Some(Duration::from_secs(1 << (state.failures - PATIENCE).min(6)).min(LONGEST))
                }
                None => None,
            };
            if let Some(pause) = pause {
                state.closed_until = now.plus(pause);
            }
        });
    }

    fn with<T>(&self, line: Line, change: impl FnOnce(&mut State) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() > MANY && !states.contains_key(&line) {
            states.retain(|_, state| state.failures > 0);
        }
        change(states.entry(line).or_default())
    }
}

/// Failures in a row, without a word when to come back, before a pause.
const PATIENCE: u32 = 5;
/// The longest pause between tries that nobody asked for.
const LONGEST: Duration = Duration::from_mins(1);
/// The longest pause that a provider can ask for. Limits that are counted by the minute are over by then; one that is
/// counted by the day would otherwise keep people out who could be helped.
pub(crate) const LONGEST_NAMED: Duration = Duration::from_mins(10);
/// Entries beyond which idle ones are dropped.
const MANY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = (Id::from_bytes([1; 16]), 1);

    #[test]
    fn a_provider_that_names_a_time_is_left_alone_until_then() {
        let breakers = Breakers::new();
        let now = Time::from_secs(1000);
        assert_eq!(breakers.wait(LINE, now), None);
        breakers.failed(LINE, now, Some(7));
        assert_eq!(breakers.wait(LINE, now), Some(Duration::from_secs(7)));
        assert_eq!(breakers.wait((LINE.0, 2), now), None, "a changed connector starts anew");
        assert_eq!(breakers.wait(LINE, Time::from_secs(1007)), None);
        breakers.failed(LINE, now, Some(86_400));
        assert_eq!(breakers.wait(LINE, now), Some(LONGEST_NAMED), "no provider can close itself for a day");
        breakers.answered(LINE);
        assert_eq!(breakers.wait(LINE, now), None);
    }

    #[test]
    fn a_provider_that_keeps_failing_is_tried_less_and_less() {
        let breakers = Breakers::new();
        let now = Time::from_secs(1000);
        let pauses: Vec<_> = (0..12)
            .map(|_| {
                breakers.failed(LINE, now, None);
                breakers.wait(LINE, now).map_or(0, |pause| pause.as_secs())
            })
            .collect();
        assert_eq!(pauses, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn whoever_comes_while_the_client_is_refused_is_told_so_and_a_changed_connector_starts_anew() {
        let breakers = Breakers::new();
        let now = Time::from_secs(1000);
        let vendor = Vendor { status: 401, error: "invalid_client".to_owned(), description: None };
        for _ in 0..PATIENCE {
            assert!(breakers.refusal(LINE, now).is_none());
            breakers.rejected(LINE, now, &vendor);
        }
        let told = breakers.refusal(LINE, now);
        assert!(
            matches!(&told, Some(DriverError::ClientRejected { vendor: same }) if *same == vendor),
            "{told:?}"
        );
        assert!(breakers.refusal((LINE.0, 2), now).is_none());
        assert!(breakers.refusal(LINE, now.plus(LONGEST)).is_none());
        breakers.failed(LINE, now, None);
        assert!(matches!(breakers.refusal(LINE, now), Some(DriverError::Later { in_doubt: false, .. })));
        breakers.answered(LINE);
        assert!(breakers.refusal(LINE, now).is_none());
    }
}
