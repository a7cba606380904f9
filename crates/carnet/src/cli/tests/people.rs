//! Teams, members and access tokens.

use serde_json::{Value, json};

use super::peer::{Peer, refusal};
use super::{Desk, PROJECT, TEAM, TOKEN, USER};

const ATK: &str = "atk_0000000000000000000001";
const INV: &str = "inv_0000000000000000000001";

fn team() -> Value {
    json!({"id": TEAM, "slug": "dev", "name": "Dev", "strictConnectors": true, "role": "owner"})
}

fn token(more: Value) -> Value {
    let mut token = json!({"id": ATK, "name": "ci", "last4": "wxyz", "userId": USER, "access": ["audit.read"],
        "projectId": null, "createdAt": 0, "expiresAt": 0, "lastUsedAt": null});
    token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    token
}

fn peer() -> Peer {
    let invitation = json!({"id": INV, "role": "viewer", "email": "ada@example.com", "createdBy": USER,
        "createdAt": 0, "expiresAt": 0});
    Peer::with(move |route, body, _| {
        let team_path = "/v1/teams/team_0000000000000000000001";
        let (method, path) = route.split_once(' ').unwrap();
        let member = json!({"userId": USER, "email": "ada@example.com", "name": "Ada", "role": "member",
            "joinedAt": 0, "disabled": false});
        Some(match (method, path.strip_prefix(team_path).unwrap_or(path)) {
            ("GET", "/v2/teams") => (200, json!({"teams": [team()]})),
            ("GET", path) if path.starts_with("/teams/") => (200, team()),
            ("PATCH", "") => (200, team()),
            ("POST", "/v1/teams" | "/v1/invitations/accept") => (
                201,
                json!({"team": team(), "role": "viewer", "accessToken": token(json!({"token": TOKEN}))}),
            ),
            ("POST", "/v1/invitations/show") if body["invitation"] == "used" => {
                refusal(410, "gone", json!({}))
            }
            ("POST", "/v1/invitations/show") => {
                (200, json!({"team": team(), "role": "viewer", "email": null, "expiresAt": 0}))
            }
            ("GET", "/members") => (200, json!({"members": [member]})),
            ("GET", "/invitations") => (200, json!({"invitations": [invitation]})),
            ("POST", "/invitations") => {
                let mut made = invitation.clone();
                made["invitation"] = json!("the-invitation");
                made["url"] = json!("https://connect.example/invitation/the-invitation");
                (201, made)
            }
            ("DELETE", "/invitations/inv_0000000000000000000002") => refusal(404, "not_found", json!({})),
            ("POST", "/members/ada@example.com/passphrase-reset") => (
                201,
                json!({"userId": USER, "email": "ada@example.com", "expiresAt": 0,
                    "url": "https://connect.example/reset/the-link"}),
            ),
            ("PATCH", "/members/ada@example.com") => (200, member),
            ("PATCH", _) if path.contains("/members/") => refusal(409, "conflict", json!({})),
            ("GET", "/v1/access-tokens") => (200, json!({"tokens": [token(json!({"lastUsedAt": 0}))]})),
            ("POST", "/v1/access-tokens") if body["access"] == "full" => {
                refusal(403, "forbidden", json!({"right": "token.app"}))
            }
            ("POST", "/v1/access-tokens") => (201, token(json!({"token": TOKEN}))),
            ("DELETE", _) => (204, Value::Null),
            _ => return None,
        })
    })
}

#[test]
fn members_are_seen_invited_changed_and_removed() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    let done = desk.run(&["members"]).exits(0);
    for says in ["ada@example.com", "member", INV, "viewer"] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }
    let json = desk.run(&["members", "list", "--json"]).exits(0).json();
    assert_eq!((&json["members"][0]["userId"], &json["invitations"][0]["id"]), (&json!(USER), &json!(INV)));

    let line = ["members", "invite", "--role", "viewer", "--email", "ada@example.com", "--expires", "2d"];
    let done = desk.run(&line).exits(0);
    let link = "https://connect.example/invitation/the-invitation\n";
    assert_eq!(done.out, link, "stdout has what is to be given on, and nothing else");
    let path = format!("POST /v1/teams/{TEAM}/invitations");
    assert_eq!(
        peer.body(&path),
        json!({"role": "viewer", "email": "ada@example.com", "expiresInMs": 172_800_000})
    );
    let json = desk.run(&["members", "invite", "--role", "connector-manager", "--json"]).exits(0).json();
    assert_eq!(json["invitation"], "the-invitation");
    desk.run(&["members", "withdraw", INV]).exits(0);
    let gone = desk.run(&["members", "withdraw", "inv_0000000000000000000002", "--json"]).exits(3).json();
    assert_eq!(gone["error"]["next"][0]["command"], "carnet members list");

    let json =
        desk.run(&["members", "update", "ada@example.com", "--role", "member", "--json"]).exits(0).json();
    assert_eq!(json["role"], "member");
    desk.run(&["members", "update", "last@example.com", "--role", "viewer"]).exits(7);
    let done = desk.run(&["members", "reset-passphrase", "ada@example.com"]).exits(0);
    assert_eq!(done.out, "https://connect.example/reset/the-link\n");
    let json = desk.run(&["members", "reset-password", "ada@example.com", "--json"]).exits(0).json();
    assert_eq!(json["email"], "ada@example.com");
    let before = peer.seen().len();
    desk.run(&["members", "remove", "ada@example.com"]).exits(2);
    assert!(peer.seen().len() <= before + 1, "nothing was removed");
    assert!(!peer.lines().iter().any(|line| line.starts_with("DELETE") && line.contains("/members/")));
    let json = desk.run(&["members", "rm", "ada@example.com", "--yes", "--json"]).exits(0).json();
    assert_eq!(json, json!({"member": "ada@example.com", "removed": true}));
}

