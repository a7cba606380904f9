//! Okta: event hooks of an organization.
//!
//! Nothing is signed: each request has the secret that the hook was set up with in `Authorization`, the one that asks
//! whether the address is right among them. That one is a `GET` with a header whose value has to come back
//! (developer.okta.com/docs/concepts/event-hooks, support.okta.com "Unable to verify event hook", read 2026-11-30).

use carnet_model::SecretString;
use serde_json::{Value, json};

use super::{Event, LossSignal, Received, Refusal, Reply, Verdict, body, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    mac::is_one_of(header::one(received.headers, SECRET)?, secrets)?;
    let said = body::object(received)?;
    let events = said.pointer("/data/events").and_then(Value::as_array).ok_or(Refusal::Unreadable)?;
    let names: Vec<String> = events.iter().filter_map(|event| body::text(event, "/eventType")).collect();
    let first = names.first().filter(|_| names.len() == events.len()).ok_or(Refusal::Unreadable)?;
    // Several kinds of events in one request are called by what holds them.
    let name = if names.iter().all(|name| name == first) {
        first.clone()
    } else {
        body::text(&said, "/eventType").ok_or(Refusal::Unreadable)?
    };
    Ok(Verdict::Event(Event {
        name,
        tenant: None,
        delivery: body::text(&said, "/eventId"),
        signal: LossSignal::of(None, events.iter().flat_map(lost).collect()),
        answer: Reply::empty(),
    }))
}

/// Whose access ends with the account, or with the assignment of the application to it.
fn lost(event: &Value) -> Vec<String> {
    let ends = matches!(
        event.get("eventType").and_then(Value::as_str),
        Some("user.lifecycle.suspend" | "user.lifecycle.deactivate" | "application.user_membership.remove")
    );
    let targets = event.get("target").and_then(Value::as_array).filter(|_| ends);
    let people = targets
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter(|target| matches!(target.get("type").and_then(Value::as_str), Some("User")));
    people.filter_map(|target| body::text(target, "/id")).collect()
}

/// The question whether the address is right.
pub(super) fn challenge(secrets: &[SecretString], received: &Received<'_>) -> Result<Reply, Refusal> {
    mac::is_one_of(header::one(received.headers, SECRET)?, secrets)?;
    let value = header::word(received.headers, "x-okta-verification-challenge")?;
    Ok(Reply::json(&json!({"verification": value})))
}

pub(super) const SECRET: &str = "authorization";
