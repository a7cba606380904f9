//! kill -9 between the acknowledgement of a provider's event and its delivery.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use carnet_testkit::{Receiver, eventually};
use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

const SECRET: &str = "what-slack-signs-with-0123456789";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_acknowledged_is_forwarded_after_kill_9() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver = Receiver::start().await;
    let mut broker = Broker::start(home.path(), port, None).await;
    let dev = broker.dev().await;
    let project = &dev["projectId"];
    let made = call(
        &broker,
        &dev,
        "POST",
        "/v1/connect/connectors",
        json!({
            "service": "slack", "type": "api-key", "name": "bot", "projectId": project,
            "data": {"subjectType": "app", "values": [{"value": "a-key"}]},
            "triggers": {"enabled": true, "signingSecret": SECRET}, "triggerDestination": {"path": "/hook"},
        }),
    )
    .await;
    let connector = made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let urls = json!({"urls": [{"environment": "production", "url": receiver.url("")}]});
    call(&broker, &dev, "PUT", &format!("/v1/projects/{}/urls", project.as_str().unwrap()), urls).await;

    // The app is away, and the process goes as soon as it has said yes.
    receiver.next([503; 2]);
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        for number in 0..2 {
            let id = format!("Ev{round}-{number}");
            assert_eq!(send(&broker, &connector, &id).await, 200);
            acknowledged.insert(id);
        }
        broker.kill();
        broker = Broker::start(home.path(), port, None).await;
        broker.dev().await;
    }
    let taken = eventually("each of them is taken", async || {
        let path = format!("/v1/connect/connectors/{connector}/deliveries?state=taken");
        let found = call(&broker, &dev, "GET", &path, Value::Null).await["deliveries"].as_array()?.clone();
        Some(found).filter(|found| found.len() == acknowledged.len())
    })
    .await;
    assert_eq!(taken.len(), 8);
    let arrived: BTreeSet<String> = receiver
        .all_at("/hook")
        .iter()
        .map(|one| one.body["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(arrived, acknowledged);
    broker.kill();
}

async fn call(broker: &Broker, dev: &Value, method: &str, path: &str, body: Value) -> Value {
    let request = client()
        .request(method.parse().unwrap(), format!("{}{path}", broker.url))
        .bearer_auth(dev["accessToken"].as_str().unwrap());
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await.unwrap().json().await.unwrap()
}

async fn send(broker: &Broker, connector: &str, id: &str) -> u16 {
    let body =
        json!({"type": "event_callback", "team_id": "T1", "event_id": id, "event": {"type": "app_mention"}})
            .to_string();
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{at}:{body}").as_bytes());
    let hex = tag.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let request = client()
        .post(format!("{}/connect/trigger/{connector}", broker.url))
        .header("content-type", "application/json")
        .header("x-slack-request-timestamp", at.to_string())
        .header("x-slack-signature", format!("v0={hex}"))
        .body(body);
    request.send().await.unwrap().status().as_u16()
}
