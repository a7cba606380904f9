//! `projects trust`: what is shown, what is sent, and what is never said.

use serde_json::{Value, json};

use super::peer::{Peer, refusal};
use super::{Desk, PROJECT};

const ISSUER: &str = "iss_0000000000000000000001";
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// A server that finds rules with `repository_id` safe and recognises its tokens; without it says what would be.
fn server() -> Peer {
    Peer::with(|route, body, _| match route {
        "POST /v1/trusted-issuers" => {
            let mut answer = body.clone();
            answer["id"] = json!(ISSUER);
            answer["issuer"] = json!(GITHUB);
            Some((201, answer))
        }
        "POST /v1/trusted-issuers/check" => Some((200, report(body))),
        "GET /v1/trusted-issuers" => Some((200, json!({"trustedIssuers": [stored()]}))),
        "GET /v1/trusted-issuers/iss_0000000000000000000001" => Some((200, stored())),
        "DELETE /v1/trusted-issuers/iss_0000000000000000000001" => Some((204, Value::Null)),
        "GET /v1/trusted-issuers/families" => Some((
            200,
            json!({"families": [{"family": "github-actions", "title": "GitHub Actions", "issuer": GITHUB,
                "claims": ["repository_id"], "oneOf": [["environment"], ["ref", "ref_protected"]], "remedy": "add"},
                {"family": "kubernetes", "title": "Kubernetes", "issuer": null, "claims": ["uid"], "oneOf": []}]}),
        )),
        _ => None,
    })
}

fn report(body: &Value) -> Value {
    let mut config = body["trustedIssuer"].clone();
    config["issuer"] = json!(GITHUB);
    let claims = config["rules"][0]["claims"].clone();
    let weak = claims.get("repository_id").is_none();
    let line = |what: &str, wanted: &Value, found: &str| json!({"what": what, "wanted": wanted, "found": found, "fits": *wanted == found});
    let rule: Vec<Value> =
        claims.as_object().unwrap().iter().map(|(name, wanted)| line(name, wanted, "7")).collect();
    let mut compared = vec![line("aud", &json!("a"), "a")];
    compared.extend(config.get("types").map(|types| line("typ", &types[0], "at+jwt")));
    let fits = !weak && rule.iter().chain(&compared).all(|line| line["fits"] == true);
    json!({
        "trustedIssuer": config,
        "weaknesses": if weak { json!(["rule 1, for GitHub Actions: add repository_id"]) } else { json!([]) },
        "safeRules": [{"repository_id": "7"}],
        "token": body.get("token").map(|_| json!({
            "claims": {"repository_id": "7", "actor": "octo\u{1b}[31mcat"},
            "compared": compared,
            "rules": [rule],
            "signature": "good",
            "matched": if fits { json!(1) } else { Value::Null },
            "refusal": if fits { Value::Null } else { json!("no rule of the trusted issuer matches") },
        })),
    })
}

fn stored() -> Value {
    json!({"id": ISSUER, "issuer": GITHUB, "family": "github-actions", "audiences": ["a"], "algorithms": ["RS256"],
        "maxLifeSeconds": 3600, "maxAgeSeconds": 900, "rules": [{"project": PROJECT, "environment": "production",
        "subjects": ["app"], "claims": {"repository_id": "7", "sub": {"oneBelow": "spiffe://a/b"}}}]})
}

fn desk(peer: &Peer) -> Desk {
    let desk = Desk::dev(&peer.url);
    std::fs::write(desk.path("token.jwt"), format!("{TOKEN}\n")).unwrap();
    desk
}

