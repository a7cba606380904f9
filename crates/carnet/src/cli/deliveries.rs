//! `deliveries`: what was forwarded of a connector's events, and forwarding one again.

use carnet_sdk::{Delivery, Time};
use serde_json::{Value, json};

use super::args::{DeliveriesListArgs, DeliveryArgs};
use super::context::Context;
use super::create::quoted;
use super::failure::Failure;
use super::table::{moment, sheet, table};
use super::talk::plain;

/// Lists them.
pub(crate) async fn list(cx: &mut Context<'_>, args: DeliveriesListArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let page = client.deliveries(&id, args.state.as_deref(), args.limit, args.next.as_deref()).await?;
    let next = page.pagination.next;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "deliveries": page.deliveries, "cursor": next }));
    }
    if page.deliveries.is_empty() {
        cx.talk.say(&format!(
            "Nothing was forwarded of {}. Whether it receives events: carnet show {}",
            connector.uid, connector.uid
        ));
        return Ok(());
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let row = |one: &Delivery| {
        vec![
            one.id.clone(),
            plain(&one.event.name),
            destination(one),
            one.state.clone(),
            one.attempt_count.to_string(),
            moment(one.created_at, now, relative),
            why(one),
        ]
    };
    let rows: Vec<_> = page.deliveries.iter().map(row).collect();
    for line in table(&["ID", "Event", "To", "State", "Attempts", "Received", "Last"], &rows) {
        cx.talk.answer(&line)?;
    }
    if let Some(next) = next {
        let state = args.state.map(|state| format!(" --state {}", quoted(&state))).unwrap_or_default();
        let limit = args.limit.map(|limit| format!(" --limit {limit}")).unwrap_or_default();
        cx.talk.say(&format!(
            "To see more: carnet deliveries list {}{state}{limit} --next {next}",
            connector.uid
        ));
    }
    Ok(())
}

/// Shows one.
pub(crate) async fn show(cx: &mut Context<'_>, args: DeliveryArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let one = client.delivery(&connector.id.to_string(), &args.delivery).await?;
    tell(cx, &one)
}

/// Forwards one that has ended once more.
pub(crate) async fn replay(cx: &mut Context<'_>, args: DeliveryArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let one = client.replay_delivery(&connector.id.to_string(), &args.delivery).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&one);
    }
    cx.talk.success(&format!("{} is forwarded once more", one.id));
    cx.talk.say(&format!("  See what came of it: carnet deliveries show {} {}", connector.uid, one.id));
    Ok(())
}

fn tell(cx: &mut Context<'_>, one: &Delivery) -> Result<(), Failure> {
    if cx.talk.wants_json() {
        return cx.talk.document(one);
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let mut rows = vec![
        ("ID", one.id.clone()),
        ("Event", format!("{} ({})", plain(&one.event.name), one.event.id)),
        ("To", destination(one)),
        ("State", one.state.clone()),
        ("Received", moment(one.created_at, now, relative)),
    ];
    if let Some(at) = one.rest.get("nextAttemptAt").and_then(Value::as_i64) {
        rows.push(("Next attempt", moment(Time::from_millis(at), now, relative)));
    }
    for line in sheet(&rows) {
        cx.talk.answer(&line)?;
    }
    let attempts = one.attempts.as_deref().unwrap_or_default();
    let row = |attempt: &carnet_sdk::DeliveryAttempt| {
        let status = attempt.status.map(|status| status.to_string()).unwrap_or_default();
        let error = attempt.error.as_deref().map(plain).unwrap_or_default();
        vec![
            attempt.number.to_string(),
            moment(attempt.at, now, relative),
            format!("{} ms", attempt.duration_ms),
            status,
            error,
        ]
    };
    let rows: Vec<_> = attempts.iter().map(row).collect();
    if !rows.is_empty() {
        for line in table(&["Attempt", "At", "Took", "Status", "Why not"], &rows) {
            cx.talk.answer(&line)?;
        }
    }
    Ok(())
}

/// `prj_… production`, with the branch of a preview.
fn destination(one: &Delivery) -> String {
    let of = |name: &str| {
        let value = one.rest.get("destination").and_then(|destination| destination.get(name));
        value.and_then(Value::as_str).map(plain)
    };
    let words = [of("projectId"), of("environment"), of("branch")];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn why(one: &Delivery) -> String {
    match (&one.error, one.status) {
        (Some(error), _) => plain(error),
        (None, Some(status)) => status.to_string(),
        (None, None) => String::new(),
    }
}
