//! Integrations and connections of Nango, as its API gives them with their credentials.
//!
//! Names and forms are those of its own reference, read 2026-11-30:
//! - <https://nango.dev/docs/reference/backend/http-api/integration/get>: `GET /integrations/{uniqueKey}?include=credentials`
//!   answers `{"data": {"unique_key", "provider", "credentials"}}`; `scopes` are separated by commas, and providers that
//!   take a key have no credentials there.
//! - <https://nango.dev/docs/reference/backend/http-api/connections/get>: `GET /connections/{connectionId}` answers
//!   `{"connection_id", "provider_config_key", "provider", "credentials", "end_user", "tags"}`; the refresh token is in it only
//!   where `refresh_token=true` was asked for. What stands in `credentials` goes by `type`.
//! - <https://nango.dev/docs/guides/auth/connection-tags-configuration-metadata>: the tag `end_user_id` says whose it is.
//!
//! Taken over is what has one meaning here: OAuth 2.0 of people (`OAUTH2`) and keys (`API_KEY`). Everything else is left where
//! it is, and said so.

use std::collections::BTreeMap;

use carnet_model::Time;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::plan::{Home, Plan, PlannedConnector, PlannedToken, slug};
use super::{json as parsed, list_of, text_of, unreadable};
use crate::cli::failure::Failure;

const SOURCE: &str = "Nango";

/// How an integration proves itself, of the ways that can be taken over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OAuth,
    Key,
}

/// Reads it: an object with `integrations`, `connections` or both. Each integration becomes a connector, each connection
/// with credentials a grant of its end user.
pub(super) fn read(text: &str, home: &Home) -> Result<Plan, Failure> {
    let file = parsed(text, SOURCE)?;
    let mut plan = Plan::default();
    // Alone, the API wraps each.
    let bare = |one: &Value| one.get("data").filter(|data| data.is_object()).unwrap_or(one).clone();
    let connections: Vec<Value> = list_of(&file, "connections").map(bare).collect();
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for one in list_of(&file, "integrations").map(bare) {
        let Some(key) = text_of(&one, "unique_key") else {
            return Err(unreadable(SOURCE, "an integration has no unique_key"));
        };
        match kind_of(&one, key, &connections) {
            Ok(kind) => {
                kinds.insert(key.to_owned(), kind);
                plan.connectors.push(connector(&one, key, kind, home));
            }
            Err(why) => plan.notes.push(format!("integration {key} is left where it is: {why}")),
        }
    }
    for one in &connections {
        let (Some(key), Some(id)) = (text_of(one, "provider_config_key"), text_of(one, "connection_id"))
        else {
            return Err(unreadable(SOURCE, "a connection has no provider_config_key or connection_id"));
        };
        let taken = token(one, id, kinds.get(key).copied(), home);
        let (token, note) = match taken {
            Ok(taken) => taken,
            Err(why) => {
                plan.notes.push(format!("connection {id} of {key} is left where it is: {why}"));
                continue;
            }
        };
        plan.notes.extend(note.map(|note| format!("connection {id} of {key} {note}")));
        let known = plan.connectors.iter().position(|known| known.name == key);
        let place = known.unwrap_or_else(|| {
            // A key needs no more than this; a client would.
            kinds.insert(key.to_owned(), Kind::Key);
            plan.connectors.push(connector(one, key, Kind::Key, home));
            plan.connectors.len() - 1
        });
        if let Some(connector) = plan.connectors.get_mut(place) {
            connector.tokens.push(PlannedToken { project: home.project.clone(), token });
        }
    }
    Ok(plan)
}

/// The way of an integration: by its own credentials, or where it has none by those of its connections.
fn kind_of(one: &Value, key: &str, connections: &[Value]) -> Result<Kind, String> {
    let of =
        |value: &Value| value.get("credentials").and_then(|known| text_of(known, "type")).map(str::to_owned);
    let of_connections = || {
        let mut its = connections.iter().filter(|one| text_of(one, "provider_config_key") == Some(key));
        its.find_map(of).filter(|kind| kind == "API_KEY")
    };
    match of(one).or_else(of_connections).as_deref() {
        Some("OAUTH2") => Ok(Kind::OAuth),
        Some("API_KEY") => Ok(Kind::Key),
        Some(other) => Err(format!("it is of the type {other}, which has nothing that it could become here")),
        None => Err("the file has no credentials of it; ask for it with include=credentials".to_owned()),
    }
}

