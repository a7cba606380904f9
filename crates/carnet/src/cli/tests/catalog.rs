//! Finding services, and connecting one that is known.

use std::fs;

use serde_json::{Value, json};

use super::peer::{Peer, connector, refusal};
use super::{Desk, PROJECT};

fn service() -> Value {
    json!({"id": "zendesk", "name": "Zendesk", "description": "Tickets.", "categories": ["support"],
        "types": [{"type": "oauth"}, {"type": "api-key"}], "verified": "unverified", "checked": "2026-11-30",
        "env": "ZENDESK_API_TOKEN", "hosts": ["*.zendesk.com"], "badge": "Unverified",
        "scopes": [{"scope": "write", "description": "Create, change and delete tickets"}],
        "connectionMethods": [
            {"connectionMethod": "oauth", "label": "OAuth app", "verified": "unverified", "create": {"managed": false, "manual": true},
                "settingsUrl": "https://www.zendesk.com/login/", "instructions": "Add a client.\nEnter the redirect URI.",
                "type": {"type": "oauth", "createInputSchema": {"required": ["clientId"]}}, "needs": ["clientId", "bot.token"],
                "templateFields": [{"key": "subdomain", "label": "Subdomain", "placeholder": "acme"}],
                "refresh": {"class": "unknown"}},
            {"connectionMethod": "mcp", "label": "MCP server", "create": {"managed": true, "manual": true},
                "type": {"type": "oauth"}}]})
}

fn peer() -> Peer {
    Peer::with(|route, body, _| match route {
        "GET /v1/connect/services" => Some((
            200,
            json!({"services": [
            {"id": "zendesk", "name": "Zendesk", "methods": ["oauth", "mcp"], "categories": ["support"],
                "verified": "unverified"},
            {"id": "slack", "name": "Slack", "methods": ["oauth"], "categories": ["communication"], "verified": "read"}]}),
        )),
        "GET /v1/connect/services/zendesk" => Some((200, service())),
        "POST /v1/connect/connectors" if body["data"]["clientId"].is_null() => {
            let next =
                json!([{"command": "https://www.zendesk.com/login/", "when": "to register a client there"}]);
            Some(refusal(422, "invalid_connector", json!({"field": "data.clientId", "next": next})))
        }
        "POST /v1/connect/connectors" if body["params"].is_null() => {
            Some(refusal(400, "invalid_request", json!({"field": "params.subdomain"})))
        }
        "POST /v1/connect/connectors" | "POST /v1/connect/connectors/managed" => {
            let mut made = connector();
            made["service"] = "zendesk".into();
            Some((201, made))
        }
        _ => None,
    })
}

#[test]
fn services_are_a_table_or_a_document_and_an_unverified_one_is_marked() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["catalog", "search", "help", "desk", "--category", "support"]).exits(0);
    assert_eq!(
        done.out,
        "Service  Name     Methods     Categories     Facts\n\
         zendesk  Zendesk  oauth, mcp  support        unverified\n\
         slack    Slack    oauth       communication  read, not tried\n"
    );
    let sent = peer.seen().pop().unwrap().line;
    assert!(sent.contains("search=help+desk") || sent.contains("search=help%20desk"), "{sent}");
    assert!(sent.contains("category=support"), "{sent}");
    let document = desk.run(&["catalog", "search", "--json"]).exits(0).json();
    assert_eq!(document["services"][0]["verified"], "unverified");
}

#[test]
fn a_service_is_shown_with_its_ways_and_what_its_scopes_allow() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["catalog", "show", "zendesk"]).exits(0);
    for line in [
        "Facts       unverified: nobody has tried them (2026-11-30)",
        "Variable    ZENDESK_API_TOKEN",
        "oauth: OAuth app",
        "carnet create zendesk --connection-method oauth --param subdomain=acme --data @client.json",
        "carnet create zendesk --connection-method mcp\n",
        "  Enter the redirect URI.",
        "not known; a refresh token is taken to work once",
        "write  Create, change and delete tickets",
    ] {
        assert!(done.out.contains(line), "{line}: {}", done.out);
    }
    let document = desk.run(&["catalog", "show", "zendesk", "--json"]).exits(0).json();
    assert_eq!(document["connectionMethods"][0]["templateFields"][0]["placeholder"], "acme");
    assert_eq!(document["hosts"], json!(["*.zendesk.com"]));
    let error = desk.run(&["catalog", "show", "nobody", "--json"]).exits(3).json()["error"].clone();
    assert_eq!(
        (&error["code"], &error["next"][0]["command"]),
        (&json!("not_found"), &json!("carnet catalog search"))
    );
}

#[test]
fn of_several_ways_one_has_to_be_named() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["create", "zendesk", "-n", "help"]).exits(2);
    assert!(
        done.err.contains(
            "fix: carnet create zendesk --name help --connection-method oauth --param subdomain=acme"
        ),
        "{done:?}"
    );
    assert!(done.err.contains("fix: carnet create zendesk --name help --connection-method mcp"), "{done:?}");
    desk.run(&["create", "zendesk", "-n", "help", "--connection-method", "smoke"]).exits(2);
    assert!(peer.seen().iter().all(|sent| !sent.line.starts_with("POST")));
}

