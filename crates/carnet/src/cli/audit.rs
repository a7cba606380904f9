//! `audit`: the latest events of the audit log and those that follow, whether the log is whole, and writing it out.

mod export;
mod verify;

pub(crate) use export::export;
pub(crate) use verify::verify;

use carnet_sdk::{AuditFilter, AuditPage, AuditRecord, Client};
use serde_json::Value;

use super::args::TailArgs;
use super::context::Context;
use super::failure::Failure;
use super::table::exact;
use super::talk::plain;

/// Prints the latest events, oldest first; with `--follow` goes on until it is stopped.
pub(crate) async fn tail(cx: &mut Context<'_>, args: TailArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let mut filter = AuditFilter {
        limit: Some(args.limit),
        action: args.action,
        connector: args.connector,
        outcome: args.outcome,
        ..AuditFilter::default()
    };
    // Where to go on from, if nothing that fits is found: what comes while it is looked for is not missed.
    let asks_for_some = filter.action.is_some() || filter.connector.is_some() || filter.outcome.is_some();
    let mark = if args.follow && asks_for_some { newest(&client).await? } else { 0 };
    let mut page = latest(cx, &client, &filter).await?;
    page.events.sort_by_key(|event| event.seq);
    if cx.talk.wants_json() && !args.follow {
        return cx.talk.document(&page);
    }
    print(cx, &page.events)?;
    if page.events.is_empty() && page.next.is_none() && !cx.talk.wants_json() {
        cx.talk.say(if asks_for_some { "No event fits." } else { "There is no event yet." });
    }
    if args.follow {
        filter.after = Some(page.events.last().map_or(mark, |event| event.seq));
        follow(cx, &client, filter).await?;
    }
    Ok(())
}

/// The newest events that fit. What is rare among much else is looked for by the server a part of the log at a time, and a
/// page of it can be empty.
async fn latest(cx: &mut Context<'_>, client: &Client, filter: &AuditFilter) -> Result<AuditPage, Failure> {
    let wanted = usize::try_from(filter.limit.unwrap_or(100)).unwrap_or(usize::MAX);
    let mut page = client.audit(filter).await?;
    for _ in 0..PARTS {
        let (Some(next), true) = (page.next, page.events.len() < wanted) else { break };
        cx.talk.progress(&format!("looked back to event {next}"));
        let missing = u32::try_from(wanted - page.events.len()).unwrap_or(u32::MAX);
        let further =
            AuditFilter { before: Some(next), limit: Some(missing.clamp(1, 1000)), ..filter.clone() };
        let further = client.audit(&further).await?;
        page.events.extend(further.events);
        page.next = further.next;
    }
    cx.talk.progress("");
    if let (Some(next), true) = (page.next, page.events.len() < wanted) {
        cx.talk.say(&format!(
            "Looked back to event {next}, and no further. All there are: carnet audit export --output FILE"
        ));
    }
    Ok(page)
}

/// The number of the newest event of any kind.
async fn newest(client: &Client) -> Result<i64, Failure> {
    let filter = AuditFilter { limit: Some(1), ..AuditFilter::default() };
    Ok(client.audit(&filter).await?.events.first().map_or(0, |event| event.seq))
}

/// Goes on until nobody reads any more. A server that is away for a while is waited for.
async fn follow(cx: &mut Context<'_>, client: &Client, mut filter: AuditFilter) -> Result<(), Failure> {
    let mut waiting = false;
    loop {
        tokio::time::sleep(cx.place.patience).await;
        match client.audit(&filter).await {
            Ok(mut page) => {
                waiting = false;
                page.events.sort_by_key(|event| event.seq);
                print(cx, &page.events)?;
                filter.after = page.events.last().map(|event| event.seq).max(page.next).or(filter.after);
            }
            Err(error) if error.is_transient() => {
                if !waiting {
                    cx.talk.warn(&format!("{error}; waiting for it"));
                }
                waiting = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(cx: &mut Context<'_>, events: &[AuditRecord]) -> Result<(), Failure> {
    for event in events {
        if cx.talk.wants_json() {
            cx.talk.event(event)?;
        } else {
            cx.talk.answer(&plain(&line(event)))?;
        }
    }
    Ok(())
}

/// Time, outcome, action, target, actor, particulars.
fn line(event: &AuditRecord) -> String {
    let mut line = format!("{}  {:<7}  {}", exact(event.at), event.outcome, event.action);
    if let Some(target) = &event.target {
        line.push_str("  ");
        line.push_str(target);
    }
    line.push_str("  by ");
    line.push_str(&actor(&event.actor));
    if event.detail.as_object().is_some_and(|detail| !detail.is_empty()) {
        line.push_str("  ");
        line.push_str(&event.detail.to_string());
    }
    line
}

pub(crate) fn actor(actor: &Value) -> String {
    let text = |name| actor.get(name).and_then(Value::as_str);
    match (text("type"), text("id"), text("environment")) {
        (_, Some(id), Some(environment)) => format!("{id} ({environment})"),
        (_, Some(id), None) => id.to_owned(),
        (Some(kind), None, _) => kind.to_owned(),
        (None, None, _) => "somebody".to_owned(),
    }
}

/// A million events, where nothing is found.
const PARTS: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event: AuditRecord = serde_json::from_value(json!({
            "seq": 1, "at": 1_784_065_923_000_i64, "action": "token.issue", "target": "scl_1", "outcome": "denied",
            "requestId": null, "actor": {"type": "project", "id": "prj_1", "environment": "preview"},
            "detail": {"rule": "environment_not_linked"}
        }))
        .unwrap();
        assert_eq!(
            line(&event),
            r#"2026-07-14T21:52:03Z  denied   token.issue  scl_1  by prj_1 (preview)  {"rule":"environment_not_linked"}"#
        );
        assert_eq!(actor(&json!({"type": "system"})), "system");
    }
}
