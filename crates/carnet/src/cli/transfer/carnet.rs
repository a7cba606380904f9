//! What `carnet export` has written.

use carnet_model::Time;
use carnet_sdk::{NewInstallation, RedirectUri};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plan::{Plan, PlannedConnector, PlannedProject, PlannedToken, settable};
use super::{events, json, list_of, text_of, unreadable};
use crate::cli::failure::Failure;

/// Reads it.
pub(super) fn read(text: &str) -> Result<Plan, Failure> {
    const SOURCE: &str = "carnet export";
    let file = json(text, SOURCE)?;
    match file.get("carnetExport").and_then(Value::as_u64) {
        Some(1) => {}
        Some(later) => {
            return Err(unreadable(SOURCE, &format!("it is of version {later}, and this reads version 1")));
        }
        None => return Err(unreadable(SOURCE, "it has no member carnetExport")),
    }
    let texts = |value: &Value, name: &str| {
        list_of(value, name).filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let projects = list_of(&file, "projects")
        .filter_map(|project| {
            Some(PlannedProject {
                name: text_of(project, "name")?.to_owned(),
                environments: texts(project, "environments"),
                return_origins: texts(project, "returnOrigins"),
                urls: list_of(project, "urls").filter_map(as_written).collect(),
                health_webhook: text_of(project, "healthWebhook").map(str::to_owned),
                provisioning: project.get("provisioning").map(|_| texts(project, "provisioning")),
            })
        })
        .collect();
    let (mut connectors, mut notes) = (Vec::new(), Vec::new());
    for one in list_of(&file, "connectors") {
        let text = |name: &str| text_of(one, name).map(str::to_owned);
        let (Some(uid), Some(service), Some(name)) = (text("uid"), text("service"), text("name")) else {
            return Err(unreadable(SOURCE, "a connector has no uid, service or name"));
        };
        let installation = |value: &Value| NewInstallation {
            external_id: text_of(value, "externalId").map(str::to_owned),
            tenant_id: text_of(value, "tenantId").map(str::to_owned),
            name: text_of(value, "name").map(str::to_owned),
            default: value.get("default").and_then(Value::as_bool),
        };
        let managed = one.get("managed") == Some(&Value::Bool(true));
        let events = match one.get("triggers").filter(|triggers| !triggers.is_null()) {
            None => None,
            Some(triggers) => Some(as_written(triggers).ok_or_else(|| {
                unreadable(SOURCE, &format!("the triggers of {uid} are not as it writes them"))
            })?),
        };
        let data = one.get("data").and_then(Value::as_object).map(|data| settable(data, false));
        let (data, anew) = data.unwrap_or_default();
        if anew {
            notes.push(registered_anew(&uid));
        }
        connectors.push(PlannedConnector {
            uid,
            service,
            name,
            r#type: text("type").filter(|_| !managed),
            listed_type: None,
            data,
            links: list_of(one, "links")
                .filter_map(|link| Some((text_of(link, "project")?.to_owned(), texts(link, "environments"))))
                .collect(),
            redirect_uris: list_of(one, "links").flat_map(redirect_uris).collect(),
            installations: list_of(one, "installations").map(installation).collect(),
            consent_rules: one.get("consentRules").and_then(as_written),
            icon: text("icon"),
            background_color: text("backgroundColor"),
            accent_color: text("accentColor"),
            events,
            tokens: Vec::new(),
        });
    }
    let issuers = list_of(&file, "trustedIssuers").cloned().collect();
    if list_of(&file, "connectors").any(|one| list_of(one, "grants").next().is_some()) {
        notes.push(
            "an export holds no secrets: client secrets are given with --with, and people consent again"
                .to_owned(),
        );
    }
    let team = file.get("team").and_then(as_written);
    Ok(Plan { projects, connectors, issuers, team, notes, ..Plan::default() })
}

/// Adds what was encrypted to the recovery key, opened by its holder.
pub(super) fn add_secrets(plan: &mut Plan, text: &str, now: i64) -> Result<(), Failure> {
    const SOURCE: &str = "the opened secrets of carnet export";
    let file = json(text, SOURCE)?;
    if file.get("carnetSecrets").and_then(Value::as_u64) != Some(1) {
        return Err(unreadable(SOURCE, "it has no member carnetSecrets, or is of a later version"));
    }
    plan.notes.clear();
    let data = file.get("connectors").and_then(Value::as_object).into_iter().flatten();
    for (uid, members) in data {
        let connector = plan.connectors.iter_mut().find(|connector| connector.uid == *uid);
        if let (Some(connector), Some(members)) = (connector, members.as_object()) {
            let (data, anew) = settable(members, true);
            connector.data = data;
            if anew {
                plan.notes.push(registered_anew(uid));
            }
        }
    }
    for (uid, signing) in file.get("triggers").and_then(Value::as_object).into_iter().flatten() {
        let connector = plan.connectors.iter_mut().find(|connector| connector.uid == *uid);
        if let Some(events) = connector.and_then(|connector| connector.events.as_mut()) {
            events.secrets = events::opened(signing, now);
        }
    }
    for grant in list_of(&file, "grants") {
        let uid = text_of(grant, "uid").unwrap_or_default();
        let connector = plan.connectors.iter_mut().find(|connector| connector.uid == uid);
        let (Some(connector), Some(mut token)) = (connector, grant.as_object().cloned()) else { continue };
        token.remove("uid");
        // A grant of which nobody said when it ends. A pasted key has no end to be named.
        let is_open = token.get("expiresAt").is_none_or(Value::is_null);
        if is_open && connector.r#type.as_deref() != Some("api-key") {
            let renews = token.get("refreshToken").is_some_and(Value::is_string);
            let end = if renews { 0 } else { Time::FAR_FUTURE.millis() };
            token.insert("expiresAt".to_owned(), end.into());
        }
        match token.remove("project") {
            Some(Value::String(project)) => connector.tokens.push(PlannedToken { project, token }),
            // A person's own grant, at a terminal, is of no project, and cannot be given to one.
            _ => plan
                .notes
                .push(format!("somebody's own grant of {uid} is left out: that person consents again")),
        }
    }
    Ok(())
}

