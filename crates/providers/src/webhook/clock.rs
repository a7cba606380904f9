//! The time that a provider signs.

use std::time::Duration;

use carnet_model::Time;
use http::HeaderMap;

use super::{Refusal, header};

/// So far off may a signed time be, before or after now.
pub(super) const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// Seconds since 1970 in a header, as it is written there and as it is meant.
pub(super) fn seconds<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<(&'a str, Time), Refusal> {
    let text = header::one(headers, name)?;
    parse(text).map(|time| (text, time)).ok_or(Refusal::Malformed(name))
}

/// Seconds since 1970 in decimal digits and nothing else.
pub(super) fn parse(text: &str) -> Option<Time> {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Time::from_secs)
}

/// Refuses a time that is further off than `most`. A time ahead of ours is as bad as one behind it: what is signed for
/// tomorrow could be sent again until then.
pub(super) fn check(signed: Time, now: Time, most: Duration) -> Result<(), Refusal> {
    let off = signed.until(now).max(now.until(signed));
    if off > most { Err(Refusal::Stale) } else { Ok(()) }
}
