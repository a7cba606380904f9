//! Making connectors and projects, linking folders, pulling variables, and looking around.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::peer::{Peer, connector, project, refusal};
use super::{CONNECTOR, Desk, PROJECT, TEAM, TOKEN, USER};

#[test]
fn a_managed_service_needs_no_more_than_its_name() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["connect", "create", "demo", "-n", "hello"]).exits(0);
    assert!(done.out.is_empty());
    assert!(
        done.err.starts_with(&format!("> Success! demo connector created: {CONNECTOR} (UID demo/hello)\n")),
        "{done:?}"
    );
    assert_eq!(
        peer.body("POST /v1/connect/connectors/managed?autoinstall=true"),
        json!({"service": "demo", "name": "hello", "projectId": PROJECT})
    );
    assert_eq!(
        desk.run(&["create", "demo", "--json"]).exits(0).json(),
        json!({"id": CONNECTOR, "uid": "demo/hello", "type": "oauth", "name": "Hello",
            "supportedSubjectTypes": ["app", "user"], "icon": null, "backgroundColor": null, "accentColor": null,
            "service": "demo", "connectionMethod": null, "target": null})
    );
}

#[test]
fn a_connector_is_given_its_icon_and_colours() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path("icon.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    fs::write(desk.path("icon.svg"), "<svg/>").unwrap();
    let colors = ["--background-color", "#4A154B", "--accent-color", "#ffffff"];
    let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    desk.run(&[&["create", "demo", "-n", "x", "--icon", "icon.png"][..], &colors].concat()).exits(0);
    let sent = peer.body("POST /v1/connect/connectors/managed");
    assert_eq!(
        (&sent["icon"], &sent["backgroundColor"], &sent["accentColor"]),
        (&json!(sha1), &json!("#4A154B"), &json!("#ffffff"))
    );
    desk.run(&["update", "demo/hello", "--icon", "icon.png"]).exits(3);
    let change = peer.seen().pop().unwrap();
    assert_eq!((change.line.starts_with("PATCH "), change.body), (true, json!({"icon": sha1})));
    let before = peer.lines().len();
    for (line, said) in [
        (&["create", "demo", "-n", "x", "--icon", "icon.svg"][..], "neither a PNG nor a JPEG"),
        (&["create", "demo", "-n", "x", "--icon", "absent.png"], "cannot be read"),
        (&["update", "demo/hello", "--icon", "icon.svg"], "neither a PNG nor a JPEG"),
        (&["update", "demo/hello", "--accent-color", "red"], "#RRGGBB"),
    ] {
        let done = desk.run(line).exits(2);
        assert!(done.err.contains(said) && done.err.contains("fix: "), "{done:?}");
    }
    assert_eq!(peer.lines().len(), before, "nothing was asked for what cannot be");
}

