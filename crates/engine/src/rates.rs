//! How fast a team may ask: so many reads a minute, and so many writes, each for itself. The sign-in gateway counts in the
//! same way, by connector.
//!
//! One time per team and kind is kept, the time at which what was asked so far would be used up at the team's pace (the
//! generic cell rate algorithm, ITU-T I.371). A request that would move it more than a minute ahead is refused, with the
//! moment at which it would not. So a minute's worth can come at once, then at the pace; a team is never held up by
//! another; and a team that has asked for nothing lately takes no memory.
//!
//! Each process counts for itself: with several, a team may have as many times as much. Nothing is counted of a team
//! whose plan sets no pace.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault, Id, Time, kind};

use crate::broker::Broker;
use crate::usage::Plan;

/// What kind of request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// It shows something, or is for a token.
    Read,
    /// It changes something.
    Write,
}

/// The paces of those who asked lately, by who they are.
pub(crate) struct Rates<K>(Mutex<Known<K>>);

struct Known<K> {
    all: HashMap<K, Used>,
    /// When those that are at rest were last forgotten.
    swept_at: Time,
}

/// A team, and the kind of what it asks.
pub(crate) type OfTeam = (Id<kind::Team>, Pace);

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self(Mutex::new(Known { all: HashMap::new(), swept_at: Time::default() }))
    }
}

struct Used {
    /// In microseconds since 1970: a pace of some thousand a minute has steps of less than a millisecond.
    up_to: i64,
    /// When a refusal was last put on the record.
    told_at: Option<Time>,
}

/// It is too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFast {
    pub(crate) wait: Duration,
    /// Whether this is the first refusal for a while, and belongs on the record.
    pub(crate) is_news: bool,
}

impl<K: Eq + Hash> Rates<K> {
    /// How long a request would have to wait that came now; nothing is used up.
    fn look(&self, who: &K, per_minute: NonZeroU32, now: Time) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = known.all.get(who).map_or(0, |used| used.up_to);
        let ahead = ahead(used, per_minute, now);
        (ahead > 0).then(|| Duration::from_micros(ahead.unsigned_abs()))
    }

    /// Lets one through, or says how long it has to wait.
    pub(crate) fn take(&self, who: K, per_minute: NonZeroU32, now: Time) -> Result<(), TooFast> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back forgets them all, which is to nobody's harm.
        if now < known.swept_at || known.swept_at.until(now) >= MINUTE {
            known.swept_at = now;
            known
                .all
                .retain(|_, used| used.up_to > micros(now) && used.up_to - micros(now) <= 2 * MINUTE_MICROS);
        }
        let used = known.all.entry(who).or_insert(Used { up_to: 0, told_at: None });
        let ahead = ahead(used.up_to, per_minute, now);
        if ahead <= 0 {
            used.up_to = micros(now) + MINUTE_MICROS + ahead;
            return Ok(());
        }
        let is_news = used.told_at.is_none_or(|told| told.until(now) >= MINUTE);
        if is_news {
            used.told_at = Some(now);
        }
        Err(TooFast { wait: Duration::from_micros(ahead.unsigned_abs()), is_news })
    }
}

/// By how many microseconds one more request would be beyond a minute's worth.
fn ahead(used_up_to: i64, per_minute: NonZeroU32, now: Time) -> i64 {
    let step = MINUTE_MICROS / i64::from(per_minute.get());
    used_up_to.max(micros(now)) + step - micros(now) - MINUTE_MICROS
}

const fn micros(time: Time) -> i64 {
    time.millis().saturating_mul(1000)
}

impl Broker {
    /// Lets a request of this kind through, or says when it can come again. The first refusal in a minute is on the
    /// record; more of them would be a way to fill it.
    pub async fn keep_pace(
        &self,
        caller: &Caller,
        pace: Pace,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let (name, plan) = inner.settings.plans.of(caller.team());
        let Some(per_minute) = pace.of(&plan) else { return Ok(()) };
        let now = inner.env.now();
        let Err(TooFast { wait, is_news }) = inner.rates.take((caller.team(), pace), per_minute, now) else {
            return Ok(());
        };
        if is_news {
            let event = AuditEvent::of(caller, now, Action::LimitReach, Some(request))
                .ended(Outcome::Denied)
                .with("kind", pace.as_str())
                .with("perMinute", per_minute.get())
                .with("plan", name)
                .with("code", Code::RateLimited.as_str());
            self.record(event).await?;
        }
        Err(refusal(pace, per_minute, wait).recorded())
    }

