//! An application of an Okta organization: two kinds of server, two proofs, what becomes of refresh tokens.

use carnet_model::SubjectKind;
use carnet_model::connector::ConnectorType::Okta;
use carnet_model::grant::Rotation;
use carnet_providers::{Revocation, jwks_url};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, Made, NOW, id_token, object, outcome, param, scopes_of};
use crate::server::Reply;

const CUSTOM: &str = "/oauth2/default/v1/token";
const OWN: &str = "/oauth2/v1/token";

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://acme.okta.com"]);
    for (path, issuer) in
        [("", "https://acme.okta.com"), ("/oauth2/default", "https://acme.okta.com/oauth2/default")]
    {
        let path = format!("{path}/.well-known/openid-configuration");
        bench.server.on(&path, Reply::json(200, json!({"issuer": issuer})));
    }
    for path in [CUSTOM, OWN] {
        let words = "The authorization code is invalid or has expired.";
        bench
            .server
            .on(path, Reply::json(400, json!({"error": "invalid_grant", "error_description": words})));
    }
    bench
}

fn people(more: Value) -> Value {
    let mut data = json!({"domain": "acme.okta.com", "authorizationServer": "default", "clientId": "0oa1",
        "clientSecret": "s3cret", "userScopes": ["openid", "offline_access", "orders"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

fn service(more: Value) -> Value {
    let mut data = json!({"domain": "acme.okta.com", "clientId": "0oa2", "appScopes": ["okta.users.read"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench, data: Value) -> Made<'_> {
    let made = bench.connector(Okta, data).await;
    bench.server.seen();
    made
}

fn answers(bench: &Bench, path: &str, reply: Reply) {
    bench.server.forget(path);
    bench.server.on(path, reply);
}

#[tokio::test]
async fn each_kind_of_server_gives_its_own_scopes() {
    let bench = bench();
    for (data, field) in [
        (people(json!({"domain": null})), "domain"),
        (people(json!({"domain": "acme"})), "domain"),
        (people(json!({"authorizationServer": "a/b"})), "authorizationServer"),
        (people(json!({"authorizationServer": "missing"})), "authorizationServer"),
        (people(json!({"clientId": null})), "clientId"),
        (people(json!({"userScopes": []})), "userScopes"),
        (people(json!({"userScopes": ["okta.users.read"]})), "userScopes"),
        (people(json!({"appScopes": ["openid"]})), "appScopes"),
        (people(json!({"idleDays": 0})), "idleDays"),
        (people(json!({"rotation": {"class": "grace", "seconds": 61}})), "rotation"),
        (people(json!({"rotation": {"class": "none", "seconds": 3}})), "rotation"),
        (people(json!({"serverUrl": "https://x"})), "serverUrl"),
        (service(json!({"appScopes": ["orders"]})), "appScopes"),
        (service(json!({"authorizationServer": "default"})), "appScopes"),
        (service(json!({"clientSecret": "s3cret"})), "clientSecret"),
    ] {
        let refused = bench.accept(Okta, data.clone()).await.unwrap_err();
        assert_eq!(refused.field, field, "{data}: {refused}");
    }
    for (rotation, want) in [
        (json!(null), Rotation::Strict),
        (json!({"class": "none"}), Rotation::None),
        (json!({"class": "strict"}), Rotation::Strict),
        (json!({"class": "grace"}), Rotation::Grace { seconds: 30 }),
        (json!({"class": "grace", "seconds": 60}), Rotation::Grace { seconds: 60 }),
        (json!({"class": "grace", "seconds": 0}), Rotation::Strict),
    ] {
        let made = made(&bench, people(json!({"rotation": rotation}))).await;
        assert_eq!(made.driver.abilities(&made.connector).rotation, want, "{rotation}");
    }
}

#[tokio::test]
async fn what_stands_in_for_okta_may_call_itself_by_its_own_address_and_by_no_other() {
    let bench = bench();
    let path = "/oauth2/default/.well-known/openid-configuration";
    for (name, sound) in [
        (format!("{}/oauth2/default", bench.server.origin), true),
        (bench.server.origin.clone(), false),
        ("https://globex.okta.com/oauth2/default".to_owned(), false),
    ] {
        answers(&bench, path, Reply::json(200, json!({"issuer": name})));
        let found = bench.accept(Okta, people(json!({}))).await;
        assert_eq!(
            found.map_err(|refused| refused.field).err(),
            (!sound).then(|| "domain".to_owned()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_service_application_proves_itself_by_the_connectors_key() {
    let bench = bench();
    let made = made(&bench, service(json!({}))).await;
    assert_eq!(made.connector.data["jwksUri"], jwks_url(BASE, CONNECTOR));
    assert_eq!(made.redirect_uri, "");
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App]);
    assert!(abilities.signs.is_some());
    answers(
        &bench,
        OWN,
        Reply::json(
            200,
            json!({"access_token": "at", "expires_in": 3600, "token_type": "Bearer", "scope": "okta.users.read"}),
        ),
    );
    let minted = made.app("okta.users.read").await.unwrap();
    assert_eq!(
        Value::Object(minted.metadata),
        json!({"domain": "acme.okta.com", "issuer": "https://acme.okta.com"})
    );
    let seen = bench.server.only();
    assert_eq!((seen.header("authorization"), seen.field("client_secret")), (None, None));
    let mut claims = made.key.claims(&seen.field("client_assertion").unwrap());
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        claims,
        json!({"iss": "0oa2", "sub": "0oa2", "aud": "https://acme.okta.com/oauth2/v1/token", "iat": NOW - 10, "exp": NOW + 50})
    );
    let reset = (NOW + 42).to_string();
    let spent =
        Reply::json(429, json!({"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit"}))
            .with("x-rate-limit-remaining", "0")
            .with("x-rate-limit-reset", &reset);
    answers(&bench, OWN, spent);
    assert_eq!(outcome(&made.app("okta.users.read").await), "later 42s");
}

#[tokio::test]
async fn people_consent_at_a_custom_server_and_may_be_acted_for_with_less() {
    let bench = bench();
    let made = made(&bench, people(json!({"rotation": {"class": "grace"}}))).await;
    let (url, kept) = made.begin(|ask| ask.scopes = scopes_of("openid offline_access orders")).await.unwrap();
    assert_eq!(url.path(), "/oauth2/default/v1/authorize");
    let claims = json!({"iss": "https://acme.okta.com/oauth2/default", "aud": "0oa1", "sub": "00u1",
        "nonce": param(&url, "nonce").unwrap(), "exp": NOW + 3600, "name": "Ada"});
    let answer = json!({"access_token": "at", "refresh_token": "rt1", "expires_in": 3600, "token_type": "Bearer",
        "scope": "openid offline_access orders", "id_token": id_token(&claims)});
    answers(&bench, CUSTOM, Reply::json(200, answer));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert!(bench.server.only().header("authorization").unwrap().starts_with("Basic "));
    assert_eq!((granted.external_subject.as_deref(), granted.name.as_deref()), (Some("00u1"), Some("Ada")));
    assert_eq!(granted.metadata["issuer"], "https://acme.okta.com/oauth2/default");

    let less = json!({"access_token": "at2", "refresh_token": "rt2", "expires_in": 3600, "scope": "orders"});
    answers(&bench, CUSTOM, Reply::json(200, less));
    let minted = made.refresh(&granted.held, "orders").await.unwrap();
    assert_eq!(bench.server.only().field("scope").as_deref(), Some("orders"));
    assert_eq!(minted.scopes, scopes_of("orders"));
    let held = minted.held.unwrap();
    assert_eq!(held.refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
    assert_eq!(held.scopes(), scopes_of("openid offline_access orders").as_ref(), "the grant stays as wide");

    bench.server.on("/oauth2/default/v1/revoke", Reply::text(200, "text/plain", ""));
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
    let hints: Vec<_> =
        bench.server.seen().iter().map(|seen| seen.field("token_type_hint").unwrap()).collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
}
