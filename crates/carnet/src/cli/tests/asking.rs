//! `token`: what is printed, what is asked of a person, and with which code a command ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::peer::{Peer, issued, refusal};
use super::{CONNECTOR, Desk, TOKEN};

const ASK: &str = "POST /v1/connect/token/demo%2Fhello";

#[test]
fn a_token_is_printed_and_nothing_else() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["token", "demo/hello"]).exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("demo-token\n", ""));
    assert_eq!(peer.lines(), [ASK], "one request is enough");
    assert_eq!(peer.seen()[0].bearer, format!("Bearer {TOKEN}"));
    assert_eq!(peer.body(ASK), json!({"scopes": ["*"]}));
}

#[test]
fn json_is_the_servers_answer_unchanged() {
    let peer = Peer::usual();
    let done = Desk::dev(&peer.url).run(&["connect", "token", "demo/hello", "--json"]).exits(0);
    assert_eq!(done.out.trim_end(), issued().to_string());
}

#[test]
fn a_coding_agent_gets_a_token_only_if_it_is_told_to_print_it() {
    let peer = Peer::usual();
    let mut desk = Desk::dev(&peer.url);
    desk.agent = Some("CLAUDECODE");
    let done = desk.run(&["token", "demo/hello"]).exits(6);
    assert!(
        done.out.is_empty() && done.err.contains("--print") && done.err.contains("CLAUDECODE"),
        "{done:?}"
    );
    assert_eq!(
        desk.run(&["token", "demo/hello", "--json"]).exits(6).json()["error"]["code"],
        "agent_reads_along"
    );
    assert!(peer.lines().is_empty());
    assert_eq!(desk.run(&["token", "demo/hello", "--print"]).exits(0).out, "demo-token\n");
}

#[test]
fn the_exit_code_follows_from_the_code_of_the_error() {
    for (status, code, exit) in [
        (404, "not_found", 3),
        (401, "unauthorized", 4),
        (422, "client_installation_required", 5),
        (422, "connector_installation_required", 5),
        (403, "forbidden", 6),
        (403, "environment_not_linked", 6),
        (409, "conflict", 7),
        (429, "rate_limited", 8),
        (503, "provider_unavailable", 8),
        (503, "store_unavailable", 8),
        (422, "no_token", 1),
        (422, "invalid_scope", 1),
        (400, "invalid_request", 2),
        (500, "internal", 1),
        (418, "of_a_later_version", 1),
        (503, "of_a_later_version", 8),
    ] {
        let peer = Peer::with(move |_, _, _| Some(refusal(status, code, json!({}))));
        let desk = Desk::dev(&peer.url);
        let done = desk.run(&["token", "demo/hello"]).exits(exit);
        assert!(done.out.is_empty());
        let lines: Vec<_> = done.err.lines().collect();
        assert_eq!(lines[0], format!("error: No, because of {code}.   [{code}]"));
        assert!(lines[1].starts_with("  fix: carnet "), "{done:?}");
        let error = desk.run(&["token", "demo/hello", "--json"]).exits(exit).json()["error"].clone();
        assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)));
        assert!(error["next"][0]["command"].is_string());
    }
}

#[test]
fn the_servers_own_advice_is_passed_on() {
    let next =
        json!({"next": [{"command": "carnet attach demo/hello -e preview", "when": "to allow preview"}]});
    let peer = Peer::with(move |_, _, _| Some(refusal(403, "environment_not_linked", next.clone())));
    let done = Desk::dev(&peer.url).run(&["token", "demo/hello"]).exits(6);
    assert!(done.err.contains("  fix: carnet attach demo/hello -e preview   to allow preview\n"), "{done:?}");
}

#[test]
fn what_a_server_says_cannot_move_the_cursor() {
    let peer = Peer::with(|_, _, _| {
        Some((403, json!({"error": {"code": "forbidden", "message": "\u{1b}[2Jok\r\n"}})))
    });
    let done = Desk::dev(&peer.url).run(&["token", "demo/hello"]).exits(6);
    assert!(!done.err.contains('\u{1b}') && !done.err.contains('\r'), "{done:?}");
}

#[test]
fn nobody_there_exits_with_9_and_names_the_command_that_starts_a_server() {
    let done = Desk::dev("http://127.0.0.1:1").run(&["token", "demo/hello"]).exits(9);
    assert!(done.err.contains("[unreachable]") && done.err.contains("fix: carnet dev"), "{done:?}");
}

/// Refuses until consent was given at the page.
fn consenting(answers: &'static [&'static str]) -> Peer {
    let visits = AtomicUsize::new(0);
    let polls = AtomicUsize::new(0);
    Peer::with(move |route, body, url| match route {
        ASK if visits.load(Ordering::SeqCst) == 0 || body.get("installationId").is_none() => {
            Some(refusal(422, "user_authorization_required", json!({})))
        }
        "POST /v1/connect/authorize/demo%2Fhello" => Some((
            200,
            json!({"url": format!("{url}/authorize/car_1"), "request": "car_1", "verifier": "v-secret",
                "expiresAt": 253_402_300_799_999_i64, "connector": {"id": CONNECTOR, "uid": "demo/hello",
                "type": "oauth", "name": "Hello"}}),
        )),
        "GET /authorize/car_1" => {
            visits.fetch_add(1, Ordering::SeqCst);
            Some((200, json!("a page")))
        }
        "GET /v1/connect/result/v-secret" => {
            let at = polls.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            match answers[at] {
                "absent" => Some(refusal(404, "not_found", json!({}))),
                "down" => Some(refusal(503, "unavailable", json!({}))),
                text => Some((200, serde_json::from_str::<Value>(text).unwrap())),
            }
        }
        _ => None,
    })
}

