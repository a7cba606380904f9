//! Where credentials go, and what changes who may ask.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::peer::{Peer, connector, link, refusal};
use super::{CONNECTOR, Desk, PROJECT, TEAM, TOKEN, USER};

#[test]
fn without_a_server_or_a_credential_the_exit_code_is_4() {
    let done = Desk::bare().run(&["list"]).exits(4);
    assert!(done.err.contains("fix: carnet dev"), "{done:?}");
    let desk = Desk::bare().set("CARNET_URL", "http://127.0.0.1:1");
    assert_eq!(desk.run(&["list", "--json"]).exits(4).json()["error"]["code"], "no_credential");
}

#[test]
fn flags_come_before_variables_and_variables_before_files() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    desk.run(&["list"]).exits(0);
    let line = peer.seen()[0].line.clone();
    assert!(
        line.contains(&format!("projectId={PROJECT}")) && line.contains(&format!("teamId={TEAM}")),
        "{line}"
    );
    let desk =
        desk.set("CARNET_TEAM", "acme").set("CARNET_PROJECT", "my-app").set("CARNET_TOKEN", "crn_other");
    desk.run(&["list"]).exits(0);
    let seen = peer.seen();
    assert_eq!(seen[1].line, "GET /v9/projects/my-app?slug=acme", "a name becomes an identifier");
    assert_eq!(seen[2].bearer, "Bearer crn_other");
    desk.run(&["list", "--team", TEAM, "--all-projects"]).exits(0);
    assert!(peer.seen()[3].line.contains(&format!("include=projects&teamId={TEAM}")));
}

#[test]
fn a_development_credential_goes_to_its_own_server_only() {
    let (mine, other) = (Peer::usual(), Peer::usual());
    let desk = Desk::dev(&mine.url);
    desk.run(&["--url", &other.url, "list"]).exits(4);
    desk.write_project(&other.url);
    desk.run(&["list"]).exits(4);
    assert!(other.lines().is_empty() && mine.lines().is_empty());
}

#[test]
fn a_credential_of_the_environment_does_not_go_where_only_a_file_says() {
    let desk = Desk::bare().set("CARNET_TOKEN", TOKEN);
    desk.write_project("https://evil.invalid");
    let error = desk.run(&["list", "--json"]).exits(4).json()["error"].clone();
    assert_eq!(error["code"], "server_not_confirmed");
    assert_eq!(error["next"][0]["command"], "export CARNET_URL=https://evil.invalid");
    let peer = Peer::usual();
    desk.write_project(&peer.url);
    desk.run(&["list"]).exits(0);
}

#[test]
fn a_credential_that_has_ended_leads_back_by_where_it_came_from() {
    let peer = Peer::with(|route, _, _| {
        (!route.contains("/login/")).then(|| refusal(401, "unauthorized", json!({})))
    });
    let login = format!("carnet login {}", peer.url);
    let by_variable = |name, value| Desk::bare().set("CARNET_URL", &peer.url).set(name, value);
    let of_context = Desk::bare();
    fs::create_dir(of_context.path("config")).unwrap();
    let kept = json!({"current": "work", "contexts": {"work": {"url": peer.url, "login": {"accessToken": "crn_old"}}}});
    super::folder::replace(&of_context.path("config/logins.json"), kept.to_string().as_bytes(), 0o600)
        .unwrap();
    for (desk, fix) in [
        (Desk::dev(&peer.url), "carnet dev".to_owned()),
        (by_variable("CARNET_TOKEN", TOKEN), format!("unset CARNET_TOKEN; {login}")),
        (by_variable("CARNET_OIDC_TOKEN", "a.b.c"), "unset CARNET_OIDC_TOKEN; carnet env pull".to_owned()),
        (of_context, format!("{login} --context work")),
    ] {
        for line in [&["whoami"][..], &["show", "a/b"], &["run", "-c", "a/b", "--", "true"]] {
            let done = desk.run(line).exits(4);
            assert!(
                done.out.is_empty() && done.err.contains(&format!("fix: {fix}   ")),
                "{line:?}: {done:?}"
            );
            let json = [&["--json"], line].concat();
            assert_eq!(desk.run(&json).exits(4).json()["error"]["next"][0]["command"], fix);
        }
    }
}

