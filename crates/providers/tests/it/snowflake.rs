//! A Snowflake account: people by its integration, the application by the key pair of a user.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_model::connector::ConnectorType::Snowflake;
use carnet_model::grant::Rotation;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{MintAsk, Revocation, jwks_url};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, NOW, object, outcome, param, scopes_of};
use crate::key::PEM;
use crate::server::Reply;

const TOKEN: &str = "/oauth/token-request";
const LOGIN: &str = "/session/v1/login-request";
const CLOSE: &str = "/session";

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://acme-prod.snowflakecomputing.com"]);
    bench.server.on(
        TOKEN,
        Reply::json(400, json!({"error": "invalid_grant", "message": "This is an invalid grant."})),
    );
    bench.server.on(
        LOGIN,
        Reply::json(
            200,
            json!({"data": {"token": "session-token"}, "code": null, "message": null, "success": true}),
        ),
    );
    bench.server.on(CLOSE, Reply::json(200, json!({"success": true})));
    bench
}

/// What a login is answered with that opens no session.
fn refusal(code: &str, message: &str) -> Reply {
    Reply::json(
        200,
        json!({"data": {"nextAction": "RETRY_LOGIN"}, "code": code, "message": message, "success": false}),
    )
}

fn answers(bench: &Bench, path: &str, reply: Reply) {
    bench.server.forget(path);
    bench.server.on(path, reply);
}

