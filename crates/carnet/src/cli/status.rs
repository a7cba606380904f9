//! `status`: how the server and what it keeps for the caller's team stand; what needs somebody comes first.

use carnet_sdk::{AuditFilter, AuditRecord, Client, Waiting};
use serde_json::{Value, json};

use super::context::Context;
use super::explain::subject_in_words;
use super::failure::Failure;
use super::grants::state_in_words;
use super::table::{moment, sheet, table};
use super::talk::plain;

/// Says it. A workload is told how the server stands, and no more.
pub(crate) async fn status(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let origin = client.url().origin().ascii_serialization();
    let (ready, readiness) = client.readyz().await?;
    let version = readiness.version.clone().unwrap_or_else(|| "unknown".to_owned());
    if !client.is_member() {
        if cx.talk.wants_json() {
            return cx.talk.document(&json!({"url": origin, "ready": ready, "version": version}));
        }
        let rows = [("Server", origin), ("Version", version), ("Ready", yes_or_no(ready))];
        return sheet(&rows).iter().try_for_each(|line| cx.talk.answer(line));
    }
    let standing = client.standing(None).await?;
    let stuck: u64 =
        standing.states.iter().filter(|alike| alike.state != "active").map(|alike| alike.grants).sum();
    let failures = last_failures(&client, None).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "url": origin, "ready": ready, "version": version, "checks": readiness.checks,
            "connectors": standing.connectors, "grants": standing.grants, "needConsent": standing.need_consent,
            "failures": failures,
        }));
    }
    for Waiting { uid, grant, .. } in &standing.need_consent {
        let who = subject_in_words(&grant.subject);
        let state = state_in_words(&grant.state, grant.cause.as_deref());
        cx.talk.answer(&plain(&format!("{uid}: {who} {state}")))?;
    }
    let more = stuck.saturating_sub(standing.need_consent.len() as u64);
    if more > 0 {
        cx.talk.answer(&format!("and {more} more: carnet grants list --state needs_consent"))?;
    }
    let mut rows = vec![("Server", origin), ("Version", version), ("Ready", yes_or_no(ready))];
    // Where the server speaks TLS itself.
    if let Some(certificate) = readiness.checks.get("certificate").and_then(Value::as_str) {
        rows.push(("Certificate", plain(certificate)));
    }
    rows.push(("Connectors", standing.connectors.to_string()));
    rows.push(("Grants", format!("{}, of which {stuck} need consent again", standing.grants)));
    sheet(&rows).iter().try_for_each(|line| cx.talk.answer(line))?;
    if !failures.is_empty() {
        cx.talk.answer("")?;
        let lines = failures_in_words(cx, &failures);
        lines.iter().try_for_each(|line| cx.talk.answer(line))?;
    }
    Ok(())
}

/// The latest token requests of a connector, or of all, that did not go through, the last first.
pub(crate) async fn last_failures(
    client: &Client,
    connector: Option<&str>,
) -> Result<Vec<AuditRecord>, Failure> {
    let mut found = Vec::new();
    for outcome in ["failed", "denied"] {
        let filter = AuditFilter {
            limit: Some(LAST),
            action: Some("token.issue".to_owned()),
            outcome: Some(outcome.to_owned()),
            connector: connector.map(str::to_owned),
            ..AuditFilter::default()
        };
        found.extend(client.audit(&filter).await?.events);
    }
    found.sort_by_key(|event| std::cmp::Reverse(event.seq));
    found.truncate(LAST as usize);
    Ok(found)
}

/// Events as a table.
pub(crate) fn failures_in_words(cx: &Context<'_>, events: &[AuditRecord]) -> Vec<String> {
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let rows: Vec<Vec<String>> = events
        .iter()
        .map(|event| {
            let text = |name: &str| event.detail.get(name).and_then(Value::as_str).unwrap_or_default();
            vec![
                moment(event.at, now, relative),
                text("code").to_owned(),
                text("subject").to_owned(),
                text("environment").to_owned(),
                event.request_id.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(&["Not given", "Why", "Subject", "Environment", "Request"], &rows)
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes".to_owned() } else { "no".to_owned() }
}

const LAST: u32 = 5;
