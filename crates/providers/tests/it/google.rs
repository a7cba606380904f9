//! An OAuth client of Google: what is asked of people, under which names it comes back, when it ends.

use carnet_model::connector::ConnectorType::Google;
use carnet_model::grant::Rotation;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{DriverError, Granted, Revocation};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, id_token, object, outcome, param, scopes_of};
use crate::server::Reply;

const CLIENT: &str = "1-a.apps.googleusercontent.com";
const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";
const MAIL: &str = "https://www.googleapis.com/auth/gmail.readonly";
const DAY: i64 = 24 * 3600;

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://accounts.google.com", "https://oauth2.googleapis.com"]);
    bench.server.on("/token", error("invalid_grant", "Bad Request"));
    bench
}

fn error(code: &str, words: &str) -> Reply {
    Reply::json(400, json!({"error": code, "error_description": words}))
}

fn data(more: Value) -> Value {
    let mut data =
        json!({"clientId": CLIENT, "clientSecret": "s3cret", "userScopes": ["openid", EMAIL, MAIL]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench, more: Value) -> Made<'_> {
    let made = bench.connector(Google, data(more)).await;
    bench.server.seen();
    made
}

fn answers(bench: &Bench, reply: Reply) {
    bench.server.forget("/token");
    bench.server.on("/token", reply);
}

/// A person of `acme.example` who granted everything.
async fn consent(made: &Made<'_>, more: Value) -> Result<Granted, DriverError> {
    consent_at("https://accounts.google.com", made, more).await
}

/// The same, where the server calls itself so.
async fn consent_at(issuer: &str, made: &Made<'_>, more: Value) -> Result<Granted, DriverError> {
    let scopes = scopes_of(&format!("openid email {MAIL}"));
    let (url, kept) = made.begin(|ask| ask.scopes = scopes).await.unwrap();
    let nonce = param(&url, "nonce").unwrap();
    let claims = json!({"iss": issuer, "aud": CLIENT, "azp": CLIENT, "sub": "1077", "nonce": nonce,
        "exp": NOW + 3600, "email": "ada@acme.example", "email_verified": true, "hd": "acme.example", "at_hash": "x"});
    let mut body = json!({"access_token": "ya29.at", "expires_in": 3599, "refresh_token": "1//rt", "token_type": "Bearer",
        "scope": format!("openid {EMAIL} {MAIL}"), "id_token": id_token(&claims)});
    body.as_object_mut().unwrap().extend(object(more));
    answers(made.bench, Reply::json(200, body));
    made.finish("code=c&scope=whatever&authuser=0&prompt=consent", &kept).await
}

#[tokio::test]
async fn the_client_is_tried_without_a_redirect_uri() {
    let bench = bench();
    let accepted = bench.accept(Google, data(json!({"hostedDomain": "Acme.example"}))).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "refresh_token", "client_id", "client_secret"]);
    assert_eq!(
        Value::Object(accepted.data.clone()),
        json!({"clientId": CLIENT, "userScopes": ["email", MAIL, "openid"], "testing": false,
            "hostedDomain": "acme.example"})
    );
    assert!(accepted.redirect_uri.unwrap().starts_with("https://carnet.example/callback/scl_"));
    for (more, field) in [
        (json!({"clientSecret": null}), "clientSecret"),
        (json!({"userScopes": []}), "userScopes"),
        (json!({"testing": "yes"}), "testing"),
        (json!({"key": {}}), "key"),
    ] {
        assert_eq!(bench.accept(Google, data(more)).await.unwrap_err().field, field);
    }
    answers(&bench, Reply::HangUp);
    let refused = bench.accept(Google, data(json!({}))).await.unwrap_err();
    assert!(refused.why.contains("could not be tried"), "{refused}");
}

#[tokio::test]
async fn people_are_always_asked_and_never_for_what_they_gave_before() {
    let bench = bench();
    let made = made(&bench, json!({"hostedDomain": "acme.example"})).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!((abilities.subjects, abilities.rotation), (vec![SubjectKind::User], Rotation::None));
    assert!(abilities.revocation);
    let recipients = made.driver.recipients(&made.connector);
    assert_eq!(recipients.into_iter().collect::<Vec<_>>(), ["https://oauth2.googleapis.com"]);

    // Whose domain it is, is known only with `openid`.
    let (url, _) = made.begin(|ask| ask.scopes = scopes_of(MAIL)).await.unwrap();
    for (name, value) in [
        ("access_type", Some("offline")),
        ("prompt", Some("consent")),
        ("hd", Some("acme.example")),
        ("include_granted_scopes", None),
        ("code_challenge_method", Some("S256")),
    ] {
        assert_eq!(param(&url, name).as_deref(), value, "{name}");
    }
    assert_eq!(param(&url, "scope"), Some(format!("{MAIL} openid")));
    let (url, _) = made.begin(|ask| ask.prompt = Some("select_account".to_owned())).await.unwrap();
    assert_eq!(param(&url, "prompt").as_deref(), Some("select_account consent"));
    for name in ["include_granted_scopes", "access_type", "hd"] {
        let refused =
            made.begin(|ask| drop(ask.additional_params.insert(name.to_owned(), "true".to_owned()))).await;
        assert_eq!(outcome(&refused), "unsupported", "{name}");
    }
    assert_eq!(outcome(&made.begin(|ask| ask.prompt = Some("none".to_owned())).await), "unsupported");
    assert_eq!(outcome(&made.begin(|ask| ask.scopes = scopes_of(EMAIL)).await), "unsupported");
    assert_eq!(outcome(&made.begin(|ask| ask.resources = vec!["https://x".to_owned()]).await), "unsupported");
    assert_eq!(outcome(&made.app("").await), "unsupported");
}

