//! Tokens of asserted identities, tokens in exchange for others, and a client that proves itself by its key: what is sent,
//! and what is made of every answer.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use carnet_model::{SecretString, SubjectKind, Time};
use carnet_providers::{Asserted, DriverError, MintAsk, Minted, Revocation, SigningAlgorithm};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, scopes_of};
use crate::server::Reply;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";

fn alice() -> Asserted {
    Asserted { sub: "alice@acme.example".to_owned(), iss: None, aud: None, claims: object(json!({})) }
}

async fn assert_for(made: &Made<'_>, who: Asserted, scopes: &str) -> Result<Minted, DriverError> {
    let (resources, audience, details) = Default::default();
    let ask = MintAsk::Asserted { who, scopes: scopes_of(scopes), resources, audience, details };
    made.driver.mint(&made.at(), None, &ask).await
}

async fn exchange(made: &Made<'_>, token: &str, scopes: &str) -> Result<Minted, DriverError> {
    let (resources, audience, details) = Default::default();
    let token = SecretString::new(token.to_owned());
    let ask = MintAsk::Exchanged { token, scopes: scopes_of(scopes), resources, audience, details };
    made.driver.mint(&made.at(), None, &ask).await
}

/// A connector with nothing but assertions, or nothing but exchanges.
async fn only<'b>(bench: &'b Bench, name: &str, rules: Value, more: Value) -> Made<'b> {
    let mut data = json!({
        "userAuthorization": {"enabled": false}, "clientCredentials": {"enabled": false}, name: rules,
    });
    data.as_object_mut().unwrap().extend(object(more));
    bench.oauth(data).await
}

#[tokio::test]
async fn a_client_proves_itself_by_its_key_wherever_it_is_asked_to() {
    let bench = Bench::new();
    let endpoint = format!("{}/token", bench.server.origin);
    for (more, audience, life) in [
        (json!({}), bench.server.origin.as_str(), 60),
        (json!({"serverConfig": {"issuer": null}}), endpoint.as_str(), 60),
        (
            json!({"clientAssertion": {"type": ASSERTION, "ttl": 300, "claims": {"aud": "them", "x": [1]}}}),
            "them",
            300,
        ),
    ] {
        let mut data = json!({"clientSecret": null, "tokenEndpointAuthMethod": "private_key_jwt"});
        data.as_object_mut().unwrap().extend(object(more));
        let made = bench.oauth(data.clone()).await;
        let signs = made.driver.abilities(&made.connector).signs;
        assert_eq!(signs, Some(SigningAlgorithm::Rs256));
        let held = made.granted().await;
        let mut seen_ids = Vec::new();
        let token = json!({"access_token": "at", "expires_in": 60});
        bench.server.on("/token", Reply::json(200, token)).on("/revoke", Reply::json(200, "{}"));
        made.refresh(&held, "").await.unwrap();
        made.app("read").await.unwrap();
        assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::Revoked);
        let all = bench.server.seen();
        assert_eq!(all.len(), 4, "a refresh, a token, and the two that were revoked");
        for seen in all {
            assert_eq!(seen.header("authorization"), None);
            assert_eq!(seen.field("client_id").as_deref(), Some("client"));
            assert_eq!(seen.field("client_secret"), None);
            assert_eq!(seen.field("client_assertion_type").as_deref(), Some(ASSERTION));
            let mut claims = made.key.claims(&seen.field("client_assertion").unwrap());
            let id = claims["jti"].as_str().unwrap().to_owned();
            assert!(id.len() == 22 && !seen_ids.contains(&id), "each is used once");
            seen_ids.push(id);
            claims.as_object_mut().unwrap().remove("jti");
            let mut want = json!({"iss": "client", "sub": "client", "aud": audience, "iat": NOW - 10,
                "exp": NOW - 10 + life});
            if audience == "them" {
                want["x"] = json!([1]);
            }
            assert_eq!(claims, want, "{data}");
        }
        bench.server.forget("/token");
        bench.server.forget("/revoke");
    }
}

