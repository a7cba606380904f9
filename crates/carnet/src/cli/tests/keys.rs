//! The keys of a deployment, as they are shown and turned.

use serde_json::{Value, json};

use super::peer::{Peer, refusal};
use super::{Desk, TEAM, USER};

pub(super) fn status() -> Value {
    let key = |role: &str, version: i64, state: &str, left: Value| json!({"id": "00", "role": role, "version": version, "state": state, "createdAt": 0, "activatesAt": 0, "left": left});
    let wrap = |by: &str, next: bool, blind: &[&str]| json!({"name": "aa", "key": "00", "wrappedBy": by, "next": next, "configuredAs": if next { "next" } else { "present" }, "notOpenedBy": blind});
    json!({
        "deployment": "dep_1",
        "providers": ["kek:file", "kek:aws-kms"],
        "provider": "silent",
        "keys": [key("root", 1, "active", Value::Null), key(&format!("team:{TEAM}"), 1, "superseded", json!(7))],
        "wraps": [wrap("kek:file", false, &[]), wrap("kek:aws-kms", true, &["node-b"])],
        "nodes": [{"id": "node-a", "startedAt": 0, "seenAt": 0, "knowsAll": true, "this": true}],
        "signing": [{"kid": "kid-1", "state": "active", "activatesAt": 0, "goneAt": null}],
        "unseenTokens": [{"id": "atk_1", "name": "old ci", "last4": "wxyz", "user": USER, "expiresAt": 0}],
        "unseenElsewhere": 2,
        "unseenUntil": 0,
    })
}

fn peer() -> Peer {
    Peer::with(|route, body, _| match route {
        "GET /v1/keys" => Some((200, status())),
        "POST /v1/keys/verify" => Some((
            200,
            json!({"deployment": "dep_1", "events": 9, "lastEvent": 9,
                "columns": [{"name": "grants.held", "opened": 3, "refused": 1, "abandoned": 0}]}),
        )),
        "POST /v1/keys/rotate" if body["step"] == "finish" => {
            Some(refusal(409, "conflict", json!({"nodes": ["node-b"]})))
        }
        "POST /v1/keys/rotate" => {
            let steps = json!([{"what": "Make a new client secret.", "command": "carnet show a/b"}]);
            let runbook = match body["kind"].as_str() {
                Some("compromised") => json!([{"about": "a/b", "grants": 4, "steps": steps}]),
                _ => json!([]),
            };
            Some((200, json!({"kind": body["kind"], "activatesAt": 0, "made": ["00"], "runbook": runbook})))
        }
        _ => None,
    })
}

#[test]
fn the_state_of_the_keys_says_what_stands_in_the_way() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["keys", "status"]).exits(0);
    for says in ["7 rows left", "not 1: node-b", "kid-1", "old ci", "…wxyz", "In other teams  2"] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }
    assert!(done.err.contains("root-key provider: silent"), "{}", done.err);
    assert!(!done.err.contains("root-key provider alone"), "both wrap: {}", done.err);
    assert_eq!(desk.run(&["keys", "status", "--json"]).exits(0).json(), status());
}

#[test]
fn a_key_is_turned_by_its_name_and_what_cannot_be_undone_is_asked_about() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    for kind in ["root", "team", "pepper", "signing", "kek"] {
        desk.run(&["keys", "rotate", kind]).exits(0);
        assert_eq!(peer.seen().last().unwrap().body, json!({"kind": kind, "step": "begin"}));
    }
    let before = peer.seen().len();
    desk.run(&["keys", "rotate", "kek", "--finish"]).exits(2);
    desk.run(&["keys", "rotate", "--compromised"]).exits(2);
    desk.run(&["keys", "rotate", "team", "--finish", "--yes"]).exits(2);
    desk.run(&["keys", "rotate"]).exits(2);
    desk.run(&["keys", "rotate", "everything"]).exits(2);
    desk.run(&["keys", "rotate", "root", "--compromised"]).exits(2);
    assert_eq!(peer.seen().len(), before, "nothing was sent");
    desk.run(&["keys", "rotate", "kek", "--finish", "--yes"]).exits(7);
    let done = desk.run(&["keys", "rotate", "--compromised", "--yes"]).exits(0);
    assert!(done.out.contains("a/b (4 grants)") && done.out.contains("     carnet show a/b"), "{}", done.out);
    let json = desk.run(&["keys", "rotate", "--compromised", "--yes", "--json"]).exits(0).json();
    assert_eq!(json["runbook"][0]["steps"][0]["command"], "carnet show a/b");
}

#[test]
fn values_that_do_not_open_are_counted_and_end_the_command_with_a_failure() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["keys", "verify"]).exits(1);
    assert!(done.out.contains("grants.held  3     1"), "{}", done.out);
    assert!(done.err.contains("1 sealed values do not open"), "{}", done.err);
}

#[test]
fn the_state_of_the_keys_says_what_is_left_to_do_about_the_providers() {
    for (only, says) in [
        (json!("next"), "the next root-key provider alone wraps the root keys: make it the present one"),
        (Value::Null, "opens root key 00, which kek:aws-kms wraps: name that one"),
    ] {
        let peer = Peer::with(move |route, _, _| {
            let mut told = status();
            told["wraps"].as_array_mut().unwrap().remove(0);
            told["wraps"][0]["configuredAs"] = only.clone();
            (route == "GET /v1/keys").then_some((200, told))
        });
        let done = Desk::dev(&peer.url).run(&["keys", "status"]).exits(0);
        assert!(done.err.contains(says), "{says}: {}", done.err);
    }
}
