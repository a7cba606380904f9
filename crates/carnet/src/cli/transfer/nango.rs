//! Integrations and connections of Nango, as its API gives them with their credentials (nango.dev/docs, the references of
//! `GET /integrations/{uniqueKey}?include=credentials` and `GET /connections/{connectionId}`; read 2026-11-30).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::plan::{Home, Plan, PlannedConnector, PlannedToken, slug};
use super::{json as parsed, list_of, text_of, unreadable};
use crate::cli::failure::Failure;

const SOURCE: &str = "Nango";

/// Reads it: an object with `integrations`, `connections` or both. Each integration becomes a connector, each connection
/// with credentials a grant of its end user.
pub(super) fn read(text: &str, home: &Home) -> Result<Plan, Failure> {
    let file = parsed(text, SOURCE)?;
    let mut plan = Plan::default();
    for one in list_of(&file, "integrations") {
        // Alone, the API wraps it.
        let one = one.get("data").filter(|data| data.is_object()).unwrap_or(one);
        let Some(key) = text_of(one, "unique_key") else {
            return Err(unreadable(SOURCE, "an integration has no unique_key"));
        };
        plan.connectors.push(connector(one, key, home));
    }
    for one in list_of(&file, "connections") {
        let (Some(key), Some(id)) = (text_of(one, "provider_config_key"), text_of(one, "connection_id"))
        else {
            return Err(unreadable(SOURCE, "a connection has no provider_config_key or connection_id"));
        };
        let place = plan.connectors.iter().position(|known| known.name == key);
        let place = if let Some(place) = place {
            place
        } else {
            plan.connectors.push(connector(one, key, home));
            plan.connectors.len() - 1
        };
        match (token(one, id, home), plan.connectors.get_mut(place)) {
            (Some(token), Some(connector)) => {
                connector.tokens.push(PlannedToken { project: home.project.clone(), token });
            }
            _ => {
                plan.notes
                    .push(format!("connection {id} of {key} has no credentials that can be taken over"));
            }
        }
    }
    Ok(plan)
}

fn connector(one: &Value, key: &str, home: &Home) -> PlannedConnector {
    let service = text_of(one, "provider").unwrap_or(key).to_lowercase();
    let credentials = one.get("credentials");
    let kind = credentials.and_then(|credentials| text_of(credentials, "type")).unwrap_or("OAUTH2");
    let mut data = Map::new();
    if kind == "API_KEY" {
        data.insert("subjectType".to_owned(), "user".into());
    } else {
        for (from, to) in [("client_id", "clientId"), ("client_secret", "clientSecret")] {
            if let Some(text) = credentials.and_then(|credentials| text_of(credentials, from)) {
                data.insert(to.to_owned(), text.into());
            }
        }
        let scopes = credentials.and_then(|credentials| text_of(credentials, "scopes")).unwrap_or_default();
        let scopes: Vec<_> = scopes.split([',', ' ']).filter(|name| !name.is_empty()).collect();
        data.insert("userAuthorization".to_owned(), json!({"enabled": true, "scopes": scopes}));
        data.insert("refreshTokens".to_owned(), json!({"enabled": true}));
    }
    PlannedConnector {
        uid: format!("{}/{}", slug(&service), slug(key)),
        service: slug(&service),
        name: key.to_owned(),
        r#type: Some(if kind == "API_KEY" { "api-key" } else { "oauth" }.to_owned()),
        data,
        links: vec![(home.project.clone(), Vec::new())],
        ..PlannedConnector::default()
    }
}

/// The credentials of a connection as `import-tokens` takes them: of OAuth 2.0 and API keys.
fn token(one: &Value, id: &str, home: &Home) -> Option<Map<String, Value>> {
    let credentials = one.get("credentials")?;
    let user = one.get("end_user").and_then(|user| text_of(user, "id")).unwrap_or(id);
    let mut token = Map::new();
    let mut put = |name: &str, value: Value| token.insert(name.to_owned(), value);
    put("subject", json!({"type": "user", "id": user}));
    put("environment", home.environment.clone().into());
    if let Some(key) = text_of(credentials, "apiKey") {
        put("accessToken", key.into());
        return Some(token);
    }
    put("accessToken", text_of(credentials, "access_token")?.into());
    put("scopes", json!(["*"]));
    if let Some(refresh) = text_of(credentials, "refresh_token") {
        put("refreshToken", refresh.into());
    }
    let end = text_of(credentials, "expires_at").and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(end) = end {
        put("expiresAt", end.as_millisecond().into());
    }
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrations_become_connectors_and_connections_grants() {
        let home = Home { project: "shop".to_owned(), environment: "production".to_owned() };
        let text = r#"{"integrations":[{"unique_key":"github-prod","provider":"github","credentials":
            {"type":"OAUTH2","client_id":"c","client_secret":"hush","scopes":"repo,read:user"}}],
            "connections":[{"connection_id":"c1","provider_config_key":"github-prod","end_user":{"id":"ada"},
            "credentials":{"type":"OAUTH2","access_token":"at","refresh_token":"rt","expires_at":"2026-12-01T00:00:00.000Z"}},
            {"connection_id":"c2","provider_config_key":"keys","provider":"openai","credentials":{"type":"API_KEY","apiKey":"k"}},
            {"connection_id":"c3","provider_config_key":"keys","credentials":{"type":"BASIC","username":"u"}}]}"#;
        let plan = read(text, &home).unwrap();
        let [github, keys] = &plan.connectors[..] else { panic!() };
        assert_eq!((github.uid.as_str(), github.r#type.as_deref()), ("github/github-prod", Some("oauth")));
        assert_eq!(github.data["userAuthorization"]["scopes"], json!(["repo", "read:user"]));
        assert_eq!(
            Value::Object(github.tokens[0].token.clone()),
            json!({"subject": {"type": "user", "id": "ada"}, "environment": "production", "accessToken": "at",
                "refreshToken": "rt", "scopes": ["*"], "expiresAt": 1_796_083_200_000_i64})
        );
        assert_eq!((keys.uid.as_str(), keys.r#type.as_deref()), ("openai/keys", Some("api-key")));
        assert_eq!(keys.tokens[0].token["accessToken"], "k");
        assert_eq!(plan.notes, ["connection c3 of keys has no credentials that can be taken over"]);
        assert!(!plan.in_words().join("\n").contains("hush"));
    }
}
