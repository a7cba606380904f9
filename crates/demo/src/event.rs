//! What the server saw, for whoever runs it. Names and outcomes only: no token, no code, no text of a caller.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use carnet_model::Time;

/// One request that the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What was asked for.
    pub what: What,
    /// The registered client that asked, as far as it is known.
    pub client: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it ended a grant: by revocation, by a code used twice, by a refresh token used twice.
    pub grant_ended: bool,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The page on which a person decides.
    Consent,
    /// A person's decision.
    Decision,
    /// A token; the grant type if it is one of ours.
    Token(Option<GrantType>),
    /// The end of a token.
    Revocation,
    /// The API.
    Api,
}

/// The grant types of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// `authorization_code`
    AuthorizationCode,
    /// `refresh_token`
    RefreshToken,
    /// `client_credentials`
    ClientCredentials,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Done,
    /// With this error code.
    Refused(&'static str),
}

impl Event {
    pub(crate) const fn new(at: Time, what: What) -> Self {
        Self { at, what, client: None, outcome: Outcome::Done, grant_ended: false }
    }
}

/// The newest events.
#[derive(Default)]
pub(crate) struct Events(Mutex<VecDeque<Event>>);

impl Events {
    pub(crate) fn record(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

const KEPT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_events_are_kept() {
        let events = Events::default();
        for at in 0..2_500 {
            events.record(Event::new(Time::from_millis(at), What::Api));
        }
        let kept = events.all();
        assert_eq!((kept.len(), kept[0].at, kept[1_999].at.millis()), (2_000, Time::from_millis(500), 2_499));
    }
}
