//! A time as people write it: a day, a moment, or how long ago.

use std::time::Duration;

use carnet_model::Time;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::failure::Failure;

/// Reads it. A day begins at midnight in UTC.
pub(crate) fn read(text: &str, now: Time) -> Result<Time, Failure> {
    let of = |stamp: Timestamp| Time::from_millis(stamp.as_millisecond());
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Ok(of(stamp));
    }
    if let Some(zoned) = text.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
        return Ok(of(zoned.timestamp()));
    }
    ago(text).map(|span| earlier(now, span)).ok_or_else(|| {
        Failure::usage(format!("{text:?} is not a time."))
            .next("--since 7d", "for the last seven days; also 12h, 30min")
            .next("--since 2026-11-30T08:00:00Z", "for a moment; also a day alone")
    })
}

fn ago(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

fn earlier(now: Time, span: Duration) -> Time {
    Time::from_millis(now.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_moment_and_a_span_are_times() {
        let now = Time::from_secs(1_784_065_923);
        for (text, seconds) in [
            ("2026-07-14", 1_783_987_200),
            ("2026-07-14T21:52:03Z", 1_784_065_923),
            ("7d", 1_784_065_923 - 7 * 86_400),
            ("30min", 1_784_065_923 - 1800),
        ] {
            assert_eq!(read(text, now).ok(), Some(Time::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "7", "7y", "-7d", "tomorrow", "99999999999999999999d"] {
            assert_eq!(read(text, now).unwrap_err().next.len(), 2, "{text}");
        }
    }
}
