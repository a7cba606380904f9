//! What comes is compared with what was asked, and what was not said is asked for.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::Time;
use carnet_model::grant::Cause;
use carnet_providers::{Bound, DriverError, Import, MintAsk, Minted};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, outcome, scopes_of};
use crate::server::Reply;

const API: &str = "https://api.example";

fn jwt(audience: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&json!({"aud": audience})))
}

fn token(access: &str, more: Value) -> Reply {
    let mut body =
        json!({"access_token": access, "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt1"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::json(200, body)
}

async fn bound(bench: &Bench) -> Made<'_> {
    let config = json!({"authorization_details_types_supported": ["account"]});
    bench.oauth(json!({"resource": API, "serverConfig": config})).await
}

#[tokio::test]
async fn a_consent_that_brought_a_token_for_something_else_is_undone() {
    let bench = Bench::new();
    let made = bound(&bench).await;
    bench.server.on("/revoke", Reply::json(200, "{}"));
    for (answer, fits) in [
        (token(&jwt(API), json!({})), true),
        (token("opaque", json!({})), true),
        (token(&jwt("https://other.example"), json!({})), false),
        (token("opaque", json!({"authorization_details": [{"type": "account", "actions": ["read"]}]})), true),
        (
            token(
                "opaque",
                json!({"authorization_details": [{"type": "account", "actions": ["read", "write"]}]}),
            ),
            false,
        ),
        (token("opaque", json!({"authorization_details": [{"type": "admin"}]})), false),
        (token("opaque", json!({"authorization_details": "all"})), false),
    ] {
        bench.server.forget("/token");
        bench.server.on("/token", answer.clone());
        let details = vec![json!({"type": "account", "actions": ["read"]})];
        let (_, kept) = made.begin(|ask| ask.details.clone_from(&details)).await.unwrap();
        bench.server.seen();
        let end = made.finish("code=c", &kept).await;
        assert_eq!(end.is_ok(), fits, "{answer:?} {end:?}");
        let seen = bench.server.seen();
        assert_eq!(
            seen[0].field("authorization_details").as_deref(),
            Some(r#"[{"actions":["read"],"type":"account"}]"#)
        );
        let revoked: Vec<_> =
            seen.iter().filter(|seen| seen.path == "/revoke").map(|seen| seen.field("token")).collect();
        if matches!(end, Err(DriverError::Stray(_))) {
            assert_eq!(revoked.len(), 2, "nobody will use them: {revoked:?}");
        } else {
            assert_eq!(revoked, []);
        }
    }
}

async fn refresh(made: &Made<'_>, resources: &[&str]) -> Result<Minted, DriverError> {
    let held = made.granted().await;
    made.bench.server.on("/token", token(&jwt("https://other.example"), json!({"scope": "read write"})));
    let resources = resources.iter().map(|text| (*text).to_owned()).collect();
    let ask = MintAsk::Refresh { scopes: None, resources, audience: Vec::new(), details: Vec::new() };
    let minted = made.driver.mint(&made.at(), Some(&held), &ask).await;
    made.bench.server.forget("/token");
    minted
}

#[tokio::test]
async fn a_refresh_that_brought_a_token_for_something_else_keeps_what_it_is_renewed_with() {
    let bench = Bench::new();
    let made = bound(&bench).await;
    for (resources, access) in [(&[][..], None), (&["https://two.example"][..], Some("at0"))] {
        let minted = refresh(&made, resources).await.unwrap();
        assert!(minted.stray.is_some_and(|why| why.contains("audience")));
        let held = minted.held.unwrap();
        assert_eq!(held.refresh().map(|token| token.expose().as_str()), Some("rt1"), "never lost");
        assert_eq!(held.access().map(|access| access.token.expose().as_str()), access, "never served");
    }
    let unbound = bench.oauth(json!({})).await;
    assert_eq!(refresh(&unbound, &[]).await.unwrap().stray, None, "nothing was asked");
}

#[tokio::test]
async fn an_answer_that_says_its_token_again_is_not_handed_out_and_costs_no_refresh_token() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"forwardedClaims": {"tokenResponse": ["note"]}})).await;
    let held = made.granted().await;
    let again = json!({"scope": "read token-of-a-kind", "note": "wider"});
    bench.server.on("/token", token("token-of-a-kind", again));
    let minted = made.refresh(&held, "").await.unwrap();
    assert!(minted.stray.is_some_and(|why| why.contains("says a token again")));
    assert_eq!(minted.scopes, scopes_of("read write"), "what was granted stays");
    assert_eq!(Value::Object(minted.metadata), json!({}));
    let kept = minted.held.unwrap();
    assert_eq!(kept.refresh().map(|token| token.expose().as_str()), Some("rt1"), "never lost");
    assert!(kept.access().is_none(), "never served");
    assert!(outcome(&made.app("read").await).starts_with("stray the provider says a token again"));
}

#[tokio::test]
async fn a_token_of_the_application_for_something_else_is_refused() {
    let bench = Bench::new();
    let made = bound(&bench).await;
    bench.server.on("/token", token(&jwt("https://other.example"), json!({})));
    assert!(outcome(&made.app("read").await).starts_with("stray it is a token for another audience"));
}

