//! Handing over tokens that were obtained elsewhere.

use std::fs;

use serde_json::{Value, json};

use super::Desk;
use super::peer::{Peer, refusal};

const LINE: &str = "POST /v1/connect/token/demo%2Fhello/import";

/// A server that takes what is not for `nobody`.
fn peer() -> Peer {
    Peer::with(|route, body, _| {
        (route == LINE).then(|| {
            let told = |token: &Value| {
                let fine = token["subject"]["id"] != "nobody";
                let mut told = json!({"succeeded": fine, "subject": token["subject"], "environment": token["environment"]});
                if fine {
                    told["grantId"] = json!("grt_0000000000000000000001");
                } else {
                    told["error"] = json!({"code": "conflict", "message": "There is one already."});
                }
                told
            };
            let tokens: Vec<Value> = body["tokens"].as_array().unwrap().iter().map(told).collect();
            let imported = tokens.iter().filter(|one| one["succeeded"] == true).count();
            (200, json!({"accepted": tokens.len(), "imported": imported, "tokens": tokens}))
        })
    })
}

fn token(user: &str) -> Value {
    json!({"accessToken": "secret-4711", "expiresAt": 1, "subject": {"type": "user", "id": user}, "environment": "production"})
}

#[test]
fn tokens_come_from_a_file_or_stdin_and_each_has_its_outcome() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let tokens = json!([token("alice"), token("bob")]);
    fs::write(desk.path("tokens.json"), tokens.to_string()).unwrap();
    let done = desk.run(&["import-tokens", "demo/hello", "@tokens.json"]).exits(0);
    assert!(
        done.out.contains("alice") && done.out.contains("bob") && done.out.contains("imported"),
        "{done:?}"
    );
    assert!(!format!("{done:?}").contains("secret-4711"), "{done:?}");
    assert_eq!(peer.body(LINE), json!({"tokens": tokens, "replace": false}));
    let text: &'static str = Box::leak(json!({"tokens": [token("alice")]}).to_string().into_boxed_str());
    let desk = Desk::dev(&peer.url).typing(text);
    let told =
        desk.run(&["connect", "import-tokens", "demo/hello", "-", "--replace", "--json"]).exits(0).json();
    assert_eq!((&told["imported"], &told["tokens"][0]["subject"]["id"]), (&json!(1), &json!("alice")));
    assert_eq!(peer.seen().last().unwrap().body["replace"], true);
}

#[test]
fn one_that_is_not_taken_makes_the_command_fail_and_is_named() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path("tokens.json"), json!([token("alice"), token("nobody")]).to_string()).unwrap();
    let done = desk.run(&["import-tokens", "demo/hello", "@tokens.json"]).exits(1);
    assert!(done.out.contains("conflict: There is one already."), "{done:?}");
    let error =
        desk.run(&["import-tokens", "demo/hello", "@tokens.json", "--json"]).exits(1).json()["error"].clone();
    assert_eq!(error["code"], "not_all_imported");
    assert_eq!(error["tokens"][1]["error"]["code"], "conflict");
    assert!(!error.to_string().contains("secret-4711"));
}

#[test]
fn many_tokens_are_sent_some_at_a_time() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let tokens: Vec<Value> = (0..120).map(|n| token(&format!("user-{n}"))).collect();
    fs::write(desk.path("tokens.json"), json!(tokens).to_string()).unwrap();
    let told = desk.run(&["import-tokens", "demo/hello", "@tokens.json", "--json"]).exits(0).json();
    assert_eq!(told["imported"], 120);
    let sizes: Vec<usize> =
        peer.seen().iter().map(|seen| seen.body["tokens"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[test]
fn what_is_no_list_of_tokens_is_not_sent() {
    let peer = Peer::with(|route, _, _| (route == LINE).then(|| refusal(400, "invalid_request", json!({}))));
    let desk = Desk::dev(&peer.url);
    for text in [
        "",
        "[]",
        "{}",
        "secret-4711",
        "{\"tokens\":1}",
        "{\"tokens\":[],\"x\":1}",
        "[{\"accessToken\":\"secret-4711\"",
    ] {
        fs::write(desk.path("tokens.json"), text).unwrap();
        let done = desk.run(&["import-tokens", "demo/hello", "@tokens.json"]).exits(2);
        assert!(!format!("{done:?}").contains("secret-4711"), "{text}: {done:?}");
    }
    let done = desk.run(&["import-tokens", "demo/hello", "[{\"accessToken\":\"secret-4711\"}]"]).exits(2);
    assert!(!done.err.contains("secret-4711"), "{done:?}");
    desk.run(&["import-tokens", "demo/hello", "@missing.json"]).exits(2);
    assert!(peer.seen().is_empty());
    fs::write(desk.path("tokens.json"), json!([token("alice")]).to_string()).unwrap();
    desk.run(&["import-tokens", "demo/hello", "@tokens.json"]).exits(2);
    assert_eq!(peer.seen().len(), 1, "refused by the server");
}
