//! `--dry-run`: says what would be hit, and changes nothing.

use serde_json::{Value, json};

use super::peer::{Peer, connector};
use super::{CONNECTOR, Desk, PROJECT, TEAM, USER};

const ATK: &str = "atk_0000000000000000000001";
const INV: &str = "inv_0000000000000000000001";
const SCI: &str = "sci_0000000000000000000001";
const ISS: &str = "iss_0000000000000000000001";

fn grant(id: &str, user: &str, environment: &str, state: &str) -> Value {
    let mut grant = json!({"id": id, "connectorId": CONNECTOR, "projectId": PROJECT, "environment": environment,
        "state": state, "subject": {"type": "user", "id": user}});
    if user == "bob" {
        grant["installationId"] = SCI.into();
    }
    grant
}

fn peer() -> Peer {
    Peer::with(|route, _, _| {
        let by_id = format!("GET /v1/connect/connectors/{CONNECTOR}");
        Some((
            200,
            match route {
                _ if route == format!("{by_id}/grants") => {
                    json!({"grants": [grant("grt_1", USER, "production", "active"),
                    grant("grt_2", "bob", "preview", "active"), grant("grt_3", "eve", "preview", "needs_consent")],
                    "madeTokens": [{"tokens": 3}, {"installationId": SCI, "tokens": 2}]})
                }
                _ if route == format!("{by_id}/installations") => {
                    let at = |id: &str, there: &str, ended: Value| json!({"id": id, "externalId": there, "createdAt": 0, "updatedAt": 0, "endedAt": ended});
                    json!({"installations": [at("sci_0000000000000000000002", "T0", json!(5)), at(SCI, "T1", Value::Null)]})
                }
                "GET /v1/access-tokens" => {
                    json!({"tokens": [{"id": ATK, "name": "ci", "last4": "wxyz", "userId": USER,
                    "access": "full", "projectId": null, "createdAt": 0, "expiresAt": 0, "lastUsedAt": null}]})
                }
                _ if route == format!("GET /v1/teams/{TEAM}/members") => json!({"members": [{"userId": USER,
                    "email": "ada@example.com", "name": "Ada", "role": "member", "joinedAt": 0, "disabled": false}]}),
                _ if route == format!("GET /v1/teams/{TEAM}/invitations") => {
                    json!({"invitations": [{"id": INV,
                    "role": "viewer", "email": null, "createdBy": USER, "createdAt": 0, "expiresAt": 0}]})
                }
                _ if route == format!("GET /v1/trusted-issuers/{ISS}") => {
                    json!({"id": ISS, "issuer": "https://ci.example",
                    "rules": [{"project": PROJECT, "environment": "production", "claims": {}}]})
                }
                "GET /v1/keys" => super::keys::status(),
                "GET /v1/managed-apps/slack" => super::managed::app("slack", "server"),
                "GET /v1/connect/connectors/demo%2Fhello" => {
                    let mut known = connector();
                    known["data"] = json!({"userAuthorization": {"enabled": true, "scopes": ["old"]}});
                    known
                }
                _ => return None,
            },
        ))
    })
}

#[test]
fn every_command_that_destroys_says_what_it_would_hit_and_hits_nothing() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    std::fs::write(
        desk.path("tokens.json"),
        r#"[{"accessToken":"hush","subject":{"type":"user","id":"ada"},"environment":"production"}]"#,
    )
    .unwrap();
    std::fs::write(desk.path("secret"), "hush\n").unwrap();
    for (line, live, projects) in [
        (&["detach", "demo/hello"][..], Some(2), 1),
        (&["detach", "demo/hello", "-e", "production"], Some(1), 1),
        (&["attach", "demo/hello", "-e", "production"], Some(1), 1),
        (&["attach", "demo/hello"], Some(0), 1),
        (&["remove", "demo/hello"], Some(2), 1),
        (&["revoke-tokens", "demo/hello", "--all-tokens"], Some(2), 1),
        (&["revoke-tokens", "demo/hello", "--my-tokens"], Some(1), 1),
        (&["revoke-tokens", "demo/hello", "--user", "bob"], Some(1), 1),
        (&["update", "demo/hello", "--rotate-secret", "@secret", "--name", "New"], Some(2), 1),
        (&["projects", "remove", "my-app"], Some(2), 0),
        (&["members", "remove", "ada@example.com"], Some(1), 0),
        (&["members", "withdraw", INV], None, 0),
        (&["tokens", "revoke", ATK], None, 0),
        (&["projects", "trust", "remove", ISS], None, 1),
        (&["keys", "rotate", "root"], None, 0),
        (&["keys", "rotate", "--compromised"], None, 0),
        (&["managed", "update", "slack", "--rotate-secret", "@secret"], None, 0),
        (&["managed", "remove", "slack"], None, 0),
        (&["connect", "keys", "demo/hello", "--rotate"], None, 1),
        (&["import-tokens", "demo/hello", "@tokens.json"], None, 0),
    ] {
        let done = desk.run(&[line, &["--dry-run"]].concat()).exits(0);
        assert!(done.out.starts_with("Would ") && !done.out.contains("hush"), "{line:?}: {done:?}");
        let told = desk.run(&[line, &["--dry-run", "--json"]].concat()).exits(0).json();
        assert_eq!(told["dryRun"], true, "{line:?}: {told}");
        assert_eq!(told["liveGrants"].as_u64(), live, "{line:?}: {told}");
        assert_eq!(told["projects"].as_array().map_or(0, Vec::len), projects, "{line:?}: {told}");
        assert!(!told.to_string().contains("hush"), "{told}");
    }
    // As many as the real one counts besides the grants.
    for (more, made) in [(&["--all-tokens"][..], 5), (&["--my-tokens"], 0)] {
        let line = [&["revoke-tokens", "demo/hello", "--dry-run", "--json"][..], more].concat();
        assert_eq!(desk.run(&line).exits(0).json()["madeTokens"], made, "{more:?}");
    }
    // An installation is called by our identifier or by the provider's; what ended is none.
    for (more, exit, hit) in [
        (&["--installation-id", SCI][..], 0, json!([1, 2])),
        (&["--installation-id", "T1"], 0, json!([1, 2])),
        (&["--installation-id", "T1", "--user", "bob"], 0, json!([1, 0])),
        (&["--installation-id", "T1", "--my-tokens"], 0, json!([0, 0])),
        (&["--installation-id", "nowhere", "--user", "bob"], 0, json!([0, 0])),
        (&["--installation-id", "T0"], 3, json!([null, null])),
        (&["--installation-id", "nowhere"], 3, json!([null, null])),
    ] {
        let line = [&["revoke-tokens", "demo/hello", "--dry-run", "--json"][..], more].concat();
        let told = desk.run(&line).exits(exit).json();
        assert_eq!(json!([told["liveGrants"], told["madeTokens"]]), hit, "{more:?}: {told}");
    }
    let changes: Vec<_> = peer.lines().into_iter().filter(|line| !line.starts_with("GET ")).collect();
    assert_eq!(changes, Vec::<String>::new());
    for line in [
        &["members", "remove", "nobody", "--dry-run"][..],
        &["members", "withdraw", "inv_0000000000000000000009", "--dry-run"],
        &["tokens", "revoke", "atk_0000000000000000000009", "--dry-run"],
    ] {
        desk.run(line).exits(3);
    }
    desk.run(&["connect", "keys", "demo/hello", "--dry-run"]).exits(2);
}
