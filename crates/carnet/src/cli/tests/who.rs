//! `explain`, `grants`, `installations`, `show`, `update`, `open`, `status`.

use std::fs;

use serde_json::{Value, json};

use super::peer::{Peer, connector, refusal};
use super::{CONNECTOR, Desk, PROJECT};

fn grant(id: &str, user: &str, state: &str) -> Value {
    json!({"id": id, "connectorId": CONNECTOR, "subject": {"type": "user", "id": user}, "environment": "production",
        "scopes": ["a"], "state": state, "refreshable": true, "lastUsedAt": 1_784_065_923_000_i64,
        "createdAt": 1_784_065_923_000_i64, "updatedAt": 1_784_065_923_000_i64, "installationId":
        "sci_0000000000000000000001"})
}

fn explained(allowed: bool) -> Value {
    let rule = |name: &str, outcome: &str| {
        json!({"rule": name, "asks": "is it so", "outcome": outcome,
            "next": [{"command": format!("carnet attach demo/hello # {name}"), "when": "to allow it"}]})
    };
    let refusal = json!({"code": "environment_not_linked", "message": "Not here."});
    let (second, third) = if allowed { ("passed", "passed") } else { ("denied", "not-reached") };
    json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "subject": {"type": "app"}, "allowed": allowed,
        "caller": {"type": "project", "id": PROJECT, "environment": "preview"},
        "decidedBy": if allowed { Value::Null } else { json!("second") },
        "refusal": if allowed { Value::Null } else { refusal },
        "rules": [rule("first", "passed"), rule("second", second), rule("third", third)], "identities": []})
}

fn peer() -> Peer {
    Peer::with(|route, _, _| {
        let by_id = format!("/v1/connect/connectors/{CONNECTOR}");
        let one = json!({"id": "sci_0000000000000000000001", "externalId": "T1", "name": "Acme",
            "createdAt": 1_784_065_923_000_i64, "updatedAt": 1_784_065_923_000_i64});
        let event = json!({"seq": 7, "at": 1_784_065_923_000_i64, "action": "token.issue", "target": CONNECTOR,
            "outcome": "failed", "requestId": "req_1", "actor": {"type": "system"},
            "detail": {"code": "provider_unavailable", "subject": "user:ada", "environment": "production"}});
        let known = match route {
            "GET /v1/connect/connectors/demo%2Fhello/explain" => explained(false),
            "GET /v1/connect/grants/grt_1" => grant("grt_1", "ada", "active"),
            "DELETE /v1/connect/grants/grt_1" => json!({"tokensFound": 1, "deleted": 1, "providerRevoked": 1,
                "providerSkipped": 0, "providerFailed": 0}),
            "GET /v1/audit" => json!({"events": [event], "next": null}),
            "GET /v1/connect/standing" => json!({"connectors": 1, "grants": 102, "states": [
                {"state": "active", "grants": 100}, {"state": "needs_consent", "cause": "expired", "grants": 2}],
                "needConsent": [{"uid": "demo/hello", "grant": grant("grt_2", "bob", "needs_consent")}]}),
            _ if route == format!("GET {by_id}") || route == format!("PATCH {by_id}") => {
                let mut known = connector();
                known["data"] = json!({"userAuthorization": {"enabled": true, "scopes": ["old"]}});
                known
            }
            "GET /v1/connect/connectors/demo%2Fhello" => {
                let mut known = connector();
                known["data"] = json!({"userAuthorization": {"enabled": true, "scopes": ["old"]}});
                known
            }
            _ if route == format!("GET {by_id}/grants") => json!({"grants": [grant("grt_1", "ada", "active"),
                grant("grt_2", "bob", "needs_consent")]}),
            _ if route == format!("GET {by_id}/installations") => json!({"installations": [one]}),
            _ if route == format!("POST {by_id}/installations") => return Some((201, one)),
            _ if route.starts_with(&format!("DELETE {by_id}/installations/")) => {
                return Some((204, Value::Null));
            }
            _ if route == format!("GET /connectors/{CONNECTOR}") => json!("a page"),
            _ => return None,
        };
        Some((200, known))
    })
}