#[tokio::test]
async fn scopes_are_known_by_the_names_that_were_asked() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = consent(&made, json!({})).await.unwrap();
    let asked = scopes_of(&format!("openid email {MAIL}"));
    assert_eq!(granted.scopes, asked);
    assert_eq!(granted.held.scopes(), asked.as_ref());
    assert_eq!(granted.held.access().unwrap().scopes, asked);
    assert_eq!(granted.external_subject.as_deref(), Some("1077"));
    assert_eq!(granted.name.as_deref(), Some("ada@acme.example"));
    assert_eq!(
        Value::Object(granted.held.claims()),
        json!({"email": "ada@acme.example", "email_verified": true, "hd": "acme.example"})
    );
    assert_eq!(granted.refresh_expires_at, None);
    // Left out by the person: it is not there, and nothing is made up.
    let fewer = consent(&made, json!({"scope": format!("openid {EMAIL}")})).await.unwrap();
    assert_eq!(fewer.scopes, scopes_of("openid email"));

    answers(
        &bench,
        Reply::json(
            200,
            json!({"access_token": "at2", "expires_in": 3599, "scope": format!("openid {EMAIL} {MAIL}")}),
        ),
    );
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!(minted.scopes, asked);
    let held = minted.held.unwrap();
    assert_eq!(
        (held.scopes(), held.refresh().map(|rt| rt.expose().as_str())),
        (asked.as_ref(), Some("1//rt"))
    );
    assert_eq!(outcome(&made.refresh(&granted.held, MAIL).await), "unsupported");
}

#[tokio::test]
async fn a_refresh_token_of_a_project_in_testing_is_known_to_end() {
    let bench = bench();
    let made = made(&bench, json!({"testing": true})).await;
    let week = Some(Time::from_secs(NOW + 7 * DAY));
    let granted = consent(&made, json!({})).await.unwrap();
    assert_eq!((granted.refresh_expires_at, granted.held.refresh_expires_at()), (week, week));
    // The person gave less time.
    let shorter = consent(&made, json!({"refresh_token_expires_in": DAY})).await.unwrap();
    assert_eq!(shorter.held.refresh_expires_at(), Some(Time::from_secs(NOW + DAY)));
    answers(&bench, Reply::json(200, json!({"access_token": "at2", "expires_in": 3599})));
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!((minted.refresh_expires_at, minted.held.unwrap().refresh_expires_at()), (week, week));
}

#[tokio::test]
async fn what_stands_in_for_google_may_call_itself_by_its_own_address_and_by_no_other() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = consent_at(&bench.server.origin, &made, json!({})).await.unwrap();
    assert_eq!(granted.external_subject.as_deref(), Some("1077"));
    for other in ["http://127.0.0.1:9", "https://accounts.google.example", "https://oauth2.googleapis.com"] {
        let refused = consent_at(other, &made, json!({})).await;
        assert!(matches!(refused, Err(DriverError::Garbage { .. })), "{other}");
    }
}

#[tokio::test]
async fn an_account_of_another_domain_is_given_back() {
    let bench = bench();
    let made = made(&bench, json!({"hostedDomain": "other.example"})).await;
    bench.server.on("/revoke", Reply::json(200, json!({})));
    let refused = consent(&made, json!({})).await;
    assert!(outcome(&refused).starts_with("stray"), "{refused:?}");
    let told: Vec<_> = bench.server.seen().into_iter().filter(|seen| seen.path == "/revoke").collect();
    assert_eq!(told[0].field("token").as_deref(), Some("1//rt"));
}

#[tokio::test]
async fn what_google_says_of_a_grant_is_understood() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = consent(&made, json!({})).await.unwrap();
    for (reply, want) in [
        (error("invalid_grant", "Token has been expired or revoked."), "gone revoked_at_provider"),
        (
            Reply::json(400, json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"})),
            "gone interaction_required",
        ),
        (Reply::json(401, json!({"error": "deleted_client"})), "client rejected deleted_client"),
        (Reply::json(403, json!({"error": "rate_limit_exceeded"})), "refused rate_limit_exceeded"),
    ] {
        answers(&bench, reply.clone());
        assert_eq!(outcome(&made.refresh(&granted.held, "").await), want, "{reply:?}");
    }
    // The access token ended with the refresh token.
    bench.server.on("/revoke", Reply::json(200, json!({})));
    bench.server.on("/revoke", error("invalid_token", "Token expired or revoked"));
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
}
