//! Finding a server by its issuer.

use carnet_model::connector::ConnectorType::Oauth;
use serde_json::{Value, json};

use crate::bench::{Bench, Made, metadata, param, scopes_of};
use crate::server::{Reply, Seen};

/// A sound metadata document for an issuer, with something in it that nobody knows.
fn document(issuer: &str) -> Value {
    with(metadata(issuer), "vendor_extension", json!({"x": [1]}))
}

fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

fn data(issuer: &str) -> Value {
    json!({"clientId": "client", "clientSecret": "s", "serverUrl": issuer})
}

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn the_well_known_addresses_are_tried_in_the_order_of_the_standards() {
    let all = [format!("{OAUTH}/api/oidc"), format!("{OPENID}/api/oidc"), format!("/api/oidc{OPENID}")];
    for (answers_at, asked) in [
        // An OAuth document: the OpenID ones are asked for what it may lack.
        (0, 3),
        // Only OpenID, in either place.
        (1, 2),
        (2, 3),
    ] {
        let bench = Bench::new();
        let issuer = format!("{}/api/oidc", bench.server.origin);
        bench.server.on(&all[answers_at], Reply::json(200, document(&issuer)));
        let accepted = bench.accept(Oauth, data(&issuer)).await.unwrap();
        let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
        let want: Vec<String> = all[..asked].iter().map(|path| format!("GET {path}")).collect();
        assert_eq!(lines, want);
        assert_eq!(accepted.data["serverConfig"]["issuer"], json!(issuer));
    }
}

#[tokio::test]
async fn a_root_issuer_has_two_addresses_and_both_documents_are_merged_when_they_agree() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    let oauth = document(&issuer);
    let openid = with(
        with(document(&issuer), "revocation_endpoint", json!(format!("{issuer}/revoke"))),
        "authorization_endpoint",
        json!(format!("{issuer}/other")),
    );
    bench.server.on(OAUTH, Reply::json(200, oauth)).on(OPENID, Reply::json(200, openid));
    let accepted = bench.accept(Oauth, data(&issuer)).await.unwrap();
    let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
    assert_eq!(lines, [format!("GET {OAUTH}"), format!("GET {OPENID}")]);
    let config = &accepted.data["serverConfig"];
    assert_eq!(config["authorization_endpoint"], json!(format!("{issuer}/authorize")), "the first one leads");
    assert_eq!(config["revocation_endpoint"], json!(format!("{issuer}/revoke")), "the second one fills gaps");
    assert_eq!(config.get("vendor_extension"), None);
}

#[tokio::test]
async fn documents_that_disagree_are_not_merged() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    let revoke = json!(format!("{issuer}/revoke"));
    let other = with(
        with(document(&issuer), "token_endpoint", json!(format!("{issuer}/t2"))),
        "revocation_endpoint",
        revoke,
    );
    bench.server.on(OAUTH, Reply::json(200, document(&issuer))).on(OPENID, Reply::json(200, other));
    let accepted = bench.accept(Oauth, data(&issuer)).await.unwrap();
    assert_eq!(accepted.data["serverConfig"]["token_endpoint"], json!(format!("{issuer}/token")));
    assert_eq!(accepted.data["serverConfig"].get("revocation_endpoint"), None);
}