#[test]
fn what_the_server_cannot_take_leads_to_what_the_command_takes() {
    let peer = Peer::with(|route, _, _| {
        (route == "POST /v9/projects").then(|| refusal(400, "invalid_request", json!({"field": "name"})))
    });
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["projects", "create", "No Name"]).exits(2);
    assert!(done.err.contains("fix: carnet projects create --help"), "{done:?}");
    let error = desk.run(&["projects", "create", "No Name", "--json"]).exits(2).json()["error"].clone();
    assert_eq!(
        (&error["field"], &error["next"][0]["command"]),
        (&json!("name"), &json!("carnet projects create --help"))
    );
}

#[test]
fn a_server_that_does_not_answer_is_named_with_what_mends_it() {
    let desk = Desk::dev("http://127.0.0.1:1");
    for line in [&["list"][..], &["token", "a/b"], &["projects"], &["status"], &["audit", "tail", "-f"]] {
        let done = desk.run(line).exits(9);
        assert_eq!(done.err.lines().count(), 2, "{done:?}");
        assert!(done.err.starts_with("error: http://127.0.0.1:1 cannot be reached"), "{done:?}");
        let error = desk.run(&[line, &["--json"]].concat()).exits(9).json()["error"].clone();
        assert_eq!(
            (&error["code"], &error["next"][0]["command"]),
            (&json!("unreachable"), &json!("carnet dev"))
        );
    }
}

