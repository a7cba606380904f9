//! Tokens that are remembered while they live, and requests that are under way.
//!
//! A request under way is a *flight*: whoever asks for the same waits for its landing. What lands is remembered only if
//! the flight is still the one of its key, so that neither a revocation nor a newer flight is undone by an older one.
//! Refusals are never remembered. Nothing here speaks to the server, and nothing tells the time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carnet_model::Time;
use tokio::sync::watch;

use crate::ask_key::AskKey;
use crate::credential::is_same;
use crate::error::Error;
use crate::tokens::Token;

/// How a flight ended; `None` while it is under way.
pub(crate) type Landing = Option<Result<Arc<Token>, Error>>;

/// The tokens of one client and its clones.
pub(crate) struct Cache {
    state: Mutex<State>,
    room: usize,
}

/// What is remembered for a key.
pub(crate) enum Found {
    /// A token that lives long enough. `due` if it is time to get the next one; only one caller is told so.
    Good { token: Arc<Token>, due: bool },
    /// None, or one that ends too soon; it serves if no better one is to be had.
    Missing { ending: Option<Arc<Token>> },
}

/// How to come to a token that is not there.
pub(crate) enum Boarding {
    /// Wait for the flight of somebody else.
    Join(watch::Receiver<Landing>),
    /// Fly, and tell how it ended.
    Lead { flight: u64, landed: watch::Sender<Landing>, landing: watch::Receiver<Landing> },
}

/// Whose tokens of a connector to forget.
pub(crate) struct Whose<'a> {
    /// Identifier or UID.
    pub(crate) connector: &'a str,
    /// Digested; everybody's if `None`.
    pub(crate) subject: Option<[u8; 32]>,
    /// Of every installation if `None`.
    pub(crate) installation: Option<&'a str>,
}

#[derive(Default)]
struct State {
    entries: HashMap<AskKey, Entry>,
    flights: HashMap<AskKey, Flight>,
    flown: u64,
    uses: u64,
}

struct Entry {
    token: Arc<Token>,
    due: Time,
    used: u64,
}

struct Flight {
    number: u64,
    /// How long its token must live: who wants more does not wait for it.
    at_least: Duration,
    landing: watch::Receiver<Landing>,
}

impl Cache {
    pub(crate) fn new(room: usize) -> Self {
        Self { state: Mutex::default(), room }
    }

    /// What is remembered, judged by the time and by how long the token must live.
    pub(crate) fn look(&self, key: &AskKey, now: Time, at_least: Duration) -> Found {
        let mut state = self.lock();
        state.uses += 1;
        let uses = state.uses;
        let Some(entry) = state.entries.get_mut(key) else { return Found::Missing { ending: None } };
        if entry.token.expires_at <= now {
            state.entries.remove(key);
            return Found::Missing { ending: None };
        }
        entry.used = uses;
        let token = entry.token.clone();
        if token.expires_at <= now.plus(at_least) {
            return Found::Missing { ending: Some(token) };
        }
        let due = entry.due <= now;
        if due {
            entry.due = now.plus(PAUSE);
        }
        Found::Good { token, due }
    }

    /// A seat on a flight whose token lives this long, or the lead of a new one.
    pub(crate) fn board(&self, key: &AskKey, at_least: Duration) -> Boarding {
        let mut state = self.lock();
        if let Some(flight) = state.flights.get(key)
            && flight.at_least >= at_least
            // One whose task was dropped with its runtime never lands.
            && flight.landing.has_changed().is_ok()
        {
            return Boarding::Join(flight.landing.clone());
        }
        state.flown += 1;
        let number = state.flown;
        let (landed, landing) = watch::channel(None);
        state.flights.insert(key.clone(), Flight { number, at_least, landing: landing.clone() });
        Boarding::Lead { flight: number, landed, landing }
    }

    /// Takes in what a flight brought; `due` is when to get the next one.
    pub(crate) fn land(
        &self,
        key: &AskKey,
        flight: u64,
        result: &Result<Arc<Token>, Error>,
        now: Time,
        due: Time,
    ) {
        let mut state = self.lock();
        if state.flights.get(key).is_none_or(|known| known.number != flight) {
            return;
        }
        state.flights.remove(key);
        let Ok(token) = result else { return };
        state.uses += 1;
        let entry = Entry { token: token.clone(), due, used: state.uses };
        state.entries.insert(key.clone(), entry);
        state.keep_within(self.room, now);
    }

    /// Forgets this token, if it is the one that is remembered. Another one that lives is a newer one: the answer.
    pub(crate) fn replace(&self, key: &AskKey, token: &Token, now: Time) -> Option<Arc<Token>> {
        let mut state = self.lock();
        let entry = state.entries.get(key)?;
        if entry.token.expires_at > now && !is_same(&entry.token.token, &token.token) {
            return Some(entry.token.clone());
        }
        state.entries.remove(key);
        None
    }

    /// Forgets what was remembered for this key; what is under way will not be remembered.
    pub(crate) fn forget(&self, key: &AskKey) {
        let mut state = self.lock();
        state.entries.remove(key);
        state.flights.remove(key);
    }

    /// Forgets the tokens of one subject, or of everybody, at one connector, whoever asked for them. Where the server
    /// chose the subject, it may have chosen this one.
    pub(crate) fn forget_all(&self, whose: &Whose<'_>) {
        let mut state = self.lock();
        let concerns = |key: &AskKey| {
            (whose.subject.is_none() || key.subject.is_none() || key.subject == whose.subject)
                && whose.installation.is_none_or(|asked| {
                    key.installation.as_deref().is_none_or(|known| known == "*" || known == asked)
                })
        };
        let is_named = |name: &str| name == whose.connector;
        state.entries.retain(|key, entry| {
            let connector = &entry.token.connector;
            let meant =
                is_named(&key.connector) || is_named(&connector.uid) || is_named(&connector.id.to_string());
            !(meant && concerns(key))
        });
        // Under what other name the connector goes is not known before the landing.
        state.flights.retain(|key, _| !concerns(key));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets go what has ended, then what was not used for the longest time.
    fn keep_within(&mut self, room: usize, now: Time) {
        if self.entries.len() <= room {
            return;
        }
        self.entries.retain(|_, entry| entry.token.expires_at > now);
        while self.entries.len() > room {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.entries.remove(&oldest);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("tokens", &self.lock().entries.len()).finish_non_exhaustive()
    }
}

/// Between two tries to get the next token while the present one lives.
const PAUSE: Duration = Duration::from_secs(15);
