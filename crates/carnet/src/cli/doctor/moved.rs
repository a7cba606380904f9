//! Connectors whose providers know another address of the server than it has now, after it moved or was restored elsewhere.

use carnet_sdk::{Client, Connector, ConnectorFilter};
use serde_json::Value;

use super::{Check, Outcome};

/// One check where everything is well; else one for each connector, with the command that mends it.
pub(super) async fn redirects(client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut filter = ConnectorFilter { limit: Some(100), ..ConnectorFilter::default() };
    loop {
        let page = match client.connectors(&filter).await {
            Ok(page) => page,
            Err(error) => return vec![Check::failed(NAME, error.into())],
        };
        checks.extend(page.connectors.iter().filter_map(moved));
        match page.cursor {
            // A server that says the same place again would be asked for ever.
            Some(cursor) if filter.cursor.as_ref() != Some(&cursor) => filter.cursor = Some(cursor),
            _ if checks.is_empty() => return vec![Check::ok(NAME, "at the server's address")],
            _ => return checks,
        }
    }
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