#[test]
fn a_rule_is_made_from_an_example_token_and_shown_beside_it() {
    let peer = server();
    let desk = desk(&peer);
    let line = ["projects", "trust", "my-app", "-e", "production", "--token-file", "token.jwt"];
    let done = desk.run(&[&line[..], &["--yes"]].concat()).exits(0);
    for says in [
        "repository_id  7        7   yes",
        "aud",
        "Not looked at",
        "octo [31mcat",
        "signature is the issuer's",
    ] {
        assert!(done.out.contains(says), "{says}: {done:?}");
    }
    assert!(
        !done.out.contains(TOKEN) && !done.err.contains(TOKEN) && !done.out.contains('\u{1b}'),
        "{done:?}"
    );
    let asked = peer.body("POST /v1/trusted-issuers/check");
    assert_eq!((&asked["token"], asked["trustedIssuer"].get("issuer")), (&json!(TOKEN), None));
    let sent = peer.seen().pop().unwrap();
    assert_eq!(sent.line.split('?').next(), Some("POST /v1/trusted-issuers"));
    assert_eq!(
        (&sent.body["issuer"], &sent.body["rules"][0]["claims"]),
        (&json!(GITHUB), &json!({"repository_id": "7"}))
    );
    assert!(!sent.body.to_string().contains(TOKEN), "the token is not part of what is trusted");
    // Without --yes and with nobody to ask nothing is trusted.
    let refused = desk.run(&[&line[..], &["--json"]].concat()).exits(2);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("--yes"), "{refused:?}");
    assert_eq!(peer.lines().iter().filter(|line| *line == "POST /v1/trusted-issuers").count(), 1);
}

#[test]
fn a_token_is_read_from_stdin_and_a_dry_run_changes_nothing() {
    let peer = server();
    let line = [
        "projects",
        "trust",
        "my-app",
        "-e",
        "production",
        "--family",
        "github-actions",
        "--token-file",
        "-",
        "--dry-run",
    ];
    desk(&peer).typing(TOKEN).run(&line).exits(0);
    let other =
        desk(&peer).typing(TOKEN).run(&[&line[..], &["--claim", "repository_id=8"]].concat()).exits(6);
    assert!(other.out.contains("repository_id  8        7   NO"), "{other:?}");
    assert!(other.err.contains("would be refused"), "{other:?}");
    let json = desk(&peer)
        .typing(TOKEN)
        .run(&[&line[..], &["--claim", "repository_id=8", "--json"]].concat())
        .exits(6);
    assert_eq!(json.json()["token"]["matched"], Value::Null);
    assert!(!peer.lines().contains(&"POST /v1/trusted-issuers".to_owned()));
}

#[test]
fn yes_does_not_trust_what_refuses_its_own_example() {
    let peer = server();
    let line = ["projects", "trust", "my-app", "-e", "production", "--token-file", "token.jwt", "--yes"];
    let other = desk(&peer).run(&[&line[..], &["--claim", "repository_id=8"]].concat()).exits(6);
    assert!(
        other.err.contains("would be refused") && other.err.contains("leave --token-file out"),
        "{other:?}"
    );
    assert!(!other.err.contains("--typ"), "{other:?}");
    let typed = desk(&peer).run(&[&line[..], &["--typ", "JWT,none"]].concat()).exits(6);
    assert!(typed.err.contains("fix: --typ at+jwt"), "{typed:?}");
    let asked = peer.seen().pop().unwrap().body;
    assert_eq!(asked["trustedIssuer"]["types"], json!(["JWT", ""]));
    assert!(!peer.lines().contains(&"POST /v1/trusted-issuers".to_owned()));
    desk(&peer).run(&[&line[..], &["--typ", "at+jwt"]].concat()).exits(0);
    let sent = peer.seen().pop().unwrap();
    assert_eq!(sent.line.split('?').next(), Some("POST /v1/trusted-issuers"));
    assert_eq!(sent.body["types"], json!(["at+jwt"]));
}

#[test]
fn a_rule_that_trusts_strangers_is_answered_with_the_safe_one() {
    let peer = server();
    let line = [
        "projects",
        "trust",
        "my-app",
        "-e",
        "production",
        "--family",
        "github-actions",
        "--claim",
        "repository=o/r",
    ];
    let done = desk(&peer).run(&[&line[..], &["--token-file", "token.jwt", "--yes"]].concat()).exits(1);
    assert!(done.err.contains("add repository_id"), "{done:?}");
    assert!(done.err.contains("fix: --claim repository_id=7   a rule that names the workload"), "{done:?}");
    assert!(!peer.lines().contains(&"POST /v1/trusted-issuers".to_owned()));
    // Without a token it is the server that refuses, with gaps to be filled in.
    let refusing = Peer::with(|route, _, _| {
        (route == "POST /v1/trusted-issuers").then(|| {
            refusal(
                400,
                "invalid_request",
                json!({"weaknesses": ["w"], "safeRules": [{"repository_id": "<repository_id>"}]}),
            )
        })
    });
    let done = desk(&refusing).run(&line).exits(2);
    assert!(done.err.contains("fix: --claim 'repository_id=<repository_id>'"), "{done:?}");
}

