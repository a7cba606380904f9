//! `run`: what the child gets, and that nobody else does.

use std::fs;

use serde_json::json;

use super::peer::{Peer, connector, issued, refusal};
use super::{CONNECTOR, Desk, PROJECT, TEAM};

const SHOW: &str = "env | grep -E '^(CARNET_TOKEN_|DEMO_|MINE)' | sort > seen; exit 7";

/// Knows the variable of the service, and a second connector that has none.
fn peer() -> Peer {
    Peer::with(|route, _, _| match route {
        "GET /v1/connect/connectors/demo%2Fhello" => {
            let mut known = connector();
            known["tokenVariable"] = "DEMO_TOKEN".into();
            Some((200, known))
        }
        "GET /v1/connect/connectors/keys%2Fa-b" => {
            let mut other = connector();
            other["uid"] = "keys/a-b".into();
            other["tokenVariable"] = "LD_PRELOAD".into();
            Some((200, other))
        }
        "POST /v1/connect/token/keys%2Fa-b" => {
            let mut token = issued();
            token["token"] = "other-token".into();
            Some((200, token))
        }
        _ => None,
    })
}

#[test]
fn a_command_gets_a_token_in_the_variable_that_its_tools_read_and_its_exit_code_is_passed_on() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let line = ["run", "-c", "demo/hello", "-c", "keys/a-b", "--", "sh", "-c", SHOW];
    let done = desk.run(&line).exits(7);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
    let seen = fs::read_to_string(desk.path("seen")).unwrap();
    assert_eq!(seen, "CARNET_TOKEN_KEYS_A_B=other-token\nDEMO_TOKEN=demo-token\n");
    let line = ["run", "-c", "MINE=demo/hello", "--", "sh", "-c", SHOW];
    desk.run(&line).exits(7);
    assert_eq!(fs::read_to_string(desk.path("seen")).unwrap(), "MINE=demo-token\n");
}

#[test]
fn a_token_that_is_to_be_used_at_once_goes_into_one_command_and_is_printed_nowhere() {
    let peer = peer();
    let mut desk = Desk::dev(&peer.url);
    // A coding agent may do that as well: it sees nothing of it.
    desk.agent = Some("CLAUDECODE");
    for group in [&[][..], &["connect"]] {
        let line = [group, &["token", "demo/hello", "-s", "app", "--exec", "sh", "-c", SHOW]].concat();
        let done = desk.run(&line).exits(7);
        assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
        assert_eq!(fs::read_to_string(desk.path("seen")).unwrap(), "DEMO_TOKEN=demo-token\n");
        fs::remove_file(desk.path("seen")).unwrap();
    }
    desk.run(&["token", "demo/hello", "--header", "--exec", "true"]).exits(2);
    desk.run(&["token", "demo/hello", "--exec"]).exits(2);
}

#[test]
fn a_coding_agent_may_run_what_it_may_not_read() {
    let peer = peer();
    let mut desk = Desk::dev(&peer.url);
    desk.agent = Some("CLAUDECODE");
    let done = desk.run(&[
        "run",
        "--mask",
        "-c",
        "demo/hello",
        "--",
        "sh",
        "-c",
        "echo got $DEMO_TOKEN; echo \"$DEMO_TOKEN\" >&2; exit 3",
    ]);
    let done = done.exits(3);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("got ***\n", "***\n"));
}

#[test]
fn an_environment_means_the_linked_project_there() {
    let peer = Peer::with(|route, _, _| {
        (route == format!("POST /v1/projects/{PROJECT}/token")).then(|| (200, json!({"token": "x.y.z"})))
    });
    let desk = Desk::dev(&peer.url);
    desk.run(&["run", "-e", "development", "-c", "demo/hello", "-s", "app", "--", "true"]).exits(0);
    assert_eq!(
        peer.body(&format!("POST /v1/projects/{PROJECT}/token")),
        json!({"environment": "development"})
    );
    let asked = peer.seen().into_iter().find(|seen| seen.line.starts_with("POST /v1/connect/token")).unwrap();
    assert_eq!(asked.bearer, "Bearer x.y.z");
    assert!(!asked.line.contains(TEAM), "a workload names no team: {}", asked.line);
}

#[test]
fn what_cannot_be_run_says_why_and_what_to_do() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    for (line, exit, says) in [
        (&["run", "-c", "demo/hello", "--", "no-such-program-here"][..], 3, "command_failed"),
        (&["run", "--mask", "-c", "demo/hello", "--", "no-such-program-here"], 3, "command_failed"),
        (&["run", "-c", "demo/hello", "-c", "demo/hello", "--", "true"], 2, "usage"),
        (&["run", "-c", "1x=demo/hello", "--", "true"], 2, "usage"),
        (&["run", "-c", "demo/hello"], 2, "usage"),
        (&["run", "--", "true"], 2, "usage"),
        (&["run", "-c", "demo/hello", "-s", "app", "--user", "a", "--", "true"], 2, "usage"),
        (&["run", "-c", "nope/x", "--", "true"], 3, "not_found"),
    ] {
        let done = desk.run(line).exits(exit);
        assert!(done.out.is_empty(), "{done:?}");
        let json = [&["--json"], line].concat();
        let error = desk.run(&json).exits(exit).json()["error"].clone();
        assert_eq!(error["code"], says, "{line:?}");
        assert!(error["next"][0]["command"].is_string(), "{error}");
    }
    // A consent that is missing is told with the command that asks for it.
    let peer = Peer::with(|route, _, _| {
        let url = json!({"authorizationUrl": "https://carnet.example/authorize/car_9"});
        route.starts_with("POST /v1/connect/token").then(|| refusal(422, "user_authorization_required", url))
    });
    let done = Desk::dev(&peer.url).run(&["run", "-c", "demo/hello", "--", "true"]).exits(5);
    assert!(done.err.contains("fix: carnet token demo/hello --yes"), "{done:?}");
    assert!(!peer.lines().iter().any(|line| line.contains(CONNECTOR)));
}
