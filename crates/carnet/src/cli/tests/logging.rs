//! `audit verify` and `audit export`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::Desk;
use super::peer::Peer;

fn event(seq: i64) -> Value {
    json!({"seq": seq, "at": 1_784_065_923_000_i64 + seq * 86_400_000, "action": "token.issue", "target": "scl_1",
        "outcome": "denied", "requestId": "req_1", "actor": {"type": "user", "id": "usr_1"},
        "detail": {"code": "forbidden"}})
}

/// Two pages of the log.
fn peer() -> Peer {
    Peer::following(|line, _| {
        line.starts_with("GET /v1/audit?").then(|| {
            let page = if line.contains("after=0") {
                json!({"events": [event(1), event(2)], "next": 2})
            } else {
                json!({"events": [event(3)], "next": null})
            };
            (200, page)
        })
    })
}

#[test]
fn the_log_is_written_out_page_by_page() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let out = desk.run(&["audit", "export"]).exits(0).out;
    let seqs: Vec<i64> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
    let csv = desk.run(&["audit", "export", "--format", "csv", "--since", "2026-07-17"]).exits(0).out;
    assert_eq!(csv.lines().count(), 2, "headings and the third: {csv}");
    let ocsf = desk.run(&["audit", "export", "--format", "ocsf"]).exits(0).out;
    assert!(ocsf.lines().all(|line| line.contains("\"class_uid\":6003")), "{ocsf}");
    let done = desk.run(&["audit", "export", "-o", "log.jsonl", "--json"]).exits(0).json();
    assert_eq!(done["events"], 3);
    let path = desk.path("log.jsonl");
    assert_eq!(fs::read_to_string(&path).unwrap(), out);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (line, exit) in [
        (&["audit", "export", "-o", "log.jsonl"][..], 1),
        (&["audit", "export", "--json"], 2),
        (&["audit", "export", "--since", "yesterday"], 2),
        (&["audit", "export", "--format", "xml"], 2),
    ] {
        desk.run(line).exits(exit);
    }
}

#[test]
fn what_is_older_than_asked_for_is_not_fetched() {
    const LAST: i64 = 20_000;
    let peer = Peer::following(|line, _| {
        let query = line.strip_prefix("GET /v1/audit?")?;
        let asked = |name: &str| {
            let mut all = url::form_urlencoded::parse(query.as_bytes());
            all.find(|(known, _)| known == name).and_then(|(_, value)| value.parse::<i64>().ok())
        };
        let (limit, after) = (usize::try_from(asked("limit")?).unwrap(), asked("after").unwrap_or(LAST - 1));
        let events: Vec<Value> = (after + 1..=LAST).take(limit).map(event).collect();
        let next = events.last().filter(|_| events.len() == limit).map(|event| event["seq"].clone());
        Some((200, json!({"events": events, "next": next})))
    });
    let desk = Desk::dev(&peer.url);
    let since = jiff::Timestamp::from_second(1_784_065_923 + 19_990 * 86_400).unwrap().to_string();
    let out = desk.run(&["audit", "export", "--since", &since]).exits(0).out;
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((out.lines().count(), &first["seq"]), (11, &json!(19_990)));
    assert!(peer.seen().len() < 25, "{} requests", peer.seen().len());
    assert_eq!(desk.run(&["audit", "export", "--since", "2200-01-01"]).exits(0).out, "");
}

#[test]
fn what_is_rare_is_looked_for_further_back() {
    let peer = Peer::following(|line, _| {
        line.starts_with("GET /v1/audit?").then(|| {
            let page = if line.contains("before=9") {
                json!({"events": [event(3)], "next": null})
            } else {
                json!({"events": [], "next": 9})
            };
            (200, page)
        })
    });
    let desk = Desk::dev(&peer.url);
    let found = desk.run(&["audit", "tail", "--action", "token.issue", "--json"]).exits(0).json();
    assert_eq!((&found["events"][0]["seq"], &found["next"]), (&json!(3), &Value::Null));
}

#[test]
fn a_log_that_is_not_whole_is_a_failure_that_says_where() {
    let part = |altered: Value, next: Value| json!({"checked": 2, "last": 2, "whole": true, "gaps": [], "altered": altered, "erased": 0, "next": next});
    let peer = Peer::following(move |line, _| {
        let first = line.contains("after=0");
        line.starts_with("GET /v1/audit/verify")
            .then(|| (200, if first { part(json!([]), json!(2)) } else { part(json!([]), Value::Null) }))
    });
    let desk = Desk::dev(&peer.url);
    let said = desk.run(&["audit", "verify"]).exits(0).err;
    assert!(said.contains("4 events of all teams") && said.contains("Not looked at: who acted"), "{said}");
    let told = desk.run(&["audit", "verify", "--json"]).exits(0).json();
    assert_eq!((&told["checked"], &told["notLookedAt"][2]), (&json!(4), &json!("actor")));
    let peer = Peer::following(move |line, _| {
        line.starts_with("GET /v1/audit/verify").then(|| (200, part(json!([2]), Value::Null)))
    });
    let error = Desk::dev(&peer.url).run(&["audit", "verify", "--json"]).exits(1).json()["error"].clone();
    assert_eq!((&error["code"], &error["altered"]), (&json!("audit_damaged"), &json!([2])));
}
