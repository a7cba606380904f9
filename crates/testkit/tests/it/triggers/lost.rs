//! An event that tells of lost access, and an issuer of another name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use super::*;

on_both_engines!(
    what_an_event_says_is_lost_is_asked_about_and_not_believed,
    tokens_can_name_an_issuer_whose_name_is_owned_too,
);

async fn what_an_event_says_is_lost_is_asked_about_and_not_believed(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.connector = connector(&kit, "bot", Value::Null).await;
    kit.consent("alice").await;
    let lost = |id: &str| {
        json!({"type": "event_callback", "team_id": "T1", "event_id": id, "event": {"type": "app_uninstalled"}})
            .to_string()
    };
    let checks = async |count: usize| {
        eventually("it was asked about", async || {
            Some(kit.events_of("connector.check").await).filter(|all| all.len() == count)
        })
        .await
    };
    // It says so, and it is not so.
    sent(&kit, &kit.connector, &lost("Ev1")).await;
    let first = checks(1).await;
    assert_eq!(
        (&first[0]["detail"]["signal"], &first[0]["detail"]["broken"]),
        (&json!("uninstalled"), &json!(0)),
        "{first:?}"
    );
    assert_eq!(kit.grants().await[0]["state"], "active");
    // It says so, and it is so.
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    sent(&kit, &kit.connector, &lost("Ev2")).await;
    checks(2).await;
    assert_eq!(kit.grants().await[0]["state"], "needs_consent");
}

async fn tokens_can_name_an_issuer_whose_name_is_owned_too(engine: Engine) {
    let plan = Plan { issuer: Some("https://oidc.example".to_owned()), ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let token = kit.manage("POST", &path, None).await.token();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let slug = &kit.tenant.slug;
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!(format!("https://oidc.example/{slug}")), &json!(kit.audience(&kit.tenant)))
    );
    kit.node.token(&token, &kit.connector, &json!({"subject": {"type": "app"}})).await.token();
    let discovery = format!("/{slug}/.well-known/openid-configuration");
    assert_eq!(kit.node.call("GET", &discovery, None, None).await.ok()["issuer"], claims["iss"]);
}
