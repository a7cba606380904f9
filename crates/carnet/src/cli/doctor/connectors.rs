//! Connectors that will not work, or not for long: those whose providers know another address of the server than it has
//! now, after it moved or was restored elsewhere, and those whose provider has set their client's secret an end.

use std::time::Duration;

use carnet_model::Time;
use carnet_sdk::{Client, Connector, ConnectorFilter};
use serde_json::Value;

use super::{Check, Outcome};

/// One check of each kind where everything is well; else one for each connector, with the command that mends it.
pub(super) async fn connectors(client: &Client, now: Time) -> Vec<Check> {
    let (mut elsewhere, mut over) = (Vec::new(), Vec::new());
    let mut filter = ConnectorFilter { limit: Some(100), ..ConnectorFilter::default() };
    loop {
        let page = match client.connectors(&filter).await {
            Ok(page) => page,
            Err(error) => return vec![Check::failed(NAME, error.into())],
        };
        elsewhere.extend(page.connectors.iter().filter_map(moved));
        over.extend(page.connectors.iter().filter_map(|connector| ending(connector, now)));
        match page.cursor {
            // A server that says the same place again would be asked for ever.
            Some(cursor) if filter.cursor.as_ref() != Some(&cursor) => filter.cursor = Some(cursor),
            _ => break,
        }
    }
    if elsewhere.is_empty() {
        elsewhere.push(Check::ok(NAME, "at the server's address"));
    }
    elsewhere.extend(over);
    elsewhere
}

/// A secret that was not renewed although the server has tried for some time, or that is over.
fn ending(connector: &Connector, now: Time) -> Option<Check> {
    let registration = connector.rest.get("data")?.get("clientRegistration")?;
    let time = |name: &str| registration.get(name).and_then(Value::as_i64).map(Time::from_millis);
    let end = time("secretExpiresAt")?;
    let life = time("secretGivenAt").map_or(Duration::MAX, |given| given.until(end));
    // The server renews it in the last third of its life, or a week before.
    if now < end.minus(LATE.min(life / 4)) {
        return None;
    }
    let uid = &connector.uid;
    let (outcome, when) = if end <= now {
        (Outcome::Failed, "has ended")
    } else {
        (Outcome::Warning, "ends soon, and is not renewed so far")
    };
    let detail = format!("the client secret that the provider of {uid} has registered {when}");
    Some(Check { outcome, ..Check::ok("client secret", detail) }.with(
        format!("carnet check {uid} --accept"),
        "to ask the provider for a new one, or to see why there is none",
    ))
}

fn moved(connector: &Connector) -> Option<Check> {
    let text = |name: &str| connector.rest.get(name).and_then(Value::as_str);
    let (now, uid) = (text("redirectUriNow")?, &connector.uid);
    let told = text("redirectUri").unwrap_or_default();
    let detail = format!("the provider of {uid} knows {told}, and people are sent back to {now}");
    let check = Check { outcome: Outcome::Warning, ..Check::ok(NAME, detail) };
    let data = connector.rest.get("data");
    let client = data.and_then(|data| data.get("clientId")).and_then(Value::as_str);
    let is_ours = data.is_some_and(|data| data.get("clientRegistration").is_some())
        && client.is_some_and(|client| client.starts_with("https://") || client.starts_with("http://"));
    Some(if is_ours {
        // Its identifier is an address of this server's, the one before.
        let nothing = r#"{"clientId":null,"clientSecret":null,"clientRegistration":null}"#;
        check.with(
            format!("carnet update {uid} --data '{nothing}'"),
            "to be known by the present address; people consent again",
        )
    } else {
        check.with(
            format!("carnet update {uid} --name {}", quoted(&connector.name)),
            "renews what the provider registered from here, or says what to add there by hand",
        )
    })
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

const NAME: &str = "redirect URI";
const LATE: Duration = Duration::from_hours(5 * 24);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connector(more: &Value) -> Connector {
        let mut all = json!({
            "id": "scl_0000000000000000000001", "uid": "acme/a", "name": "Ada's", "type": "oauth",
            "service": "acme", "createdAt": 1, "updatedAt": 1,
            "redirectUri": "https://old.example/callback", "supportedSubjectTypes": [],
        });
        if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_secret_that_ends_is_named_once_it_should_have_been_renewed() {
        let hour = 3_600_000;
        let told = |ends: i64, given: Option<i64>, now: i64| {
            let mut registration = json!({"secretExpiresAt": ends});
            if let Some(given) = given {
                registration["secretGivenAt"] = json!(given);
            }
            let found = connector(&json!({"data": {"clientRegistration": registration}}));
            ending(&found, Time::from_millis(now)).map(|check| (check.outcome, check.next[0].command.clone()))
        };
        let mend = || "carnet check acme/a --accept".to_owned();
        assert_eq!(told(200 * hour, None, 79 * hour), None);
        assert_eq!(told(200 * hour, None, 80 * hour), Some((Outcome::Warning, mend())));
        assert_eq!(told(200 * hour, Some(196 * hour), 198 * hour), None, "it lives for four hours");
        assert_eq!(told(200 * hour, Some(196 * hour), 199 * hour), Some((Outcome::Warning, mend())));
        assert_eq!(told(200 * hour, Some(0), 200 * hour), Some((Outcome::Failed, mend())));
        assert!(
            ending(&connector(&json!({"data": {"clientRegistration": {}}})), Time::from_millis(0)).is_none()
        );
    }

    #[test]
    fn each_connector_that_was_left_behind_is_named_with_what_mends_it() {
        assert!(moved(&connector(&json!({}))).is_none());
        let now = "https://new.example/callback";
        for (data, command) in [
            (json!({"clientId": "c"}), r"carnet update acme/a --name 'Ada'\''s'"),
            (json!({"clientId": "c", "clientRegistration": {}}), r"carnet update acme/a --name 'Ada'\''s'"),
            (
                json!({"clientId": "https://old.example/clients/t/c", "clientRegistration": {}}),
                r#"carnet update acme/a --data '{"clientId":null,"clientSecret":null,"clientRegistration":null}'"#,
            ),
        ] {
            let check = moved(&connector(&json!({"redirectUriNow": now, "data": data}))).unwrap();
            assert!(check.detail.contains("https://old.example/callback") && check.detail.contains(now));
            assert_eq!((check.outcome, check.next[0].command.as_str()), (Outcome::Warning, command));
        }
    }
}
