//! How much is under way to each destination, and for how long one that keeps failing is left alone.
//!
//! Four attempts at once to one destination, 64 in all. After five failures in a row, or more than half of the last
//! twenty, nothing is tried for half a minute; then one attempt, and twice the pause if that fails too, up to ten
//! minutes. A pause uses up no attempt. Each process keeps this for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carnet_model::{Id, Time, kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Lines {
    all: Arc<Semaphore>,
    known: Arc<Mutex<HashMap<Id<kind::Destination>, Line>>>,
    round: Mutex<Round>,
}

/// Whether somebody looks for what is due, and whether it has to be looked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Over,
    UnderWay,
    Asked,
}

#[derive(Default)]
struct Line {
    under_way: u32,
    in_a_row: u32,
    /// The last attempts, the newest in the lowest bit; set for a failure.
    recent: u32,
    seen: u32,
    /// Until when, and for how long it was.
    pause: Option<(Time, Duration)>,
}

/// What may be done at a destination now.
pub(crate) enum Turn {
    /// One attempt.
    Go(Place),
    /// Enough is under way there.
    Full,
    /// It is left alone until then.
    Paused(Time),
    /// Enough is under way in all.
    Busy,
}

/// An attempt that may be made. Whoever does not say how it ended leaves no trace.
pub(crate) struct Place {
    destination: Id<kind::Destination>,
    known: Arc<Mutex<HashMap<Id<kind::Destination>, Line>>>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Default for Lines {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), known: Arc::default(), round: Mutex::new(Round::Over) }
    }
}

impl Lines {
    /// Begins to look for what is due, unless somebody does: who does is asked to look once more.
    pub(crate) fn begin(&self) -> bool {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = *round == Round::Over;
        *round = if begins { Round::UnderWay } else { Round::Asked };
        begins
    }

    /// Whether whoever looked was asked to look once more; it is over otherwise.
    pub(crate) fn goes_on(&self) -> bool {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = *round == Round::Asked;
        *round = if asked { Round::UnderWay } else { Round::Over };
        asked
    }

    /// It is over, whoever asked.
    pub(crate) fn give_up(&self) {
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = Round::Over;
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(&self, destination: Id<kind::Destination>, now: Time) -> Turn {
        let Ok(permit) = self.all.clone().try_acquire_owned() else { return Turn::Busy };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MANY {
            known.retain(|_, line| line.under_way > 0 || line.in_a_row > 0);
        }
        let line = known.entry(destination).or_default();
        let room = match line.pause {
            Some((until, _)) if now < until => return Turn::Paused(until),
            Some(_) => 1,
            None => EACH,
        };
        if line.under_way >= room {
            return Turn::Full;
        }
        line.under_way += 1;
        Turn::Go(Place { destination, known: self.known.clone(), _one_of_all: permit })
    }
}

impl Place {
    /// The destination answered, whatever it said.
    pub(crate) fn answered(&self) {
        self.with(|line| {
            line.in_a_row = 0;
            line.recent <<= 1;
            line.seen += 1;
            if line.pause.take().is_some() {
                (line.recent, line.seen) = (0, 0);
            }
        });
    }

    /// It did not, or could not take it.
    pub(crate) fn failed(&self, now: Time) {
        self.with(|line| {
            line.in_a_row = line.in_a_row.saturating_add(1);
            line.recent = line.recent << 1 | 1;
            line.seen += 1;
            let of_last = (line.recent & LAST).count_ones();
            let often = line.seen >= LAST.count_ones() && of_last > LAST.count_ones() / 2;
            line.pause = match line.pause {
                Some((_, pause)) => {
                    let pause = (pause * 2).min(LONGEST);
                    Some((now.plus(pause), pause))
                }
                None if line.in_a_row >= PATIENCE || often => Some((now.plus(FIRST), FIRST)),
                None => None,
            };
        });
    }

    fn with(&self, change: impl FnOnce(&mut Line)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(known.entry(self.destination).or_default());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.with(|line| line.under_way = line.under_way.saturating_sub(1));
    }
}

/// At once, in all and to one destination.
const AT_ONCE: usize = 64;
const EACH: u32 = 4;
/// Failures in a row before a pause.
const PATIENCE: u32 = 5;
/// The last twenty attempts.
const LAST: u32 = 0x000f_ffff;
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(10);
/// Destinations beyond which idle ones are forgotten.
const MANY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Id<kind::Destination> = Id::from_bytes([1; 16]);
    const THERE: Id<kind::Destination> = Id::from_bytes([2; 16]);

    fn at(seconds: i64) -> Time {
        Time::from_secs(1_800_000_000 + seconds)
    }

    fn go(lines: &Lines, seconds: i64) -> Place {
        match lines.enter(HERE, at(seconds)) {
            Turn::Go(place) => place,
            _ => panic!("there is a place"),
        }
    }

    #[test]
    fn one_looks_at_a_time_and_nobody_asks_in_vain() {
        let lines = Lines::default();
        assert!(lines.begin() && !lines.begin() && !lines.begin());
        assert!(lines.goes_on() && !lines.goes_on());
        assert!(lines.begin());
        lines.give_up();
        assert!(lines.begin());
    }

    #[test]
    fn a_destination_has_four_at_once_and_takes_none_of_anothers() {
        let lines = Lines::default();
        let held: Vec<_> = (0..4).map(|_| go(&lines, 0)).collect();
        assert!(matches!(lines.enter(HERE, at(0)), Turn::Full));
        assert!(matches!(lines.enter(THERE, at(0)), Turn::Go(_)));
        drop(held);
        go(&lines, 0);
    }

    #[test]
    fn one_that_keeps_failing_is_tried_once_after_each_longer_pause() {
        let lines = Lines::default();
        for _ in 0..5 {
            go(&lines, 0).failed(at(0));
        }
        let mut pauses = Vec::new();
        let mut now = 0;
        for _ in 0..7 {
            let Turn::Paused(until) = lines.enter(HERE, at(now)) else { panic!("it is left alone") };
            pauses.push(at(now).until(until).as_secs());
            now = until.secs() - at(0).secs();
            let probe = go(&lines, now);
            assert!(matches!(lines.enter(HERE, at(now)), Turn::Full), "one attempt, not four");
            probe.failed(at(now));
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        let Turn::Paused(until) = lines.enter(HERE, at(now)) else { panic!("it is left alone") };
        go(&lines, until.secs() - at(0).secs()).answered();
        let held: Vec<_> = (0..4).map(|_| go(&lines, now)).collect();
        assert_eq!(held.len(), 4);
    }

    #[test]
    fn one_that_fails_more_often_than_not_is_left_alone_too() {
        let lines = Lines::default();
        for round in 0..21 {
            let place = go(&lines, 0);
            if round % 4 == 0 {
                place.answered();
            } else {
                place.failed(at(0));
            }
            if matches!(lines.enter(HERE, at(0)), Turn::Paused(_)) {
                assert!(round >= 19, "{round}");
                return;
            }
        }
        panic!("it goes on");
    }
}