#[test]
fn an_empty_name_is_no_name() {
    let peer = Peer::usual();
    let done = Desk::dev(&peer.url).run(&["create", "demo", "-n", ""]).exits(2);
    assert!(done.err.contains("--name is empty") && peer.lines().is_empty(), "{done:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_whole_with_the_reason() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    for line in [
        &["create", "demo", "--data", "@absent"][..],
        &["create", "demo", "--icon", "absent"],
        &["update", "demo/hello", "--rotate-secret", "@absent"],
        &["import-tokens", "demo/hello", "@absent"],
        &["import", "--from", "env", "absent", "-y"],
        &["teams", "join", "@absent"],
        &["projects", "trust", "my-app", "--token-file", "absent", "-e", "production"],
        &["context", "add", "x", "https://c.example", "--token", "@absent"],
    ] {
        let done = desk.run(line).exits(2);
        assert_eq!(done.err.lines().count(), 2, "{done:?}");
        assert!(done.err.contains("/absent cannot be read (No such file"), "{done:?}");
        assert!(
            desk.run(&[line, &["--json"]].concat()).exits(2).json()["error"]["next"][0]["command"]
                .is_string()
        );
    }
    assert!(peer.lines().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn an_identity_is_read_from_its_file() {
    let peer = Peer::usual();
    let desk = Desk::bare().set("CARNET_URL", &peer.url);
    let path = desk.path("identity");
    fs::write(&path, "a.b.c\n").unwrap();
    let desk = desk.set("CARNET_OIDC_TOKEN_FILE", path.to_str().unwrap());
    desk.run(&["token", "demo/hello"]).exits(0);
    assert_eq!(peer.seen()[0].bearer, "Bearer a.b.c");
    fs::remove_file(path).unwrap();
    desk.run(&["token", "demo/hello"]).exits(4);
}

#[test]
fn credentials_that_others_can_read_are_not_used() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    fs::set_permissions(desk.path(".carnet/dev.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let done = desk.run(&["list"]).exits(4);
    assert!(done.err.contains("fix: chmod 600 ") && peer.lines().is_empty(), "{done:?}");
}

#[test]
fn a_broken_project_file_stops_a_command_instead_of_being_passed_over() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    fs::write(desk.path(".carnet/project.json"), "{}").unwrap();
    assert_eq!(
        desk.run(&["create", "demo", "--json"]).exits(1).json()["error"]["code"],
        "project_file_invalid"
    );
    desk.run(&["link", "my-app"]).exits(0);
    desk.run(&["create", "demo"]).exits(0);
}

#[test]
fn what_destroys_needs_yes_where_nobody_can_be_asked() {
    for (line, effect, typed) in [
        (&["detach", "demo/hello"][..], "DELETE", "y\n"),
        (&["remove", "demo/hello", "-a"], "DELETE", "demo/hello\n"),
        (&["revoke-tokens", "demo/hello", "--my-tokens"], "DELETE", "y\n"),
        (&["revoke-tokens", "demo/hello", "--all-tokens"], "DELETE", "demo/hello\n"),
        (&["projects", "remove", "my-app"], "DELETE", "my-app\n"),
        (&["attach", "demo/hello", "-e", "preview"], "POST", "y\n"),
    ] {
        let peer = Peer::usual();
        let changes = |peer: &Peer| peer.lines().iter().filter(|line| line.starts_with(effect)).count();
        let desk = Desk::dev(&peer.url);
        let done = desk.run(line).exits(2);
        assert!(done.out.is_empty() && done.err.contains("--yes"), "{done:?}");
        assert_eq!(desk.run(&[line, &["--json"]].concat()).exits(2).json()["error"]["code"], "usage");
        let desk = desk.at_a_terminal("\n");
        desk.run(line).exits(1);
        // A yes is not enough where a name is to be typed.
        let desk = if typed == "y\n" { desk } else { desk.at_a_terminal("y\n") };
        desk.run(line).exits(1);
        assert_eq!(changes(&peer), 0, "{line:?}");
        let done = desk.at_a_terminal(typed).run(line).exits(0);
        assert_eq!(changes(&peer), 1, "{line:?}");
        if line.first() == Some(&"attach") {
            let done_without_asking =
                Desk::dev(&Peer::usual().url).run(&[line, &["--yes"]].concat()).exits(0);
            for done in [done, done_without_asking] {
                assert!(
                    done.err.contains("my-app can no longer ask demo/hello in production, development"),
                    "{done:?}"
                );
            }
        }
    }
}

#[test]
fn what_was_done_is_one_document() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let document = |line: &[&str]| desk.run(line).exits(0).json();
    assert_eq!(
        document(&["detach", "demo/hello", "--yes", "--json"]),
        json!({"clientId": CONNECTOR, "uid": "demo/hello", "projectId": PROJECT, "detached": true})
    );
    assert_eq!(
        document(&["detach", "demo/hello", "-e", "preview", "--yes", "--json"]),
        json!({"clientId": CONNECTOR, "uid": "demo/hello", "projectId": PROJECT, "detached": true,
            "environments": ["preview"]})
    );
    assert_eq!(
        document(&["rm", "demo/hello", "-a", "-y", "--json"]),
        json!({"id": CONNECTOR, "uid": "demo/hello", "removed": true})
    );
    assert_eq!(
        document(&["revoke-tokens", "demo/hello", "--my-tokens", "-y", "--json"]),
        json!({"id": CONNECTOR, "uid": "demo/hello", "scope": "mine", "supportsRevocation": true, "tokensFound": 2,
            "deleted": 2, "providerRevoked": 1, "providerSkipped": 0, "providerFailed": 1,
            "warnings": ["the provider did not confirm 1 of them; they may work until they end"]})
    );
    assert_eq!(
        document(&["attach", "demo/hello", "--json"]),
        json!({"clientId": CONNECTOR, "uid": "demo/hello", "projectId": PROJECT, "unchanged": true,
            "environments": ["production", "preview", "development"]})
    );
    assert_eq!(
        peer.body(&format!("DELETE /v1/connect/connectors/{CONNECTOR}/tokens")),
        json!({"subject": {"type": "user", "id": USER}})
    );
}

#[test]
fn everybodys_tokens_are_revoked_with_an_empty_body_and_a_doubt_is_said() {
    let peer = Peer::usual();
    let done = Desk::dev(&peer.url).run(&["revoke-tokens", "demo/hello", "--all-tokens", "-y"]).exits(0);
    assert_eq!(peer.body(&format!("DELETE /v1/connect/connectors/{CONNECTOR}/tokens")), json!({}));
    assert!(done.err.contains("did not confirm 1"), "{done:?}");
}

#[test]
fn a_connector_in_use_is_removed_only_with_its_links() {
    let peer = Peer::usual();
    let done = Desk::dev(&peer.url).run(&["remove", "demo/hello", "--yes"]).exits(7);
    assert!(
        done.err.contains("Cannot delete connector demo/hello while it has 1 connected project"),
        "{done:?}"
    );
    assert!(done.err.contains("fix: carnet remove demo/hello --disconnect-all"));
}

#[test]
fn a_project_is_attached_in_environments_of_its_own_too() {
    let one = format!("/v1/connect/connectors/{CONNECTOR}/projects/{PROJECT}");
    let (get, post) = (format!("GET {one}"), format!("POST {one}"));
    let line = post.clone();
    let peer = Peer::with(move |route, body, _| {
        if route == get {
            return Some(refusal(404, "not_found", json!({})));
        }
        (route == post).then(|| {
            let mut link = link();
            link["environments"] = body["environments"].clone();
            (200, link)
        })
    });
    let desk = Desk::dev(&peer.url);
    let done =
        desk.run(&["attach", "demo/hello", "-p", "my-app", "-e", "qa,preview", "-e", "production"]).exits(0);
    assert_eq!(
        peer.body(&line),
        json!({"environments": ["production", "preview", "env_0000000000000000000001"]})
    );
    assert!(done.out.is_empty() && done.err.contains("attached to my-app"), "{done:?}");
    let done = desk.run(&["attach", "demo/hello", "-e", "nope"]).exits(3);
    assert!(done.err.contains("fix: carnet projects show my-app"), "{done:?}");
}

#[test]
fn an_issuer_is_trusted_for_exactly_what_was_said() {
    let peer = Peer::with(|route, body, _| {
        (route == "POST /v1/trusted-issuers").then(|| {
            let mut answer = body.clone();
            answer["id"] = json!("iss_0000000000000000000001");
            (200, answer)
        })
    });
    let desk = Desk::dev(&peer.url);
    let line = [
        "projects",
        "trust",
        "my-app",
        "--issuer",
        "https://token.actions.githubusercontent.com",
        "--claim",
        "repository_id=1",
        "--claim",
        "ref=refs/heads/main",
        "--environment",
        "production",
    ];
    let answer = desk.run(&[&line[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(answer["id"], "iss_0000000000000000000001");
    let sent = peer.body("POST /v1/trusted-issuers");
    assert_eq!(sent["audiences"], json!([format!("{}/dev", peer.url)]));
    assert_eq!(
        sent["rules"],
        json!([{"project": PROJECT, "environment": "production", "subjects": ["app"],
            "claims": {"repository_id": "1", "ref": "refs/heads/main"}}])
    );
    let done = desk.run(&[&line[..], &["--subject", "app,user", "--audience", "a"]].concat()).exits(0);
    assert!(done.err.contains("must name the audience a"), "{done:?}");
    let sent: Value = peer.seen().pop().unwrap().body;
    assert_eq!(sent["rules"][0]["subjects"], json!(["app", "user"]));
}

#[test]
fn keys_of_a_connector_are_shown_and_turned_only_when_told_to() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let shown = desk.run(&["connect", "keys", "demo/hello"]).exits(0);
    assert!(shown.out.contains("kid-one") && shown.out.contains("pending"), "{shown:?}");
    assert!(shown.err.contains(&format!("/connect/jwks/{CONNECTOR}")), "{shown:?}");
    let key = shown_json(&desk, &["connect", "keys", "demo/hello", "--json"]);
    assert_eq!((key["keys"][0]["kid"].as_str(), key["uid"].as_str()), (Some("kid-one"), Some("demo/hello")));
    desk.run(&["connect", "keys", "demo/hello", "--rotate", "--non-interactive"]).exits(2);
    let turn = format!("POST /v1/connect/connectors/{CONNECTOR}/keys");
    assert!(!peer.lines().contains(&turn), "nobody said yes");
    desk.run(&["connect", "keys", "demo/hello", "--rotate", "--yes"]).exits(0);
    assert!(peer.lines().contains(&turn));
    assert_eq!(peer.body(&turn), json!({}));
}

fn shown_json(desk: &Desk, args: &[&str]) -> Value {
    desk.run(args).exits(0).json()
}

#[test]
fn a_server_that_moved_is_shown_and_followed_only_by_a_person_who_says_so() {
    let route = "/v1/connect/connectors/demo%2Fhello/server";
    let peer = Peer::with(move |line, _, _| {
        let moved = json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "digest": "d1", "differences":
            [{"member": "token_endpoint", "pinned": "https://a/t", "present": "https://a/\u{1b}[31mt2"}]});
        let mut taken = connector();
        taken["serviceSync"] = json!({"status": "required", "errors": ["Change the client by hand."]});
        match line.strip_suffix(route)? {
            "GET " => Some((200, moved)),
            "POST " => Some((200, taken)),
            _ => None,
        }
    });
    let accept = format!("POST {route}");
    let posts = || peer.lines().iter().filter(|line| **line == accept).count();
    let desk = Desk::dev(&peer.url);
    let shown = desk.run(&["connect", "check", "demo/hello"]).exits(1);
    for said in ["token_endpoint", "https://a/t", "t2"] {
        assert!(shown.out.contains(said) && !shown.out.contains('\u{1b}'), "{shown:?}");
    }
    desk.run(&["check", "demo/hello", "--accept"]).exits(2);
    let desk = desk.at_a_terminal("\n");
    desk.run(&["check", "demo/hello", "--accept"]).exits(1);
    assert_eq!(posts(), 0, "nobody said yes");
    let done = desk.at_a_terminal("y\n").run(&["check", "demo/hello", "--accept"]).exits(0);
    assert_eq!((posts(), peer.body(&format!("POST {route}"))), (1, json!({"digest": "d1"})));
    assert!(done.err.contains("Change the client by hand."), "{done:?}");

    let same = Peer::with(move |line, _, _| {
        let same =
            json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "digest": "d", "differences": []});
        (line == format!("GET {route}")).then_some((200, same))
    });
    let desk = Desk::dev(&same.url);
    desk.run(&["check", "demo/hello"]).exits(0);
    assert_eq!(desk.run(&["check", "demo/hello", "--json"]).exits(0).json()["differences"], json!([]));
}