#[test]
fn an_explanation_names_each_rule_and_the_command_that_changes_the_one_that_decided() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["explain", "demo/hello", "-e", "preview", "-s", "app", "--scopes", "a b"]).exits(6);
    let lines: Vec<_> = done.out.lines().collect();
    assert_eq!(lines[0], format!("no: {PROJECT} in preview asks demo/hello for a token of the application"));
    assert!(lines[2].starts_with("passed   first") && lines[3].starts_with("DENIED   second"), "{done:?}");
    assert!(lines[4].starts_with("–        third"), "{done:?}");
    assert_eq!(lines[5], "Not here.   [environment_not_linked]");
    assert_eq!(lines[6], "  fix: carnet attach demo/hello # second   to allow it");
    let asked = peer.seen()[0].line.clone();
    for part in [&format!("project={PROJECT}"), "environment=preview", "subject=app", "scopes=a+b"] {
        assert!(asked.contains(part), "{asked}");
    }
    let done = desk.run(&["explain", "demo/hello", "-e", "qa", "-s", "app"]).exits(6);
    assert!(done.out.contains(" in qa (preview) asks "), "as whoever asks calls it: {done:?}");
    let unsaid =
        desk.run(&["explain", "demo/hello", "-e", "preview", "-s", "user", "--json"]).exits(2).json();
    let command = "carnet explain demo/hello -e preview --subject user --user ID";
    assert_eq!(unsaid["error"]["next"][0]["command"], command, "{unsaid}");
    let document = desk.run(&["explain", "demo/hello", "--json"]).exits(6).json();
    assert_eq!(desk.run(&["connect", "explain", "demo/hello", "--json"]).exits(6).json(), document);
    assert_eq!(document["rules"].as_array().unwrap().len(), 3);
    assert_eq!(document["error"]["code"], "environment_not_linked");
    assert_eq!(document["error"]["next"][0]["command"], "carnet attach demo/hello # second");
    let peer = Peer::with(|route, _, _| route.contains("explain").then(|| (200, explained(true))));
    let done = Desk::dev(&peer.url).run(&["explain", "demo/hello"]).exits(0);
    assert!(done.out.starts_with("yes: ") && !done.out.contains("fix:"), "{done:?}");
}

#[test]
fn grants_are_listed_shown_and_revoked() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let all = desk.run(&["grants", "--json"]).exits(0).json()["grants"].clone();
    assert_eq!((all.as_array().unwrap().len(), &all[0]["uid"]), (2, &json!("demo/hello")));
    for (line, ids) in [
        (&["grants", "list", "demo/hello", "--user", "bob"][..], vec!["grt_2"]),
        (&["grants", "ls", "--state", "active"], vec!["grt_1"]),
        (&["grants", "list", "--unused", "30"], vec!["grt_1", "grt_2"]),
        (&["grants", "list", "--unused", "36500"], vec![]),
    ] {
        let done = desk.run(line).exits(0);
        let found: Vec<_> =
            done.out.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(found, ids, "{line:?}");
    }
    assert!(desk.run(&["grants", "show", "grt_1"]).exits(0).out.contains("User          ada"));
    assert_eq!(
        desk.run(&["grants", "show", "grt_9", "--json"]).exits(3).json()["error"]["next"][0]["command"],
        "carnet grants list"
    );
    desk.run(&["grants", "revoke", "grt_1"]).exits(2);
    let dry = desk.run(&["grants", "revoke", "grt_1", "--dry-run", "--json"]).exits(0).json();
    assert_eq!((&dry["dryRun"], &dry["grants"][0]["id"]), (&json!(true), &json!("grt_1")));
    assert!(!peer.lines().iter().any(|line| line.starts_with("DELETE")));
    let done = desk.run(&["grants", "revoke", "grt_1", "--yes", "--json"]).exits(0).json();
    assert_eq!((&done["revoked"], &done["providerRevoked"]), (&json!(true), &json!(1)));
}

#[test]
fn installations_are_listed_recorded_and_removed() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    assert!(desk.run(&["installations", "list", "demo/hello"]).exits(0).out.contains("Acme"));
    // How one is recorded is said where there is something to install, and nowhere else.
    for installs in [true, false] {
        let peer = Peer::with(move |route, _, _| {
            let mut known = connector();
            known["supportsInstallation"] = installs.into();
            match route {
                _ if route.ends_with("/installations") => Some((200, json!({"installations": []}))),
                "GET /v1/connect/connectors/demo%2Fhello" => Some((200, known)),
                _ => None,
            }
        });
        let done = Desk::dev(&peer.url).run(&["installations", "list", "demo/hello"]).exits(0);
        assert_eq!(done.err.contains("installations add demo/hello --external-id ID"), installs, "{done:?}");
    }
    desk.run(&["installations", "add", "demo/hello", "--tenant-id", "acme", "--default"]).exits(0);
    assert_eq!(
        peer.body(&format!("POST /v1/connect/connectors/{CONNECTOR}/installations")),
        json!({"tenantId": "acme", "default": true})
    );
    let dry = desk.run(&["installations", "rm", "demo/hello", "T1", "--dry-run", "--json"]).exits(0).json();
    assert_eq!((dry["grants"].as_array().unwrap().len(), &dry["dryRun"]), (2, &json!(true)));
    assert!(!peer.lines().iter().any(|line| line.starts_with("DELETE")));
    desk.run(&["installations", "rm", "demo/hello", "T1", "--yes"]).exits(0);
    assert!(peer.lines().iter().any(|line| line.ends_with("/installations/sci_0000000000000000000001")));
    let missing = desk.run(&["installations", "rm", "demo/hello", "T9", "--yes", "--json"]).exits(3).json();
    assert_eq!(missing["error"]["next"][0]["command"], "carnet installations list demo/hello");
}

