//! What the audit log must have of the calls that were made.

use std::collections::HashMap;

use carnet_testkit::{Answer, Kit};
use serde_json::Value;

use super::Operation;

/// What is asked with a method that could change something, and changes nothing.
const CHANGES_NOTHING: &[&str] =
    &["POST /v1/trusted-issuers/check", "POST /v1/invitations/show", "POST /v1/keys/verify"];

/// Every change is there, by the request that made it.
pub(crate) async fn of_changes(kit: &Kit, calls: &[(Operation, Answer)]) {
    let events = by_request(kit, &kit.tenant.token).await;
    for (operation, answer) in calls {
        let name = operation.name();
        let changed = operation.method != "GET" && (200..300).contains(&answer.status);
        if changed && !CHANGES_NOTHING.contains(&name.as_str()) {
            let event = event_of(&events, &name, answer);
            assert_eq!(event["outcome"], "success", "{name}: {event}");
        }
    }
}

/// Every refusal by a rule, and everything that was not found, is there with its code.
pub(crate) async fn of_refusals(kit: &Kit, owner: &str, calls: &[(String, Answer)]) {
    let events = by_request(kit, owner).await;
    for (name, answer) in calls.iter().filter(|(_, answer)| matches!(answer.status, 403 | 404)) {
        let event = event_of(&events, name, answer);
        assert_ne!(event["outcome"], "success", "{name}: {event}");
        assert_eq!(event["detail"]["code"], answer.refusal().1, "{name}: {event}");
    }
}

fn event_of<'a>(events: &'a HashMap<String, Value>, name: &str, answer: &Answer) -> &'a Value {
    let request = answer.header("x-request-id").unwrap();
    let event = events.get(request);
    let event = event.unwrap_or_else(|| panic!("{name}: no event: {} {}", answer.status, answer.text()));
    assert!(event["at"].as_i64().is_some_and(|at| at > 0), "{name}: {event}");
    assert!(event["actor"]["type"].is_string() && event["actor"]["id"].is_string(), "{name}: {event}");
    assert!(event["action"].as_str().is_some_and(|action| !action.is_empty()), "{name}: {event}");
    event
}

/// The whole log of a team, by request. The last event of a request is what came of it.
async fn by_request(kit: &Kit, owner: &str) -> HashMap<String, Value> {
    let mut all = HashMap::new();
    let mut after = 0;
    loop {
        let path = format!("/v1/audit?after={after}&limit=1000");
        let page = kit.node.call("GET", &path, Some(owner), None).await.ok();
        for event in page["events"].as_array().unwrap() {
            if let Some(request) = event["requestId"].as_str() {
                all.insert(request.to_owned(), event.clone());
            }
        }
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => return all,
        }
    }
}