#[test]
fn what_does_not_hold_is_shown_and_says_by_the_exit_who_must_act() {
    let health = |standing: &str, message: &str| {
        json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "holds": false,
            "installations": [{"id": "sci_0000000000000000000001", "name": "acme", "standing": "holds"}],
            "grants": [{"id": "grt_0000000000000000000001", "subject": {"type": "user", "id": "alice"},
                "environment": "production", "state": "needs_consent", "standing": standing, "message": message}]})
    };
    for (standing, exit) in [
        ("needs_consent", 5),
        ("gone", 5),
        ("client_rejected", 1),
        ("secret_ended", 1),
        ("unreachable", 8),
        ("not_asked", 0),
    ] {
        let told = health(standing, "because \u{1b}[31m of it");
        let peer = Peer::with(move |line, _, _| match line {
            "POST /v1/connect/connectors/demo%2Fhello/check" => Some((200, told.clone())),
            "GET /v1/connect/connectors/demo%2Fhello/server" => {
                Some((400, json!({"error": {"code": "invalid_connector", "message": "It has no server."}})))
            }
            _ => None,
        });
        let desk = Desk::dev(&peer.url);
        for command in [&["connect", "check", "demo/hello"][..], &["check"]] {
            let shown = desk.run(command).exits(exit);
            let both = format!("{}{}", shown.out, shown.err);
            assert!(!both.contains('\u{1b}'), "{shown:?}");
            assert_eq!(both.contains("alice"), standing != "not_asked", "{shown:?}");
        }
        let document = desk.run(&["check", "demo/hello", "--json"]).exits(exit).json();
        assert_eq!(
            (&document["grants"][0]["standing"], &document["differences"]),
            (&json!(standing), &Value::Null)
        );
        let all = desk.run(&["check", "--json"]).exits(exit).json();
        assert_eq!(all["connectors"][0]["grants"][0]["standing"], standing);
    }
}

