//! What goes wrong before anything goes right, and whether the step that is named leads out of it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::peer::{Peer, project, refusal};
use super::{Desk, PROJECT, TOKEN};

/// The first step that is named.
pub(super) fn first_step(desk: &Desk, line: &[&str], exit: u8) -> String {
    let error = desk.run(&[line, &["--json"]].concat()).exits(exit).json()["error"].clone();
    error["next"][0]["command"].as_str().unwrap_or_else(|| panic!("{line:?}: {error}")).to_owned()
}

#[test]
fn something_else_at_the_address_leads_to_another_address() {
    let foreign = |status: u16| Peer::with(move |_, _, _| Some((status, json!({"hello": "world"}))));
    let (missing, odd) = (foreign(404), foreign(200));
    for peer in [&missing, &odd] {
        let at = |url: &str| Desk::bare().set("CARNET_URL", url).set("CARNET_TOKEN", TOKEN);
        for line in [&["list"][..], &["projects"]] {
            let step = desk_step(&at(&peer.url), line);
            assert_eq!(step, "export CARNET_URL=https://…", "{line:?}");
            let step = desk_step(&at(&format!("{}/dashboard/", peer.url)), line);
            assert_eq!(step, format!("export CARNET_URL={}", peer.url), "{line:?}");
        }
    }
    let carnet = Peer::with(|_, _, _| {
        let message = "There is nothing at this path. The API is at the root of this address.";
        Some((404, json!({"error": {"code": "not_found", "message": message}})))
    });
    let desk = Desk::bare().set("CARNET_URL", &format!("{}/x", carnet.url)).set("CARNET_TOKEN", TOKEN);
    for line in [&["list"][..], &["show", "demo/hello"], &["whoami"], &["projects", "show", "my-app"]] {
        let error = desk.run(&[line, &["--json"]].concat()).exits(3).json()["error"].clone();
        assert_eq!(error["next"][0]["command"], format!("export CARNET_URL={}", carnet.url), "{line:?}");
        assert_eq!(error["next"].as_array().unwrap().len(), 1, "{line:?}: {error}");
    }
    let desk = Desk::bare().set("CARNET_URL", &format!("{}/x", missing.url)).set("CARNET_TOKEN", TOKEN);
    let checks = desk.run(&["doctor", "--json"]).exits(1).json()["checks"].clone();
    let server = checks.as_array().unwrap().iter().find(|check| check["name"] == "server").unwrap().clone();
    assert_eq!(server["next"][0]["command"], json!(format!("export CARNET_URL={}", missing.url)), "{server}");
}

