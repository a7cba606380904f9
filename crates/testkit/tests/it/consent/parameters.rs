//! What a request may say besides: to the provider, about its own life, and for an installation.

use carnet_model::Clock as _;
use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use url::Url;

on_both_engines!(what_is_meant_for_the_provider_reaches_it, an_installation_is_refused_where_there_is_none);

async fn what_is_meant_for_the_provider_reaches_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let more = json!({
        "prompt": "consent",
        "additionalParams": {"login_hint": "ada@acme.example", "ui_locales": "de & fr"},
        "expiresInMs": 90_000,
    });
    let started = kit.authorize("alice", more).await;
    let life = started["expiresAt"].as_i64().unwrap() - kit.clock.now().millis();
    assert!((85_000..=90_000).contains(&life), "{life}");
    let provider = Browser::default().leave(started["url"].as_str().unwrap()).await;
    let url = Url::parse(&provider).unwrap();
    let asked = |name: &str| -> Vec<String> {
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    assert_eq!(asked("prompt"), ["consent"]);
    assert_eq!(asked("login_hint"), ["ada@acme.example"]);
    assert_eq!(asked("ui_locales"), ["de & fr"]);
    assert_eq!((asked("state").len(), asked("client_id").len(), asked("redirect_uri").len()), (1, 1, 1));
    for (ms, status) in [(1, 200), (1000, 200), (3_600_000, 200), (3_600_001, 400)] {
        let body = json!({"subject": {"type": "user", "id": "alice"}, "expiresInMs": ms});
        let path = format!("/v1/connect/authorize/{}", kit.connector);
        let answer = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await;
        assert_eq!(answer.status, status, "{ms}");
    }
}

async fn an_installation_is_refused_where_there_is_none(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let keys = kit.keep_keys("keys", &json!({"values": [{"value": "k"}]})).await;
    let install = async |connector: &str, bearer: &str, body: Value| {
        let path = format!("/v1/connect/install/{}", connector.replace('/', "%2F"));
        kit.node.call("POST", &path, Some(bearer), Some(&body)).await
    };
    let workload = kit.workload("production");
    for connector in [kit.connector.as_str(), Kit::UID, &keys] {
        let body = json!({"scopes": ["*"], "returnUrl": super::HOME, "tenantId": "T1", "expiresInMs": 1});
        let refused = install(connector, &workload, body).await;
        assert_eq!(refused.refusal(), (422, "unresolved_token".to_owned()), "{connector}");
        assert_eq!(refused.json()["error"]["supportsInstallation"], false);
    }
    for body in [
        json!({"subject": {"type": "app"}}),
        json!({"returnUrl": "http://evil.example/"}),
        json!({"webhook": "http://10.0.0.1/"}),
        json!({"expiresInMs": -1}),
        json!({"tenantId": ""}),
        json!({"scopes": ["*", "x"]}),
        json!({"prompt": "consent"}),
    ] {
        let refused = install(&kit.connector, &workload, body.clone()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{body}");
    }
    let other = kit.another_tenant("other").await;
    let foreign = install(&kit.connector, &kit.workload_of(&other, "production"), json!({})).await;
    assert_eq!(foreign.refusal(), (404, "not_found".to_owned()));
    kit.manage(
        "DELETE",
        &format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project),
        None,
    )
    .await;
    let unlinked = install(&kit.connector, &workload, json!({})).await;
    assert_eq!(unlinked.refusal(), (403, "forbidden".to_owned()));
    let asked = kit.events_of("installation.start").await;
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[3]["outcome"], "denied");
}