fn people(more: Value) -> Value {
    let mut data = json!({"accountIdentifier": "acme-prod", "clientId": "cid=", "clientSecret": "s3cret"});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

fn by_key(more: Value) -> Value {
    let mut data =
        json!({"accountIdentifier": "ACME-PROD", "username": "svc_bot", "privateKeyPem": PEM.text});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_field_that_is_wrong() {
    let bench = bench();
    for (data, field) in [
        (people(json!({"accountIdentifier": null})), "accountIdentifier"),
        (
            people(json!({"accountIdentifier": "https://acme-prod.snowflakecomputing.com"})),
            "accountIdentifier",
        ),
        (people(json!({"accountIdentifier": "evil.example/"})), "accountIdentifier"),
        (people(json!({"clientId": null})), "clientId"),
        (people(json!({"clientSecret": null})), "clientSecret"),
        (people(json!({"defaultSessionRole": "ANALYST; drop"})), "defaultSessionRole"),
        (by_key(json!({"privateKeyPem": null})), "privateKeyPem"),
        (by_key(json!({"privateKeyPem": "x"})), "privateKeyPem"),
        (by_key(json!({"username": "a b"})), "username"),
        (by_key(json!({"user": "x"})), "user"),
    ] {
        let refused = bench.accept(Snowflake, data.clone()).await.unwrap_err();
        assert_eq!(refused.field, field, "{data}: {refused}");
    }
    for (reply, field, why) in [
        (
            refusal("390144", "JWT token is invalid."),
            "privateKeyPem",
            "for the user SVC_BOT: “JWT token is invalid.”",
        ),
        (refusal("394304", "JWT token is invalid. [1b3c]"), "privateKeyPem", "for the user SVC_BOT"),
        (
            refusal("390100", "Incorrect username or password was specified."),
            "privateKeyPem",
            "“Incorrect username or password was specified.”",
        ),
        (Reply::text(404, "text/html", "<html>"), "accountIdentifier", "is no account"),
        (Reply::text(403, "text/html", "<html>"), "accountIdentifier", "is no account"),
        (Reply::json(503, json!({})), "accountIdentifier", "could not be asked"),
        (Reply::HangUp, "accountIdentifier", "could not be asked"),
    ] {
        answers(&bench, LOGIN, reply.clone());
        let refused = bench.accept(Snowflake, by_key(json!({}))).await.unwrap_err();
        assert_eq!(refused.field, field, "{reply:?}");
        assert!(refused.why.contains(why), "{reply:?}: {}", refused.why);
    }
    answers(&bench, LOGIN, refusal("390100", "Incorrect username or password was specified."));
    answers(&bench, TOKEN, Reply::json(401, json!({"error": "invalid_client", "message": "x"})));
    assert_eq!(bench.accept(Snowflake, people(json!({}))).await.unwrap_err().field, "clientSecret");
    answers(&bench, LOGIN, Reply::text(404, "text/plain", "Not Found"));
    assert_eq!(bench.accept(Snowflake, people(json!({}))).await.unwrap_err().field, "accountIdentifier");
}

#[tokio::test]
async fn what_the_account_does_not_speak_about_is_said_and_stops_nobody() {
    let bench = bench();
    let not_checked = async |data: Value| {
        bench.accept(Snowflake, data).await.unwrap().data.get("notChecked").cloned().unwrap_or_default()
    };
    let workload = || json!({"accountIdentifier": "acme-prod", "workloadIdentity": true});
    // A network policy, or a role that is not there, is not the key.
    answers(&bench, LOGIN, refusal("390422", "Incoming request with IP 192.0.2.1 is not allowed."));
    assert_eq!(not_checked(by_key(json!({}))).await, json!(["privateKeyPem"]));
    assert_eq!(not_checked(workload()).await, Value::Null, "there is an account");
    answers(&bench, LOGIN, Reply::text(200, "text/html", "<html>"));
    assert_eq!(not_checked(by_key(json!({}))).await, json!(["privateKeyPem"]));
    assert_eq!(not_checked(workload()).await, json!(["accountIdentifier"]));
    // An account whose authorization server is somewhere else, or not yet.
    answers(&bench, LOGIN, refusal("390100", "Incorrect username or password was specified."));
    assert_eq!(not_checked(people(json!({}))).await, Value::Null);
    for reply in
        [Reply::text(404, "text/plain", "Not Found"), Reply::json(200, json!({"access_token": "at"}))]
    {
        answers(&bench, TOKEN, reply);
        assert_eq!(not_checked(people(json!({}))).await, json!(["clientSecret"]));
    }
    // What was noted is sent along with a change, and found anew.
    answers(&bench, LOGIN, Reply::json(200, json!({"success": true})));
    assert_eq!(not_checked(by_key(json!({"notChecked": ["privateKeyPem"]}))).await, Value::Null);
}

#[tokio::test]
async fn the_application_has_a_jwt_that_the_users_key_signs() {
    let bench = bench();
    let made = bench.connector(Snowflake, by_key(json!({}))).await;
    let [asked, closed] = &bench.server.seen()[..] else { panic!("a session is opened, and closed") };
    let login: Value = serde_json::from_str(&asked.body).unwrap();
    let login = &login["data"];
    assert_eq!((&login["AUTHENTICATOR"], &login["LOGIN_NAME"]), (&json!("SNOWFLAKE_JWT"), &json!("SVC_BOT")));
    assert_eq!(login["ACCOUNT_NAME"], "ACME-PROD");
    let (_, shown) = PEM.read(login["TOKEN"].as_str().unwrap());
    assert_eq!(shown["sub"], "ACME-PROD.SVC_BOT");
    assert_eq!(closed.header("authorization"), Some("Snowflake Token=\"session-token\""));
    assert_eq!(made.driver.abilities(&made.connector).subjects, [SubjectKind::App]);
    let minted = made.app("").await.unwrap();
    assert_eq!(bench.server.seen(), [], "nobody is asked");
    let (head, claims) = PEM.read(minted.token.expose());
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT"}));
    let fingerprint = BASE64_STANDARD.encode(digest(&SHA256, &PEM.public_der()));
    assert_eq!(
        claims,
        json!({"iss": format!("ACME-PROD.SVC_BOT.SHA256:{fingerprint}"), "sub": "ACME-PROD.SVC_BOT", "iat": NOW, "exp": NOW + 3540})
    );
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 3540)));
    assert_eq!(
        Value::Object(minted.metadata),
        json!({"accountIdentifier": "ACME-PROD", "accountUrl": "https://acme-prod.snowflakecomputing.com",
            "tokenType": "KEYPAIR_JWT", "username": "svc_bot"})
    );
    assert_eq!(outcome(&made.app("session:role:X").await), "unsupported");
    assert_eq!(outcome(&made.begin(|_| ()).await), "unsupported");
}

#[tokio::test]
async fn people_consent_at_the_account_and_are_known_by_their_user() {
    let bench = bench();
    let made = bench.connector(Snowflake, people(json!({"defaultSessionRole": "ANALYST"}))).await;
    bench.server.seen();
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!((abilities.subjects, abilities.rotation), (vec![SubjectKind::User], Rotation::None));
    let scopes = abilities.user.unwrap().scopes;
    assert_eq!(Some(scopes.clone()), scopes_of("refresh_token session:role:ANALYST"));
    let (url, kept) = made.begin(|ask| ask.scopes = Some(scopes)).await.unwrap();
    assert_eq!((url.path(), param(&url, "client_id").as_deref()), ("/oauth/authorize", Some("cid=")));
    let answer = json!({"access_token": "at", "refresh_token": "rt", "expires_in": 600, "refresh_token_expires_in": 7_776_000,
        "scope": "refresh_token session:role:ANALYST", "token_type": "Bearer", "username": "ADA", "idpInitiated": false});
    answers(&bench, TOKEN, Reply::json(200, answer));
    let granted = made.finish("code=c", &kept).await.unwrap();
    let seen = bench.server.only();
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!((granted.external_subject.as_deref(), granted.name.as_deref()), (Some("ADA"), Some("ADA")));
    assert_eq!(granted.metadata["tokenType"], "OAUTH");
    answers(
        &bench,
        TOKEN,
        Reply::json(200, json!({"access_token": "at2", "expires_in": 600, "token_type": "Bearer"})),
    );
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!(minted.metadata["accountUrl"], "https://acme-prod.snowflakecomputing.com");
    assert_eq!(
        minted.held.unwrap().refresh().map(|rt| rt.expose().as_str()),
        Some("rt"),
        "it works more than once"
    );
    assert_eq!(outcome(&made.refresh(&granted.held, "session:role:ANALYST").await), "unsupported");
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::NotSupported);
    let strict = bench.connector(Snowflake, by_key(json!({}))).await;
    assert_eq!(outcome(&strict.app("").await), "ok");
}

