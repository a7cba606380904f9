//! A provider that says no: about the grant, or about the client. The two are not confused.

use std::time::Duration;

use carnet_model::grant::Rotation;
use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use crate::anew;

on_both_engines!(
    a_grant_that_the_provider_forgot_asks_for_consent_and_consent_mends_it,
    a_wrong_client_secret_touches_no_grant_and_a_patch_mends_it,
    a_provider_that_keeps_refusing_the_client_is_left_alone_until_that_is_mended,
);

async fn a_grant_that_the_provider_forgot_asks_for_consent_and_consent_mends_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    kit.clock.pass(Duration::from_hours(2));
    let answer = kit.user_token("alice").await;
    assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(answer.json()["error"]["cause"], "revoked_at_provider");
    let asked = kit.provider.requests("refresh_token");
    assert_eq!(kit.user_token("alice").await.json()["error"]["cause"], "revoked_at_provider");
    assert_eq!(kit.provider.requests("refresh_token"), asked, "a dead grant is not tried again");
    let grants = kit.grants().await;
    assert_eq!(
        (&grants[0]["state"], &grants[0]["cause"]),
        (&json!("needs_consent"), &json!("revoked_at_provider"))
    );
    let events = kit.events_of("grant.needs-consent").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["target"], grants[0]["id"]);
    assert_eq!(events[0]["detail"]["cause"], "revoked_at_provider");

    kit.consent("alice").await;
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
    assert_eq!(kit.grants().await[0]["state"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_refusal_means_follows_from_its_code() {
    let plan = Plan { access_life: Duration::from_mins(30), ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    for (user, status, code, told, state) in [
        ("a", 400, "invalid_grant", "user_authorization_required", "needs_consent"),
        ("b", 401, "invalid_grant", "user_authorization_required", "needs_consent"),
        ("c", 400, "bad_refresh_token", "user_authorization_required", "needs_consent"),
        ("d", 400, "interaction_required", "user_authorization_required", "needs_consent"),
        ("e", 401, "invalid_client", "connector_credentials_rejected", "active"),
        ("f", 400, "invalid_client", "connector_credentials_rejected", "active"),
        ("g", 400, "unauthorized_client", "connector_credentials_rejected", "active"),
        ("h", 403, "something_new", "provider_refused", "active"),
        ("i", 400, "invalid_request", "provider_refused", "active"),
    ] {
        kit.consent(user).await;
        kit.clock.pass(Duration::from_mins(40));
        kit.provider.always(move || Fault::error(status, code));
        let answer = kit.user_token(user).await;
        kit.provider.heal();
        assert_eq!(answer.refusal(), (422, told.to_owned()), "{code}");
        let subject = json!({"type": "user", "id": user});
        let grants = kit.grants().await;
        let grant = grants.iter().find(|grant| grant["subject"] == subject).unwrap();
        assert_eq!(grant["state"], state, "{code}");
        if state == "active" {
            assert!(kit.provider.me(&kit.user_token(user).await.token()).await.is_some(), "{code}");
        }
    }
}

async fn a_wrong_client_secret_touches_no_grant_and_a_patch_mends_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let living = kit.user_token("alice").await.token();
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let patch = async |secret: &str| {
        kit.manage("PATCH", &path, Some(&json!({"data": {"clientSecret": secret}}))).await
    };
    patch("not-the-secret").await.ok();
    assert_eq!(kit.ask(&anew("alice")).await.token(), living, "the living token is still served");
    kit.clock.pass(Duration::from_hours(2));
    let answer = kit.user_token("alice").await;
    assert_eq!(answer.refusal(), (422, "connector_credentials_rejected".to_owned()));
    assert_eq!(answer.json()["error"]["vendor"]["error"], "invalid_client");
    assert!(!answer.text().contains("not-the-secret"));
    assert_eq!(kit.grants().await[0]["state"], "active");
    let app = kit.ask(&json!({"subject": {"type": "app"}})).await;
    assert_eq!(app.refusal(), (422, "connector_credentials_rejected".to_owned()));

    let shown = patch(&kit.plan.client_secret).await;
    assert!(!shown.text().contains(&kit.plan.client_secret), "the answer does not say it back");
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
}

/// Thousands of callers with the same wrong secret are told what it is, and the provider hears of it a few times.
async fn a_provider_that_keeps_refusing_the_client_is_left_alone_until_that_is_mended(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    for user in ["alice", "bob"] {
        kit.consent(user).await;
    }
    kit.clock.pass(Duration::from_hours(2));
    let told = (422, "connector_credentials_rejected".to_owned());
    kit.provider.always(|| Fault::error(401, "invalid_client"));
    let asked = kit.provider.requests("refresh_token");
    for user in ["alice", "bob"].repeat(20) {
        let answer = kit.user_token(user).await;
        assert_eq!(answer.refusal(), told);
        assert_eq!(answer.json()["error"]["vendor"]["error"], "invalid_client");
    }
    let calls = kit.provider.requests("refresh_token") - asked;
    assert!((5..30).contains(&calls), "{calls}");
    assert!(kit.grants().await.iter().all(|grant| grant["state"] == "active"));

    // Mended there: it is found out within a minute. Nothing was spent meanwhile.
    kit.provider.heal();
    kit.clock.pass(Duration::from_secs(61));
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());

    // Mended here: at once.
    kit.provider.always(|| Fault::error(401, "invalid_client"));
    for _ in 0..20 {
        assert_eq!(kit.user_token("bob").await.refusal(), told);
    }
    kit.provider.heal();
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    kit.manage("PATCH", &path, Some(&json!({"data": {"clientSecret": kit.plan.client_secret}}))).await.ok();
    assert!(kit.provider.me(&kit.user_token("bob").await.token()).await.is_some());
}

/// What the provider gave is not kept, because the connector says so: that is named, not the provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_setting_that_keeps_a_token_from_being_renewed_is_named() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let off = json!({"data": {"refreshTokens": {"enabled": false}}});
    kit.manage("PATCH", &path, Some(&off)).await.ok();
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let answer = kit.user_token("alice").await;
    assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()));
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("refreshTokens.enabled is false"), "{message}");
    assert_eq!(kit.provider.requests("refresh_token"), 0);
}

/// RFC 6749 §6: an answer without a refresh token leaves the old one in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let plan = Plan { rotation: Rotation::None, ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    for _ in 0..3 {
        kit.clock.pass(Duration::from_hours(2));
        assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
    }
    assert_eq!(kit.provider.requests("refresh_token"), 3);
    let given = kit.provider.secrets().into_iter().filter(|(name, _)| *name == "refresh_token").count();
    assert_eq!(given, 1);
}

/// A grant that cannot be renewed ends with its token, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_grant_with_nothing_to_renew_it_ends_with_its_token() {
    let plan = Plan { scopes: vec!["profile:read"], ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    let started = kit.authorize("alice", Value::Null).await;
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    let token = kit.user_token("alice").await.token();
    assert_eq!(kit.ask(&anew("alice")).await.token(), token, "the best there is");
    kit.clock.pass(Duration::from_hours(2));
    let answer = kit.user_token("alice").await;
    assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(answer.json()["error"]["cause"], "expired");
}
