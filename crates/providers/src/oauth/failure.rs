//! What it means when a server refuses, says nothing, or cannot be reached.
//!
//! The order matters: "wait" and "broken" come before any verdict on grant or client, so that a struggling server
//! never kills a grant; and what is not known is never taken for the end of a grant.

use std::time::Duration;

use carnet_egress::{EgressError, Limits};
use carnet_model::grant::Cause;
use carnet_model::{SecretString, Time};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::token_answer::Refusal;
use crate::driver::failure::{CallbackFault, DriverError, Vendor};

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To redeem an authorization code.
    Code,
    /// To refresh.
    Refresh,
    /// A token for the application itself.
    App,
    /// A token for an asserted identity.
    Assertion,
    /// A token in exchange for another.
    Exchange,
    /// To revoke.
    Revocation,
    /// To begin: a pushed request, or a code for another device.
    Front,
    /// Whether the person has decided on the other device.
    Device,
}

impl Phase {
    /// How long the server may take. Whoever hangs up on a renewal may lose the only refresh token that still works, and
    /// whoever hangs up on the exchange of a code, a consent and tokens that nobody can revoke; when it is rather given up,
    /// and what callers are told meanwhile, is the engine's to say.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::Refresh | Self::Code | Self::Device => Duration::from_secs(28),
            _ => Limits::default().total,
        }
    }
}

/// What an error in the server's words means. `sent` is what we told in confidence.
pub(crate) fn of_refusal(
    phase: Phase,
    status: StatusCode,
    refusal: &Refusal,
    retry_after: Option<u64>,
    sent: &[SecretString],
) -> DriverError {
    let code = refusal.error.as_str();
    if phase == Phase::Device
        && let Some(error) = of_device(code)
    {
        return error;
    }
    if asks_to_wait(status) || is_one_of(WAIT, code) {
        return DriverError::Later { retry_after, in_doubt: false };
    }
    // Whatever the words, a server that fails inside may have come half-way.
    if status.is_server_error() || code == "server_error" {
        return DriverError::Later { retry_after, in_doubt: true };
    }
    let vendor = Vendor::new(status.as_u16(), code, refusal.description.as_deref(), sent);
    let wants_person = is_one_of(INTERACTION, code)
        || refusal.suberror.as_deref().is_some_and(|sub| is_one_of(INTERACTION, sub));
    let is_dead = is_one_of(DEAD, code);
    match phase {
        Phase::Refresh if wants_person => {
            DriverError::Gone { cause: Cause::InteractionRequired, vendor: Some(vendor) }
        }
        Phase::Refresh if is_dead => {
            DriverError::Gone { cause: Cause::RevokedAtProvider, vendor: Some(vendor) }
        }
        Phase::Code | Phase::Device if is_dead => CallbackFault::CodeRefused { vendor }.into(),
        // What the caller brought is refused, not the client: RFC 8693 §2.2.2 says `invalid_request`, others answer as a
        // protected resource would (RFC 6750 §3.1).
        Phase::Assertion | Phase::Exchange if is_one_of(&["invalid_request", "invalid_token"], code) => {
            DriverError::Refused { vendor }
        }
        _ if is_one_of(CLIENT, code) || (status == StatusCode::UNAUTHORIZED && !is_dead) => {
            DriverError::ClientRejected { vendor }
        }
        _ => DriverError::Refused { vendor },
    }
}

/// RFC 8628 §3.5: what says nothing about grant or client, but how far the person is.
fn of_device(code: &str) -> Option<DriverError> {
    Some(match code {
        "authorization_pending" => DriverError::Pending { slower: false },
        "slow_down" => DriverError::Pending { slower: true },
        "access_denied" => DriverError::Denied,
        "expired_token" => CallbackFault::DeviceCodeExpired.into(),
        _ => return None,
    })
}

/// What is wrong with an answer of which no more is known.
pub(crate) const UNREADABLE: &str = "its status and body are not what this endpoint answers with";