#[test]
fn keys_of_a_cluster_and_the_rest_are_sent_as_given() {
    let peer = server();
    let desk = desk(&peer);
    std::fs::write(desk.path("keys.json"), r#"{"keys":[{"kty":"EC"}]}"#).unwrap();
    std::fs::write(desk.path("no.json"), "not json").unwrap();
    let line = [
        "projects",
        "trust",
        "my-app",
        "-e",
        "qa",
        "--family",
        "kubernetes",
        "--issuer",
        "https://k",
        "--claim",
        "kubernetes.io.serviceaccount.uid=u",
        "--algorithm",
        "ES384,EdDSA",
        "--max-age",
        "60",
        "--max-life",
        "120",
    ];
    desk.run(&[&line[..], &["--jwks-file", "keys.json"]].concat()).exits(0);
    let sent = peer.body("POST /v1/trusted-issuers");
    assert_eq!(sent["jwks"], json!({"keys": [{"kty": "EC"}]}));
    assert_eq!((&sent["family"], &sent["issuer"]), (&json!("kubernetes"), &json!("https://k")));
    assert_eq!(sent["algorithms"], json!(["ES384", "EdDSA"]));
    assert_eq!((&sent["maxAgeSeconds"], &sent["maxLifeSeconds"]), (&json!(60), &json!(120)));
    assert_eq!(sent["rules"][0]["environment"], "env_0000000000000000000001");
    for wrong in
        [&["--jwks-file", "no.json"][..], &["--jwks-file", "nope.json"], &["--token-file", "nope.jwt"]]
    {
        desk.run(&[&line[..], wrong].concat()).exits(2);
    }
    for (line, says) in [
        (&["projects", "trust", "my-app"][..], "--environment is missing"),
        (&["projects", "trust", "my-app", "-e", "production"][..], "Whose identities?"),
        (&["projects", "trust", "my-app", "-e", "production", "--family", "gitlab"][..], "Which workload?"),
    ] {
        let done = desk.run(line).exits(2);
        assert!(done.err.contains(says), "{done:?}");
    }
}

#[test]
fn trusted_issuers_are_listed_shown_and_removed() {
    let peer = server();
    let desk = desk(&peer);
    let listed = desk.run(&["projects", "trust", "list"]).exits(0);
    assert!(listed.out.contains(&format!("{ISSUER}  github-actions  {GITHUB}  1")), "{listed:?}");
    assert_eq!(
        desk.run(&["projects", "trust", "ls", "--json"]).exits(0).json()["trustedIssuers"][0]["id"],
        ISSUER
    );
    let shown = desk.run(&["projects", "trust", "show", ISSUER]).exits(0);
    for says in ["Greatest age  900 s", "Keys          by discovery", "repository_id  7", "spiffe://a/b/*"] {
        assert!(shown.out.contains(says), "{says}: {shown:?}");
    }
    desk.run(&["projects", "trust", "remove", ISSUER]).exits(2);
    assert_eq!(
        desk.run(&["projects", "trust", "rm", ISSUER, "--yes", "--json"]).exits(0).json()["removed"],
        true
    );
    assert!(peer.lines().contains(&format!("DELETE /v1/trusted-issuers/{ISSUER}")));
    desk.run(&["projects", "trust", "show", "prj_1"]).exits(2);
    for line in [&["projects", "trust", "show"][..], &["projects", "trust", "rm", "-y"]] {
        let done = desk.run(&[line, &["iss_0000000000000000000009"]].concat()).exits(3);
        assert!(done.err.contains("fix: carnet projects trust list"), "{done:?}");
    }
    let families = desk.run(&["projects", "trust", "families"]).exits(0);
    assert!(families.out.contains("repository_id and environment or ref with ref_protected"), "{families:?}");
    assert!(families.out.contains("kubernetes      --issuer"), "{families:?}");
}
