//! Connectors that hold keys: stored by the owner, or pasted by each person.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(a_person_pastes_a_key_and_the_workload_gets_it);

const KEY: &str = "pasted-key-4711-abcdef";

async fn begin(kit: &Kit, connector: &str) -> (String, String) {
    let path = format!("/v1/connect/authorize/{connector}");
    let bearer = kit.workload("production");
    let started = kit.node.call("POST", &path, Some(&bearer), Some(&of("alice"))).await.ok();
    (started["url"].as_str().unwrap().to_owned(), started["verifier"].as_str().unwrap().to_owned())
}

async fn a_person_pastes_a_key_and_the_workload_gets_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let data =
        json!({"subjectType": "user", "instructions": "Open your settings. See https://keys.example/new."});
    let connector = kit.keep_keys("mine", &data).await;
    let bearer = kit.workload("production");
    let ask = async || kit.node.token(&bearer, &connector, &of("alice")).await;
    assert_eq!(ask().await.refusal(), (422, "user_authorization_required".to_owned()));
    let (page, verifier) = begin(&kit, &connector).await;
    let mut browser = Browser::default();
    assert!(browser.get(&page).await.text().contains("Open your settings"));
    for (key, said) in [
        ("", "Paste the key first"),
        ("   ", "Paste the key first"),
        ("two words", "This is not a key"),
        ("line\nbreak", "This is not a key"),
        ("schlüssel", "This is not a key"),
        (&"x".repeat(16_385), "This is not a key"),
    ] {
        let again = browser.paste(&page, key).await;
        assert_eq!(again.status, 422, "{key:?}");
        assert!(again.text().contains(said), "{key:?}: {}", again.text());
        assert!(key.trim().is_empty() || !again.text().contains(key), "a key is not said back");
    }
    let done = browser.paste(&page, &format!("  {KEY}\n")).await;
    assert!(done.text().contains("is connected to"), "{}", done.text());
    assert!(!done.text().contains(KEY));
    let issued = ask().await.ok();
    assert_eq!((&issued["token"], &issued["expiresAt"]), (&json!(KEY), &json!(253_402_300_799_999_i64)));
    assert_eq!(
        browser.post(&page, &[("form_token", "x"), ("decision", "allow"), ("key", "second")]).await.status,
        410
    );
    let result = kit.manage("GET", &format!("/v1/connect/result/{verifier}"), None).await.ok();
    assert_eq!(result["status"], "success");

    let (page, _) = begin(&kit, &connector).await;
    Browser::default().paste(&page, "its-successor").await;
    assert_eq!(ask().await.token(), "its-successor");
    let narrowed = json!({"subject": {"type": "user", "id": "alice"}, "scopes": ["read"]});
    assert_eq!(kit.node.token(&bearer, &connector, &narrowed).await.status, 422);

    // No provider can be told of the end of a key.
    let revoked = kit
        .manage("DELETE", &format!("/v1/connect/connectors/{connector}/tokens"), Some(&json!({})))
        .await
        .ok();
    let counts = json!({"tokensFound": 1, "deleted": 1, "providerRevoked": 0, "providerSkipped": 1, "providerFailed": 0});
    assert_eq!(revoked, counts);
    assert_eq!(ask().await.refusal(), (422, "user_authorization_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_who_pastes_nothing_can_say_no() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let connector = kit.keep_keys("mine", &json!({"subjectType": "user"})).await;
    let (page, verifier) = begin(&kit, &connector).await;
    assert!(Browser::default().decide(&page, "deny").await.text().contains("Cancelled"));
    let result = kit.manage("GET", &format!("/v1/connect/result/{verifier}"), None).await.ok();
    assert_eq!(result, json!({"status": "canceled"}));
    assert_eq!(Browser::default().get(&page).await.status, 410);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stored_key_is_picked_by_its_label_and_never_guessed() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let end = kit.clock.now().plus(Duration::from_hours(1)).millis();
    let data = json!({"values": [
        {"value": "key-for-reading", "scope": "read"},
        {"value": "key-for-writing", "scope": "write", "expiresAt": end},
    ]});
    let connector = kit.keep_keys("labelled", &data).await;
    let bearer = kit.workload("production");
    let ask = async |scopes: Value| {
        kit.node.token(&bearer, &connector, &json!({"subject": {"type": "app"}, "scopes": scopes})).await
    };
    let reading = ask(json!(["read"])).await.ok();
    assert_eq!(
        (&reading["token"], &reading["expiresAt"]),
        (&json!("key-for-reading"), &json!(253_402_300_799_999_i64))
    );
    let writing = ask(json!(["write"])).await.ok();
    assert_eq!((&writing["token"], &writing["expiresAt"]), (&json!("key-for-writing"), &json!(end)));
    for scopes in [json!(["*"]), json!([]), json!(["admin"]), json!(["read", "write"])] {
        assert_eq!(ask(scopes.clone()).await.refusal(), (422, "unresolved_token".to_owned()), "{scopes}");
    }
    let people = kit.node.token(&bearer, &connector, &of("alice")).await;
    assert_eq!(people.refusal(), (422, "unresolved_token".to_owned()));
    kit.clock.pass(Duration::from_hours(2));
    let bearer = kit.workload("production");
    let late =
        kit.node.token(&bearer, &connector, &json!({"subject": {"type": "app"}, "scopes": ["write"]})).await;
    assert_eq!(late.refusal(), (422, "invalid_connector".to_owned()));
    assert_eq!(late.json()["error"]["field"], "data.values.1.expiresAt");
    let mend = format!("carnet update {} --data @FILE", reading["connector"]["uid"].as_str().unwrap());
    assert_eq!(late.json()["error"]["next"][0]["command"], mend, "{}", late.text());
    // Nor is a key stored whose end is over, and the one that has ended is in the way of no other change.
    let path = format!("/v1/connect/connectors/{connector}");
    let again = kit.manage("PATCH", &path, Some(&json!({"data": data}))).await;
    assert_eq!(again.refusal(), (422, "invalid_connector".to_owned()));
    assert_eq!(again.json()["error"]["field"], "data.values.1.expiresAt");
    let new = json!({"service": "keys.example", "type": "api-key", "name": "ended", "data": data});
    let new = kit.manage("POST", "/v1/connect/connectors", Some(&new)).await;
    assert_eq!(new.refusal(), (422, "invalid_connector".to_owned()));
    assert_eq!(new.json()["error"]["field"], "data.values.1.expiresAt");
    kit.manage("PATCH", &path, Some(&json!({"data": {"instructions": "Ask Ada."}}))).await.ok();
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await;
    assert!(!shown.text().contains("key-for"), "{}", shown.text());
}

/// The successor of a key is what is served from the moment the change is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replaced_key_is_not_served_from_memory() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let connector = kit.keep_keys("one", &json!({"values": [{"value": "the-first"}]})).await;
    let app = json!({"subject": {"type": "app"}});
    let bearer = kit.workload("production");
    assert_eq!(kit.node.token(&bearer, &connector, &app).await.token(), "the-first");
    let change = json!({"data": {"values": [{"value": "the-second"}]}});
    kit.manage("PATCH", &format!("/v1/connect/connectors/{connector}"), Some(&change)).await.ok();
    assert_eq!(kit.node.token(&bearer, &connector, &app).await.token(), "the-second");
}
