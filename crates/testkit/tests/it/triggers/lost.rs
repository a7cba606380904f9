//! An event that tells of lost access makes the provider be asked, and is not believed; whose events are whose; and an
//! issuer of another name.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_engine::ManagedService;
use carnet_model::connector::ConnectorType;
use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, Receiver, eventually, id_token, on_both_engines};
use serde_json::{Value, json};

use super::*;
use crate::of;

on_both_engines!(
    what_an_event_says_is_lost_is_asked_about_and_not_believed,
    access_that_is_said_to_be_lost_is_asked_about_and_no_other,
    an_application_of_the_operators_tells_no_team_of_anothers_tenants,
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
    kit.clock.pass(Duration::from_secs(61));
    sent(&kit, &kit.connector, &lost("Ev2")).await;
    checks(2).await;
    assert_eq!(kit.grants().await[0]["state"], "needs_consent");
}

/// What Slack sends when somebody takes consent back.
fn revoked(id: &str, account: &str) -> String {
    json!({"type": "event_callback", "team_id": "T1", "event_id": id,
        "event": {"type": "tokens_revoked", "tokens": {"oauth": [account], "bot": []}}})
    .to_string()
}

async fn access_that_is_said_to_be_lost_is_asked_about_and_no_other(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.connector = connector(&kit, "bot", Value::Null).await;
    // Nobody wants to be forwarded such an event.
    let path = format!("/v1/connect/connectors/{}/triggers", kit.connector);
    kit.manage("PATCH", &path, Some(&json!({"events": ["app_mention"]}))).await.ok();
    // Who she is at the provider is said by the provider.
    let issuer = kit.provider.issuer();
    kit.provider.next([Fault::rewritten(move |answer| {
        answer.insert("id_token".to_owned(), id_token(&issuer, Kit::CLIENT, "ada").into());
    })]);
    kit.consent("alice").await;
    let account = kit.grants().await[0]["externalSubject"].as_str().unwrap().to_owned();
    let detail = async |times: usize| {
        let found = eventually("the provider is asked", async || {
            Some(kit.events_of("connector.check").await).filter(|all| all.len() >= times)
        });
        found.await[times - 1]["detail"].clone()
    };
    let said = |grants: u8, broken: u8| json!({"signal": "revoked", "tenant": "T1", "grants": grants, "installations": 0, "broken": broken});

    // Of somebody who is nobody here.
    sent(&kit, &kit.connector, &revoked("Ev1", "U-stranger")).await;
    assert_eq!(detail(1).await, said(0, 0));
    assert_eq!(kit.provider.requests("refresh_token"), 0);
    // From somebody who is not Slack.
    let forged = send(&kit, &kit.node, &kit.connector, "another-secret", &revoked("Ev2", &account)).await;
    assert_eq!(forged.refusal(), (401, "unauthorized".to_owned()));
    // Of Alice, and it is not so.
    sent(&kit, &kit.connector, &revoked("Ev3", &account)).await;
    assert_eq!(detail(2).await, said(1, 0));
    assert_eq!(kit.provider.requests("refresh_token"), 1, "it was asked");
    kit.ask(&of("alice")).await.token();
    // The same again within a minute, and now it is so: it is asked about when the minute is over, once for both.
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    sent(&kit, &kit.connector, &revoked("Ev4", &account)).await;
    sent(&kit, &kit.connector, &revoked("Ev5", &account)).await;
    assert_eq!(kit.events_of("connector.check").await.len(), 2);
    kit.clock.pass(Duration::from_secs(61));
    assert_eq!(detail(3).await, said(1, 1));
    assert_eq!(kit.grants().await[0]["state"], "needs_consent");
    assert_eq!(kit.events_of("connector.check").await.len(), 3);
    assert_eq!(deliveries(&kit, &kit.connector, "").await.len(), 0);
}

async fn an_application_of_the_operators_tells_no_team_of_anothers_tenants(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let mut data = kit.data();
    data.insert("account".to_owned(), json!({"subject": "/workspace", "tenant": "/workspace"}));
    data.insert("userAuthorization".to_owned(), json!({"enabled": false}));
    data.insert("clientCredentials".to_owned(), json!({"enabled": false}));
    data.insert("installation".to_owned(), json!({"scopes": ["profile:read"]}));
    let app = ManagedService {
        r#type: ConnectorType::Oauth,
        method: None,
        params: BTreeMap::new(),
        data,
        teams: None,
        goes_along: false,
        one_callback: false,
    };
    kit.set_managed(BTreeMap::from([("slack".to_owned(), app)]));
    kit.restart(async |_| {}).await;
    let made =
        json!({"service": "slack", "name": "ours", "projectId": kit.tenant.project, "request_code": "c"});
    let made = kit.manage("POST", "/v1/connect/connectors/managed", Some(&made)).await.ok();
    let connector = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/connect/connectors/{connector}/triggers");
    kit.manage("PATCH", &path, Some(&json!({"enabled": true, "signingSecret": SECRET}))).await.ok();
    reached_at(&kit, &[("production", receiver.url(""))]).await;
    let one = json!([{"projectId": kit.tenant.project, "path": "/hook"}]);
    destinations(&kit, &connector, one).await.ok();

    // The team installed it nowhere, so that T1 is another's.
    sent(&kit, &connector, &event("Ev1")).await;
    let rejected = kit.events_of("trigger.reject").await;
    assert_eq!((rejected.len(), &rejected[0]["detail"]["why"]), (1, &json!("tenant_unknown")));
    assert_eq!(deliveries(&kit, &connector, "").await.len(), 0);

    kit.provider.always(|| {
        Fault::rewritten(|answer| {
            answer.insert("workspace".to_owned(), json!("T1"));
        })
    });
    let install = format!("/v1/connect/install/{connector}");
    let started = kit.manage("POST", &install, Some(&json!({}))).await.ok();
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    sent(&kit, &connector, &event("Ev2")).await;
    assert_eq!(receiver.at("/hook").await.body["event_id"], "Ev2");
    assert_eq!(receiver.count(), 1);

    // When it is offered no longer the setting is still told, as an export wants it, and can only be turned off.
    let silent = json!({"service": "slack", "name": "silent", "request_code": "s"});
    let silent = kit.manage("POST", "/v1/connect/connectors/managed", Some(&silent)).await.ok();
    kit.set_managed(BTreeMap::new());
    kit.restart(async |_| {}).await;
    let path = format!("/v1/connect/connectors/{}/triggers", silent["id"].as_str().unwrap());
    kit.manage("GET", &path, None).await.ok();
    let refused = kit.manage("PATCH", &path, Some(&json!({"enabled": true}))).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "{}", refused.text());
    assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");
    kit.manage("PATCH", &path, Some(&json!({"enabled": false}))).await.ok();
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
