use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carnet_demo::{GrantType, Outcome, What};

use crate::world::{ALL, CALLBACK_WITH_QUERY, FORM, SECRET, VERIFIER, World, basic, form, redemption};

#[tokio::test]
async fn a_code_becomes_tokens() {
    let world = World::new().await;
    let answer = world.redeem(&world.code(&[]).await).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&"Bearer".into(), &3600.into(), &ALL.into())
    );
    let (access, refresh) = answer.tokens();
    assert!(access.starts_with("demo_access_") && refresh.starts_with("demo_refresh_"));
    let last = world.demo.events().pop().unwrap();
    assert_eq!((last.what, last.outcome), (What::Token(Some(GrantType::AuthorizationCode)), Outcome::Done));
}

#[tokio::test]
async fn there_is_a_refresh_token_only_with_offline_access() {
    let world = World::new().await;
    let body = world.redeem(&world.code(&[("scope", "profile:read")]).await).await.json();
    assert_eq!((&body["scope"], body.get("refresh_token")), (&"profile:read".into(), None));
}

#[tokio::test]
async fn a_code_works_once_and_a_second_use_ends_what_came_from_it() {
    let world = World::new().await;
    let code = world.code(&[]).await;
    let (access, refresh) = world.redeem(&code).await.tokens();
    assert!(world.works(&access).await);
    assert_eq!(world.redeem(&code).await.error(), (400, "invalid_grant".into()));
    assert!(world.demo.events().pop().unwrap().grant_ended);
    assert!(!world.works(&access).await);
    assert_eq!(world.refresh(&refresh).await.error(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_code_lives_for_a_minute() {
    let world = World::new().await;
    let code = world.code(&[]).await;
    world.pass(Duration::from_mins(1));
    assert_eq!(world.redeem(&code).await.error(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_code_is_bound_to_client_redirect_and_verifier_and_survives_a_wrong_try() {
    let world = World::new().await;
    let code = world.code(&[]).await;
    let other_verifier = VERIFIER.replace('d', "e");
    for (changed, value) in [
        ("redirect_uri", CALLBACK_WITH_QUERY),
        ("code_verifier", other_verifier.as_str()),
        ("code", "demo_code_x"),
    ] {
        let fields = redemption(&code).map(|(name, old)| (name, if name == changed { value } else { old }));
        assert_eq!(world.post("token", &fields).await.error(), (400, "invalid_grant".into()), "{changed}");
    }
    for missing in ["redirect_uri", "code_verifier", "code"] {
        let fields: Vec<_> = redemption(&code).into_iter().filter(|(name, _)| *name != missing).collect();
        assert_eq!(world.post("token", &fields).await.error(), (400, "invalid_request".into()), "{missing}");
    }
    let stolen = world.post_as("other", "token", &redemption(&code)).await;
    assert_eq!(stolen.error(), (400, "invalid_grant".into()));
    assert_eq!(world.redeem(&code).await.status, 200);
    let stolen = world.post_as("other", "token", &redemption(&code)).await;
    assert_eq!(stolen.error(), (400, "invalid_grant".into()));
    assert!(!world.demo.events().pop().unwrap().grant_ended, "another client cannot end a grant");
}

#[tokio::test]
async fn a_client_gets_a_token_for_itself() {
    let world = World::new().await;
    let ask = |scope| [("grant_type", "client_credentials"), ("scope", scope)];
    let body = world.post("token", &ask("messages:read profile:read")).await.json();
    assert_eq!((&body["scope"], body.get("refresh_token")), (&"messages:read profile:read".into(), None));
    let me = world.api("GET", "me", body["access_token"].as_str().unwrap(), "").await.json();
    assert_eq!((&me["type"], &me["sub"]), (&"app".into(), &"app".into()));
    assert_eq!(world.post("token", &ask("")).await.json()["scope"], "profile:read");
    for scope in ["offline_access", "admin", "profile:read admin"] {
        assert_eq!(world.post("token", &ask(scope)).await.error(), (400, "invalid_scope".into()), "{scope}");
    }
}

#[tokio::test]
async fn a_client_proves_itself_in_one_of_two_ways() {
    let world = World::new().await;
    let url = format!("{}/token", world.issuer);
    let grant = ("grant_type", "client_credentials");
    let (good, wrong, nobody) = (basic("app", SECRET), basic("app", "wrong"), basic("nobody", SECRET));
    let unencoded = format!("Basic {}", STANDARD.encode(format!("app:{SECRET}")));
    let (id, secret) = (("client_id", "app"), ("client_secret", SECRET));
    for (why, header, fields, status, error) in [
        ("basic", Some(&good), &[grant][..], 200, ""),
        ("basic, and the id again", Some(&good), &[grant, id], 200, ""),
        ("post", None, &[grant, id, secret], 200, ""),
        ("nothing", None, &[grant], 401, "invalid_client"),
        ("id alone", None, &[grant, id], 401, "invalid_client"),
        ("wrong secret", Some(&wrong), &[grant], 401, "invalid_client"),
        ("wrong secret in the body", None, &[grant, id, ("client_secret", "x")], 401, "invalid_client"),
        ("nobody", Some(&nobody), &[grant], 401, "invalid_client"),
        ("not form-encoded", Some(&unencoded), &[grant], 401, "invalid_client"),
        ("a bearer", Some(&"Bearer x".to_owned()), &[grant], 401, "invalid_client"),
        ("both ways", Some(&good), &[grant, id, secret], 400, "invalid_request"),
        ("two names", Some(&good), &[grant, ("client_id", "other")], 400, "invalid_request"),
    ] {
        let mut headers = vec![("content-type", FORM)];
        headers.extend(header.map(|value| ("authorization", value.as_str())));
        let answer = world.send("POST", &url, &headers, &form(fields)).await;
        assert_eq!(answer.error(), (status, error.to_owned()), "{why}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{why}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{why}");
    }
    assert!(world.demo.events().iter().all(|event| event.client.as_deref() != Some("nobody")));
}

#[tokio::test]
async fn a_request_of_the_wrong_form_is_refused() {
    let world = World::new().await;
    let url = format!("{}/token", world.issuer);
    let auth = basic("app", SECRET);
    let long = format!("grant_type=client_credentials&x={}", "x".repeat(20_000));
    for (kind, body, status, error) in [
        ("application/json", r#"{"grant_type":"client_credentials"}"#, 400, "invalid_request"),
        ("", "grant_type=client_credentials", 400, "invalid_request"),
        (FORM, "grant_type=client_credentials&scope=profile:read&scope=x", 400, "invalid_request"),
        (FORM, "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
        (FORM, "grant_type=client_credentials&scope=%zz", 400, "invalid_request"),
        (FORM, "", 400, "invalid_request"),
        (FORM, "grant_type=password", 400, "unsupported_grant_type"),
        (FORM, "grant_type=refresh_token", 400, "invalid_request"),
        (FORM, &long, 413, "invalid_request"),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "grant_type=client_credentials", 200, ""),
        (FORM, "grant_type=client_credentials&resource=a&resource=b&scope=", 200, ""),
    ] {
        let headers = [("content-type", kind), ("authorization", auth.as_str())];
        let answer = world.send("POST", &url, &headers, body).await;
        assert_eq!(answer.error(), (status, error.to_owned()), "{kind} {body:.60}");
    }
    assert_eq!(world.get(&format!("{url}?grant_type=client_credentials")).await.status, 405);
}
