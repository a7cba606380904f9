//! Tokens from a grant, and tokens of the application.

use carnet_model::Time;
use carnet_providers::{Held, MintAsk};
use serde_json::{Value, json};

use crate::bench::{Bench, NOW, id_token, outcome, scopes_of};
use crate::server::Reply;

fn text(held: &Held) -> (Option<&str>, Option<&str>) {
    (
        held.access().map(|access| access.token.expose().as_str()),
        held.refresh().map(|refresh| refresh.expose().as_str()),
    )
}

#[tokio::test]
async fn a_refresh_sends_the_token_once_and_keeps_what_came() {
    let bench = Bench::new();
    for (more, fields) in [
        (json!({}), vec!["grant_type", "refresh_token", "client_id", "client_secret"]),
        (json!({"tokenEndpointAuthMethod": "client_secret_basic"}), vec!["grant_type", "refresh_token"]),
        // A public client names itself and sends no secret, not even an empty one.
        (
            json!({"clientSecret": null, "clientCredentials": null}),
            vec!["grant_type", "refresh_token", "client_id"],
        ),
    ] {
        let made = bench.oauth(more).await;
        let held = made.granted().await;
        let answer =
            json!({"access_token": "at1", "expires_in": 60, "refresh_token": "rt1", "token_type": "bearer"});
        bench.server.on("/token", Reply::json(200, answer));
        let minted = made.refresh(&held, "").await.unwrap();
        let seen = bench.server.only();
        assert_eq!(seen.names(), fields);
        assert_eq!(seen.field("refresh_token").as_deref(), Some("rt0"));
        assert_eq!(minted.token.expose(), "at1");
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 60)));
        assert_eq!(minted.scopes, scopes_of("read write"), "silence means as granted");
        let new = minted.held.unwrap();
        assert_eq!(text(&new), (Some("at1"), Some("rt1")));
        assert_eq!(new.access().unwrap().scopes, scopes_of("read write"));
        bench.server.forget("/token");
    }
}

#[tokio::test]
async fn without_a_new_refresh_token_the_old_one_stays() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    for answer in [json!({"access_token": "at1"}), json!({"access_token": "at1", "refresh_token": ""})] {
        bench.server.on("/token", Reply::json(200, answer));
        let minted = made.refresh(&held, "").await.unwrap();
        assert_eq!(text(&minted.held.unwrap()), (Some("at1"), Some("rt0")));
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 900)), "taken to end soon, as nobody says");
        bench.server.forget("/token");
    }
}

#[tokio::test]
async fn a_server_that_takes_scopes_away_is_believed() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at1", "scope": "read"})));
    let minted = made.refresh(&held, "").await.unwrap();
    assert_eq!(minted.scopes, scopes_of("read"));
    assert_eq!(minted.held.unwrap().access().unwrap().scopes, scopes_of("read"));
}

#[tokio::test]
async fn a_narrowed_token_is_handed_out_and_not_kept_but_a_new_refresh_token_is() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "narrow", "scope": "read"})));
    let minted = made.refresh(&held, "read").await.unwrap();
    assert_eq!(bench.server.only().field("scope").as_deref(), Some("read"));
    assert_eq!((minted.token.expose().as_str(), minted.scopes), ("narrow", scopes_of("read")));
    let kept = minted.held.unwrap();
    assert_eq!(text(&kept), (Some("at0"), Some("rt0")));
    assert_eq!(kept.access().unwrap().scopes, scopes_of("read write"));

    bench.server.forget("/token");
    bench.server.on("/token", Reply::json(200, json!({"access_token": "narrow", "refresh_token": "rt1"})));
    let minted = made.refresh(&held, "read").await.unwrap();
    assert_eq!(minted.scopes, scopes_of("read"), "silence means as asked");
    let new = minted.held.unwrap();
    assert_eq!(text(&new), (Some("at0"), Some("rt1")));
    assert_eq!(new.access().unwrap().scopes, scopes_of("read write"));
}

#[tokio::test]
async fn a_token_for_a_resource_asks_for_it_and_is_not_kept() {
    let bench = Bench::new();
    let details = json!({"serverConfig": {"authorization_details_types_supported": ["account"]}});
    let made = bench.oauth(details).await;
    let held = made.granted().await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "bound"})));
    let ask = MintAsk::Refresh {
        scopes: None,
        resources: vec!["https://a.example".into(), "https://b.example".into()],
        audience: vec!["aud".into()],
        details: vec![json!({"type": "account"})],
    };
    let minted = made.driver.mint(&made.at(), Some(&held), &ask).await.unwrap();
    let form = bench.server.only().form();
    let values =
        |name: &str| form.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    assert_eq!(values("resource"), ["https://a.example", "https://b.example"]);
    assert_eq!(values("audience"), ["aud"]);
    assert_eq!(values("authorization_details"), [r#"[{"type":"account"}]"#]);
    assert_eq!(text(&minted.held.unwrap()), (Some("at0"), Some("rt0")));
    assert_eq!(minted.scopes, scopes_of("read write"));
}

/// A server that is told no audience may give a token for its own default one.
#[tokio::test]
async fn the_connectors_audience_is_said_at_a_refresh_as_with_the_code() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"defaultAudience": "api"})).await;
    let held = made.granted().await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at1"})));
    made.refresh(&held, "").await.unwrap();
    assert_eq!(bench.server.only().field("audience").as_deref(), Some("api"));
    made.refresh(&held, "read").await.unwrap();
    assert_eq!(bench.server.only().field("audience").as_deref(), Some("api"));
    let audience = vec!["aud".to_owned()];
    let ask = MintAsk::Refresh { scopes: None, resources: vec![], audience, details: vec![] };
    made.driver.mint(&made.at(), Some(&held), &ask).await.unwrap();
    assert_eq!(bench.server.only().field("audience").as_deref(), Some("aud"), "a caller's word goes before");
}