fn connector(one: &Value, key: &str, kind: Kind, home: &Home) -> PlannedConnector {
    let service = text_of(one, "provider").unwrap_or(key).to_lowercase();
    let mut data = Map::new();
    if kind == Kind::Key {
        data.insert("subjectType".to_owned(), "user".into());
    } else {
        let credentials = one.get("credentials");
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
        r#type: Some(if kind == Kind::Key { "api-key" } else { "oauth" }.to_owned()),
        data,
        links: vec![(home.project.clone(), Vec::new())],
        ..PlannedConnector::default()
    }
}

/// The credentials of a connection as `import-tokens` takes them, and what somebody should know of them; or why they are
/// not taken.
fn token(
    one: &Value,
    id: &str,
    integration: Option<Kind>,
    home: &Home,
) -> Result<(Map<String, Value>, Option<String>), String> {
    let credentials = one.get("credentials").filter(|known| known.is_object());
    let credentials = credentials.ok_or("the file has no credentials of it")?;
    let tag = one.get("tags").and_then(|tags| text_of(tags, "end_user_id"));
    let named = one.get("end_user").and_then(|user| text_of(user, "id")).or(tag);
    let mut notes = Vec::new();
    if named.is_none() {
        notes.push(format!("names no end user, and becomes the grant of {id}"));
    }
    let mut token = Map::new();
    let mut put = |name: &str, value: Value| token.insert(name.to_owned(), value);
    put("subject", json!({"type": "user", "id": named.unwrap_or(id)}));
    put("environment", home.environment.clone().into());
    match (text_of(credentials, "type"), integration) {
        (Some("API_KEY"), None | Some(Kind::Key)) => {
            put("accessToken", text_of(credentials, "apiKey").ok_or("it has no apiKey")?.into());
        }
        (Some("OAUTH2"), Some(Kind::OAuth)) => {
            let own = credentials.get("config_override").and_then(|own| text_of(own, "client_id"));
            if own.is_some() {
                return Err(
                    "it was given to a client of its own, which no connector here would be".to_owned()
                );
            }
            put("accessToken", text_of(credentials, "access_token").ok_or("it has no access_token")?.into());
            put("scopes", json!(["*"]));
            let refresh = text_of(credentials, "refresh_token");
            match refresh {
                Some(refresh) => drop(put("refreshToken", refresh.into())),
                None => notes.push(
                    "has no refresh token, so it cannot be renewed; ask for it with refresh_token=true"
                        .to_owned(),
                ),
            }
            let end = match text_of(credentials, "expires_at") {
                Some(text) => {
                    text.parse::<Timestamp>().map_err(|_| "its expires_at is no time")?.as_millisecond()
                }
                // Nobody knows when it ends, and it can be renewed: with its first use it is.
                None if refresh.is_some() => 0,
                // Such as GitHub gives to OAuth apps.
                None => Time::FAR_FUTURE.millis(),
            };
            put("expiresAt", end.into());
        }
        (Some("OAUTH2"), None) => {
            return Err("its integration, with the client that can renew it, is not in the file".to_owned());
        }
        (Some(kind @ ("OAUTH2" | "API_KEY")), Some(_)) => {
            return Err(format!("it is of the type {kind}, and its integration is not"));
        }
        (Some(other), _) => {
            return Err(format!("it is of the type {other}, which has nothing that it could become here"));
        }
        (None, _) => return Err("its credentials have no type".to_owned()),
    }
    Ok((token, Some(notes.join(", and ")).filter(|note| !note.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home { project: "shop".to_owned(), environment: "production".to_owned() }
    }

    #[test]
    fn integrations_become_connectors_and_connections_grants() {
        let text = json!({
            "integrations": [
                {"data": {"unique_key": "github-prod", "display_name": "GitHub", "provider": "github", "credentials": {
                    "type": "OAUTH2", "client_id": "c", "client_secret": "hush", "scopes": "repo,read:user",
                    "webhook_secret": null}}},
                {"unique_key": "keys", "provider": "openai", "credentials": null},
            ],
            "connections": [
                {"connection_id": "c1", "provider_config_key": "github-prod", "provider": "github",
                    "end_user": {"id": "ada"}, "credentials": {"type": "OAUTH2", "access_token": "at",
                    "refresh_token": "rt", "expires_at": "2026-12-01T00:00:00.000Z", "raw": {}}},
                {"connection_id": "c2", "provider_config_key": "keys", "provider": "openai", "end_user": null,
                    "tags": {"end_user_id": "bob"}, "credentials": {"type": "API_KEY", "apiKey": "k"}},
                {"connection_id": "c3", "provider_config_key": "others", "provider": "resend",
                    "credentials": {"type": "API_KEY", "apiKey": "k3"}},
            ],
        });
        let plan = read(&text.to_string(), &home()).unwrap();
        let [github, keys, others] = &plan.connectors[..] else { panic!() };
        assert_eq!((github.uid.as_str(), github.r#type.as_deref()), ("github/github-prod", Some("oauth")));
        assert_eq!(github.data["userAuthorization"]["scopes"], json!(["repo", "read:user"]));
        assert_eq!(
            Value::Object(github.tokens[0].token.clone()),
            json!({"subject": {"type": "user", "id": "ada"}, "environment": "production", "accessToken": "at",
                "refreshToken": "rt", "scopes": ["*"], "expiresAt": 1_796_083_200_000_i64})
        );
        assert_eq!((keys.uid.as_str(), keys.r#type.as_deref()), ("openai/keys", Some("api-key")));
        let told = |connector: &PlannedConnector| {
            let token = &connector.tokens[0].token;
            (token["subject"]["id"].clone(), token["accessToken"].clone())
        };
        assert_eq!(told(keys), (json!("bob"), json!("k")));
        assert_eq!((others.uid.as_str(), told(others)), ("resend/others", (json!("c3"), json!("k3"))));
        assert_eq!(plan.notes, ["connection c3 of others names no end user, and becomes the grant of c3"]);
        assert!(!plan.in_words().join("\n").contains("hush"));
    }

    #[test]
    fn what_has_no_meaning_here_is_left_where_it_is_and_said_so() {
        let oauth = json!({"type": "OAUTH2", "client_id": "c", "client_secret": "s", "scopes": ""});
        let connection = |id: &str, key: &str, credentials: Value| {
            json!({"connection_id": id, "provider_config_key": key, "end_user": {"id": "ada"},
                "credentials": credentials})
        };
        let token = |more: Value| {
            let mut token = json!({"type": "OAUTH2", "access_token": "at", "refresh_token": "rt"});
            token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            token
        };
        let text = json!({
            "integrations": [
                {"unique_key": "good", "provider": "github", "credentials": oauth},
                {"unique_key": "app", "provider": "github-app", "credentials": {"type": "CUSTOM", "app_id": "1"}},
                {"unique_key": "tba", "provider": "netsuite", "credentials": {"type": "TBA"}},
                {"unique_key": "bare", "provider": "github"},
            ],
            "connections": [
                connection("own-client", "good", token(json!({"config_override": {"client_id": "x"}}))),
                connection("no-refresh", "good", token(json!({"refresh_token": null}))),
                connection("odd-end", "good", token(json!({"expires_at": "soon"}))),
                connection("basic", "good", json!({"type": "BASIC", "username": "u", "password": "hush"})),
                connection("key", "good", json!({"type": "API_KEY", "apiKey": "hush"})),
                connection("no-client", "gone", token(json!({}))),
                connection("none", "good", Value::Null),
                connection("untyped", "good", json!({"access_token": "hush"})),
            ],
        });
        let plan = read(&text.to_string(), &home()).unwrap();
        assert_eq!(plan.connectors.len(), 1);
        let users: Vec<_> = plan.connectors[0].tokens.iter().map(|one| &one.token["accessToken"]).collect();
        assert_eq!(users, [&json!("at")], "the one that only cannot be renewed");
        let never = &plan.connectors[0].tokens[0].token["expiresAt"];
        assert_eq!(never, &json!(253_402_300_799_999_i64), "what has no end has none here");
        for (name, why) in [
            ("integration app ", "type CUSTOM"),
            ("integration tba ", "type TBA"),
            ("integration bare ", "include=credentials"),
            ("connection own-client ", "a client of its own"),
            ("connection no-refresh ", "refresh_token=true"),
            ("connection odd-end ", "expires_at"),
            ("connection basic ", "type BASIC"),
            ("connection key ", "its integration is not"),
            ("connection no-client ", "is not in the file"),
            ("connection none ", "no credentials"),
            ("connection untyped ", "no type"),
        ] {
            let note =
                plan.notes.iter().find(|note| note.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
            assert!(note.contains(why) && !note.contains("hush"), "{note}");
        }
        assert_eq!(plan.notes.len(), 11);
        for broken in [r#"{"integrations":[{}]}"#, r#"{"connections":[{"connection_id":"x"}]}"#, "[", "hush"]
        {
            assert!(!read(broken, &home()).err().unwrap().message.contains("hush"), "{broken}");
        }
    }
}
