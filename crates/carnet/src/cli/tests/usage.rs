//! What `usage` shows of a team's token requests.

use serde_json::{Value, json};

use super::Desk;
use super::peer::Peer;

fn answer(since: &str) -> Value {
    let month = |month: &str, requests: u64, cents: u64| json!({"month": month, "requests": requests, "estimatedCents": cents});
    json!({
        "plan": {"name": "pro", "included": 0, "price": {"cents": 300, "requests": 10_000}, "stops": false,
            "readsPerMinute": 200, "writesPerMinute": 50},
        "month": {"month": "2026-11", "requests": 12_345, "estimatedCents": 371, "resetsAt": 1_796_083_200_000_i64},
        "since": since,
        "months": [month("2026-09", 100, 3), month("2026-11", 12_345, 371)],
        "by": "project",
        "shares": [
            {"id": "prj_1", "name": "web", "requests": 12_000},
            {"id": "prj_2", "name": null, "requests": 344},
            {"id": null, "name": null, "requests": 101},
        ],
        "budget": {"requests": 12_000, "webhook": null, "reachedIn": "2026-11"},
    })
}

#[test]
fn usage_says_who_had_how_many_and_what_they_cost() {
    let peer = Peer::with(|route, _, _| match route {
        "GET /v1/usage" => Some((200, answer("2026-09"))),
        _ => None,
    });
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["usage", "--by", "project", "--since", "2026-09"]).exits(0);
    for says in [
        "Plan            pro",
        "Token requests  12345",
        "Estimated cost  $3.71",
        "Budget          12000, reached",
        "2026-09",
        "$0.03",
        "web",
        "(removed)",
        "(people, by access token)",
    ] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }
    let asked = peer.seen().into_iter().find(|seen| seen.line.starts_with("GET /v1/usage?")).unwrap().line;
    assert!(asked.contains("by=project") && asked.contains("since=2026-09"), "{asked}");
    let json = desk.run(&["usage", "--by", "project", "--since", "2026-09", "--json"]).exits(0).json();
    assert_eq!(json, answer("2026-09"));
    desk.run(&["usage", "--by", "week"]).exits(2);
}