#[tokio::test]
async fn an_assertion_says_what_the_caller_says_and_what_the_connector_adds() {
    let bench = Bench::new();
    let endpoint = format!("{}/token", bench.server.origin);
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "refresh_token": "not kept"})));
    let made = only(&bench, "jwtBearer", json!({"scopes": ["read", "write"]}), json!({})).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::JwtBearer]);
    assert!(abilities.signs.is_some());

    let minted = assert_for(&made, alice(), "read").await.unwrap();
    assert_eq!((minted.token.expose().as_str(), minted.scopes), ("at", scopes_of("read")));
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 900)), "nobody says, so it ends soon");
    assert!(minted.held.is_none());
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "assertion", "scope", "client_id", "client_secret"]);
    assert_eq!(seen.field("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    let mut claims = made.key.claims(&seen.field("assertion").unwrap());
    assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len() >= 22);
    let want = json!({"iss": "client", "sub": "alice@acme.example", "aud": endpoint, "iat": NOW - 10,
        "exp": NOW + 170});
    assert_eq!(claims, want);

    let rules = json!({"iss": ["https://one.example", "https://two.example"], "aud": "https://login.example",
        "sub": "*@acme.example", "ttl": 30, "additionalClaims": {"tenant": "acme"}, "useClientCredentials": false});
    let made = only(&bench, "jwtBearer", rules, json!({})).await;
    let who = Asserted {
        iss: Some("https://two.example".to_owned()),
        claims: object(json!({"role": "clerk"})),
        ..alice()
    };
    assert_for(&made, who, "").await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "assertion"], "nothing is said about the client");
    assert_eq!(seen.header("authorization"), None);
    let claims = made.key.claims(&seen.field("assertion").unwrap());
    assert_eq!(claims["iss"], "https://two.example");
    assert_eq!(claims["aud"], "https://login.example", "the connector's own where the caller says none");
    assert_eq!((&claims["tenant"], &claims["role"]), (&json!("acme"), &json!("clerk")));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW - 7), &json!(NOW + 23)), "30 seconds in all");

    assert_for(&made, alice(), "").await.unwrap();
    let claims = made.key.claims(&bench.server.only().field("assertion").unwrap());
    assert_eq!(claims["iss"], "https://one.example", "the first where the caller says none");
}

#[tokio::test]
async fn what_the_connector_pins_nobody_asserts_otherwise() {
    let bench = Bench::new();
    let rules = json!({"iss": "https://me.example", "aud": ["https://login.example"],
        "sub": ["*@acme.example", "svc-*"], "additionalClaims": {"tenant": "acme"}});
    let made = only(&bench, "jwtBearer", rules, json!({})).await;
    let text = |text: &str| Some(text.to_owned());
    for who in [
        Asserted { iss: text("https://you.example"), ..alice() },
        Asserted { iss: text("client"), ..alice() },
        Asserted { aud: text("https://other.example"), ..alice() },
        Asserted { aud: text("https://login.example/"), ..alice() },
        Asserted { sub: "alice@acme.example.evil".to_owned(), ..alice() },
        Asserted { sub: "admin".to_owned(), ..alice() },
        Asserted { sub: "my-svc-1".to_owned(), ..alice() },
        Asserted { claims: object(json!({"tenant": "other"})), ..alice() },
        Asserted { claims: object(json!({"tenant": "acme"})), ..alice() },
    ] {
        assert_eq!(outcome(&assert_for(&made, who.clone(), "").await), "forbidden", "{who:?}");
    }
    assert_eq!(bench.server.seen(), [], "nothing is signed and nothing is sent");
    let off = bench.oauth(json!({})).await;
    assert_eq!(outcome(&assert_for(&off, alice(), "").await), "unsupported");
    assert_eq!(outcome(&exchange(&off, "t", "").await), "unsupported");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn an_exchange_sends_the_token_once_and_says_what_it_is() {
    let bench = Bench::new();
    let answer = |kind: &str| {
        json!({"access_token": "at", "issued_token_type": kind, "token_type": "Bearer",
        "expires_in": 90, "scope": "read", "refresh_token": "not kept"})
    };
    bench.server.on("/token", Reply::json(200, answer(ACCESS)));
    let made = only(&bench, "tokenExchange", json!({"scopes": ["read"]}), json!({})).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!((abilities.subjects, abilities.signs), (vec![SubjectKind::Token], None));
    let minted = exchange(&made, "inbound-1", "read write").await.unwrap();
    assert_eq!((minted.token.expose().as_str(), minted.scopes), ("at", scopes_of("read")));
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 90)));
    assert_eq!(Value::Object(minted.metadata), json!({"issuedTokenType": ACCESS}));
    assert!(minted.held.is_none());
    let want = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "inbound-1"),
        ("subject_token_type", ACCESS),
        ("scope", "read write"),
        ("client_id", "client"),
        ("client_secret", "s3cret"),
    ];
    assert_eq!(bench.server.only().form(), want.map(|(n, v)| (n.to_owned(), v.to_owned())));

    bench.server.forget("/token");
    bench.server.on("/token", Reply::json(200, answer(JWT)));
    let rules = json!({"subjectTokenType": ID, "requestedTokenType": JWT, "audience": "https://api.example",
        "resource": ["https://res.example"], "actorToken": true});
    let made = only(&bench, "tokenExchange", rules, json!({})).await;
    assert!(made.driver.abilities(&made.connector).signs.is_some(), "the actor's token is signed");
    exchange(&made, "inbound-2", "").await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.field("subject_token_type").as_deref(), Some(ID));
    assert_eq!(seen.field("requested_token_type").as_deref(), Some(JWT));
    assert_eq!(seen.field("audience").as_deref(), Some("https://api.example"));
    assert_eq!(seen.field("resource").as_deref(), Some("https://res.example"));
    assert_eq!(seen.field("actor_token_type").as_deref(), Some(JWT));
    let actor = made.key.claims(&seen.field("actor_token").unwrap());
    assert_eq!((&actor["sub"], &actor["aud"]), (&json!("client"), &json!(bench.server.origin)));
}