#[tokio::test]
async fn a_refresh_never_changes_the_account() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"forwardedClaims": {"idToken": ["email"]}})).await;
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("openid")).await.unwrap();
    let claims = |sub: &str, email: &str, nonce: Option<&str>, exp: i64| json!({"iss": bench.server.origin, "aud": "client", "sub": sub, "exp": exp, "email": email, "nonce": nonce});
    let answer = |claims: Value| {
        let token = json!({"access_token": "at", "refresh_token": "rt", "id_token": id_token(&claims)});
        bench.server.forget("/token");
        bench.server.on("/token", Reply::json(200, token));
    };
    answer(claims("alice", "a@b", kept.nonce.as_ref().map(|n| n.expose().as_str()), NOW + 60));
    let held = made.finish("code=c", &kept).await.unwrap().held;

    answer(claims("alice", "new@b", None, NOW - 9999));
    let minted = made.refresh(&held, "").await.unwrap();
    assert_eq!(
        Value::Object(minted.claims),
        json!({"email": "new@b"}),
        "an old ID token is no reason to lose a grant"
    );
    assert_eq!(minted.held.unwrap().external_subject(), Some("alice"));

    answer(claims("mallory", "m@b", None, NOW + 60));
    assert_eq!(outcome(&made.refresh(&held, "").await), "garbage in doubt");

    let mut of_another = claims("alice", "m@b", None, NOW + 60);
    of_another["aud"] = json!("another");
    answer(of_another);
    let minted = made.refresh(&held, "").await.unwrap();
    assert!(minted.stray.is_some_and(|why| why.contains("ID token")), "not handed out");
    assert_eq!(Value::Object(minted.claims), json!({"email": "a@b"}), "nor believed");
    let kept = minted.held.unwrap();
    assert_eq!(kept.refresh().map(|token| token.expose().as_str()), Some("rt"), "nor lost");
    assert!(kept.access().is_none(), "nor served");

    bench.server.forget("/token");
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at"})));
    let minted = made.refresh(&held, "").await.unwrap();
    assert_eq!(minted.external_subject.as_deref(), Some("alice"));
    assert_eq!(Value::Object(minted.claims), json!({"email": "a@b"}), "what is known stays known");
}

#[tokio::test]
async fn without_a_refresh_token_nothing_is_sent() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at"})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let held = made.finish("code=c", &kept).await.unwrap().held;
    bench.server.seen();
    assert_eq!(outcome(&made.refresh(&held, "").await), "gone expired");
    let ask = MintAsk::Refresh { scopes: None, resources: vec![], audience: vec![], details: vec![] };
    assert_eq!(outcome(&made.driver.mint(&made.at(), None, &ask).await), "gone expired");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn the_application_gets_tokens_by_client_credentials() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"defaultAudience": "api", "defaultTokenExpiresIn": 300})).await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "refresh_token": "ignored"})));
    let minted = made.app("write read").await.unwrap();
    let form = bench.server.only().form();
    let want = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("audience", "api"),
        ("client_id", "client"),
        ("client_secret", "s3cret"),
    ];
    assert_eq!(form, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(minted.scopes, scopes_of("read write"));
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 300)));
    assert!(minted.held.is_none());

    let minted = made.app("").await.unwrap();
    assert_eq!(bench.server.only().field("scope"), None);
    assert_eq!(minted.scopes, None);

    bench.server.forget("/token");
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "expires_in": 0})));
    let minted = made.app("").await.unwrap();
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 300)), "nobody gives a token that has ended");
    bench.server.seen();

    let made = bench.oauth(json!({"clientCredentials": {"enabled": false}})).await;
    assert_eq!(outcome(&made.app("read").await), "unsupported");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn members_of_an_answer_are_told_where_the_connector_names_them_and_never_a_token_by_another_name() {
    let bench = Bench::new();
    let names = json!(["workspace", "seats", "again", "deep", "access_token", "refresh_token"]);
    let made = bench.oauth(json!({"forwardedClaims": {"tokenResponse": names}})).await;
    let answer = json!({"access_token": "at-1", "refresh_token": "rt-1", "workspace": "acme", "seats": 7,
        "again": "the token is at-1", "deep": {"x": 1}, "other": "not named"});
    bench.server.on("/token", Reply::json(200, answer));
    let told = json!({"workspace": "acme", "seats": 7});
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(Value::Object(granted.metadata), told);
    assert_eq!(Value::Object(made.refresh(&granted.held, "").await.unwrap().metadata), told);
    assert_eq!(Value::Object(made.app("").await.unwrap().metadata), told);
}