#[test]
fn a_connector_is_shown_with_what_went_wrong_last() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["show", "demo/hello"]).exits(0);
    assert!(
        done.out.contains("100 active, 2 needs consent (expired)")
            && done.out.contains("provider_unavailable"),
        "{done:?}"
    );
    assert!(done.err.contains("carnet explain demo/hello"), "{done:?}");
    let document = desk.run(&["show", "demo/hello", "--json"]).exits(0).json();
    assert_eq!(document["lastErrors"][0]["detail"]["code"], "provider_unavailable");
    assert_eq!(
        (&document["grantCount"], &document["grantStates"][0]["state"]),
        (&json!(102), &json!("active"))
    );
    assert_eq!(document["next"], Value::Null, "that is all of them");
    // However many there are, it is one page of them, with the way on.
    let many = Peer::with(|route, _, _| {
        route.ends_with("/grants").then(|| (200, json!({"grants": [], "cursor": "more"})))
    });
    let document = Desk::dev(&many.url).run(&["show", "demo/hello", "--json"]).exits(0).json();
    assert_eq!(document["next"][0]["command"], "carnet grants list demo/hello --json");
    assert_eq!(many.lines().iter().filter(|line| line.ends_with("/grants")).count(), 1);
    // Whoever may not read the log is shown everything else.
    let peer =
        Peer::with(|route, _, _| (route == "GET /v1/audit").then(|| refusal(403, "forbidden", json!({}))));
    let document = Desk::dev(&peer.url).run(&["show", "demo/hello", "--json"]).exits(0).json();
    assert_eq!(document["lastErrors"], Value::Null);
}

#[test]
fn an_update_sends_what_changes_and_secrets_come_from_files() {
    let peer = peer();
    let desk = Desk::dev(&peer.url).typing("hush\n");
    let patch = format!("PATCH /v1/connect/connectors/{CONNECTOR}");
    let last =
        |peer: &Peer| peer.seen().into_iter().rfind(|seen| seen.line.starts_with(&patch)).unwrap().body;
    desk.run(&["update", "demo/hello", "--name", "New", "--accent-color", "#112233"]).exits(0);
    assert_eq!(last(&peer), json!({"name": "New", "accentColor": "#112233"}));
    let done = desk.run(&["connect", "update", "demo/hello", "--rotate-secret", "@-", "--json"]).exits(0);
    assert_eq!(last(&peer), json!({"data": {"clientSecret": "hush"}}));
    assert_eq!(done.json()["uid"], "demo/hello");
    fs::write(desk.path("secret"), "from-a-file\r\n").unwrap();
    desk.run(&["update", "demo/hello", "--rotate-secret", "@secret"]).exits(0);
    assert_eq!(last(&peer), json!({"data": {"clientSecret": "from-a-file"}}));
    desk.run(&["update", "demo/hello", "--default-scopes", "a,b", "--data", r#"{"x":null}"#]).exits(0);
    assert_eq!(
        last(&peer),
        json!({"data": {"x": null, "userAuthorization": {"enabled": true, "scopes": ["a", "b"]}}})
    );
    for line in [
        &["update", "demo/hello"][..],
        &["update", "demo/hello", "--rotate-secret", "hush"],
        &["update", "demo/hello", "--rotate-secret", "@missing"],
        &["update", "demo/hello", "--data", "[]"],
    ] {
        let done = desk.run(line).exits(2);
        assert!(!done.err.contains("hush") || line.len() == 2, "{done:?}");
    }
}

#[test]
fn a_page_is_opened_for_a_person_and_named_for_a_program() {
    let peer = peer();
    let page = format!("{}/connectors/{CONNECTOR}", peer.url);
    let desk = Desk::dev(&peer.url);
    assert_eq!(desk.run(&["open", "demo/hello"]).exits(0).out, format!("{page}\n"));
    assert_eq!(desk.run(&["open", "demo/hello", "--json"]).exits(0).json()["url"], page);
    let desk = desk.at_a_terminal("");
    assert_eq!(desk.run(&["open", "demo/hello", "--print"]).exits(0).out, format!("{page}\n"));
    let done = desk.run(&["open", "demo/hello"]).exits(0);
    assert!(done.out.is_empty() && done.err.contains(&page), "{done:?}");
    let peer = Peer::usual();
    let done = Desk::dev(&peer.url).run(&["open", "demo/hello"]).exits(0);
    assert_eq!(done.out, format!("{}/\n", peer.url), "a server without such pages has a first one");
}

#[test]
fn the_status_begins_with_what_needs_somebody() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["status"]).exits(0);
    assert!(done.out.starts_with("demo/hello: bob needs consent\n"), "{done:?}");
    assert!(done.out.contains("102, of which 2 need consent again"), "{done:?}");
    assert!(done.out.contains("and 1 more: carnet grants list --state needs_consent"), "{done:?}");
    let asked = peer.seen().iter().filter(|one| one.line.contains("/connect/")).count();
    assert_eq!(asked, 1, "however many there are");
    let document = desk.run(&["status", "--json"]).exits(0).json();
    assert_eq!((&document["ready"], &document["grants"]), (&json!(true), &json!(102)));
    assert_eq!(document["needConsent"][0]["grant"]["id"], "grt_2");
}