/// The same, whatever it exits with.
fn desk_step(desk: &Desk, line: &[&str]) -> String {
    let error = desk.run(&[line, &["--json"]].concat()).json()["error"].clone();
    assert_eq!(error["code"], "unexpected_answer", "{line:?}: {error}");
    error["next"][0]["command"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_on_this_machine_that_is_there_is_not_to_be_started() {
    let plain = Peer::usual();
    let host = plain.url.strip_prefix("http://").unwrap();
    let desk = Desk::bare().set("CARNET_URL", &format!("https://{host}")).set("CARNET_TOKEN", TOKEN);
    assert_eq!(first_step(&desk, &["list"], 9), format!("export CARNET_URL=http://{host}"));

    // One that takes the request, and breaks off before it has answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let desk = Desk::bare().set("CARNET_URL", &url).set("CARNET_TOKEN", TOKEN);
    assert_eq!(first_step(&desk, &["projects"], 9), "carnet doctor");
}

#[test]
fn a_host_that_does_not_answer_is_asked_again_and_needs_no_client() {
    for (why, step) in [
        ("it cannot be asked: the host cannot be reached", "carnet create http://127.0.0.1:9/mcp"),
        ("it registers no clients", "carnet create http://127.0.0.1:9/mcp --data @FILE"),
    ] {
        let peer = Peer::with(move |route, _, _| {
            let message = format!("The configuration cannot be used: data.serverUrl: {why}.");
            let error = json!({"code": "invalid_connector", "message": message, "field": "data.serverUrl"});
            (route.starts_with("POST /v1/connect/connectors/managed")).then(|| (422, json!({"error": error})))
        });
        let error = Desk::dev(&peer.url).run(&["create", "http://127.0.0.1:9/mcp", "--json"]).json();
        assert_eq!(error["error"]["next"][0]["command"], step, "{error}");
    }
}

#[test]
fn a_credential_is_taken_without_the_end_of_its_line() {
    let peer = Peer::usual();
    for name in ["CARNET_TOKEN", "CARNET_OIDC_TOKEN"] {
        let token = if name == "CARNET_TOKEN" { TOKEN } else { "a.b.c" };
        let desk = Desk::bare().set("CARNET_URL", &peer.url).set(name, &format!(" {token}\r\n"));
        desk.run(&["token", "demo/hello", "-s", "app"]).exits(0);
        assert_eq!(peer.seen().pop().unwrap().bearer, format!("Bearer {token}"));
    }
}

#[test]
fn another_team_than_the_credentials_own_is_set_aside() {
    let peer = Peer::with(|_, _, _| {
        let message = "The credential is not for the team that the request names.";
        let next = json!([{"command": "carnet whoami", "when": "to see which team it is for"}]);
        Some((403, json!({"error": {"code": "forbidden", "message": message, "next": next}})))
    });
    let desk = Desk::dev(&peer.url).set("CARNET_TEAM", "globex");
    for line in [&["whoami"][..], &["list", "--all-projects"], &["projects"]] {
        assert_eq!(first_step(&desk, line, 6), "unset CARNET_TEAM");
        let flagged = [line, &["--team", "globex"]].concat();
        assert_eq!(first_step(&Desk::dev(&peer.url), &flagged, 6), "the same command without --team");
    }
}

#[test]
fn an_identity_that_is_none_or_has_ended_is_not_passed_off_as_somebody() {
    let peer = Peer::usual();
    let ended = json!({"sub": "owner:dev:project:my-app:environment:preview", "exp": 1_700_000_000});
    let ended = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(ended.to_string()));
    for (token, said) in [("garbage", "is no workload identity"), (ended.as_str(), "ended ")] {
        let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", token);
        let done = desk.run(&["whoami"]).exits(4);
        assert!(done.out.is_empty() && done.err.contains(said), "{done:?}");
        // The command that gets a new one is a person's: with the broken one it would be refused as well.
        assert_eq!(first_step(&desk, &["whoami"], 4), "unset CARNET_OIDC_TOKEN; carnet env pull");
        let checks = desk.run(&["doctor", "--json"]).exits(1).json()["checks"].clone();
        let all = checks.as_array().unwrap();
        let check = all.iter().find(|check| check["name"] == "credential").unwrap();
        assert_eq!(check["outcome"], "failed", "{check}");
        assert_eq!(check["next"][0]["command"], "unset CARNET_OIDC_TOKEN; carnet env pull");
    }
}

/// One that nothing here can tell from a good one.
fn identity() -> String {
    let claims = json!({"sub": "owner:dev:project:my-app:environment:preview", "exp": 4_102_444_800_i64});
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn an_identity_is_shown_only_once_the_server_has_taken_it() {
    let answers = |status: u16, code: &'static str, message: &'static str| {
        Peer::with(move |route, _, _| {
            let error = json!({"error": {"code": code, "message": message}});
            (route == "GET /v2/user").then_some((status, error))
        })
    };
    let forged = "The workload identity is not accepted: the signature is wrong.";
    let team = "The credential is not for the team that the request names.";
    for (status, code, message, exit) in [
        (403, "forbidden", "A workload may ask for tokens.", 0),
        (401, "unauthorized", forged, 4),
        (403, "forbidden", team, 6),
        (503, "unavailable", "Later.", 8),
    ] {
        let peer = answers(status, code, message);
        let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", &identity());
        let done = desk.run(&["whoami"]).exits(exit);
        assert_eq!(done.out.contains("environment:preview"), exit == 0, "{done:?}");
        let checks = desk.run(&["doctor", "--json"]).json()["checks"].clone();
        let check =
            checks.as_array().unwrap().iter().find(|one| one["name"] == "credential").unwrap().clone();
        assert_eq!(check["outcome"], if exit == 0 { "ok" } else { "failed" }, "{check}");
    }
}

#[test]
fn a_broken_credential_is_named_with_its_variable_and_the_file_that_has_it() {
    let forged = "The workload identity is not accepted: the signature is wrong.";
    let peer = Peer::with(move |route, _, _| {
        let error = json!({"error": {"code": "unauthorized", "message": forged}});
        route.contains("/connect/").then_some((401, error))
    });
    let told = |token: &str, file: Option<(&str, &str)>| {
        let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_OIDC_TOKEN", token);
        if let Some((name, text)) = file {
            std::fs::write(desk.path(name), text).unwrap();
        }
        let step = first_step(&desk, &["show", "demo/hello"], 4);
        assert_eq!(step, "unset CARNET_OIDC_TOKEN; carnet env pull");
        let done = desk.run(&["show", "demo/hello"]).exits(4);
        assert!(!done.err.contains(token), "{done:?}");
        done.err.lines().next().unwrap().to_owned()
    };
    let token = identity();
    assert!(told(&token, None).contains("is wrong (CARNET_OIDC_TOKEN)   [unauthorized]"));
    let line = format!("CARNET_OIDC_TOKEN={token}\n");
    assert!(told(&token, Some((".env.local", &line))).contains("(CARNET_OIDC_TOKEN, as in .env.local)"));
    assert!(told(&token, Some((".env", &line))).contains("(CARNET_OIDC_TOKEN, as in .env)"));
    assert!(told("other.e.f", Some((".env.local", &line))).contains("(CARNET_OIDC_TOKEN)"));
    // An open quote took in the next line: it is never sent, and is told of all the same.
    let cut = told("a.b.c\nB=2", Some((".env.local", "CARNET_OIDC_TOKEN='a.b.c\nB=2\n")));
    assert!(
        cut.contains("CARNET_OIDC_TOKEN holds is no credential") && cut.contains("(as in .env.local)"),
        "{cut}"
    );
}

#[test]
fn what_does_not_exist_or_cannot_be_called_so_leads_to_what_can() {
    let peer = Peer::with(|route, _, _| match route {
        "POST /v1/connect/connectors/managed" => {
            Some(refusal(400, "invalid_request", json!({"field": "name"})))
        }
        _ if route == format!("GET /v3/env/pull/{PROJECT}/nosuch") => {
            Some(refusal(404, "not_found", json!({})))
        }
        _ => None,
    });
    let desk = Desk::dev(&peer.url);
    assert_eq!(first_step(&desk, &["env", "pull", "--environment", "nosuch"], 3), "carnet projects show");
    assert_eq!(first_step(&desk, &["create", "demo", "-n", "a\u{7}b"], 2), "carnet create --help");
}

#[test]
fn the_command_that_is_named_next_keeps_the_flags() {
    let peer = Peer::with(|route, _, _| {
        let url = json!({"authorizationUrl": "https://carnet.example/authorize"});
        route.starts_with("POST /v1/connect/token/").then(|| refusal(422, "user_authorization_required", url))
    });
    let desk = Desk::dev(&peer.url);
    for (flags, kept) in [
        (&["--user", "al"][..], " --user al"),
        (&["-s", "app"], " --subject app"),
        (&["--scopes", "a b", "--installation-id", "T1"], " --installation-id T1 --scopes 'a b'"),
        (&["--no-default-scopes"], " --no-default-scopes"),
    ] {
        let line = [&["token", "demo/hello"][..], flags].concat();
        let error = desk.run(&[&line[..], &["--json"]].concat()).exits(5).json()["error"].clone();
        let wanted = json!(format!("carnet token demo/hello{kept} --yes"));
        let steps = error["next"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["command"] == wanted), "{wanted}: {error}");
    }
}

#[test]
fn the_tokens_of_one_installation_are_revoked_by_its_name_alone() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    let line = ["revoke-tokens", "demo/hello", "--installation-id", "sci_1", "--yes", "--json"];
    let told = desk.run(&line).exits(0).json();
    assert_eq!(told["scope"], "installation");
    assert_eq!(peer.seen().pop().unwrap().body, json!({"all": true, "installationId": "sci_1"}));
    desk.run(&[&line[..], &["--my-tokens"]].concat()).exits(0);
    let body = peer.seen().pop().unwrap().body;
    assert_eq!((&body["installationId"], &body["subject"]["type"]), (&json!("sci_1"), &json!("user")));
    for two in [["--my-tokens", "--all-tokens"], ["--my-tokens", "--user=u"], ["--all-tokens", "--user=u"]] {
        desk.run(&[&line[..], &two].concat()).exits(2);
    }
}