#[test]
fn only_a_project_that_is_told_nowhere_is_advised_to_say_where() {
    let somewhere = json!({"projectId": PROJECT, "url": "https://app.example/health", "updatedAt": 1});
    for (webhook, advised) in [(Value::Null, true), (somewhere, false)] {
        let told = json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "holds": false, "installations": [],
            "grants": [{"id": "grt_0000000000000000000001", "subject": {"type": "user", "id": "alice"},
                "projectId": PROJECT, "environment": "production", "standing": "needs_consent"}]});
        let peer = Peer::with(move |line, _, _| match line {
            "POST /v1/connect/connectors/demo%2Fhello/check" => Some((200, told.clone())),
            "GET /v1/connect/connectors/demo%2Fhello/server" => {
                Some((400, json!({"error": {"code": "invalid_connector", "message": "It has no server."}})))
            }
            _ if line == format!("GET /v1/projects/{PROJECT}/health-webhook") => {
                Some((200, json!({"webhook": webhook.clone()})))
            }
            _ => None,
        });
        let shown = Desk::dev(&peer.url).run(&["check", "demo/hello"]).exits(5);
        assert!(shown.err.contains("must consent again"), "{shown:?}");
        assert_eq!(shown.err.contains("carnet projects health-webhook my-app --to"), advised, "{shown:?}");
    }
}