#[test]
fn data_makes_a_connector_of_the_given_or_the_usual_type() {
    let peer = Peer::with(|route, _, _| {
        let types = json!({"types": [{"type": "api-key", "createInputSchema": {"required": ["values"]}}]});
        (route == "GET /v1/connect/services/keys").then_some((200, types))
    });
    let desk = Desk::dev(&peer.url).typing(r#"{"clientId":"x","clientSecret":"hush"}"#);
    fs::write(desk.path("data.json"), r#"{"values":[{"value":"hush"}]}"#).unwrap();
    for (line, kind) in [
        (&["create", "https://mcp.example.com/mcp", "-n", "m", "--data", "@-"][..], "oauth"),
        (&["create", "keys", "-n", "m", "--data", "@data.json"], "api-key"),
        (&["create", "x.example", "-n", "m", "--data", "@-", "--connector-type", "oauth"], "oauth"),
    ] {
        let done = desk.run(line).exits(0);
        assert!(!done.err.contains("warning") && !done.err.contains("hush"), "{done:?}");
        let sent = peer.seen().pop().unwrap();
        assert!(sent.line.starts_with("POST /v1/connect/connectors?"), "{sent:?}");
        assert_eq!((&sent.body["type"], &sent.body["service"]), (&json!(kind), &json!(line[1])));
        assert!(sent.body["data"].to_string().contains("hush"));
    }
    assert!(peer.lines().contains(&"GET /v1/connect/services/https:%2F%2Fmcp.example.com%2Fmcp".to_owned()));
    let schema = desk.run(&["create", "keys", "--data", ""]).exits(0).json();
    assert_eq!(schema, json!({"required": ["values"]}));
    desk.run(&["create", "unknown", "--data", ""]).exits(2);
}

#[test]
fn a_secret_on_the_command_line_is_warned_of_and_never_repeated() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["create", "demo", "--data", r#"{"clientSecret":"hush"}"#]).exits(0);
    assert!(done.err.contains("warning: `clientSecret`") && done.err.contains("--data @-"), "{done:?}");
    let line = ["create", "demo", "--data", r#"{"clientSecret":"hush"}"#, "--json"];
    assert_eq!(desk.run(&line).exits(0).json()["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(desk.run(&["create", "demo", "--json"]).exits(0).json().get("warnings"), None);
    let gone = Peer::with(|_, _, _| Some(refusal(503, "unavailable", json!({}))));
    let told = Desk::dev(&gone.url).run(&line).exits(8).json();
    assert!(told["warnings"].is_array() && told["error"]["code"] == "unavailable", "{told}");
    for bad in ["{\"clientSecret\":\"hush\"", "[\"hush\"]", "hush"] {
        let done = desk.run(&["create", "demo", "--data", bad, "--json"]).exits(2);
        assert!(!format!("{done:?}").contains("hush"), "{done:?}");
    }
    desk.run(&["create", "demo", "--data", "@absent.json"]).exits(2);
}

#[test]
fn what_the_provider_did_not_speak_about_is_warned_of() {
    let peer = Peer::with(|route, _, _| {
        let mut made = connector();
        made["data"] = json!({"notChecked": ["clientSecret"]});
        (route.starts_with("POST /v1/connect/connectors")).then_some((201, made))
    });
    let desk = Desk::dev(&peer.url);
    let line = ["create", "snowflake", "-n", "lab", "--connector-type", "snowflake", "--data", "{}"];
    let done = desk.run(&line).exits(0);
    assert!(done.err.contains("did not say whether these are right: clientSecret"), "{done:?}");
    // Who reads the document alone is told the same.
    let told = desk.run(&[&line[..], &["--json"]].concat()).exits(0).json();
    let warnings = told["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("clientSecret"), "{told}");
    assert_eq!(told["id"], CONNECTOR, "{told}");
}

#[test]
fn a_connector_without_project_needs_a_name() {
    let peer = Peer::usual();
    let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_TOKEN", TOKEN);
    let done = desk.run(&["create", "demo"]).exits(2);
    assert!(done.err.contains("fix: carnet create demo --name NAME") && peer.lines().is_empty(), "{done:?}");
    desk.run(&["create", "demo", "--name", "x"]).exits(0);
}

#[test]
fn a_service_that_is_not_managed_says_how_it_can_be_made() {
    let refuse = |code: &'static str, more: Value| {
        Peer::with(move |route, _, _| route.starts_with("POST").then(|| refusal(422, code, more.clone())))
    };
    let peer = refuse("invalid_connector", json!({}));
    let done = Desk::dev(&peer.url).run(&["create", "slack"]).exits(1);
    assert!(done.err.contains("fix: carnet create slack --data @FILE"), "{done:?}");
    let line = ["create", "https://mcp.example.com/mcp", "-n", "my tools"];
    let done = Desk::dev(&peer.url).run(&line).exits(1);
    let step = "fix: carnet create https://mcp.example.com/mcp --name 'my tools' --data @FILE";
    assert!(done.err.contains(step), "{done:?}");
    let peer = refuse("registration_required", json!({"registerUrl": "https://carnet.example/register"}));
    let error = Desk::dev(&peer.url).run(&["create", "slack", "--json"]).exits(5).json()["error"].clone();
    assert_eq!(error["next"][0]["command"], "https://carnet.example/register");
}

#[test]
fn a_list_is_a_table_or_a_document() {
    let peer = Peer::with(|route, _, _| {
        (route == "GET /v1/connect/connectors").then(|| {
            let mut one = connector();
            one["includes"] = json!({"projects": {"hasMore": true, "items": [
                {"projectId": PROJECT, "project": {"id": PROJECT, "name": "my-app"}}, {"projectId": "gone"}]}});
            (200, json!({"clients": [one], "cursor": "cur_2"}))
        })
    });
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["ls", "--all-projects"]).exits(0);
    assert_eq!(
        done.out,
        format!(
            "UID         ID                          Name   Type   Projects\n\
             demo/hello  {CONNECTOR}  Hello  OAuth  my-app, + more\n"
        )
    );
    assert!(done.err.contains("`carnet list --all-projects --next cur_2`"), "{done:?}");
    let narrowed = ["ls", "--type", "oauth,slack", "--search", "my app", "--limit", "1"];
    let done = desk.run(&[&narrowed[..], &["--service", "demo", "--all-projects"]].concat()).exits(0);
    let more = "`carnet list --all-projects --type oauth,slack --service demo --search 'my app' --limit 1 --next cur_2`";
    assert!(done.err.contains(more), "what was asked for is asked for again: {done:?}");
    let document = desk.run(&["list", "--all-projects", "--json"]).exits(0).json();
    assert_eq!(document["cursor"], "cur_2");
    assert_eq!(document["connectors"][0]["projects"], json!([{"id": PROJECT, "name": "my-app"}]));
    assert_eq!(document["connectors"][0]["hasMoreProjects"], true);
    let document = desk.run(&["list", "--json", "--service", "Demo", "--limit", "3"]).exits(0).json();
    assert!(document["connectors"][0].get("projects").is_none());
    assert!(peer.seen().pop().unwrap().line.contains("limit=3"));
}

#[test]
fn a_connector_is_shown_with_who_may_ask_and_how_its_grants_are() {
    let peer = Peer::with(|route, _, _| {
        if route == "GET /v1/connect/standing" {
            let states = json!([{"state": "active", "grants": 1},
                {"state": "needs_consent", "cause": "expired", "grants": 1}]);
            let standing = json!({"connectors": 1, "grants": 2, "states": states, "needConsent": []});
            return Some((200, standing));
        }
        if route == "GET /v1/connect/connectors/demo%2Fhello" {
            let mut registered = connector();
            registered["data"] = json!({"clientRegistration": {"secretExpiresAt": 1_784_065_923_000_i64}});
            return Some((200, registered));
        }
        route.ends_with("/grants").then(|| {
            let grant = |state, cause| {
                json!({"id": "grt_1", "subject": {"type": "user", "id": "u"}, "state": state,
                "cause": cause, "environment": "production", "scopes": [], "createdAt": 1, "updatedAt": 1})
            };
            let grants = [grant("active", json!(null)), grant("needs_consent", json!("expired"))];
            (200, json!({ "grants": grants }))
        })
    });
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["show", "demo/hello"]).exits(0);
    assert!(done.out.contains("my-app (production, preview, development)"), "{done:?}");
    assert!(done.out.contains("1 active, 1 needs consent (expired)"), "{done:?}");
    assert!(done.out.contains("Secret ends   2026-07-14T21:52:03Z\n"), "{done:?}");
    let document = desk.run(&["show", "demo/hello", "--json"]).exits(0).json();
    assert_eq!(document["connector"]["redirectUri"], "http://127.0.0.1/callback");
    assert_eq!(document["grants"][1]["environment"], "production");
    let workload = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", "a.b.c");
    assert_eq!(workload.run(&["show", "demo/hello", "--json"]).exits(0).json()["grants"], json!(null));
}

#[test]
fn a_link_is_written_and_kept_out_of_the_repository() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    fs::create_dir(desk.path(".git")).unwrap();
    let document = desk.run(&["link", "my-app", "--json"]).exits(0).json();
    assert_eq!(
        document,
        json!({"projectId": PROJECT, "teamId": TEAM, "projectName": "my-app", "url": peer.url})
    );
    let written = fs::read_to_string(desk.path(".carnet/project.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), document);
    assert_eq!(fs::read_to_string(desk.path(".gitignore")).unwrap(), ".carnet\n");
    desk.run(&["link", "my-app"]).exits(0);
    assert_eq!(fs::read_to_string(desk.path(".gitignore")).unwrap(), ".carnet\n", "once is enough");
}

#[test]
fn a_link_without_a_name_is_made_only_where_there_is_no_doubt() {
    let login = |peer: &Peer| Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_TOKEN", TOKEN);
    login(&Peer::usual()).run(&["link"]).exits(0);
    for (projects, advice) in
        [(vec![], "carnet projects create NAME"), (vec![project(), project()], "carnet projects")]
    {
        let peer = Peer::with(move |route, _, _| {
            (route == "GET /v9/projects").then(|| (200, json!({"projects": projects, "pagination": {}})))
        });
        let done = login(&peer).run(&["link"]).exits(2);
        assert!(done.err.contains(advice), "{done:?}");
    }
    let done = login(&Peer::usual()).run(&["link", "absent"]).exits(3);
    assert!(done.err.contains("fix: carnet projects create absent"), "{done:?}");
}

fn with_variables() -> Peer {
    Peer::with(|route, _, url| {
        (route == format!("GET /v3/env/pull/{PROJECT}/development")).then(|| {
            let env = json!({"CARNET_URL": url, "CARNET_OIDC_TOKEN": "a.b.c", "VERCEL_OIDC_TOKEN": "a.b.c",
                "PATH": "/evil", "CARNET_X;id": "x"});
            (200, json!({"env": env, "buildEnv": {}}))
        })
    })
}

#[test]
fn variables_are_pulled_into_a_file_that_only_its_owner_reads() {
    let peer = with_variables();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path(".env.local"), "# mine\nCARNET_OIDC_TOKEN=\"old\"\nOTHER=1\n").unwrap();
    let done = desk.run(&["env", "pull"]).exits(0);
    let text = fs::read_to_string(desk.path(".env.local")).unwrap();
    assert_eq!(
        text,
        format!(
            "# mine\nCARNET_OIDC_TOKEN=a.b.c\nOTHER=1\nCARNET_URL={}\nVERCEL_OIDC_TOKEN=a.b.c\n",
            peer.url
        )
    );
    assert_eq!(fs::metadata(desk.path(".env.local")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(done.out.is_empty() && done.err.contains("PATH, which is left out"), "{done:?}");
    assert!(!done.err.contains("a.b.c"));
    let document = desk.run(&["env", "pull", "x/.env", "--json"]).exits(1).json();
    assert_eq!(document["error"]["code"], "file_failed");
    let document = desk.run(&["env", "pull", "other.env", "--json"]).exits(0).json();
    assert_eq!(document["variables"], json!(["CARNET_OIDC_TOKEN", "CARNET_URL", "VERCEL_OIDC_TOKEN"]));
}

#[test]
fn a_file_that_git_would_take_is_warned_of() {
    let peer = with_variables();
    let desk = Desk::dev(&peer.url);
    fs::create_dir(desk.path(".git")).unwrap();
    assert!(desk.run(&["env", "pull"]).exits(0).err.contains("warning: .env.local"));
    fs::write(desk.path(".gitignore"), ".env*\n").unwrap();
    assert!(!desk.run(&["env", "pull"]).exits(0).err.contains(".gitignore"));
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let peer = with_variables();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path("elsewhere"), "X=1\n").unwrap();
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path(".env.local")).unwrap();
    desk.run(&["env", "pull"]).exits(1);
    assert_eq!(fs::read_to_string(desk.path("elsewhere")).unwrap(), "X=1\n");
}

#[test]
fn variables_are_printed_for_a_shell() {
    let peer = with_variables();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["env", "print"]).exits(0);
    assert_eq!(
        done.out,
        format!(
            "export CARNET_OIDC_TOKEN='a.b.c'\nexport CARNET_URL='{}'\nexport VERCEL_OIDC_TOKEN='a.b.c'\n",
            peer.url
        )
    );
    assert_eq!(desk.run(&["env", "print", "--json"]).exits(0).json()["env"]["CARNET_URL"], json!(peer.url));
    let unlinked = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_TOKEN", TOKEN);
    assert!(unlinked.run(&["env", "print"]).exits(2).err.contains("fix: carnet link PROJECT"));
    // What a shell evaluates is not in a transcript, and nobody can see whether one evaluates it.
    let mut agent = Desk::dev(&peer.url);
    agent.agent = Some("CLAUDECODE");
    assert_eq!(agent.run(&["env", "print"]).exits(0).out, done.out);
}

#[test]
fn projects_are_listed_made_and_shown() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    assert!(desk.run(&["projects"]).exits(0).out.contains("this folder's"));
    assert_eq!(desk.run(&["projects", "ls", "--json"]).exits(0).json()["projects"][0]["name"], "my-app");
    desk.run(&["projects", "create", "my-app"]).exits(0);
    assert_eq!(peer.body("POST /v9/projects"), json!({"name": "my-app"}));
    assert!(desk.run(&["projects", "show"]).exits(0).out.contains("qa (env_0000000000000000000001)"));
    let done = desk.run(&["projects", "show", "absent"]).exits(3);
    assert!(done.err.contains("fix: carnet projects "), "{done:?}");
}

#[test]
fn whoami_says_who_and_why() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["whoami"]).exits(0);
    assert!(
        done.out.contains("dev@localhost") && done.out.contains(USER) && !done.out.contains("crn_"),
        "{done:?}"
    );
    assert_eq!(desk.run(&["whoami", "--json"]).exits(0).json()["team"]["slug"], "dev");
    let claims = json!({"sub": "owner:dev:project:my-app:environment:preview", "exp": 4_102_444_800_i64});
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", &token);
    let done = desk.run(&["whoami"]).exits(0);
    assert!(
        done.out.contains("environment:preview") && done.out.contains("2100-01-01T00:00:00Z"),
        "{done:?}"
    );
}