#[test]
fn a_team_is_shown_changed_made_and_joined() {
    let peer = peer();
    let desk = Desk::dev(&peer.url);
    assert!(desk.run(&["teams"]).exits(0).out.contains("owner"));
    assert_eq!(desk.run(&["teams", "list", "--json"]).exits(0).json()["teams"][0]["role"], "owner");
    assert!(desk.run(&["teams", "show"]).exits(0).out.contains("kept to owners and connector managers"));
    desk.run(&["teams", "update"]).exits(2);
    desk.run(&["teams", "update", "--strict-connectors", "on"]).exits(0);
    assert_eq!(peer.body(&format!("PATCH /v1/teams/{TEAM}")), json!({"strictConnectors": true}));
    assert_eq!(desk.run(&["teams", "create", "Two", "--slug", "two"]).exits(0).out, format!("{TOKEN}\n"));
    assert_eq!(peer.body("POST /v1/teams?"), json!({"name": "Two", "slug": "two"}));

    let done = desk.run(&["teams", "join", "the-invitation", "--yes"]).exits(2);
    assert!(!done.err.contains("the-invitation") && done.err.contains("teams join @FILE"), "{done:?}");
    desk.run(&["teams", "join", "--yes"]).exits(2);
    assert!(!peer.lines().contains(&"POST /v1/invitations/accept".to_owned()), "nobody said yes");
    let done = desk
        .typing("https://connect.example/invitation/the-invitation\n")
        .run(&["teams", "join", "@-", "--yes"])
        .exits(0);
    assert_eq!(done.out, format!("{TOKEN}\n"));
    assert_eq!(peer.body("POST /v1/invitations/accept"), json!({"invitation": "the-invitation"}));
    let asked = Desk::dev(&peer.url).at_a_terminal("the-invitation\ny\n").run(&["teams", "join"]).exits(0);
    assert!(!asked.err.contains("the-invitation"), "{asked:?}");
    let desk = Desk::dev(&peer.url).typing("x");
    let json = desk.run(&["teams", "join", "@-", "--yes", "--json"]).exits(0).json();
    assert_eq!((&json["team"]["slug"], &json["accessToken"]["token"]), (&json!("dev"), &json!(TOKEN)));
    let gone = desk.typing("used").run(&["teams", "join", "@-", "--yes", "--json"]).json();
    assert_eq!(gone["error"]["code"], "gone");
}

#[test]
fn an_access_token_is_made_seen_and_ended() {
    let peer = peer();
    let mut desk = Desk::dev(&peer.url);
    let made =
        desk.run(&["tokens", "create", "ci", "--access", "audit.read,link.update", "--expires", "90m"]);
    assert_eq!(made.exits(0).out, format!("{TOKEN}\n"));
    assert_eq!(
        peer.body("POST /v1/access-tokens"),
        json!({"name": "ci", "expiresInMs": 5_400_000, "access": ["audit.read", "link.update"]})
    );
    let line = ["tokens", "create", "ci", "--access", "read", "--project", PROJECT, "--json"];
    assert_eq!(desk.run(&line).exits(0).json()["token"], TOKEN);
    let sent = peer.seen().last().unwrap().body.clone();
    assert_eq!(sent, json!({"name": "ci", "access": "read", "projectId": PROJECT}));
    let denied = desk.run(&["tokens", "create", "ci", "--access", "full", "--json"]).exits(6).json();
    assert_eq!(denied["error"]["right"], "token.app");

    let done = desk.run(&["tokens", "ls", "--everybody"]).exits(0);
    for says in [ATK, "…wxyz", "audit.read", USER, "1970-01-01T00:00:00Z"] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }
    assert!(peer.seen().last().unwrap().line.contains("everybody=true"));
    let json = desk.run(&["tokens", "--json"]).exits(0).json();
    assert_eq!(json["tokens"][0]["lastUsedAt"], 0);
    assert!(!peer.seen().last().unwrap().line.contains("everybody"));

    desk.run(&["tokens", "revoke", ATK]).exits(2);
    assert_eq!(desk.run(&["tokens", "revoke", ATK, "--yes", "--json"]).exits(0).json()["revoked"], true);
    assert_eq!(*peer.lines().last().unwrap(), format!("DELETE /v1/access-tokens/{ATK}"));

    // Where a coding agent reads along nothing is made whose token it would see.
    desk.agent = Some("CLAUDECODE");
    let before = peer.seen().len();
    for line in [&["tokens", "create", "x"][..], &["teams", "create", "x"], &["teams", "join", "x", "--yes"]]
    {
        desk.run(line).exits(6);
    }
    assert_eq!(peer.seen().len(), before);
    desk.run(&["tokens", "create", "x", "--print"]).exits(0);
}