/// What an answer means that cannot be understood, because of `what`.
pub(crate) fn of_nothing(status: StatusCode, retry_after: Option<u64>, what: &'static str) -> DriverError {
    if asks_to_wait(status) {
        DriverError::Later { retry_after, in_doubt: false }
    } else if status.is_server_error() {
        DriverError::Later { retry_after, in_doubt: true }
    } else if status == StatusCode::UNAUTHORIZED {
        DriverError::ClientRejected { vendor: Vendor::new(status.as_u16(), "", None, &[]) }
    } else {
        // A 4xx says that nothing was done, a redirect was not followed; with a 2xx it was done, and we do not know what.
        DriverError::garbage(status.is_success(), what)
    }
}

/// What it means that there is no answer. `field` is where the address comes from.
pub(crate) fn of_transport(error: EgressError, field: &str) -> DriverError {
    match error {
        EgressError::Refused(refused) => DriverError::Misconfigured(field.to_owned(), refused.to_string()),
        EgressError::TooLarge => DriverError::garbage(error.maybe_received(), "it is too large"),
        EgressError::Resolve
        | EgressError::Connect
        | EgressError::Tls
        | EgressError::Timeout { .. }
        | EgressError::Broken { .. } => {
            if error.maybe_received() {
                DriverError::Lost
            } else {
                DriverError::Later { retry_after: None, in_doubt: false }
            }
        }
    }
}

/// How many seconds a server asks to wait: a number or a date (RFC 9110 §10.2.3), at most an hour.
///
/// Okta says instead at which second since 1970 a spent budget is filled again ("Rate limits overview"), Linear at which
/// millisecond ("Rate limiting"), not always with what is left of it.
///
/// A point in time is one of the server's clock, which the same answer tells.
pub(crate) fn retry_after(headers: &HeaderMap, now: Time) -> Option<u64> {
    let now = date(headers).unwrap_or(now);
    let Some(text) = headers.get(RETRY_AFTER) else {
        let number = |name: &HeaderName| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let seconds = number(&RATE_RESET).filter(|_| number(&RATE_LEFT) == Some(0));
        let millis = || number(&REQUESTS_RESET).filter(|_| number(&REQUESTS_LEFT).unwrap_or(0) == 0);
        // Not before the moment that is named.
        let reset = seconds.or_else(|| millis().map(|millis| millis.saturating_add(999) / 1000))?;
        return Some(u64::try_from(reset.saturating_sub(now.secs())).unwrap_or(0).min(3600));
    };
    let text = text.to_str().ok()?.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().unwrap_or(u64::MAX)
    } else {
        until(text, now)?
    };
    Some(seconds.min(3600))
}

/// How many seconds there are until a date in one of the forms of RFC 9110 §5.6.7; none until one that is over. What day of
/// the week a server takes it for does not matter.
fn until(text: &str, now: Time) -> Option<u64> {
    // The one form that servers may still send is also one of RFC 2822.
    let at = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok().or_else(|| {
        let date = FORMS.iter().find_map(|(weekday, form)| {
            let (_, rest) = text.split_once(weekday)?;
            BrokenDownTime::parse(form, rest).ok()?.to_datetime().ok()
        })?;
        // The last moments of the year 9999 have no time here; they are far enough away.
        Some(date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |at| at.timestamp()))
    })?;
    Some(u64::try_from(at.as_second() - now.secs()).unwrap_or(0))
}

/// What follows on the day of the week, and what follows on that.
const FORMS: [(&str, &str); 3] =
    [(", ", "%d %b %Y %H:%M:%S GMT"), (", ", "%d-%b-%y %H:%M:%S GMT"), (" ", "%b %d %H:%M:%S %Y")];

/// What time it is at the server (RFC 9110 §6.6.1).
pub(crate) fn date(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let at = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Time::from_secs(at.as_second()))
}