#[test]
fn the_doctor_finds_nothing_where_all_is_well() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    desk.run(&["link", "my-app"]).exits(0);
    let done = desk.run(&["doctor"]).exits(0);
    assert!(done.out.starts_with(" 1. ok    address: ") && !done.out.contains("fix:"), "{done:?}");
    let document = desk.run(&["doctor", "--json"]).exits(0).json();
    assert_eq!(document["ok"], true);
    for check in document["checks"].as_array().unwrap() {
        assert_eq!(check["outcome"], "ok", "{check}");
    }
}

#[test]
fn the_doctor_names_what_the_server_knows_to_be_wrong() {
    let event = |code: &str, at: i64| {
        json!({"seq": 9, "id": "evt_1", "at": at, "action": "token.issue", "outcome": "failed", "actor": {"type": "system"},
            "detail": {"code": code, "connector": "acme/api"}})
    };
    let now = carnet_model::Env::system().now().millis();
    for (at, outcome) in [(now, "warning"), (now - 7_200_000, "ok")] {
        let peer = Peer::with(move |route, _, _| {
            let grant = json!({"id": "grt_1", "subject": {"type": "user", "id": "ada"}, "environment": "production",
                "state": "needs_consent", "cause": "revoked_at_provider", "createdAt": 0, "updatedAt": 0});
            let waiting = json!({"uid": "demo/hello", "grant": grant});
            Some(match route {
                "GET /v1/connect/standing" => (
                    200,
                    json!({"connectors": 1, "grants": 3, "needConsent": [waiting],
                    "states": [{"state": "active", "grants": 2}, {"state": "needs_consent", "grants": 1}]}),
                ),
                "GET /v1/audit" => {
                    (200, json!({"events": [event("connector_credentials_rejected", at)], "next": null}))
                }
                _ => return None,
            })
        });
        let checks = Desk::dev(&peer.url).run(&["doctor", "--json"]).exits(0).json()["checks"].clone();
        let named = |name: &str| {
            checks.as_array().unwrap().iter().find(|check| check["name"] == name).cloned().unwrap_or_default()
        };
        let grants = named("grants");
        assert_eq!(grants["outcome"], "warning", "{checks}");
        assert!(grants["detail"].as_str().unwrap().contains("demo/hello: ada "), "{grants}");
        let clients = named("clients");
        assert_eq!(clients["outcome"], outcome, "{checks}");
        assert_eq!(clients.to_string().contains("carnet show acme/api"), outcome == "warning", "{clients}");
    }
}