#[test]
fn refused_credentials_of_the_connector_itself_fail_a_check() {
    for (standing, exit) in
        [("client_rejected", 1), ("secret_ended", 1), ("unreachable", 8), ("not_asked", 0), ("holds", 0)]
    {
        let told = json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"}, "holds": exit == 0,
            "application": {"standing": standing, "message": "so it says"}, "installations": [], "grants": []});
        let peer = Peer::with(move |line, _, _| match line {
            "POST /v1/connect/connectors/demo%2Fhello/check" => Some((200, told.clone())),
            "GET /v1/connect/connectors/demo%2Fhello/server" => {
                Some((400, json!({"error": {"code": "invalid_connector", "message": "It has no server."}})))
            }
            _ => None,
        });
        let desk = Desk::dev(&peer.url);
        let shown = desk.run(&["check", "demo/hello"]).exits(exit);
        let both = format!("{}{}", shown.out, shown.err);
        assert_eq!(both.contains("so it says"), exit != 0, "{shown:?}");
        assert_eq!(
            both.contains("carnet check demo/hello --accept"),
            standing == "secret_ended",
            "{shown:?}"
        );
        assert_eq!(both.contains("that the provider refuses"), standing == "client_rejected", "{shown:?}");
        let document = desk.run(&["check", "demo/hello", "--json"]).exits(exit).json();
        assert_eq!(document["application"]["standing"], standing);
    }
}

#[test]
fn a_connector_is_taken_out_of_the_operators_hands() {
    let route = format!("POST /v1/connect/connectors/{CONNECTOR}/managed/eject");
    let errors = ["2 grants were given to the client before."];
    let mut after = connector();
    after["serviceSync"] = json!({"status": "required", "errors": errors});
    let peer = Peer::with(move |line, _, _| line.ends_with("/managed/eject").then(|| (200, after.clone())));
    let desk = Desk::dev(&peer.url);
    let own = r#"{"clientId":"own","clientSecret":"s"}"#;
    desk.run(&["eject", "demo/hello", "--data", own]).exits(2);
    assert!(
        desk.run(&["eject", "demo/hello", "--data", own, "--dry-run"])
            .exits(0)
            .out
            .contains("the team's own")
    );
    let done = desk.run(&["eject", "demo/hello", "--data", own, "--yes"]).exits(0);
    assert!(done.err.contains("the team's own") && done.err.contains(errors[0]), "{done:?}");
    assert_eq!(peer.body(&route), json!({"data": {"clientId": "own", "clientSecret": "s"}}));
    let document = desk.run(&["eject", "demo/hello", "--json"]).exits(0).json();
    assert_eq!(document["serviceSync"]["errors"], json!(errors));
}

#[test]
fn a_project_says_where_it_is_told_of_what_breaks() {
    let route = format!("/v1/projects/{PROJECT}/health-webhook");
    let told = route.clone();
    let peer = Peer::with(move |line, _, _| match line.strip_suffix(told.as_str())? {
        "GET " => Some((200, json!({"webhook": null}))),
        "PUT " => Some((200, json!({"projectId": PROJECT, "url": "https://a.example/h", "updatedAt": 1}))),
        "DELETE " => Some((204, Value::Null)),
        _ => None,
    });
    let desk = Desk::dev(&peer.url);
    let none = desk.run(&["projects", "health-webhook", "my-app"]).exits(0);
    assert!(none.err.contains("--to https"), "{none:?}");
    let set =
        desk.run(&["projects", "health-webhook", "my-app", "--to", "https://a.example/h", "--json"]).exits(0);
    assert_eq!(set.json()["webhook"]["url"], "https://a.example/h");
    assert_eq!(peer.body(&format!("PUT {route}")), json!({"url": "https://a.example/h"}));
    desk.run(&["projects", "health-webhook", "my-app", "--remove"]).exits(0);
    desk.run(&["projects", "health-webhook", "my-app", "--remove", "--to", "https://a.example/h"]).exits(2);
}