#[tokio::test]
async fn a_document_of_another_issuer_is_not_used() {
    for (given, named, hint) in [
        ("", "/", "with a final slash"),
        ("/", "", "without the final slash"),
        ("", "/other", "another issuer"),
        ("", "X", "another issuer"),
    ] {
        let bench = Bench::new();
        let origin = &bench.server.origin;
        let mut found = document(origin);
        found["issuer"] = json!(format!("{origin}{named}"));
        bench.server.on(OAUTH, Reply::json(200, &found)).on(OPENID, Reply::json(200, &found));
        let bad = bench.accept(Oauth, data(&format!("{origin}{given}"))).await.unwrap_err();
        assert_eq!(bad.field, "serverUrl");
        assert!(bad.why.contains(hint), "{given:?} {named:?}: {}", bad.why);
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_used_is_told_by_its_member() {
    for (member, value) in
        [("issuer", json!(7)), ("scopes_supported", json!("read")), ("token_endpoint", json!([]))]
    {
        let bench = Bench::new();
        let issuer = bench.server.origin.clone();
        let found = with(document(&issuer), member, value);
        bench.server.on(OAUTH, Reply::json(200, found));
        let bad = bench.accept(Oauth, data(&issuer)).await.unwrap_err();
        assert_eq!(bad.field, "serverUrl");
        let why = format!("the metadata found there cannot be used: {member} ");
        assert!(bad.why.starts_with(&why), "{}", bad.why);
    }
}

#[tokio::test]
async fn a_document_that_is_not_read_is_told_by_what_is_wrong_with_it() {
    let deep = format!("{{\"issuer\":{}1{}}}", "[".repeat(17), "]".repeat(17));
    for (reply, want) in [
        (Reply::json(200, r#"{"issuer":"a","issuer":"b"}"#), "cannot be used: one name stands in it twice"),
        (Reply::json(200, deep.as_str()), "cannot be used: it is nested deeper"),
        (Reply::text(200, "text/html", "<html>sign in</html>"), "(one had something that is not JSON"),
        (Reply::json(200, "[]"), "(one had JSON that is no object)"),
    ] {
        let bench = Bench::new();
        bench.server.on(OAUTH, reply);
        let bad = bench.accept(Oauth, data(&bench.server.origin.clone())).await.unwrap_err();
        assert_eq!(bad.field, "serverUrl");
        assert!(bad.why.contains(want), "{}", bad.why);
    }
}

#[tokio::test]
async fn what_is_not_a_document_counts_as_none() {
    let issuer_of = |bench: &Bench| bench.server.origin.clone();
    for reply in [
        Reply::text(200, "text/html", "<html>sign in</html>"),
        Reply::json(200, "[]"),
        Reply::json(404, "{}"),
        Reply::json(500, "{}"),
        Reply::text(302, "text/plain", "").with("location", "/elsewhere"),
    ] {
        let bench = Bench::new();
        let issuer = issuer_of(&bench);
        bench.server.on(OAUTH, reply.clone());
        let bad = bench.accept(Oauth, data(&issuer)).await.unwrap_err();
        assert_eq!(bad.field, "serverUrl", "{reply:?}");
        assert!(
            bad.why.contains("2 well-known addresses") && bad.why.contains("serverConfig"),
            "{}",
            bad.why
        );
        let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
        let resource = ["/", "/.well-known/oauth-protected-resource"];
        let all: Vec<_> = [OAUTH, OPENID].iter().chain(&resource).map(|path| format!("GET {path}")).collect();
        assert_eq!(
            lines, all,
            "then it is looked at as a resource; no redirect is followed, nothing is tried twice"
        );

        bench.server.on(OPENID, Reply::json(200, document(&issuer)));
        assert!(bench.accept(Oauth, data(&issuer)).await.is_ok(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_not_taken_for_one_without_metadata() {
    let bench = Bench::new();
    bench.server.on(OAUTH, Reply::HangUp);
    bench.server.on(OPENID, Reply::json(200, document(&bench.server.origin)));
    let bad = bench.accept(Oauth, data(&bench.server.origin)).await.unwrap_err();
    assert!(bad.field == "serverUrl" && bad.why.contains("cannot be had"), "{bad}");
}

#[tokio::test]
async fn metadata_cannot_send_credentials_to_a_strange_host() {
    for name in ["authorization_endpoint", "token_endpoint", "revocation_endpoint"] {
        let bench = Bench::new();
        let issuer = bench.server.origin.clone();
        let stray = with(document(&issuer), name, json!("https://collector.example/x"));
        bench.server.on(OAUTH, Reply::json(200, stray));
        let bad = bench.accept(Oauth, data(&issuer)).await.unwrap_err();
        assert_eq!(bad.field, format!("serverConfig.{name}"));
        assert!(
            bad.why.contains("write issuer") && bad.why.contains("https://collector.example/x"),
            "{}",
            bad.why
        );
    }
}

#[tokio::test]
async fn a_server_that_offers_other_challenges_but_not_s256_is_refused_unless_pkce_is_waived() {
    for (challenges, required, accepted) in [
        (json!(["plain"]), json!(true), false),
        (json!(["plain"]), json!(null), false),
        (json!([]), json!(null), false),
        (json!(["plain"]), json!(false), true),
        (json!(["plain", "S256"]), json!(true), true),
        (json!(null), json!(true), true),
    ] {
        let bench = Bench::new();
        let issuer = bench.server.origin.clone();
        let found = with(document(&issuer), "code_challenge_methods_supported", challenges.clone());
        bench.server.on(OAUTH, Reply::json(200, found));
        let outcome = bench.accept(Oauth, with(data(&issuer), "pkceRequired", required.clone())).await;
        assert_eq!(outcome.is_ok(), accepted, "{challenges} {required}");
        if let Err(bad) = outcome {
            assert_eq!(bad.field, "pkceRequired");
        }
    }
}

#[tokio::test]
async fn the_identifier_itself_is_checked_before_anything_is_asked() {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    for (issuer, why) in [
        ("http://example.com".to_owned(), "https"),
        ("ftp://example.com".to_owned(), "https"),
        ("https://10.0.0.1".to_owned(), "not public"),
        ("https://169.254.169.254".to_owned(), "not public"),
        ("https://user@example.com".to_owned(), "user name"),
        ("example.com".to_owned(), "absolute URL"),
        (format!("{origin}?x=1"), "query"),
        (format!("{origin}#x"), "fragment"),
        (format!("{origin}{OPENID}"), "metadata document"),
    ] {
        let bad = bench.accept(Oauth, data(&issuer)).await.unwrap_err();
        assert!(bad.field == "serverUrl" && bad.why.contains(why), "{issuer}: {bad}");
    }
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn discovery_can_start_elsewhere_than_at_the_server() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    bench.server.on(OAUTH, Reply::json(200, document(&issuer)));
    let data = with(data("https://mcp.example/mcp"), "discoveryServerUrl", json!(issuer));
    let accepted = bench.accept(Oauth, data).await.unwrap();
    assert_eq!(accepted.data["serverUrl"], json!("https://mcp.example/mcp"));
    assert_eq!(accepted.data["serverConfig"]["issuer"], json!(issuer));
}

#[tokio::test]
async fn a_service_named_by_its_host_is_its_own_server() {
    let bench = Bench::new();
    let data = json!({"clientId": "client"});
    let bad = bench.accept_for("10.0.0.1", Oauth, data.clone()).await.unwrap_err();
    assert!(bad.field == "serverUrl" && bad.why.contains("not public"), "{bad}");
    let bad = bench.accept_for("acme", Oauth, data).await.unwrap_err();
    assert!(bad.field == "serverUrl" && bad.why.contains("missing"), "{bad}");
}

#[tokio::test]
async fn what_was_found_is_pinned_and_never_asked_for_again() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    bench.server.on(OAUTH, Reply::json(200, document(&issuer)));
    let first = bench.accept(Oauth, data(&issuer)).await.unwrap();
    bench.server.seen();

    let mut again = first.data.clone();
    first.secrets.put_back(&mut again, &serde_json::Map::new());
    let second = bench.accept(Oauth, Value::Object(again)).await.unwrap();
    assert_eq!(second.data, first.data);
    assert_eq!(bench.server.seen(), []);
}

/// OpenID Connect Core §11: without it, no refresh token comes.
#[tokio::test]
async fn where_a_found_server_is_to_let_in_who_is_away_the_person_is_asked() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    bench.server.on(OPENID, Reply::json(200, document(&issuer)));
    let stays = "openid read offline_access";
    for (more, scopes, own, prompt) in [
        (json!({}), stays, None, Some("consent")),
        (json!({}), stays, Some("login"), Some("login")),
        (
            json!({"authorizationUrlParams": {"prompt": "select_account"}}),
            stays,
            None,
            Some("select_account"),
        ),
        (json!({"refreshTokens": {"enabled": false}}), stays, None, None),
        (json!({}), "openid read", None, None),
        (json!({}), "read offline_access", None, None),
    ] {
        let mut asked = data(&issuer);
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = Made::new(&bench, Oauth, bench.accept(Oauth, asked).await.unwrap());
        let (url, _) = made
            .begin(|ask| {
                ask.scopes = scopes_of(scopes);
                ask.prompt = own.map(str::to_owned);
            })
            .await
            .unwrap();
        assert_eq!(param(&url, "prompt").as_deref(), prompt, "{more} {scopes} {own:?}");
    }
    // What is described by hand, as the catalog does, says its own parameters.
    let made = bench.oauth(json!({})).await;
    let (url, _) = made.begin(|ask| ask.scopes = scopes_of(stays)).await.unwrap();
    assert_eq!(param(&url, "prompt"), None);
}
