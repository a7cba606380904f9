//! Which signing key when: a pure schedule.
//!
//! A key is published before it signs, so that every verifier has seen it, and stays published after its last
//! signature until no token signed by it can be valid and no verifier can need it. States are told from the stored
//! times and `now`, so all nodes agree without talking to each other, even if nobody has written down yet that a
//! pending key has become the active one.
//!
//! Keys of different algorithms rotate apart from each other: ask once per algorithm.

use std::time::Duration;

use carnet_model::Time;

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and signs from this time on.
    Pending {
        /// When.
        activates_at: Time,
    },
    /// Signs, until another one does.
    Active {
        /// Since when.
        since: Time,
    },
    /// Published, signs no more.
    Retiring {
        /// When it may be deleted.
        gone_at: Time,
    },
}

/// A key as the schedule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledKey {
    /// Its name.
    pub kid: String,
    /// Its state as stored.
    pub state: KeyState,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a key signs.
    pub period: Duration,
    /// How long verifiers may use a key set without asking again: what we tell them, or longer if they do not listen.
    pub cache: Duration,
    /// The longest life of a token.
    pub token_life: Duration,
    /// How far clocks may be apart.
    pub skew: Duration,
}

/// Something to be done to the stored keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a key, pending until this time.
    Create {
        /// When it begins to sign.
        activates_at: Time,
    },
    /// Store that this key is active.
    Activate {
        /// Which.
        kid: String,
        /// Since when.
        since: Time,
    },
    /// Store that this key signs no more.
    Retire {
        /// Which.
        kid: String,
        /// When it may be deleted.
        gone_at: Time,
    },
    /// Delete this key.
    Remove {
        /// Which.
        kid: String,
    },
}

impl Default for Schedule {
    /// A month of signing; verifiers that keep keys for an hour, though ours are served for five minutes (the
    /// official ones keep them for ten); tokens that live twelve hours.
    fn default() -> Self {
        Self {
            period: Duration::from_hours(30 * 24),
            cache: Duration::from_hours(1),
            token_life: Duration::from_hours(12),
            skew: Duration::from_mins(1),
        }
    }
}

impl Schedule {
    /// How long before its first signature a key is published.
    pub fn lead(&self) -> Duration {
        self.cache * 2
    }

    /// Since when a key signs that nothing has to wait for: since before now by as much as clocks may be apart, so that no
    /// other node takes it for one that is yet to come, finds none that signs, and makes one of its own.
    pub fn at_once(&self, now: Time) -> Time {
        now.minus(self.skew)
    }

    /// How long after its last signature a key stays published.
    pub fn tail(&self) -> Duration {
        self.token_life + self.skew + self.cache
    }
}

/// The key that signs at `now`: the one activated last.
pub fn signing(keys: &[ScheduledKey], now: Time) -> Option<&ScheduledKey> {
    keys.iter()
        .filter_map(|key| Some((began(key, now)?, key)))
        .max_by(|(a, x), (b, y)| (a, &x.kid).cmp(&(b, &y.kid)))
        .map(|(_, key)| key)
}

/// The keys to be published at `now`.
pub fn published(keys: &[ScheduledKey], now: Time) -> impl Iterator<Item = &ScheduledKey> {
    keys.iter().filter(move |key| !is_gone(key, now))
}

/// What is to be done at `now`. Doing it, at most twice, leaves nothing to be done.
pub fn next_states(keys: &[ScheduledKey], now: Time, schedule: &Schedule) -> Vec<Step> {
    let Some(signing) = signing(keys, now) else {
        // Nothing signs: the very first key, or the one that signed was withdrawn. There is nothing to wait for.
        let removals = keys.iter().filter(|key| is_gone(key, now)).map(remove);
        return removals.chain([Step::Create { activates_at: schedule.at_once(now) }]).collect();
    };
    let since = began(signing, now).unwrap_or(now);
    let mut steps = Vec::new();
    for key in keys {
        match key.state {
            KeyState::Pending { .. } if key.kid == signing.kid => {
                steps.push(Step::Activate { kid: key.kid.clone(), since });
            }
            // The last signature was made when the successor began, whenever this is written down.
            _ if key.kid != signing.kid && began(key, now).is_some() => {
                steps.push(Step::Retire { kid: key.kid.clone(), gone_at: since.plus(schedule.tail()) });
            }
            _ if is_gone(key, now) => steps.push(remove(key)),
            _ => {}
        }
    }
    let successor =
        keys.iter().any(|key| matches!(key.state, KeyState::Pending { activates_at } if activates_at > now));
    let ends_at = since.plus(schedule.period);
    if !successor && now.plus(schedule.lead()) >= ends_at {
        steps.push(Step::Create { activates_at: now.plus(schedule.lead()).max(ends_at) });
    }
    steps
}

/// When the key began to sign, if it has and has not been retired.
fn began(key: &ScheduledKey, now: Time) -> Option<Time> {
    match key.state {
        KeyState::Pending { activates_at } if activates_at <= now => Some(activates_at),
        KeyState::Active { since } => Some(since),
        KeyState::Pending { .. } | KeyState::Retiring { .. } => None,
    }
}

fn is_gone(key: &ScheduledKey, now: Time) -> bool {
    matches!(key.state, KeyState::Retiring { gone_at } if gone_at <= now)
}

fn remove(key: &ScheduledKey) -> Step {
    Step::Remove { kid: key.kid.clone() }
}

#[cfg(test)]
mod tests;
