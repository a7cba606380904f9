//! What the server knows to be wrong with what is kept: grants that need consent again, and clients that a provider
//! refused of late.

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_model::Time;
use carnet_sdk::{AuditRecord, Client, Standing, Waiting};
use serde_json::Value;

use super::super::explain::subject_in_words;
use super::super::grants::state_in_words;
use super::super::status::last_failures;
use super::{Check, Outcome};

/// Both. Who may not ask is told of neither.
pub(super) async fn checks(client: &Client, now: Time) -> Vec<Check> {
    let grants = client.standing(None).await.ok().map(|standing| grants(&standing));
    let clients = last_failures(client, None).await.ok().map(|failures| clients(&failures, now));
    grants.into_iter().chain(clients).collect()
}

fn grants(standing: &Standing) -> Check {
    let stuck: u64 =
        standing.states.iter().filter(|alike| alike.state != "active").map(|alike| alike.grants).sum();
    if stuck == 0 {
        return Check::ok("grants", format!("{}, none of which needs consent again", standing.grants));
    }
    let word = |Waiting { uid, grant, .. }: &Waiting| {
        let state = state_in_words(&grant.state, grant.cause.as_deref());
        format!("{uid}: {} {state}", subject_in_words(&grant.subject))
    };
    let words: Vec<String> = standing.need_consent.iter().take(NAMED).map(word).collect();
    let detail = format!("{stuck} of {} need consent again: {}", standing.grants, words.join("; "));
    Check { outcome: Outcome::Warning, ..Check::ok("grants", detail) }
        .with("carnet grants list --state needs_consent", "to see all of them, and what mends each")
}

fn clients(failures: &[AuditRecord], now: Time) -> Check {
    let text = |event: &AuditRecord, name: &str| {
        event.detail.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let refused: BTreeSet<String> = failures
        .iter()
        .filter(|event| text(event, "code") == "connector_credentials_rejected")
        .filter(|event| event.at.until(now) < OF_LATE)
        .map(|event| text(event, "connector"))
        .collect();
    if refused.is_empty() {
        return Check::ok("clients", "none was refused by its provider of late");
    }
    let named: Vec<String> = refused.iter().cloned().collect();
    let detail = format!("refused by their providers within the hour: {}", named.join(", "));
    let check = Check { outcome: Outcome::Warning, ..Check::ok("clients", detail) };
    refused.iter().fold(check, |check, uid| {
        check.with(format!("carnet show {uid}"), "to see the client it uses; correct its id or secret")
    })
}

const NAMED: usize = 5;
const OF_LATE: Duration = Duration::from_hours(1);
