//! The brake on declaring grants dead.
//!
//! A provider that suspends an application, or lets its secret be changed, may answer `invalid_grant` for every grant
//! of it. Believed one by one, that would send everybody to consent again for something that no person can mend. So,
//! per connector: of the latest eight refreshes whose answer said something about their grant, five within five minutes
//! say that it is dead, each another grant: from then on no grant of it is declared dead. They stay as they are, each is
//! tried once a minute at most, and who needs a token is told what is going on.
//!
//! A connector that loses single people among others who stay does not come here, however busy it is; and one that is
//! suspended loses four, however large it is.
//!
//! The first refresh that works ends it, and so does a new consent. A consent vouches for the application besides: for
//! five minutes what the provider says of grants is believed without a limit. A changed connector starts anew. Each node counts for itself and forgets it with its end: of n nodes, each may declare four grants dead.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::{Id, Time, kind};

use crate::breaker::Line;

#[derive(Default)]
pub(crate) struct Brakes(Mutex<HashMap<Line, Brake>>);

#[derive(Default)]
struct Brake {
    /// The latest answers about grants, oldest first.
    told: VecDeque<Told>,
    pulled: bool,
    /// Until when a consent vouches for the application.
    vouched: Time,
    /// What was refused while the brake was on, and when.
    refused: HashMap<Id<kind::Grant>, Time>,
}

struct Told {
    at: Time,
    grant: Id<kind::Grant>,
    dead: bool,
}

/// What to do about a provider's word that a grant is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Believe it.
    Believed,
    /// Do not; the brake was pulled by this very word.
    Pulls,
    /// Do not.
    Doubted,
}

impl Brakes {
    /// For how long this grant is not to be tried, because it was refused a moment ago while the brake is on.
    pub(crate) fn wait(&self, line: Line, grant: Id<kind::Grant>, now: Time) -> Option<Duration> {
        let brakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let brake = brakes.get(&line).filter(|brake| brake.pulled)?;
        let left = now.until(brake.refused.get(&grant)?.plus(BETWEEN));
        (!left.is_zero()).then_some(left)
    }

    /// The provider says that a grant is dead.
    pub(crate) fn dead(&self, line: Line, grant: Id<kind::Grant>, now: Time) -> Word {
        self.with(line, |brake| {
            if brake.pulled {
                brake.refused.retain(|_, at| at.plus(BETWEEN) > now);
                brake.refused.insert(grant, now);
                return Word::Doubted;
            }
            if brake.vouched > now {
                return Word::Believed;
            }
            brake.note(Told { at: now, grant, dead: true });
            let dead = brake.told.iter().filter(|told| told.dead && told.at.plus(WITHIN) > now).count();
            if dead < SUSPICIOUS {
                return Word::Believed;
            }
            brake.pulled = true;
            brake.told.clear();
            brake.refused.insert(grant, now);
            Word::Pulls
        })
    }

    /// A refresh worked. Whether that ends a brake.
    pub(crate) fn works(&self, line: Line, grant: Id<kind::Grant>, now: Time) -> bool {
        self.with(line, |brake| {
            brake.note(Told { at: now, grant, dead: false });
            brake.end()
        })
    }

    /// A person consented, and the provider gave tokens. Whether that ends a brake.
    pub(crate) fn consented(&self, line: Line, now: Time) -> bool {
        self.with(line, |brake| {
            let ended = brake.end();
            if ended {
                brake.vouched = now.plus(WITHIN);
            }
            ended
        })
    }

    fn with<T>(&self, line: Line, change: impl FnOnce(&mut Brake) -> T) -> T {
        let mut brakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if brakes.len() > MANY && !brakes.contains_key(&line) {
            brakes.retain(|_, brake| brake.pulled || brake.told.iter().any(|told| told.dead));
        }
        change(brakes.entry(line).or_default())
    }
}

