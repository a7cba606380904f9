//! A client that nobody brought.

mod document;
mod method;
mod upkeep;

use carnet_model::Time;
use carnet_model::connector::ConnectorType::Oauth;
use carnet_providers::{Accepted, BadConfiguration, Synced};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, ICON, Made, NOW, outcome};
use crate::server::Reply;

/// A described server that registers clients; `more` goes into its description, `data` on top.
fn data(bench: &Bench, more: Value, data: Value) -> Value {
    let mut config = json!({
        "registration_endpoint": format!("{}/register", bench.server.origin),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut all = bench.oauth_data(json!({"clientId": null, "clientSecret": null, "clientCredentials": null,
        "serverConfig": config}));
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    all
}

fn redirect() -> String {
    format!("https://carnet.example/callback/{CONNECTOR}")
}

fn registered(bench: &Bench) -> Value {
    json!({
        "client_id": "given", "client_secret": "given-secret", "client_secret_expires_at": 0,
        "registration_access_token": "care", "registration_client_uri": format!("{}/register/given", bench.server.origin),
        "redirect_uris": [redirect()], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

async fn accept(bench: &Bench, answer: Value, more: Value) -> Result<Accepted, BadConfiguration> {
    bench.server.forget("/register");
    bench.server.on("/register", Reply::json(201, answer));
    bench.accept(Oauth, data(bench, json!({}), more)).await
}

async fn made(bench: &Bench) -> Made<'_> {
    let made = Made::new(bench, Oauth, accept(bench, registered(bench), json!({})).await.unwrap());
    bench.server.seen();
    made
}

fn secret(accepted: &Accepted, place: &str) -> Option<String> {
    accepted.secrets.at(place).map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_client_is_registered_once_and_kept_with_its_secrets_apart() {
    let bench = Bench::new();
    let accepted = accept(&bench, registered(&bench), json!({})).await.unwrap();
    let seen = bench.server.only();
    assert_eq!((seen.line().as_str(), seen.header("authorization")), ("POST /register", None));
    assert_eq!(
        serde_json::from_str::<Value>(&seen.body).unwrap(),
        json!({
            "client_name": "Acme", "redirect_uris": [redirect()], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "application_type": "web",
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": format!("{BASE}/pictures/{CONNECTOR}/{ICON}"),
        })
    );
    assert_eq!(accepted.data["clientId"], json!("given"));
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("client_secret_basic"));
    assert_eq!(accepted.data["clientRegistration"]["method"], json!("dynamic"));
    assert_eq!(secret(&accepted, "/clientSecret").as_deref(), Some("given-secret"));
    assert_eq!(secret(&accepted, "/clientRegistration/accessToken").as_deref(), Some("care"));
    let shown = Value::Object(accepted.data.clone()).to_string();
    assert!(!shown.contains("given-secret") && !shown.contains("care\""), "{shown}");

    let mut again = accepted.data.clone();
    accepted.secrets.put_back(&mut again, &serde_json::Map::new());
    let second = bench.accept(Oauth, Value::Object(again)).await.unwrap();
    assert_eq!(second.data, accepted.data);
    assert_eq!(secret(&second, "/clientRegistration/accessToken").as_deref(), Some("care"));
    assert_eq!(bench.server.seen(), [], "registered once");
}

#[tokio::test]
async fn who_brings_a_client_or_an_initial_token_is_taken_at_the_word() {
    let bench = Bench::new();
    let own = json!({"clientId": "mine", "clientSecret": "s"});
    let accepted = accept(&bench, registered(&bench), own).await.unwrap();
    assert_eq!((&accepted.data["clientId"], bench.server.seen().len()), (&json!("mine"), 0));
    assert_eq!(accepted.data.get("clientRegistration"), None);

    let more = json!({"initialAccessToken": "first", "clientName": "Acme at work"});
    let accepted = accept(&bench, registered(&bench), more).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.header("authorization"), Some("Bearer first"));
    assert!(seen.body.contains("Acme at work"));
    assert_eq!(accepted.data.get("initialAccessToken"), None);
    assert_eq!(secret(&accepted, "/initialAccessToken"), None, "used, and not kept");

    // A client that is set by hand later is not the registered one.
    let mut changed = accepted.data.clone();
    accepted.secrets.put_back(&mut changed, &serde_json::Map::new());
    changed.extend(json!({"clientId": "mine", "clientSecret": "s"}).as_object().unwrap().clone());
    let mine = bench.accept(Oauth, Value::Object(changed)).await.unwrap();
    assert_eq!(mine.data.get("clientRegistration"), None);
    assert_eq!(secret(&mine, "/clientRegistration/accessToken"), None);
}

#[tokio::test]
async fn where_nothing_can_be_registered_the_person_is_told_what_to_register() {
    let bench = Bench::new();
    let without = data(&bench, json!({"registration_endpoint": null}), json!({}));
    let bad = bench.accept(Oauth, without).await.unwrap_err();
    assert_eq!(bad.field, "clientId");
    for told in [redirect(), bench.server.origin.clone(), "clientSecret".to_owned()] {
        assert!(bad.why.contains(&told), "{told}: {}", bad.why);
    }
}

#[tokio::test]
async fn what_the_server_changed_is_taken_where_it_still_works() {
    let bench = Bench::new();
    let post = with(registered(&bench), "token_endpoint_auth_method", json!("client_secret_post"));
    let accepted = accept(&bench, post, json!({})).await.unwrap();
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("client_secret_post"));

    for elsewhere in ["https://collector.example/given", "http://127.0.0.1:1/given"] {
        let elsewhere = with(registered(&bench), "registration_client_uri", json!(elsewhere));
        let accepted = accept(&bench, elsewhere, json!({})).await.unwrap();
        assert_eq!(accepted.data["clientRegistration"].get("uri"), None);
        assert_eq!(secret(&accepted, "/clientRegistration/accessToken"), None, "nothing to use it at");
    }
}

#[tokio::test]
async fn a_server_that_says_no_more_than_the_identifier_has_made_a_public_client_where_it_has_those() {
    let bench = Bench::new();
    let bare = json!({"client_id": "given"});
    let accepted = accept(&bench, bare.clone(), json!({})).await.unwrap();
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("none"));
    assert_eq!(secret(&accepted, "/clientSecret"), None);
    // Who asked for a secret, or needs one, is not given a client without.
    for more in [
        json!({"tokenEndpointAuthMethod": "client_secret_basic"}),
        json!({"clientCredentials": {"enabled": true}}),
    ] {
        let refused = accept(&bench, bare.clone(), more).await.unwrap_err();
        assert_eq!(refused.field, "clientSecret");
    }
    bench.server.forget("/register");
    bench.server.on("/register", Reply::json(201, bare));
    let secrets_only = json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    let refused = bench.accept(Oauth, data(&bench, secrets_only, json!({}))).await.err();
    assert_eq!(refused.map(|bad| bad.field).as_deref(), Some("clientSecret"));
}

#[tokio::test]
async fn a_registration_that_is_not_what_was_asked_is_refused_and_taken_back() {
    let bench = Bench::new();
    for (name, value, more, field) in [
        ("redirect_uris", json!(["https://evil.example/cb"]), json!({}), "clientId"),
        ("redirect_uris", json!([redirect(), "https://evil.example/cb"]), json!({}), "clientId"),
        ("redirect_uris", json!([]), json!({}), "clientId"),
        ("grant_types", json!(["refresh_token"]), json!({}), "userAuthorization.enabled"),
        (
            "grant_types",
            json!(["authorization_code"]),
            json!({"clientCredentials": {}}),
            "clientCredentials.enabled",
        ),
        ("token_endpoint_auth_method", json!("tls_client_auth"), json!({}), "tokenEndpointAuthMethod"),
        ("client_secret", json!(null), json!({}), "clientSecret"),
        ("client_secret", json!(7), json!({}), "clientSecret"),
        ("client_secret_expires_at", json!(NOW), json!({}), "clientSecret"),
        ("client_secret_expires_at", json!(3600), json!({}), "clientSecret"),
    ] {
        let bad = accept(&bench, with(registered(&bench), name, value.clone()), more).await.unwrap_err();
        assert_eq!(bad.field, field, "{name} {value}: {bad}");
        assert!(!bad.why.contains("evil"), "{bad}");
        let seen = bench.server.seen();
        assert_eq!(seen[1].line(), "DELETE /register/given", "{name} {value}");
        assert_eq!(seen[1].header("authorization"), Some("Bearer care"));
    }
}

/// A client that is refused for a member that nobody needs would be lost at the server.
#[tokio::test]
async fn what_is_odd_and_not_needed_costs_nothing() {
    let bench = Bench::new();
    for (name, value) in [
        ("client_secret_expires_at", json!("soon")),
        ("client_secret_expires_at", json!(-1)),
        ("grant_types", json!(7)),
        ("redirect_uris", json!(redirect())),
        ("redirect_uris", json!({})),
        ("token_endpoint_auth_method", json!([])),
        ("registration_access_token", json!(7)),
        ("registration_client_uri", json!({})),
    ] {
        let accepted = accept(&bench, with(registered(&bench), name, value.clone()), json!({})).await;
        let accepted = accepted.unwrap_or_else(|bad| panic!("{name} {value}: {bad}"));
        assert_eq!(accepted.data["clientId"], "given");
        assert_eq!(accepted.data["clientRegistration"].get("secretExpiresAt"), None, "{name} {value}");
        assert_eq!(bench.server.only().line(), "POST /register", "{name} {value}");
    }
}

#[tokio::test]
async fn a_server_that_fails_or_asks_to_wait_is_asked_again_later() {
    let bench = Bench::new();
    for (reply, field) in [
        (Reply::json(429, "{}").with("retry-after", "7"), "later: Some(7)"),
        (Reply::json(429, json!({"error": "slow_down"})), "later: None"),
        (Reply::json(500, json!({"error": "server_error"})), "later: None"),
        (Reply::text(503, "text/html", "<html>").with("retry-after", "9"), "later: Some(9)"),
    ] {
        bench.server.forget("/register");
        bench.server.on("/register", reply.clone());
        let later = bench.accept(Oauth, data(&bench, json!({}), json!({}))).await.unwrap_err();
        assert_eq!(later.field, field, "{reply:?}");
        assert!(later.why.contains("fails or asks to wait (HTTP"), "{}", later.why);
        assert_eq!(bench.server.only().line(), "POST /register", "asked once");
    }
}

#[tokio::test]
async fn what_is_no_registration_is_none() {
    let bench = Bench::new();
    bench.server.on("/elsewhere", Reply::json(201, registered(&bench)));
    let huge = with(registered(&bench), "padding", json!("x".repeat(300 * 1024)));
    for (reply, field, why) in [
        (Reply::text(200, "text/html", "<html>hello</html>"), "clientId", "not a registration (HTTP 200)"),
        (Reply::json(201, json!({"client_secret": "s"})), "clientId", "not a registration (HTTP 201)"),
        (Reply::json(204, ""), "clientId", "not a registration (HTTP 204)"),
        (Reply::json(302, "").with("location", "/elsewhere"), "clientId", "not a registration (HTTP 302)"),
        (Reply::json(307, "").with("location", "/elsewhere"), "clientId", "not a registration (HTTP 307)"),
        (Reply::json(201, huge), "clientId", "larger than allowed"),
        (Reply::HangUp, "clientId", "no answer"),
        (
            Reply::json(400, json!({"error": "invalid_redirect_uri", "error_description": "<b>no</b>"})),
            "clientId",
            "HTTP 400, invalid_redirect_uri",
        ),
        (Reply::json(401, "{}"), "initialAccessToken", "initial access token"),
        (Reply::json(403, json!({"error": "access_denied"})), "initialAccessToken", "initial access token"),
    ] {
        bench.server.forget("/register");
        bench.server.on("/register", reply.clone());
        let bad = bench.accept(Oauth, data(&bench, json!({}), json!({}))).await.unwrap_err();
        assert_eq!(bad.field, field, "{reply:?}");
        assert!(bad.why.contains(why), "{why}: {}", bad.why);
        assert_eq!(bench.server.only().line(), "POST /register", "asked once, no redirect followed");
    }
    for endpoint in ["https://10.0.0.1/register", "http://public.example/register", "nonsense"] {
        let config = json!({"registration_endpoint": endpoint});
        let bad = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap_err();
        assert_eq!(bad.field, "serverConfig.registration_endpoint");
    }
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn nothing_is_registered_for_a_connector_that_cannot_work() {
    let bench = Bench::new();
    let config = json!({"code_challenge_methods_supported": ["plain"]});
    assert!(bench.accept(Oauth, data(&bench, config, json!({}))).await.is_err());
    assert_eq!(bench.server.seen(), []);
}
