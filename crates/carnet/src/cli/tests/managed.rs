//! The applications for all teams, as the operator sees and changes them.

use serde_json::{Value, json};

use super::Desk;
use super::peer::{Peer, refusal};

pub(super) fn app(service: &str, source: &str) -> Value {
    json!({"service": service, "source": source, "type": "slack", "connectionMethod": "app",
        "data": {"clientId": "1.2", "botScopes": ["chat:write"]}, "encryptedFields": ["clientSecret"],
        "teams": null, "goesAlong": false, "redirectUri": "https://carnet.example/callback/slack", "connectors": 3,
        "createdAt": 0, "updatedAt": 0})
}

fn peer() -> Peer {
    Peer::with(|route, _, _| match route {
        "GET /v1/managed-apps" => {
            Some((200, json!({"managedApps": [app("github", "configuration"), app("slack", "server")]})))
        }
        "POST /v1/managed-apps" => Some((201, app("slack", "server"))),
        "GET /v1/managed-apps/slack" | "PATCH /v1/managed-apps/slack" => Some((200, app("slack", "server"))),
        "DELETE /v1/managed-apps/github" => Some(refusal(409, "conflict", json!({"connectors": 3}))),
        "DELETE /v1/managed-apps/slack" => Some((200, json!({"service": "slack", "connectors": 3}))),
        _ => None,
    })
}

#[test]
fn an_operator_sees_registers_changes_and_removes_applications() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    std::fs::write(desk.path("app.json"), r#"{"clientId":"1.2","clientSecret":"hush"}"#).unwrap();
    std::fs::write(desk.path("secret"), "hush again\n").unwrap();
    for line in [&["managed"][..], &["managed", "ls"]] {
        let done = desk.run(line).exits(0);
        for says in ["github", "slack", "all teams", "configuration"] {
            assert!(done.out.contains(says), "{says}: {}", done.out);
        }
    }
    let done = desk.run(&["managed", "show", "slack"]).exits(0);
    for says in ["clientId: 1.2", "Sealed", "clientSecret", "https://carnet.example/callback/slack"] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }

    let line =
        ["managed", "add", "slack", "--connection-method", "app", "--data", "@app.json", "--only", "acme"];
    let done = desk.run(&line).exits(0);
    assert!(!done.out.contains("hush") && !done.err.contains("hush"), "{done:?}");
    assert!(done.err.contains("https://carnet.example/callback/slack"), "{}", done.err);
    assert_eq!(
        peer.body("POST /v1/managed-apps"),
        json!({"service": "slack", "connectionMethod": "app", "data": {"clientId": "1.2", "clientSecret": "hush"},
            "teams": ["acme"], "goesAlong": false})
    );
    let line =
        ["managed", "update", "slack", "--rotate-secret", "@secret", "--all-teams", "--goes-along", "on"];
    let done = desk.run(&line).exits(0);
    assert!(!format!("{done:?}").contains("hush"), "{done:?}");
    assert_eq!(
        peer.body("PATCH /v1/managed-apps/slack"),
        json!({"data": {"clientSecret": "hush again"}, "teams": null, "goesAlong": true, "force": false})
    );
    let json = desk.run(&["managed", "show", "slack", "--json"]).exits(0).json();
    assert_eq!(json, app("slack", "server"));

    desk.run(&["managed", "remove", "github", "--yes"]).exits(7);
    let done = desk.run(&["managed", "remove", "slack", "--force", "--yes"]).exits(0);
    assert!(done.err.contains("3 connectors"), "{}", done.err);
    assert!(
        peer.seen().iter().any(|seen| seen.line.starts_with("DELETE /v1/managed-apps/slack?")
            && seen.line.contains("force=true"))
    );
    for line in [
        &["managed", "update", "slack"][..],
        &["managed", "update", "slack", "--only", "acme", "--all-teams"],
        &["managed", "add", "slack"],
        &["managed", "add", "slack", "--data", ""],
        &["managed", "update", "slack", "--rotate-secret", "on-the-line"],
        &["managed", "remove", "slack", "--non-interactive"],
    ] {
        desk.run(line).exits(2);
    }
}
