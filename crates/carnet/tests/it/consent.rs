//! A consent whose server is killed between any two of its steps: it goes on where it stood, and whoever waits is told.

use std::time::Duration;

use carnet_testkit::{Browser, Receiver};
use carnet_testpg::Database;
use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_survives_kill_9_on_sqlite() {
    survives(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_survives_kill_9_on_postgres() {
    if let Some(database) = Database::create().await.unwrap() {
        survives(Some(database.url())).await;
    }
}

async fn survives(database: Option<&str>) {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver = Receiver::start().await;
    // The first process is told to come back, and does not live to do it.
    receiver.next([503]);
    let again = async |broker: Broker| {
        broker.kill();
        let broker = Broker::start(home.path(), port, database).await;
        let dev = broker.dev().await;
        (broker, dev)
    };
    let broker = Broker::start(home.path(), port, database).await;
    let dev = broker.dev().await;
    let body = json!({
        "subject": {"type": "user", "id": "alice"}, "deviceCode": true, "webhook": receiver.url("/hook"),
    });
    let started = call(&broker, dev["oidcToken"].as_str().unwrap(), "authorize/demo%2Fhello", &body).await;
    let result = async |broker: &Broker, dev: &Value| -> Value {
        let verifier = started["verifier"].as_str().unwrap();
        let asked = client()
            .get(format!("{}/v1/connect/result/{verifier}", broker.url))
            .bearer_auth(dev["accessToken"].as_str().unwrap());
        asked.send().await.unwrap().json().await.unwrap()
    };

    let (broker, dev) = again(broker).await;
    assert_eq!(result(&broker, &dev).await["status"], "pending");
    let mut browser = Browser::default();
    let form_token = browser.get(started["url"].as_str().unwrap()).await.hidden("form_token");
    let (broker, _) = again(broker).await;
    let code = started["deviceCode"].as_str().unwrap();
    let fields = [("form_token", form_token.as_str()), ("code", code)];
    let on = browser.post(started["url"].as_str().unwrap(), &fields).await;
    let page = format!("{}{}", broker.url, on.header("location").unwrap());
    let (broker, _) = again(broker).await;
    let form_token = browser.get(&page).await.hidden("form_token");
    let (broker, _) = again(broker).await;
    let left = browser.post(&page, &[("form_token", &form_token), ("decision", "allow")]).await;
    let (broker, dev) = again(broker).await;
    assert_eq!(result(&broker, &dev).await["status"], "pending");
    let callback = browser.at_provider(&left.link(), "allow", "ada").await;
    let end = browser.come_back(&callback).await;
    assert!(end.text().contains("is connected to"), "{}", end.text());
    receiver.at("/hook").await;
    // So that what the receiver said is on record, and not only that it was asked.
    tokio::time::sleep(Duration::from_millis(300)).await;

    let (broker, dev) = again(broker).await;
    assert_eq!(result(&broker, &dev).await["status"], "success");
    let token = call(
        &broker,
        dev["oidcToken"].as_str().unwrap(),
        "token/demo%2Fhello",
        &json!({"subject": {"type": "user", "id": "alice"}}),
    )
    .await;
    assert!(token["token"].is_string(), "{token}");
    let told = receiver.count_at("/hook", 2).await;
    assert_eq!(told[0].raw, told[1].raw);
    assert_eq!((&told[1].body["request"], &told[1].body["status"]), (&started["request"], &json!("success")));
}

async fn call(broker: &Broker, bearer: &str, path: &str, body: &Value) -> Value {
    let url = format!("{}/v1/connect/{path}", broker.url);
    client().post(url).bearer_auth(bearer).json(body).send().await.unwrap().json().await.unwrap()
}