#[test]
fn the_doctor_says_that_there_are_more_connectors_than_it_names() {
    let peer = Peer::with(|route, _, _| {
        (route == "GET /v1/connect/connectors")
            .then(|| (200, json!({"clients": [connector()], "cursor": "cur_2"})))
    });
    let desk = Desk::dev(&peer.url);
    desk.run(&["link", "my-app"]).exits(0);
    let done = desk.run(&["doctor"]).exits(0);
    assert!(done.out.contains("connectors: demo/hello, and more, which carnet list"), "{done:?}");
}

#[test]
fn the_doctor_names_what_mends_each_thing() {
    let unready = Peer::with(|route, _, _| {
        (route == "GET /readyz")
            .then(|| (503, json!({"status": "unavailable", "checks": {"store": "locked"}})))
    });
    let refusing =
        Peer::with(|route, _, _| (route == "GET /v2/user").then(|| refusal(401, "unauthorized", json!({}))));
    let usual = Peer::usual();
    let leaking = Desk::dev(&usual.url);
    fs::create_dir(leaking.path(".git")).unwrap();
    leaking.write_project(&usual.url);
    let open = Desk::dev(&usual.url);
    fs::set_permissions(open.path(".carnet/dev.json"), fs::Permissions::from_mode(0o644)).unwrap();
    for (desk, name, advice) in [
        (Desk::bare(), "address", "carnet dev"),
        (Desk::dev("http://127.0.0.1:1"), "server", "carnet dev"),
        (Desk::dev(&unready.url), "server", "carnet doctor"),
        (Desk::dev(&refusing.url), "credential", ""),
        (leaking, "project file", "echo .carnet >> .gitignore"),
        (open, "development credentials", "chmod 600"),
    ] {
        let document = desk.run(&["doctor", "--json"]).exits(1).json();
        assert_eq!(document["error"]["code"], "doctor_failed");
        let checks = document["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["outcome"], "failed", "{document}");
        assert!(check["next"].to_string().contains(advice), "{check}");
        assert!(desk.run(&["doctor"]).exits(1).out.contains("FAIL"));
    }
}

fn event(seq: i64) -> serde_json::Value {
    json!({"seq": seq, "at": 1_784_065_923_000_i64, "actor": {"type": "user", "id": USER}, "action": "token.issue",
        "target": CONNECTOR, "outcome": "success", "requestId": "req_1", "detail": {}})
}

#[test]
fn the_audit_log_is_read_oldest_first() {
    let peer = Peer::with(|route, _, _| {
        (route == "GET /v1/audit").then(|| (200, json!({"events": [event(3), event(2)], "next": 2})))
    });
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["audit", "tail", "--limit", "2", "--action", "token.issue"]).exits(0);
    assert_eq!(done.out.lines().count(), 2);
    assert!(done.out.starts_with("2026-07-14T21:52:03Z  success  token.issue  scl_"), "{done:?}");
    assert!(peer.seen()[0].line.starts_with("GET /v1/audit?limit=2&action=token.issue&"));
    let document = desk.run(&["audit", "tail", "--json"]).exits(0).json();
    assert_eq!((&document["events"][0]["seq"], &document["next"]), (&json!(2), &json!(2)));
}