async fn introspecting(bench: &Bench, more: Value) -> Made<'_> {
    let config = json!({"introspection_endpoint": format!("{}/introspect", bench.server.origin)});
    let mut data = json!({"serverConfig": config});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.oauth(data).await
}

#[tokio::test]
async fn the_end_of_a_token_is_asked_for_only_where_it_was_not_said() {
    let bench = Bench::new();
    let made = introspecting(&bench, json!({})).await;
    bench
        .server
        .on("/introspect", Reply::json(200, json!({"active": true, "exp": NOW + 77, "scope": "read"})));
    bench.server.on("/token", token("at", json!({})));
    assert_eq!(made.app("read").await.unwrap().expires_at, Some(Time::from_secs(NOW + 60)));
    assert_eq!(bench.server.only().path, "/token");

    bench.server.forget("/token");
    bench.server.on("/token", token("at", json!({"expires_in": null})));
    let minted = made.app("").await.unwrap();
    assert_eq!((minted.expires_at, minted.scopes), (Some(Time::from_secs(NOW + 77)), scopes_of("read")));
    let seen = bench.server.seen();
    assert_eq!(seen.len(), 2, "asked once");
    assert_eq!(
        (
            seen[1].field("token").as_deref(),
            seen[1].header("authorization").is_some() || seen[1].field("client_secret").is_some()
        ),
        (Some("at"), true)
    );
}

#[tokio::test]
async fn a_server_that_does_not_say_leaves_it_as_it_was() {
    let bench = Bench::new();
    let made = introspecting(&bench, json!({})).await;
    bench.server.on("/token", token("at", json!({"expires_in": null})));
    for reply in [
        Reply::json(200, json!({"active": true})),
        // Of a token that was made this moment: whoever may not ask is told no more.
        Reply::json(200, json!({"active": false})),
        Reply::json(200, json!({"exp": NOW + 77})),
        // Nor is it over, whatever a clock or a unit that is wrong makes of its end.
        Reply::json(200, json!({"active": true, "exp": NOW - 1})),
        Reply::json(200, json!({"active": true, "exp": (NOW + 77) * 1000})),
        Reply::text(200, "text/html", "<html>"),
        Reply::json(401, json!({"error": "invalid_client"})),
        Reply::json(302, "").with("location", "/elsewhere"),
        Reply::HangUp,
    ] {
        bench.server.forget("/introspect");
        bench.server.on("/introspect", reply.clone());
        let end = made.app("read").await.unwrap().expires_at;
        assert_eq!(end, Some(Time::from_secs(NOW + 15 * 60)), "{reply:?}: as if nobody could be asked");
    }
}

/// A refresh token is kept with its end, and is not presented past it: some providers take it for stolen then.
#[tokio::test]
async fn a_refresh_token_is_not_presented_past_its_end() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    bench.server.on("/token", token("at", json!({})));
    for (end, presented) in [(NOW - 1, 0), (NOW, 0), (NOW + 60, 1)] {
        let import = Import {
            access: "at0".to_owned().into(),
            access_expires_at: Some(Time::from_secs(NOW + 30)),
            refresh: Some("rt0".to_owned().into()),
            refresh_expires_at: Some(Time::from_secs(end)),
            scopes: None,
            bound: Bound::default(),
            external_subject: None,
            name: None,
            metadata: serde_json::Map::new(),
        };
        let held = made.driver.import(&made.at(), import).unwrap().held;
        bench.server.seen();
        let minted = made.refresh(&held, "").await;
        assert_eq!(bench.server.seen().len(), presented, "{end}");
        let over = matches!(minted, Err(DriverError::Gone { cause: Cause::Expired, vendor: None }));
        assert_eq!(over, presented == 0, "{end}: {minted:?}");
    }
}

#[tokio::test]
async fn forwarded_claims_follow_the_person_through_refreshes_and_no_others_do() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"forwardedClaims": {"idToken": ["email", "sub", "absent"]}})).await;
    let id = |email: &str| {
        crate::bench::id_token(&json!({"iss": bench.server.origin, "aud": "client", "sub": "alice",
            "exp": NOW + 60, "email": email, "salary": 7}))
    };
    bench.server.on("/token", token("at", json!({"id_token": id("a@b")})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let held = made.finish("code=c", &kept).await.unwrap().held;
    assert_eq!(Value::Object(held.claims()), json!({"email": "a@b", "sub": "alice"}));

    bench.server.forget("/token");
    bench.server.on("/token", token("at", json!({})));
    let minted = made.refresh(&held, "").await.unwrap();
    assert_eq!(
        Value::Object(minted.claims),
        json!({"email": "a@b", "sub": "alice"}),
        "no ID token, no change"
    );

    bench.server.forget("/token");
    bench.server.on("/token", token("at", json!({"id_token": id("new@b")})));
    let minted = made.refresh(&minted.held.unwrap(), "").await.unwrap();
    assert_eq!(Value::Object(minted.claims), json!({"email": "new@b", "sub": "alice"}));
}
