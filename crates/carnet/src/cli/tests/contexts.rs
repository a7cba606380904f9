//! `context`, and which one counts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::peer::{Peer, refusal};
use super::{Desk, TEAM, TOKEN};

/// A server that people sign in to by a device, and that takes only what it gave.
fn server(token: &'static str) -> Peer {
    Peer::with(move |route, _, url| {
        Some(match route {
            "POST /login/oauth/device" => (
                200,
                json!({"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": format!("{url}/login/device"),
                    "verification_uri_complete": format!("{url}/login/device?c=x"), "expires_in": 600, "interval": 0}),
            ),
            "POST /login/oauth/token" => {
                (200, json!({"access_token": token, "refresh_token": "r", "expires_in": 28_800}))
            }
            "POST /login/oauth/revoke" => (200, json!({})),
            "GET /login/device" => (200, json!("a page")),
            _ => return None,
        })
    })
}

fn bearers(peer: &Peer, line: &str) -> Vec<String> {
    peer.seen().into_iter().filter(|seen| seen.line.starts_with(line)).map(|seen| seen.bearer).collect()
}

#[test]
fn a_sign_in_makes_a_context_and_each_server_has_its_own() {
    let (one, two) = (server("crn_one"), server("crn_two"));
    let desk = Desk::bare();
    let done = desk.run(&["login", &one.url, "--json"]).exits(0).json();
    let host = one.url.strip_prefix("http://").unwrap();
    assert_eq!(done["context"], host);
    desk.run(&["login", &two.url, "--context", "two"]).exits(0);
    let file = desk.path("config/logins.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // The one signed in to last is the current one.
    desk.run(&["list", "--all-projects"]).exits(0);
    assert_eq!(bearers(&two, "GET /v1/connect"), ["Bearer crn_two"]);
    desk.run(&["context", "use", host]).exits(0);
    desk.run(&["list", "--all-projects"]).exits(0);
    desk.run(&["list", "--all-projects", "--context", "two"]).exits(0);
    let by_variable = Desk { variables: vec![("CARNET_CONTEXT", "two".to_owned())], ..desk };
    by_variable.run(&["list", "--all-projects"]).exits(0);
    by_variable.run(&["list", "--all-projects", "--context", host]).exits(0);
    assert_eq!(bearers(&one, "GET /v1/connect"), ["Bearer crn_one"; 2]);
    assert_eq!(bearers(&two, "GET /v1/connect"), ["Bearer crn_two"; 3]);

    let told = by_variable.run(&["context", "--json"]).exits(0).json();
    assert!(!told.to_string().contains("crn_"), "{told}");
    assert_eq!(told["here"], json!({"url": two.url, "source": "context two"}));
    let current: Vec<_> = told["contexts"].as_array().unwrap().iter().map(|one| &one["current"]).collect();
    assert_eq!(current, [&json!(true), &json!(false)]);
    let desk = Desk { variables: Vec::new(), ..by_variable };
    let done = desk.run(&["context", "list"]).exits(0);
    assert!(
        done.out.contains("dev@localhost") && done.err.contains(&format!("go to {}", one.url)),
        "{done:?}"
    );
    let doctor = desk.run(&["doctor", "--json"]).json();
    let detail = |name: &str| {
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("address").ends_with(&format!("from context {host}")), "{doctor}");
    assert!(detail("credential").ends_with(&format!("from context {host}")), "{doctor}");

    // Signing out keeps the server, and the next sign-in needs no address.
    desk.run(&["logout"]).exits(0);
    assert_eq!(one.lines().iter().filter(|line| *line == "POST /login/oauth/revoke").count(), 1);
    let done = desk.run(&["list", "--all-projects"]).exits(4);
    assert!(done.err.contains(&format!("fix: carnet login {}", one.url)), "{done:?}");
    desk.run(&["login"]).exits(0);
    desk.run(&["list", "--all-projects"]).exits(0);

    desk.run(&["context", "remove", "two"]).exits(2);
    let dry = desk.run(&["context", "rm", "two", "--dry-run", "--json"]).exits(0).json();
    assert_eq!((&dry["dryRun"], &dry["signedOut"]), (&json!(true), &json!(true)));
    assert!(!two.lines().contains(&"POST /login/oauth/revoke".to_owned()));
    desk.run(&["context", "rm", "two", "--yes"]).exits(0);
    assert!(two.lines().contains(&"POST /login/oauth/revoke".to_owned()));
    assert!(!fs::read_to_string(&file).unwrap().contains("crn_two"));
    let gone = desk.run(&["list", "--context", "two", "--json"]).exits(3).json();
    assert_eq!(gone["error"]["next"][0]["command"], "carnet context list");
}

#[test]
fn an_access_token_can_be_brought_and_is_tried_before_it_is_kept() {
    let refusing =
        Peer::with(|route, _, _| (route == "GET /v2/user").then(|| refusal(401, "unauthorized", json!({}))));
    let peer = Peer::usual();
    let desk = Desk::bare().typing("crn_brought\n");
    desk.run(&["context", "add", "no", &refusing.url, "--token", "@-"]).exits(4);
    desk.run(&["context", "add", "on-the-line", &peer.url, "--token", "crn_x"]).exits(2);
    assert!(peer.lines().is_empty());
    let done = desk.run(&["context", "add", "mine", &peer.url, "--team", TEAM, "--token", "@-", "--json"]);
    assert_eq!(
        done.exits(0).json(),
        json!({"name": "mine", "url": peer.url, "team": TEAM, "signedIn": true, "current": true})
    );
    let conflict = desk.run(&["context", "add", "mine", &peer.url, "--json"]).exits(7).json();
    assert_eq!(conflict["error"]["next"][0]["command"], "carnet context remove mine");
    desk.run(&["list", "--all-projects"]).exits(0);
    let last = peer.seen().pop().unwrap();
    assert_eq!(last.bearer, "Bearer crn_brought");
    assert!(last.line.contains(&format!("teamId={TEAM}")), "{last:?}");
    desk.run(&["login", "https://elsewhere.invalid", "--context", "mine"]).exits(7);
}

#[test]
fn what_was_named_on_the_line_goes_before_variables_and_files() {
    let (mine, other) = (Peer::usual(), Peer::usual());
    let desk = Desk::dev(&mine.url).typing("crn_other");
    desk.run(&["context", "add", "other", &other.url, "--token", "@-"]).exits(0);
    // The folder's own server counts before the current context.
    desk.run(&["list", "--all-projects"]).exits(0);
    assert_eq!(mine.seen().pop().unwrap().bearer, format!("Bearer {TOKEN}"));
    assert!(desk.run(&["context", "use", "other"]).exits(0).err.contains("comes first"));
    let before = mine.lines().len();
    desk.run(&["list", "--all-projects", "--context", "other"]).exits(0);
    assert_eq!(other.seen().pop().unwrap().bearer, "Bearer crn_other");
    let desk = desk.set("CARNET_TOKEN", "crn_of_a_variable");
    desk.run(&["list", "--all-projects", "--context", "other"]).exits(0);
    assert_eq!(other.seen().pop().unwrap().bearer, "Bearer crn_other", "its own sign-in");
    assert_eq!(mine.lines().len(), before);
    // A token of the environment does not go to a server that only the current context names.
    let desk = Desk { root: desk.root, ..Desk::bare() };
    fs::remove_file(desk.path(".carnet/dev.json")).unwrap();
    desk.run(&["list", "--all-projects"]).exits(0);
    assert_eq!(other.seen().pop().unwrap().bearer, "Bearer crn_other");
}

#[test]
fn commands_that_run_at_once_renew_a_sign_in_once() {
    let peer = Peer::with(|route, _, _| {
        (route == "POST /login/oauth/token").then(|| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            (200, json!({"access_token": "crn_next", "refresh_token": "r2", "expires_in": 28_800}))
        })
    });
    let desk = Desk::bare();
    let login = json!({"accessToken": "crn_ended", "refreshToken": "r1", "expiresAt": 1});
    let file = json!({"current": "here", "contexts": {"here": {"url": peer.url, "login": login}}});
    fs::create_dir_all(desk.path("config")).unwrap();
    super::folder::replace(&desk.path("config/logins.json"), file.to_string().as_bytes(), 0o600).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| desk.run(&["list", "--all-projects"]).exits(0));
        }
    });
    let renewals = peer.lines().into_iter().filter(|line| line == "POST /login/oauth/token").count();
    assert_eq!(renewals, 1, "a refresh token is good once");
    assert_eq!(bearers(&peer, "GET /v1/connect"), ["Bearer crn_next"; 8]);
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(desk.path("config/logins.json")).unwrap()).unwrap();
    assert_eq!(kept["contexts"]["here"]["login"]["refreshToken"], "r2");
}