#[test]
fn following_the_audit_log_misses_nothing_and_ends_with_its_reader() {
    let last = AtomicI64::new(1);
    let peer = Peer::with(move |route, _, _| {
        (route == "GET /v1/audit").then(|| {
            let seq = last.fetch_add(1, Ordering::SeqCst);
            if seq == 3 {
                refusal(503, "unavailable", json!({}))
            } else {
                (200, json!({"events": [event(seq)]}))
            }
        })
    });
    let mut desk = Desk::dev(&peer.url);
    desk.closes_after = 4;
    let done = desk.run(&["audit", "tail", "-f", "--json"]).exits(1);
    let seqs: Vec<_> = done
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 4, 5]);
    let afters: Vec<_> = peer
        .seen()
        .iter()
        .skip(1)
        .map(|seen| seen.line.split("after=").nth(1).unwrap()[..1].to_owned())
        .collect();
    assert_eq!(afters, ["1", "2", "2", "4", "5"]);
    assert!(done.err.contains("waiting for it") && !done.err.contains("error:"), "{done:?}");
}

#[test]
fn an_application_is_registered_in_the_browser_and_the_connector_is_waited_for() {
    let peer = Peer::with(|route, _, url| match route {
        "GET /v1/connect/services/github" => Some((
            200,
            json!({"id": "github", "name": "GitHub", "resolvedConnectionMethod": "app", "connectionMethods": [
                {"connectionMethod": "oauth", "label": "OAuth app", "create": {"managed": false, "manual": true},
                    "type": {"type": "oauth"}},
                {"connectionMethod": "app", "label": "GitHub App", "type": {"type": "github"},
                    "create": {"managed": true, "manual": true, "assisted": true}},
            ]}),
        )),
        "POST /v1/connect/connectors/managed" => Some(refusal(
            422,
            "registration_required",
            json!({"registerUrl": format!("{url}/register/reg_1"), "verifier": "v-1", "expiresAt": 253_402_300_799_999_i64}),
        )),
        "GET /v1/connect/result/v-1" => {
            Some((200, json!({"status": "success", "data": {"clientId": CONNECTOR}})))
        }
        _ if route == format!("GET /v1/connect/connectors/{CONNECTOR}") => Some((200, connector())),
        _ => None,
    });
    // Nobody is there: the page is named, and the way that needs nothing was meant.
    let desk = Desk::dev(&peer.url);
    let error = desk.run(&["create", "github", "--name", "bot", "--json"]).exits(5).json()["error"].clone();
    assert_eq!(
        (&error["code"], &error["registerUrl"]),
        (&json!("registration_required"), &json!(format!("{}/register/reg_1", peer.url)),)
    );
    let body = peer.body("POST /v1/connect/connectors/managed?autoinstall=true");
    assert_eq!(body["connectionMethod"], "app");
    let done = Desk::dev(&peer.url).at_a_terminal("n\n").run(&["create", "github", "--name", "bot"]).exits(5);
    assert!(done.err.contains("/register/reg_1"), "{done:?}");
    for desk in [Desk::dev(&peer.url).at_a_terminal("y\n"), Desk::dev(&peer.url)] {
        let done = desk.run(&["create", "github", "--name", "bot", "--yes"]).exits(0);
        assert!(done.err.contains("connector created") && done.err.contains("/register/reg_1"), "{done:?}");
    }
}