impl Brake {
    fn note(&mut self, told: Told) {
        self.told.retain(|before| before.grant != told.grant);
        if self.told.len() >= LATEST {
            self.told.pop_front();
        }
        self.told.push_back(told);
    }

    fn end(&mut self) -> bool {
        self.refused.clear();
        std::mem::take(&mut self.pulled)
    }
}

/// Answers that are looked at: few, so that it shows at once when a provider changes its mind about everybody.
const LATEST: usize = 8;
/// Dead ones among them that are not chance any more: with one grant in twenty dead, which would be a bad day, five of
/// eight come together once in seventy thousand times.
const SUSPICIOUS: usize = 5;
/// Within this time. Grants that die over an afternoon die one by one.
const WITHIN: Duration = Duration::from_mins(5);
/// Between two tries of one grant while the brake is on.
const BETWEEN: Duration = Duration::from_mins(1);
/// Connectors beyond which quiet ones are forgotten.
const MANY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = (Id::from_bytes([1; 16]), 1);

    fn grant(n: u8) -> Id<kind::Grant> {
        Id::from_bytes([n; 16])
    }

    fn at(seconds: i64) -> Time {
        Time::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn the_fifth_that_dies_at_once_is_not_believed_and_none_after_it() {
        let brakes = Brakes::default();
        let words: Vec<Word> = (1..=7).map(|n| brakes.dead(LINE, grant(n), at(i64::from(n)))).collect();
        let [believed, pulls, doubted] = [Word::Believed, Word::Pulls, Word::Doubted];
        assert_eq!(words, [believed, believed, believed, believed, pulls, doubted, doubted]);
        assert_eq!(brakes.dead((LINE.0, 2), grant(9), at(8)), believed, "a changed connector starts anew");
        // Each is left alone for a minute, and another is not.
        assert_eq!(brakes.wait(LINE, grant(7), at(10)), Some(Duration::from_secs(57)));
        assert_eq!(brakes.wait(LINE, grant(8), at(10)), None);
        assert_eq!(brakes.wait(LINE, grant(7), at(67)), None);

        assert!(brakes.works(LINE, grant(8), at(70)), "the first that works ends it");
        assert!(!brakes.works(LINE, grant(8), at(71)));
        assert_eq!(brakes.wait(LINE, grant(7), at(70)), None);
        assert_eq!(brakes.dead(LINE, grant(7), at(72)), believed);
    }

    #[test]
    fn people_who_leave_one_by_one_pull_no_brake() {
        let brakes = Brakes::default();
        // Over an afternoon.
        for n in 0..100 {
            assert_eq!(brakes.dead(LINE, grant(n), at(i64::from(n) * 76)), Word::Believed, "{n}");
        }
        // Among others who stay: one in three.
        let brakes = Brakes::default();
        for n in 0..240_u8 {
            if n % 3 == 0 {
                assert_eq!(brakes.dead(LINE, grant(n), at(i64::from(n))), Word::Believed, "{n}");
            } else {
                brakes.works(LINE, grant(n), at(i64::from(n)));
            }
        }
        // The same one again and again is one.
        let brakes = Brakes::default();
        for n in 0..20 {
            assert_eq!(brakes.dead(LINE, grant(1), at(n)), Word::Believed);
        }
    }

    #[test]
    fn a_new_consent_vouches_for_the_application() {
        let brakes = Brakes::default();
        for n in 1..=5 {
            brakes.dead(LINE, grant(n), at(0));
        }
        assert!(brakes.consented(LINE, at(10)));
        // All of them are dead indeed, and each may say so.
        for n in 6..=30 {
            assert_eq!(brakes.dead(LINE, grant(n), at(11)), Word::Believed);
        }
        // Without a brake, a consent says nothing about others.
        let brakes = Brakes::default();
        assert!(!brakes.consented(LINE, at(0)));
        for n in 1..=5 {
            brakes.dead(LINE, grant(n), at(1));
        }
        assert_eq!(brakes.dead(LINE, grant(6), at(2)), Word::Doubted);
    }
}