#[test]
fn an_answer_that_finds_no_room_is_told_of_elsewhere() {
    let peer = Peer::usual();
    for line in [&["list", "--json"][..], &["list"]] {
        let mut desk = Desk::dev(&peer.url);
        desk.full = true;
        let done = desk.run(line).exits(1);
        assert!(
            done.err.contains("cannot be written to stdout") && done.err.contains("[output_failed]"),
            "{done:?}"
        );
    }
}

#[test]
fn all_projects_are_listed_and_those_that_are_looked_for() {
    let named = |name: String| {
        let mut one = project();
        one["name"] = name.into();
        one
    };
    let peer = Peer::following(move |line, _| {
        let query = line.strip_prefix("GET /v9/projects?")?;
        let asked = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(known, _)| known == name)
                .map(|(_, v)| v.into_owned())
        };
        let text = asked("search").unwrap_or_default();
        let (from, limit) = (asked("from").unwrap_or_default(), asked("limit")?.parse().ok()?);
        let all = (0..250).map(|at| format!("app-{at:03}"));
        let page: Vec<String> = all.filter(|name| name.contains(&text) && *name > from).take(limit).collect();
        let next = page.last().filter(|_| page.len() == limit).cloned();
        let page: Vec<Value> = page.into_iter().map(named).collect();
        Some((200, json!({"projects": page, "pagination": {"next": next}})))
    });
    let desk = Desk::dev(&peer.url);
    let listed = desk.run(&["projects", "list", "--json"]).exits(0).json();
    assert_eq!((listed["projects"].as_array().unwrap().len(), &listed["next"]), (250, &Value::Null));
    let found = desk.run(&["projects", "list", "--search", "app-24"]).exits(0);
    assert_eq!(found.out.lines().count(), 11, "{found:?}");
    let page = desk.run(&["projects", "list", "--search", "app-1", "--limit", "2"]).exits(0);
    let more = "carnet projects list --search app-1 --limit 2 --next app-101";
    assert!(page.out.lines().count() == 3 && page.err.contains(more), "{page:?}");
    let last = desk.run(&["projects", "ls", "--next", "app-247", "--json"]).exits(0).json();
    assert_eq!(last["projects"].as_array().unwrap().len(), 2);
    assert!(desk.run(&["projects", "list", "--search", "zzz"]).exits(0).err.contains("No project has zzz"));
    desk.run(&["projects", "list", "--limit", "101"]).exits(2);
}