pub(crate) fn asks_to_wait(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn is_one_of(codes: &[&str], code: &str) -> bool {
    codes.iter().any(|known| known.eq_ignore_ascii_case(code))
}

/// Linear answers 400 with `RATELIMITED`, Slack 200 with `ratelimited`.
const WAIT: &[&str] = &["temporarily_unavailable", "slow_down", "ratelimited", "rate_limited"];

/// `bad_refresh_token` and `bad_verification_code` are GitHub's words for `invalid_grant`.
const DEAD: &[&str] = &["invalid_grant", "bad_refresh_token", "bad_verification_code"];

/// OpenID Connect Core §3.1.2.6, what Microsoft's servers say in `suberror`, and what Google says in `error_subtype` where
/// an organization wants its people to sign in again from time to time ("Google Cloud session control").
const INTERACTION: &[&str] = &[
    "interaction_required",
    "consent_required",
    "login_required",
    "account_selection_required",
    "invalid_rapt",
];

/// `incorrect_client_credentials` is GitHub's word for `invalid_client`, `invalid_client_id` one of Salesforce's.
const CLIENT: &[&str] =
    &["invalid_client", "invalid_client_id", "unauthorized_client", "incorrect_client_credentials"];

const RATE_LEFT: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-rate-limit-reset");
const REQUESTS_LEFT: HeaderName = HeaderName::from_static("x-ratelimit-requests-remaining");
const REQUESTS_RESET: HeaderName = HeaderName::from_static("x-ratelimit-requests-reset");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date_and_never_longer_than_an_hour() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7.
        let now = Time::from_secs(784_111_777 - 90);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("3601", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            ("Mon, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Thu, 30 Dec 9999 23:59:59 GMT", Some(3600)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 25:59:59 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90)),
            ("Sun Nov  6 08:49:37 1994", Some(90)),
            ("Sun Nov 16 08:49:37 2094", Some(3600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after(&headers, now), seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        // A server whose clock is an hour ahead, and means six seconds.
        let mut ahead = HeaderMap::new();
        ahead.insert(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 09:48:13 GMT"));
        ahead.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 09:48:07 GMT"));
        assert_eq!(retry_after(&ahead, now), Some(6));
        for (left, reset, seconds) in [
            (Some("0"), "784111777", Some(90)),
            (Some("0"), "784111600", Some(0)),
            (Some("0"), "9784111777", Some(3600)),
            (Some("0"), "soon", None),
            (Some("7"), "784111777", None),
            (None, "784111777", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RATE_RESET, HeaderValue::from_str(reset).unwrap());
            if let Some(left) = left {
                headers.insert(RATE_LEFT, HeaderValue::from_str(left).unwrap());
            }
            assert_eq!(retry_after(&headers, now), seconds, "{left:?} {reset}");
        }
        for (left, reset, seconds) in [
            (Some("0"), "784111777000", Some(90)),
            (None, "784111777000", Some(90)),
            (Some("0"), "784111776001", Some(90)),
            (Some("0"), "9223372036854775807", Some(3600)),
            (Some("0"), "-1", Some(0)),
            (Some("1"), "784111777000", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUESTS_RESET, HeaderValue::from_str(reset).unwrap());
            if let Some(left) = left {
                headers.insert(REQUESTS_LEFT, HeaderValue::from_str(left).unwrap());
            }
            assert_eq!(retry_after(&headers, now), seconds, "{left:?} {reset}");
        }
    }

    #[test]
    fn what_may_have_been_carried_out_is_in_doubt() {
        for (error, in_doubt) in [
            (EgressError::Resolve, false),
            (EgressError::Connect, false),
            (EgressError::Tls, false),
            (EgressError::Timeout { sent: false }, false),
            (EgressError::Timeout { sent: true }, true),
            (EgressError::Broken { sent: false }, false),
            (EgressError::Broken { sent: true }, true),
            (EgressError::TooLarge, true),
        ] {
            let said = format!("{error:?}");
            let error = of_transport(error, "f");
            assert_eq!(error.in_doubt(), in_doubt, "{said}");
        }
        for (status, in_doubt) in [(200, true), (500, true), (429, false), (400, false)] {
            let error = of_nothing(StatusCode::from_u16(status).unwrap(), None, "it is nothing");
            assert_eq!(error.in_doubt(), in_doubt, "{status}");
        }
    }
}