#[tokio::test]
async fn what_comes_back_from_an_exchange_must_say_what_it_is() {
    let bench = Bench::new();
    let refresh = "urn:ietf:params:oauth:token-type:refresh_token";
    for (requested, more, want) in [
        (None, json!({"issued_token_type": ACCESS, "token_type": "bearer"}), "ok"),
        (None, json!({"issued_token_type": JWT, "token_type": "N_A"}), "ok"),
        (None, json!({"issued_token_type": ID, "token_type": "N_A"}), "ok"),
        (None, json!({"token_type": "Bearer"}), "garbage in doubt"),
        (None, json!({"issued_token_type": null, "token_type": "Bearer"}), "garbage in doubt"),
        (None, json!({"issued_token_type": 7, "token_type": "Bearer"}), "garbage in doubt"),
        (None, json!({"issued_token_type": "access_token", "token_type": "Bearer"}), "garbage in doubt"),
        (None, json!({"issued_token_type": ACCESS, "token_type": "N_A"}), "garbage in doubt"),
        (None, json!({"issued_token_type": ACCESS, "token_type": "DPoP"}), "garbage in doubt"),
        (None, json!({"issued_token_type": refresh, "token_type": "N_A"}), "garbage in doubt"),
        (Some(ACCESS), json!({"issued_token_type": ACCESS, "token_type": "Bearer"}), "ok"),
        (Some(ACCESS), json!({"issued_token_type": JWT, "token_type": "N_A"}), "garbage in doubt"),
        (Some(JWT), json!({"issued_token_type": ACCESS, "token_type": "Bearer"}), "garbage in doubt"),
    ] {
        let made = only(&bench, "tokenExchange", json!({"requestedTokenType": requested}), json!({})).await;
        let mut answer = json!({"access_token": "at", "expires_in": 60});
        answer.as_object_mut().unwrap().extend(object(more));
        bench.server.on("/token", Reply::json(200, answer.clone()));
        assert_eq!(outcome(&exchange(&made, "inbound", "").await), want, "{requested:?} {answer}");
        bench.server.forget("/token");
    }
    // Nobody else gives what is no access token.
    let made = bench.oauth(json!({"jwtBearer": {}})).await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "N_A"})));
    assert_eq!(outcome(&made.app("read").await), "garbage in doubt");
    assert_eq!(outcome(&assert_for(&made, alice(), "").await), "garbage in doubt");
}

/// Each row: the answer, and what it means for an assertion and for an exchange. None of it harms a grant or the client
/// without the server saying so.
#[tokio::test]
async fn every_answer_has_its_meaning() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"jwtBearer": {}, "tokenExchange": {}})).await;
    let error = |status: u16, code: &str| Reply::json(status, json!({"error": code}));
    let plain = |status: u16, kind: &str, text: &str| Reply::text(status, kind, text);
    let huge = Reply::json(200, json!({"access_token": "at", "x": "x".repeat(300_000)}));
    for (reply, want) in [
        (error(400, "invalid_grant"), "refused invalid_grant"),
        (error(401, "invalid_grant"), "refused invalid_grant"),
        (error(200, "invalid_grant"), "refused invalid_grant"),
        (error(400, "invalid_request"), "refused invalid_request"),
        (error(401, "invalid_token"), "refused invalid_token"),
        (error(401, "invalid_request"), "refused invalid_request"),
        (error(400, "invalid_scope"), "refused invalid_scope"),
        (error(400, "invalid_target"), "refused invalid_target"),
        (error(400, "unsupported_grant_type"), "refused unsupported_grant_type"),
        (error(400, "interaction_required"), "refused interaction_required"),
        (error(400, "invalid_client"), "client rejected invalid_client"),
        (error(401, "invalid_client"), "client rejected invalid_client"),
        (error(400, "unauthorized_client"), "client rejected unauthorized_client"),
        (plain(401, "text/plain", ""), "client rejected"),
        (error(429, "slow_down").with("retry-after", "7"), "later 7s"),
        (error(503, "temporarily_unavailable"), "later"),
        (error(500, "server_error"), "later in doubt"),
        (plain(502, "text/html", "<html>"), "later in doubt"),
        (plain(200, "text/html", "<!doctype html>"), "garbage in doubt"),
        (plain(200, "application/json", "{\"access_token\""), "garbage in doubt"),
        (plain(400, "text/plain", ""), "garbage"),
        (plain(307, "text/plain", "").with("location", "https://evil.example/token"), "garbage"),
        (
            Reply::json(200, json!({"access_token": "a\r\nb", "issued_token_type": ACCESS})),
            "garbage in doubt",
        ),
        (Reply::json(200, json!({"access_token": "", "issued_token_type": ACCESS})), "garbage in doubt"),
        (
            Reply::json(200, json!({"access_token": "at", "issued_token_type": ACCESS, "token_type": "mac"})),
            "garbage in doubt",
        ),
        (
            Reply::json(200, json!({"access_token": "at", "issued_token_type": ACCESS, "expires_in": -1})),
            "ok",
        ),
        (huge, "garbage in doubt"),
        (Reply::Truncated, "later in doubt"),
        (Reply::HangUp, "later in doubt"),
    ] {
        bench.server.on("/token", reply.clone());
        assert_eq!(outcome(&assert_for(&made, alice(), "read").await), want, "assertion: {reply:.200?}");
        assert_eq!(outcome(&exchange(&made, "inbound", "read").await), want, "exchange: {reply:.200?}");
        assert_eq!(bench.server.seen().len(), 2, "each was sent once and followed nowhere: {reply:.200?}");
        bench.server.forget("/token");
    }
}