#[test]
fn a_path_that_is_no_text_is_written_to_and_told_of() {
    let peer = Peer::with(|route, _, _| {
        let variables = json!({"env": {"CARNET_URL": "http://127.0.0.1"}});
        route.starts_with("GET /v3/env/pull/").then_some((200, variables))
    });
    let desk = Desk::dev(&peer.url);
    let name = OsString::from_vec(b"odd\xff.env".to_vec());
    let words = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
    let line = [words(&["env", "pull"]), vec![name.clone()], words(&["--json"])].concat();
    assert_eq!(desk.run_words(line).exits(0).json()["file"], "odd\u{fffd}.env");
    assert!(desk.root.path().join(&name).is_file());
    let line = [words(&["audit", "export", "--output"]), vec![name], words(&["--json"])].concat();
    assert_eq!(desk.run_words(line).exits(1).json()["error"]["code"], "file_failed");
}

#[test]
fn an_address_with_a_password_in_it_is_refused_and_not_repeated() {
    let peer = Peer::usual();
    let url = peer.url.replace("http://", "http://ada:hush@");
    for line in [&["list"][..], &["whoami"]] {
        let desk = Desk::bare().set("CARNET_URL", &url).set("CARNET_TOKEN", TOKEN);
        let done = desk.run(line).exits(2);
        assert!(done.err.contains("CARNET_URL has a user name or a password"), "{done:?}");
        assert!(!format!("{done:?}").contains("hush") && peer.lines().is_empty(), "{done:?}");
    }
    let done = Desk::bare().run(&["context", "add", "x", &url]).exits(2);
    assert!(!format!("{done:?}").contains("hush"), "{done:?}");
}

