//! Which of several ways of a service is meant by what was brought along.

use std::fs;

use serde_json::{Value, json};

use super::peer::{Peer, connector, refusal};
use super::{CONNECTOR, Desk};

/// A way as the server describes it: of this type, with these members of data, of which it needs some.
fn way(name: &str, r#type: &str, members: &[&str], needs: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> =
        members.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let required: Vec<_> = needs.iter().filter(|name| !name.contains('.')).collect();
    json!({"connectionMethod": name, "label": name, "create": {"managed": false, "manual": true}, "needs": needs,
        "type": {"type": r#type, "createInputSchema":
            {"additionalProperties": false, "properties": properties, "required": required}}})
}

fn with_field(mut way: Value) -> Value {
    way["templateFields"] = json!([{"key": "account", "label": "Account"}]);
    way
}

fn services() -> Vec<(&'static str, Vec<Value>)> {
    let client = ["clientId", "clientSecret"];
    let oauth = ["clientId", "clientSecret", "userAuthorization", "installation", "webhookSecret"];
    let key = |name: &str| way(name, "api-key", &["values", "subjectType"], &["values"]);
    let slack = ["clientId", "clientSecret", "signingSecret", "botScopes"];
    let github = ["appId", "privateKeyPem", "clientSecret", "webhookSecret"];
    let snowflake = ["accountIdentifier", "clientId", "clientSecret", "username", "privateKeyPem"];
    vec![
        (
            "slack",
            vec![
                way("app", "slack", &slack, &client),
                way("oauth", "oauth", &oauth, &client),
                key("bot-token"),
            ],
        ),
        (
            "github",
            vec![
                way("app", "github", &github, &["appId", "privateKeyPem"]),
                way("github-app-user", "oauth", &oauth, &client),
                way("oauth", "oauth", &oauth, &client),
                key("token"),
            ],
        ),
        (
            "discord",
            vec![
                way("oauth", "oauth", &oauth, &client),
                way("bot", "oauth", &oauth, &["clientId", "clientSecret", "installation.token"]),
                key("bot-token"),
            ],
        ),
        (
            "snowflake",
            vec![
                with_field(way("oauth", "snowflake", &snowflake, &client)),
                with_field(way("key-pair", "snowflake", &snowflake, &["username", "privateKeyPem"])),
                with_field(key("token")),
            ],
        ),
        (
            "linear",
            vec![way("oauth", "oauth", &oauth, &client), way("mcp", "oauth", &oauth, &[]), key("api-key")],
        ),
        (
            "stripe",
            vec![key("api-key"), way("mcp", "oauth", &oauth, &[]), way("connect", "oauth", &oauth, &client)],
        ),
    ]
}