/// Where people are sent back to who sign in with the connector, by the project of the link.
fn redirect_uris(link: &Value) -> Vec<(String, RedirectUri)> {
    let project = text_of(link, "project").unwrap_or_default();
    let uris = list_of(link, "redirectUris");
    uris.filter_map(|uri| Some((project.to_owned(), as_written(uri)?))).collect()
}

/// A part of the file in its own shape.
fn as_written<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn registered_anew(uid: &str) -> String {
    format!(
        "the client of {uid} was registered for the other server: one is registered anew, and people consent again"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn a_token_of_which_nobody_says_when_it_ends_is_taken_over() {
        let connector = |uid: &str, kind: &str| json!({"uid": uid, "service": "x", "name": "X", "type": kind, "data": {}});
        let export = json!({"carnetExport": 1, "connectors": [connector("a/a", "oauth"), connector("b/b", "api-key")]});
        let mut plan = read(&export.to_string()).unwrap();
        let grant = |uid: &str, more: Value| {
            let mut grant = json!({"uid": uid, "project": "app", "accessToken": "t"});
            grant.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            grant
        };
        let secrets = json!({"carnetSecrets": 1, "grants": [
            grant("a/a", json!({})),
            grant("a/a", json!({"refreshToken": "r"})),
            grant("a/a", json!({"expiresAt": 7})),
            grant("b/b", json!({})),
        ]});
        add_secrets(&mut plan, &secrets.to_string(), 0).unwrap();
        let ends = |at: usize| -> Vec<Value> {
            let tokens = plan.connectors[at].tokens.iter();
            tokens.map(|token| token.token.get("expiresAt").cloned().unwrap_or_default()).collect()
        };
        assert_eq!(ends(0), [json!(Time::FAR_FUTURE.millis()), json!(0), json!(7)]);
        assert_eq!(ends(1), [Value::Null], "a pasted key has no end to be named");
    }

    #[test]
    fn a_client_that_was_registered_for_the_other_server_is_left_to_this_one() {
        let data = |method: &str, auth: &str| {
            json!({
                "clientId": "c1", "serverUrl": "https://mcp.example", "tokenEndpointAuthMethod": auth,
                "clientRegistration": {
                    "clientId": "c1", "method": method, "metadata": {"token_endpoint_auth_method": auth},
                },
            })
        };
        let connector = |uid: &str, data: &Value| json!({"uid": uid, "service": "x", "name": "X", "type": "oauth", "data": data});
        let mut by_hand = data("dynamic", "client_secret_basic");
        by_hand["clientId"] = json!("c2");
        let all = [
            ("a/secret", data("dynamic", "client_secret_basic")),
            ("a/public", data("dynamic", "none")),
            ("a/key", data("dynamic", "private_key_jwt")),
            ("a/document", data("document", "none")),
            ("a/by-hand", by_hand),
        ];
        let listed: Vec<Value> = all.iter().map(|(uid, data)| connector(uid, data)).collect();
        let export = json!({"carnetExport": 1, "connectors": listed});
        let mut plan = read(&export.to_string()).unwrap();
        let kept = |plan: &Plan| -> Vec<String> {
            let all = plan.connectors.iter();
            assert!(all.clone().all(|one| !one.data.contains_key("clientRegistration")));
            assert!(all.clone().all(|one| one.data["serverUrl"] == "https://mcp.example"));
            all.filter(|one| one.data.contains_key("clientId")).map(|one| one.uid.clone()).collect()
        };
        let told = |plan: &Plan| -> Vec<bool> {
            let is_told = |(uid, _): &(&str, Value)| {
                plan.notes.iter().any(|note| note.contains(&format!("of {uid} was")))
            };
            all.iter().map(is_told).collect()
        };
        // Nobody has its secret, or the document and the keys are elsewhere. One that was set by hand since is brought.
        assert_eq!(kept(&plan), ["a/by-hand"]);
        assert_eq!(told(&plan), [true, true, true, true, false]);
        // What the holder of the recovery key opened has the secret, and grants that only this client renews.
        let opened: Map<String, Value> =
            all.iter().map(|(uid, data)| ((*uid).to_owned(), data.clone())).collect();
        add_secrets(&mut plan, &json!({"carnetSecrets": 1, "connectors": opened}).to_string(), 0).unwrap();
        assert_eq!(kept(&plan), ["a/secret", "a/public", "a/by-hand"]);
        assert_eq!(told(&plan), [false, false, true, true, false]);
    }
}