#[test]
fn a_file_of_sign_ins_that_cannot_be_read_is_told_of_where_it_is_all_there_is() {
    let desk = Desk::bare();
    std::fs::create_dir(desk.path("config")).unwrap();
    super::folder::replace(&desk.path("config/logins.json"), b"{bad", 0o600).unwrap();
    let done = desk.run(&["list"]).exits(4);
    assert!(done.err.contains("logins.json"), "{done:?}");
}

#[test]
fn an_audit_log_in_which_nothing_fits_says_so() {
    let desk = Desk::dev(&Peer::usual().url);
    assert!(desk.run(&["audit", "tail"]).exits(0).err.contains("There is no event yet."));
    let done = desk.run(&["audit", "tail", "--action", "tokn.issue"]).exits(0);
    assert!(done.out.is_empty() && done.err.contains("No event fits."), "{done:?}");
}

#[test]
fn a_home_that_is_only_read_costs_no_sign_in() {
    let peer = Peer::usual();
    let desk = Desk::bare();
    std::fs::write(desk.path("config"), "in the place of the folder").unwrap();
    let error = desk.run(&["login", &peer.url, "--json"]).exits(1).json()["error"].clone();
    assert_eq!(error["code"], "credential_file_unusable", "{error}");
    assert!(peer.lines().is_empty(), "nobody is sent to a page: {:?}", peer.lines());

    // The token is renewed minutes before it ends, and is good until then.
    let now = carnet_model::Env::system().now().millis();
    for (ends, exit) in [(now + 60_000, 0), (now - 60_000, 1)] {
        let desk = Desk::bare();
        std::fs::create_dir_all(desk.path("config/logins.lock")).unwrap();
        let login = json!({"accessToken": TOKEN, "refreshToken": "crr_1", "expiresAt": ends});
        let kept = json!({"current": "work", "contexts": {"work": {"url": peer.url, "login": login}}});
        super::folder::replace(&desk.path("config/logins.json"), kept.to_string().as_bytes(), 0o600).unwrap();
        let done = desk.run(&["list", "--all-projects"]).exits(exit);
        assert_eq!(done.err.contains("logins.json cannot be written"), exit == 1, "{done:?}");
    }
    assert!(!peer.lines().iter().any(|line| line.contains("/login/")), "{:?}", peer.lines());
}

#[test]
fn no_credential_goes_to_another_machine_without_tls() {
    let elsewhere = "http://192.0.2.2:7070";
    let desk = || Desk::bare().set("CARNET_URL", elsewhere);
    for line in [&["whoami"][..], &["list"], &["token", "demo/hello"]] {
        let error =
            desk().set("CARNET_TOKEN", TOKEN).run(&[line, &["--json"]].concat()).json()["error"].clone();
        assert_eq!(error["code"], "insecure_address", "{line:?}: {error}");
        let allow = error["next"].as_array().unwrap().last().unwrap()["command"].clone();
        assert_eq!(allow, "export CARNET_ALLOW_HTTP=1", "{line:?}");
    }
    let error = desk().run(&["login", elsewhere, "--json"]).json()["error"].clone();
    assert_eq!(error["code"], "insecure_address", "{error}");
    let checks =
        desk().set("CARNET_TOKEN", TOKEN).run(&["doctor", "--json"]).exits(1).json()["checks"].clone();
    assert_eq!((&checks[0]["name"], &checks[0]["outcome"]), (&json!("address"), &json!("failed")));
}