#[tokio::test]
async fn no_error_holds_a_token_or_an_assertion() {
    let bench = Bench::new();
    let made = bench
        .oauth(json!({"jwtBearer": {}, "tokenExchange": {"actorToken": true},
        "clientSecret": null, "tokenEndpointAuthMethod": "private_key_jwt"}))
        .await;
    // A server that quotes back whatever it was sent.
    bench
        .server
        .on("/token", Reply::json(400, json!({"error": "invalid_request", "error_description": "x"})));
    exchange(&made, "inbound-secret", "").await.unwrap_err();
    let sent = bench.server.only();
    let words = sent.form().into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(" ");
    assert!(words.contains("inbound-secret"));
    bench.server.forget("/token");
    let words = format!("bad inbound-secret {}", &words[..40]);
    bench
        .server
        .on("/token", Reply::json(400, json!({"error": "invalid_request", "error_description": words})));
    let failed = exchange(&made, "inbound-secret", "").await.unwrap_err();
    let shown = format!("{failed} {failed:?}");
    assert!(!shown.contains("inbound-secret") && shown.contains("[secret]"), "{shown}");
    let ask = MintAsk::Exchanged {
        token: SecretString::new("inbound-secret".to_owned()),
        scopes: None,
        resources: vec![],
        audience: vec![],
        details: vec![],
    };
    assert!(!format!("{ask:?}").contains("inbound-secret"));
}

#[tokio::test]
async fn a_connector_without_a_key_that_opens_signs_nothing() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"jwtBearer": {}, "tokenExchange": {"actorToken": true}})).await;
    let at = carnet_providers::At { signer: None, ..made.at() };
    let ask = MintAsk::Asserted {
        who: alice(),
        scopes: None,
        resources: vec![],
        audience: vec![],
        details: vec![],
    };
    assert_eq!(outcome(&made.driver.mint(&at, None, &ask).await), "misconfigured signingAlgorithm");
    assert_eq!(bench.server.seen(), []);
}

/// What a connector is for is named wherever it asks for a token (RFC 8707 §2.2), and what comes is compared with it.
#[tokio::test]
async fn the_resource_of_a_connector_is_named_whoever_the_token_is_for() {
    const API: &str = "https://api.example/v1";
    let bench = Bench::new();
    let other = json!({"alg": "RS256"}).to_string();
    let body = json!({"aud": "https://other.example"}).to_string();
    let other = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(other), URL_SAFE_NO_PAD.encode(body));
    for name in ["jwtBearer", "tokenExchange"] {
        let made = only(&bench, name, json!({"enabled": true}), json!({"resource": API})).await;
        for (access, fits) in [("opaque", true), (other.as_str(), false)] {
            bench.server.forget("/token");
            let answer = json!({"access_token": access, "token_type": "Bearer", "issued_token_type": ACCESS});
            bench.server.on("/token", Reply::json(200, answer));
            bench.server.seen();
            let minted = if name == "jwtBearer" {
                assert_for(&made, alice(), "").await
            } else {
                exchange(&made, "inbound", "").await
            };
            assert_eq!(bench.server.seen()[0].field("resource").as_deref(), Some(API), "{name}");
            let strays = matches!(minted, Err(DriverError::Stray(_)));
            assert_eq!((minted.is_ok(), strays), (fits, !fits), "{name}: {access}");
        }
    }
}