#[test]
fn what_is_filled_in_and_brought_is_sent_and_what_is_left_to_do_is_said() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path("client.json"), r#"{"clientId":"id","clientSecret":"hush"}"#).unwrap();
    let line =
        ["create", "zendesk", "-n", "help", "--connection-method", "oauth", "--param", "subdomain=acme"];
    let done = desk.run(&[&line[..], &["--data", "@client.json"]].concat()).exits(0);
    assert_eq!(
        peer.body("POST /v1/connect/connectors"),
        json!({"service": "zendesk", "name": "help", "projectId": PROJECT, "connectionMethod": "oauth",
            "params": {"subdomain": "acme"}, "data": {"clientId": "id", "clientSecret": "hush"}})
    );
    assert!(done.err.contains("Redirect URI to enter at https://www.zendesk.com/login/: http"), "{done:?}");
    assert!(done.err.contains("warning: Nobody has tried what the catalog says of zendesk"), "{done:?}");

    let refused = desk.run(&[&line[..], &["--json"]].concat()).json()["error"]["next"].clone();
    assert_eq!(refused[0]["command"], "https://www.zendesk.com/login/");
    // What comes next is said as a whole line, with what has to be in the file.
    assert_eq!(
        refused[1],
        json!({"command": "carnet create zendesk --name help --connection-method oauth --param subdomain=acme --data @FILE",
            "when": "with {\"bot\":{\"token\":\"…\"},\"clientId\":\"…\"} in the file"})
    );

    // Who brings a client and forgets what has to be filled in is told the whole line too.
    let refused = desk.run(&[&line[..6], &["--data", "@client.json", "--json"]].concat());
    assert_eq!(
        refused.json()["error"]["next"][0],
        json!({"command": "carnet create zendesk --name help --connection-method oauth --param subdomain=acme --data @FILE",
            "when": "with a value of your own and the same data"})
    );

    desk.run(&["create", "zendesk", "-n", "help", "--connection-method", "mcp"]).exits(0);
    assert_eq!(
        peer.body("POST /v1/connect/connectors/managed?autoinstall=true"),
        json!({"service": "zendesk", "name": "help", "projectId": PROJECT, "connectionMethod": "mcp"})
    );
    let schema =
        desk.run(&["create", "zendesk", "--connection-method", "oauth", "--data", ""]).exits(0).json();
    assert_eq!(schema, json!({"required": ["clientId"]}));
    desk.run(&["create", "zendesk", "--connection-method", "oauth", "--param", "subdomain"]).exits(2);
}

#[test]
fn a_key_comes_from_a_file_or_by_stdin_and_never_on_the_line() {
    let peer = peer();
    let desk = Desk::dev(&peer.url).typing("k-secret\n");
    let line = ["create", "zendesk", "-n", "help", "--connection-method", "oauth", "--key"];
    let last = || peer.seen().pop().unwrap().body["data"].clone();
    desk.run(&[&line[..], &["@-"]].concat());
    assert_eq!(last(), json!({"values": [{"value": "k-secret"}]}));
    fs::write(desk.path("key"), " k-file \n").unwrap();
    desk.run(&[&line[..], &["@key"]].concat());
    assert_eq!(last(), json!({"values": [{"value": "k-file"}]}));
    let sent = peer.seen().len();
    for (key, part) in [("k-secret", "shell's history"), ("@none", "cannot be read"), ("@two", "one line")] {
        fs::write(desk.path("two"), "a\nb").unwrap();
        let refused = desk.run(&[&line[..], &[key]].concat()).exits(2);
        assert!(refused.err.contains(part) && !refused.err.contains("k-secret"), "{refused:?}");
    }
    assert_eq!(peer.seen().len(), sent);
}

#[test]
fn the_help_for_a_service_says_what_that_service_takes() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    for line in [&["create", "zendesk", "--help"][..], &["connect", "create", "zendesk", "-h"]] {
        let done = desk.run(line).exits(0);
        for said in [
            "--connection-method",
            "oauth: OAuth app",
            "--param subdomain=acme",
            "carnet create zendesk --connection-method mcp",
            "carnet catalog show zendesk",
        ] {
            assert!(done.out.contains(said), "{line:?} says nothing of {said}: {done:?}");
        }
    }
    // Without a server, or of other things, there is the help alone.
    let alone = Desk::bare().run(&["create", "zendesk", "--help"]).exits(0);
    assert!(alone.out.contains("Usage: carnet create"), "{alone:?}");
    let done = desk.run(&["create", "--help"]).exits(0);
    assert!(!done.out.contains("catalog show"), "{done:?}");
    let done = desk.run(&["teams", "create", "zendesk", "--help"]).exits(0);
    assert!(!done.out.contains("catalog show"), "{done:?}");
}
