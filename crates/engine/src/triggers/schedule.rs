//! When an event is forwarded again, and when no more.

use std::time::Duration;

use carnet_model::{Env, Time};
use http::StatusCode;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The destination has it.
    Taken,
    /// It may have it another time; not before so long.
    Again(Option<Duration>),
    /// The destination says no, and will say no again.
    Refused,
    /// The destination says that it is gone for good (RFC 9110 §15.5.11).
    Gone,
}

/// What a destination's answer means.
pub(crate) fn judge(status: StatusCode, retry_after: Option<&str>) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Taken,
        410 => Verdict::Gone,
        429 | 500 | 502 | 503 | 504 => {
            let asked = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            Verdict::Again(asked.map(|asked| asked.min(LONGEST_ASKED)))
        }
        // A redirect is not followed: the token is for this address.
        _ => Verdict::Refused,
    }
}

/// When the next attempt is due after so many of a round; `None` if that was the last.
pub(crate) fn next(env: &Env, attempts: i64, asked: Option<Duration>) -> Option<Time> {
    let gap = *usize::try_from(attempts - 1).ok().and_then(|n| GAPS.get(n))?;
    // Those that failed together do not come back together.
    let gap = gap / 2 + env.jitter(gap / 2);
    Some(env.now().plus(gap.max(asked.unwrap_or_default())))
}

/// Between attempts. An application that is restarted has the event within seconds; one that is away for a weekend has
/// it too.
const GAPS: [Duration; 10] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// However long a destination asks to wait.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_another_attempt_makes_sense() {
        for (status, retry_after, want) in [
            (200, None, Verdict::Taken),
            (204, Some("9"), Verdict::Taken),
            (302, None, Verdict::Refused),
            (400, Some("9"), Verdict::Refused),
            (401, None, Verdict::Refused),
            (404, None, Verdict::Refused),
            (410, None, Verdict::Gone),
            (501, None, Verdict::Refused),
            (500, None, Verdict::Again(None)),
            (502, Some("soon"), Verdict::Again(None)),
            (503, Some(" 7 "), Verdict::Again(Some(Duration::from_secs(7)))),
            (429, Some("86400"), Verdict::Again(Some(Duration::from_hours(1)))),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, retry_after), want, "{status}");
        }
    }

    #[test]
    fn three_attempts_are_made_within_seconds_and_eleven_within_days() {
        let env = Env::system();
        let gaps: Vec<_> =
            (1..=11).map(|attempts| next(&env, attempts, None).map(|due| env.now().until(due))).collect();
        assert!(gaps[0].unwrap() + gaps[1].unwrap() <= Duration::from_secs(6), "{gaps:?}");
        assert!(gaps[..10].iter().all(Option::is_some) && gaps[10].is_none());
        let asked = next(&env, 1, Some(Duration::from_mins(10))).unwrap();
        assert!(env.now().until(asked) > Duration::from_mins(9));
    }
}
