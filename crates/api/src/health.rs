//! `/livez`: the process answers. `/readyz`: it can do its work.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, CertificateState, ProviderState};
use carnet_model::Time;
use http::StatusCode;
use serde_json::json;

use crate::shape::{Shape, object_of, one_of, text};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// What stands in the way, if anything.
pub(crate) fn shape(status: &str) -> Shape {
    object_of([
        ("status", one_of(&[status])),
        // The description of the API says it to everybody as well.
        ("version", text()),
        // The last one where the server speaks TLS itself.
        ("checks", object_of([("store", text()), ("rootKey", text()), ("certificate?", text())])),
    ])
}

pub(crate) async fn ready(State(broker): State<Broker>) -> Response {
    let readiness = broker.readiness().await;
    let store = match &readiness.store {
        Ok(()) => "ok".to_owned(),
        Err(why) => format!("takes no write: {why}"),
    };
    let provider = match (&readiness.provider, readiness.unopened) {
        (ProviderState::Refused(why), _) => format!("refuses: {why}"),
        // Every request is refused until this process is given the provider.
        (_, Some(why)) => format!("cannot be used: {why}"),
        (ProviderState::Fine, None) => "ok".to_owned(),
        // Not answering is tolerated while the keys are in memory.
        (ProviderState::Silent, None) => "does not answer; the keys in memory are used".to_owned(),
    };
    let mut checks = json!({"store": store, "rootKey": provider});
    if let (Some(certificate), Some(checks)) = (&readiness.certificate, checks.as_object_mut()) {
        checks.insert("certificate".to_owned(), certificate_in_words(certificate, readiness.at).into());
    }
    if readiness.is_ready() {
        return Answer(json!({"status": "ready", "version": VERSION, "checks": checks})).into_response();
    }
    let body = json!({"status": "not ready", "version": VERSION, "checks": checks});
    (StatusCode::SERVICE_UNAVAILABLE, Answer(body)).into_response()
}

/// Until when it holds, and what stands in the way of the next one.
fn certificate_in_words(certificate: &CertificateState, now: Time) -> String {
    let held = match certificate.ends {
        None => "none yet".to_owned(),
        Some(ends) if ends <= now => format!("ended {} ago", days(ends.until(now))),
        Some(ends) => format!("ok, for {}", days(now.until(ends))),
    };
    match &certificate.trouble {
        None => held,
        Some(why) => format!("{held}; no newer one: {why}"),
    }
}

fn days(time: Duration) -> String {
    match time.as_secs() / 3600 {
        hours @ 0..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_with_what_stands_in_the_way_of_the_next_one() {
        let now = Time::from_secs(1_000_000);
        let hours = |hours: u64| now.plus(Duration::from_hours(hours));
        let why = Some("the authority finds no address for a.example".to_owned());
        for (ends, trouble, told) in [
            (None, None, "none yet"),
            (None, why.clone(), "none yet; no newer one: the authority finds no address for a.example"),
            (Some(hours(24 * 60)), None, "ok, for 60 days"),
            (
                Some(hours(47)),
                why,
                "ok, for 47 h; no newer one: the authority finds no address for a.example",
            ),
            (Some(now.minus(Duration::from_hours(3))), None, "ended 3 h ago"),
        ] {
            let state = CertificateState { ends, trouble, failures: 0 };
            assert_eq!(certificate_in_words(&state, now), told);
        }
    }
}