fn peer() -> Peer {
    Peer::with(|route, body, _| {
        let refused = body["data"].get("typo").is_some();
        if refused && route == "POST /v1/connect/connectors" {
            return Some(refusal(422, "invalid_connector", json!({"field": "data.typo"})));
        }
        let (name, ways) =
            services().into_iter().find(|(name, _)| route == format!("GET /v1/connect/services/{name}"))?;
        let mut types: Vec<Value> = Vec::new();
        for way in &ways {
            let r#type = json!({"type": way["type"]["type"]});
            if !types.contains(&r#type) {
                types.push(r#type);
            }
        }
        Some((200, json!({"id": name, "name": name, "types": types, "connectionMethods": ways})))
    })
}

#[test]
fn a_contact_is_added_as_the_official_command_line_adds_it() {
    let answers = |status: u16, body: Value| {
        Peer::with(move |route, _, _| route.ends_with("/contacts").then(|| (status, body.clone())))
    };
    let line = ["connect", "contacts", "add", "demo/hello", "--phone-number", "+12025551234"];
    let peer = answers(200, json!({"instructions": "Text START to +1."}));
    let done = Desk::dev(&peer.url).run(&line).exits(0);
    assert!(
        done.err.contains("Contact +12025551234 added.") && done.out == "Text START to +1.\n",
        "{done:?}"
    );
    let sent = peer.body(&format!("POST /v1/connect/connectors/{CONNECTOR}/contacts"));
    assert_eq!(sent, json!({"phoneNumber": "+12025551234"}));
    let peer =
        answers(422, json!({"error": {"code": "invalid_connector", "message": "It has no phone lines."}}));
    let done = Desk::dev(&peer.url).run(&line).exits(1);
    assert!(done.err.contains("no phone lines"), "{done:?}");
}

#[test]
fn what_was_brought_makes_what_the_official_client_makes_of_it() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let client = json!({"clientId": "id", "clientSecret": "s"});
    let and = |more: Value| {
        let mut data = client.clone();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    for (service, data, flags, r#type, method) in [
        ("slack", client.clone(), &[][..], Some("slack"), None),
        ("slack", and(json!({"signingSecret": "s"})), &[], Some("slack"), None),
        ("slack", and(json!({"userAuthorization": {}})), &[], Some("oauth"), None),
        ("slack", json!({"values": []}), &[], Some("api-key"), None),
        ("github", json!({"appId": 7, "privateKeyPem": "p"}), &[], Some("github"), None),
        ("github", client.clone(), &[], Some("oauth"), None),
        ("discord", client.clone(), &[], Some("oauth"), None),
        ("discord", and(json!({"installation": {"token": "t"}})), &[], None, Some("bot")),
        ("discord", and(json!({"installation": {"scheme": "Bot"}})), &[], Some("oauth"), None),
        ("snowflake", and(json!({"accountIdentifier": "a"})), &[], Some("snowflake"), None),
        ("snowflake", client.clone(), &["--param", "account=a"], Some("snowflake"), None),
        (
            "snowflake",
            json!({"accountIdentifier": "a", "username": "u", "privateKeyPem": "p"}),
            &[],
            Some("snowflake"),
            None,
        ),
        (
            "snowflake",
            json!({"username": "u", "privateKeyPem": "p"}),
            &["--param", "account=a"],
            None,
            Some("key-pair"),
        ),
        ("linear", client.clone(), &[], Some("oauth"), None),
        ("stripe", json!({"values": []}), &[], Some("api-key"), None),
        ("stripe", client.clone(), &[], None, Some("connect")),
        // Another server than the service's own is described by the data alone.
        ("stripe", and(json!({"serverUrl": "https://as.example"})), &[], None, None),
    ] {
        fs::write(desk.path("data.json"), data.to_string()).unwrap();
        let line = ["create", service, "-n", "x", "--data", "@data.json"];
        desk.run(&[&line[..], flags].concat()).exits(0);
        let sent = peer.seen().pop().unwrap();
        assert!(sent.line.starts_with("POST /v1/connect/connectors?"), "{sent:?}");
        let said = |name: &str| sent.body.get(name).and_then(Value::as_str);
        assert_eq!((said("type"), said("connectionMethod")), (r#type, method), "{service} {data}");
        assert_eq!(sent.body["data"], data);
    }
}

#[test]
fn what_no_way_takes_is_refused_as_the_usual_one_and_leads_to_the_others() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path("data.json"), r#"{"clientId":"id","clientSecret":"s","typo":"x"}"#).unwrap();
    let done = desk.run(&["create", "slack", "-n", "x", "--data", "@data.json"]).exits(1);
    assert!(done.err.contains("fix: carnet catalog show slack"), "{done:?}");
    assert_eq!(peer.body("POST /v1/connect/connectors?")["type"], "slack");
}

#[test]
fn an_openid_provider_that_is_asked_for_nothing_is_warned_of() {
    let create = |data: Value| {
        let peer = Peer::with(move |route, _, _| {
            let mut made = connector();
            made["data"] = data.clone();
            (route.starts_with("POST /v1/connect/connectors")).then_some((201, made))
        });
        Desk::dev(&peer.url).run(&["create", "https://as.example", "-n", "people"]).exits(0).err
    };
    let openid = json!({"scopes_supported": ["openid", "email"]});
    let said = create(json!({"serverConfig": openid, "userAuthorization": {"scopes": []}}));
    assert!(said.contains("carnet update demo/hello --default-scopes openid"), "{said}");
    for sound in [
        json!({"serverConfig": openid, "userAuthorization": {"scopes": ["openid"]}}),
        json!({"serverConfig": openid, "userAuthorization": {"enabled": false}}),
        json!({"serverConfig": {"scopes_supported": ["read"]}}),
        json!({}),
    ] {
        let said = create(sound.clone());
        assert!(!said.contains("warning"), "{sound}: {said}");
    }
}