const SUCCESS: &str = r#"{"status":"success","data":{"clientId":"scl_1","installationId":"sci_1"}}"#;
const PARTIAL: &str = r#"{"status":"partial","progress":"Installing","data":{"clientId":"scl_1"}}"#;

#[test]
fn without_a_person_the_page_to_open_is_named_and_the_exit_code_is_5() {
    let peer = consenting(&[SUCCESS]);
    let desk = Desk::dev(&peer.url);
    let page = format!("{}/authorize/car_1", peer.url);
    let error = desk.run(&["token", "demo/hello", "--json"]).exits(5).json()["error"].clone();
    assert_eq!(error["code"], "user_authorization_required");
    assert_eq!(error["next"][0]["command"], page);
    assert_eq!(error["next"][1]["command"], "carnet token demo/hello --yes");
    let done = desk.run(&["token", "demo/hello"]).exits(5);
    assert!(done.out.is_empty() && done.err.contains(&format!("fix: {page}")), "{done:?}");
    assert!(!peer.lines().iter().any(|line| line.contains("result") || line.starts_with("GET /authorize")));
}

#[test]
fn a_page_that_the_refusal_names_needs_no_second_request() {
    let url = json!({"authorizationUrl": "https://carnet.example/authorize/car_9"});
    let peer = Peer::with(move |_, _, _| Some(refusal(422, "user_authorization_required", url.clone())));
    let error = Desk::dev(&peer.url).run(&["token", "demo/hello", "--json"]).exits(5).json()["error"].clone();
    assert_eq!(error["next"][0]["command"], "https://carnet.example/authorize/car_9");
    assert_eq!(peer.lines(), [ASK]);
}

#[test]
fn with_yes_the_browser_opens_and_the_token_comes_after_consent() {
    let peer = consenting(&["absent", r#"{"status":"pending"}"#, "down", PARTIAL, PARTIAL, SUCCESS]);
    let done = Desk::dev(&peer.url).run(&["token", "demo/hello", "-s", "user", "--yes"]).exits(0);
    assert_eq!(done.out, "demo-token\n");
    assert_eq!(done.err.matches("Installing").count(), 1, "{done:?}");
    assert!(!done.err.contains("v-secret"));
    let lines = peer.lines();
    assert!(lines.contains(&"GET /authorize/car_1".to_owned()));
    assert_eq!(
        peer.body("POST /v1/connect/authorize"),
        json!({"subject": {"type": "user"}, "scopes": ["*"]})
    );
    let last = peer.seen().pop().unwrap();
    assert_eq!(last.body, json!({"subject": {"type": "user"}, "scopes": ["*"], "installationId": "sci_1"}));
}

#[test]
fn a_person_is_asked_first() {
    let peer = consenting(&[SUCCESS]);
    let desk = Desk::dev(&peer.url).at_a_terminal("\n");
    let done = desk.run(&["token", "demo/hello"]).exits(0);
    assert!(done.out == "demo-token\n" && done.err.contains("in your browser? (Y/n)"), "{done:?}");
    let peer = consenting(&[SUCCESS]);
    let done = Desk::dev(&peer.url).at_a_terminal("n\n").run(&["token", "demo/hello"]).exits(5);
    assert!(done.out.is_empty() && !peer.lines().contains(&"GET /authorize/car_1".to_owned()), "{done:?}");
    let peer = consenting(&[SUCCESS]);
    let desk = Desk::dev(&peer.url).at_a_terminal("y\n");
    let done = desk.run(&["token", "demo/hello", "--non-interactive"]).exits(5);
    assert!(!done.err.contains("(Y/n)"), "{done:?}");
}

#[test]
fn a_consent_that_does_not_come_is_said_so() {
    for (answers, code) in [
        (&[r#"{"status":"canceled"}"#][..], "canceled"),
        (&[r#"{"status":"error","error":{"code":"access_denied","message":"No."}}"#][..], "access_denied"),
        (&["absent"][..], "expired"),
    ] {
        let peer = consenting(answers);
        let done = Desk::dev(&peer.url).run(&["token", "demo/hello", "--yes", "--json"]).exits(5);
        assert_eq!(done.json()["error"]["code"], code);
    }
}

#[test]
fn a_workload_is_told_the_page_because_only_people_can_wait_for_it() {
    let peer = consenting(&[SUCCESS]);
    let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", "a.b.c");
    desk.run(&["token", "demo/hello", "--yes", "--json"]).exits(5);
    assert_eq!(peer.seen()[0].bearer, "Bearer a.b.c");
    assert_eq!(peer.seen()[0].line, ASK, "a workload names no team");
}

#[test]
fn a_page_that_is_not_of_the_web_is_never_opened() {
    let peer = Peer::with(|route, _, _| match route {
        "POST /v1/connect/authorize/demo%2Fhello" => {
            Some((200, json!({"url": "file:///etc/passwd", "request": "car_1", "verifier": "v"})))
        }
        _ => Some(refusal(422, "user_authorization_required", json!({}))),
    });
    let done = Desk::dev(&peer.url).run(&["token", "demo/hello", "--yes"]).exits(1);
    assert!(done.err.contains("[unexpected_answer]") && !done.err.contains("passwd"), "{done:?}");
}