    /// What a request of this kind would be refused with if it came now; nothing is used up. For `explain`.
    pub(crate) fn too_fast(&self, caller: &Caller, pace: Pace) -> Option<Fault> {
        let (_, plan) = self.inner.settings.plans.of(caller.team());
        let per_minute = pace.of(&plan)?;
        let wait = self.inner.rates.look(&(caller.team(), pace), per_minute, self.inner.env.now())?;
        Some(refusal(pace, per_minute, wait))
    }
}

impl Pace {
    fn of(self, plan: &Plan) -> Option<NonZeroU32> {
        match self {
            Self::Read => plan.reads,
            Self::Write => plan.writes,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
        }
    }
}

fn refusal(pace: Pace, per_minute: NonZeroU32, wait: Duration) -> Fault {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let message = format!("The team has {per_minute} {} a minute, and has used them up.", pace.as_str());
    Fault::new(Code::RateLimited, message)
        .with("limit", per_minute.get())
        .retry_after(u64::try_from(seconds).unwrap_or(60))
}

const MINUTE: Duration = Duration::from_mins(1);
const MINUTE_MICROS: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn team(number: u8) -> Id<kind::Team> {
        Id::from_bytes([number; 16])
    }

    const NOW: i64 = 1_800_000_000_000;

    fn per_minute(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_the_pace_holds() {
        let rates = Rates::<OfTeam>::default();
        let at = |millis| Time::from_millis(NOW + millis);
        for _ in 0..60 {
            rates.take((team(1), Pace::Read), per_minute(60), at(0)).unwrap();
        }
        assert_eq!(rates.look(&(team(1), Pace::Read), per_minute(60), at(0)), Some(Duration::from_secs(1)));
        assert_eq!(
            rates.look(&(team(1), Pace::Read), per_minute(60), at(1000)),
            None,
            "and looking uses up nothing"
        );
        let refused = rates.take((team(1), Pace::Read), per_minute(60), at(0)).unwrap_err();
        assert_eq!(refused, TooFast { wait: Duration::from_secs(1), is_news: true });
        // Trying again costs nothing, and is no news.
        let again = rates.take((team(1), Pace::Read), per_minute(60), at(500)).unwrap_err();
        assert_eq!(again, TooFast { wait: Duration::from_millis(500), is_news: false });
        rates.take((team(1), Pace::Read), per_minute(60), at(1000)).unwrap();
        rates.take((team(1), Pace::Read), per_minute(60), at(1000)).unwrap_err();
    }

    #[test]
    fn teams_and_kinds_do_not_wait_for_each_other() {
        let rates = Rates::<OfTeam>::default();
        let now = Time::from_millis(NOW);
        rates.take((team(1), Pace::Write), per_minute(1), now).unwrap();
        rates.take((team(1), Pace::Write), per_minute(1), now).unwrap_err();
        rates.take((team(1), Pace::Read), per_minute(1), now).unwrap();
        rates.take((team(2), Pace::Write), per_minute(1), now).unwrap();
    }

    #[test]
    fn who_is_at_rest_takes_no_memory() {
        let rates = Rates::<OfTeam>::default();
        for number in 0..200 {
            rates.take((team(number), Pace::Read), per_minute(200), Time::from_millis(NOW)).unwrap();
        }
        let later = Time::from_millis(NOW + 61_000);
        rates.take((team(250), Pace::Read), per_minute(200), later).unwrap();
        assert_eq!(rates.0.lock().unwrap().all.len(), 1);
    }

    #[test]
    fn in_any_minute_there_are_at_most_two_minutes_worth() {
        let rates = Rates::<OfTeam>::default();
        let let_through = (0..60_000)
            .filter(|millis| {
                rates.take((team(1), Pace::Read), per_minute(200), Time::from_millis(NOW + millis)).is_ok()
            })
            .count();
        assert!((399..=400).contains(&let_through), "{let_through}");
    }
}