#[tokio::test]
async fn a_service_user_that_trusts_the_connector_needs_no_secret() {
    let bench = bench();
    // Nobody has signed in, says the account; that it says so is enough.
    answers(&bench, LOGIN, refusal("390100", "Incorrect username or password was specified."));
    let data = json!({"accountIdentifier": "acme-prod", "workloadIdentity": true, "username": "svc"});
    let made = bench.connector(Snowflake, data).await;
    assert_eq!(bench.server.only().header("authorization"), None);
    assert!(made.secrets.is_empty());
    let issuer = jwks_url(BASE, CONNECTOR);
    let subject = format!("connector:{CONNECTOR}");
    assert_eq!(
        made.connector.data["federatedCredential"],
        json!({"issuer": issuer, "subject": subject, "audience": "snowflakecomputing.com"})
    );
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App]);
    assert!(abilities.signs.is_some());
    let minted = made.app("").await.unwrap();
    assert_eq!(bench.server.seen(), [], "nobody is asked");
    let mut claims = made.key.claims(minted.token.expose());
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        claims,
        json!({"iss": issuer, "sub": subject, "aud": "snowflakecomputing.com", "iat": NOW - 10, "exp": NOW + 590})
    );
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 590)));
    assert_eq!(
        Value::Object(minted.metadata),
        json!({"accountIdentifier": "acme-prod", "accountUrl": "https://acme-prod.snowflakecomputing.com",
            "tokenType": "WORKLOAD_IDENTITY", "workloadIdentityProvider": "OIDC", "username": "svc"})
    );
    assert_eq!(outcome(&made.app("session:role:X").await), "unsupported");
    let mut unkeyed = made.at();
    unkeyed.signer = None;
    let (resources, audience, details) = Default::default();
    let ask = MintAsk::App { scopes: None, resources, audience, details, installation: None };
    assert_eq!(outcome(&made.driver.mint(&unkeyed, None, &ask).await), "misconfigured workloadIdentity");
}

#[tokio::test]
async fn another_server_gives_tokens_that_the_account_takes() {
    let bench = bench();
    let origin = bench.server.origin.clone();
    let inner = json!({"clientId": "c", "clientSecret": "s3cret", "defaultAudience": "https://acme-prod.snowflakecomputing.com",
        "serverConfig": {"issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"), "revocation_endpoint": format!("{origin}/revoke")},
        "userAuthorization": {"scopes": ["session:role-any", "offline_access"]},
        "clientCredentials": {"scopes": ["session:role:ANALYST"]}});
    let data = json!({"accountIdentifier": "acme-prod", "externalOauth": inner});
    let made = bench.connector(Snowflake, data).await;
    bench.server.seen();
    assert!(made.connector.data["externalOauth"].get("clientSecret").is_none());
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::User]);
    assert_eq!(made.driver.recipients(&made.connector).into_iter().collect::<Vec<_>>(), [origin]);

    bench.server.on(
        "/token",
        Reply::json(200, json!({"access_token": "at", "expires_in": 600, "refresh_token": "rt"})),
    );
    let minted = made.app("session:role:ANALYST").await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.field("scope").as_deref(), Some("session:role:ANALYST"));
    assert_eq!(seen.field("client_secret").as_deref(), Some("s3cret"));
    assert_eq!(
        Value::Object(minted.metadata),
        json!({"accountIdentifier": "acme-prod", "accountUrl": "https://acme-prod.snowflakecomputing.com", "tokenType": "OAUTH"})
    );
    let (url, kept) =
        made.begin(|ask| ask.scopes = scopes_of("session:role-any offline_access")).await.unwrap();
    assert_eq!(url.path(), "/authorize");
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.metadata["tokenType"], "OAUTH");
    assert_eq!(made.refresh(&granted.held, "").await.unwrap().metadata["tokenType"], "OAUTH");
    bench.server.on("/revoke", Reply::text(200, "text/plain", ""));
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
}
