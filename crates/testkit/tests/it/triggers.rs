//! Provider events: verified, durable, forwarded once to each destination, tried again, seen and replayed.

mod forwarded;
mod lost;
mod managed;
mod tried;

use aws_lc_rs::hmac;
use carnet_model::Clock as _;
use carnet_testkit::{Answer, Http, Kit, Node, Receiver, eventually};
use serde_json::{Value, json};

const SECRET: &str = "what-slack-signs-with-0123456789";

/// A connector whose events come as Slack's do, in the first team and linked in the three environments.
pub(crate) async fn connector(kit: &Kit, name: &str, changes: Value) -> String {
    let mut data = kit.data();
    if let Value::Object(changes) = changes {
        data.extend(changes);
    }
    let body = json!({
        "service": "slack", "name": name, "type": "oauth", "data": data, "projectId": kit.tenant.project,
        "triggers": {"enabled": true, "signingSecret": SECRET},
    });
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    assert_eq!(
        (&made["supportsTriggers"], &made["triggers"]["enabled"]),
        (&json!(true), &json!(true)),
        "{made}"
    );
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["triggers"], json!({"enabled": true}), "as the official clients compare it");
    assert_eq!(made["triggerUrl"], format!("{}/connect/trigger/{id}", kit.url()));
    id
}

/// Where the project's environments are reached.
async fn reached_at(kit: &Kit, urls: &[(&str, String)]) {
    let path = format!("/v1/projects/{}/urls", kit.tenant.project);
    let urls: Vec<Value> =
        urls.iter().map(|(environment, url)| json!({"environment": environment, "url": url})).collect();
    kit.manage("PUT", &path, Some(&json!({"urls": urls}))).await.ok();
}

pub(crate) async fn destinations(kit: &Kit, connector: &str, destinations: Value) -> Answer {
    let path = format!("/v1/connect/connectors/{connector}/trigger-destinations");
    kit.manage("PATCH", &path, Some(&json!({"destinations": destinations}))).await
}

/// A connector with one destination, production at this receiver, and where it is.
async fn one_destination(kit: &Kit, receiver: &Receiver, path: &str) -> String {
    let connector = connector(kit, "bot", Value::Null).await;
    reached_at(kit, &[("production", receiver.url(""))]).await;
    let one = json!([{"projectId": kit.tenant.project, "path": path}]);
    destinations(kit, &connector, one).await.ok();
    connector
}

/// An event as Slack sends it.
pub(crate) fn event(id: &str) -> String {
    json!({"type": "event_callback", "team_id": "T1", "event_id": id, "event": {"type": "app_mention", "text": "hi"}})
        .to_string()
}

/// The signature over these bytes at this second.
fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signing = hmac::Context::with_key(&key);
    signing.update(format!("v0:{at}:").as_bytes());
    signing.update(body);
    let hex = signing.sign().as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("v0={hex}")
}

/// Sends bytes to a connector's intake, signed with this secret.
async fn send(kit: &Kit, node: &Node, connector: &str, secret: &str, body: &str) -> Answer {
    let at = kit.clock.now().secs();
    let (at, signed) = (at.to_string(), signature(secret, at, body.as_bytes()));
    let url = format!("http://{}/connect/trigger/{connector}", node.address);
    let headers = [
        ("content-type", "application/json"),
        ("x-slack-request-timestamp", at.as_str()),
        ("x-slack-signature", signed.as_str()),
        ("x-forwarded-for", "203.0.113.9"),
        ("cookie", "a=b"),
    ];
    Http::default().send("POST", &url, &headers, body.to_owned()).await
}

/// The same at the first node, where it must be taken.
pub(crate) async fn sent(kit: &Kit, connector: &str, body: &str) {
    let answer = send(kit, &kit.node, connector, SECRET, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The deliveries of a connector, the newest first.
pub(crate) async fn deliveries(kit: &Kit, connector: &str, query: &str) -> Vec<Value> {
    let path = format!("/v1/connect/connectors/{connector}/deliveries{query}");
    kit.manage("GET", &path, None).await.ok()["deliveries"].as_array().unwrap().clone()
}

/// One delivery with its attempts.
async fn delivery(kit: &Kit, connector: &str, id: &Value) -> Value {
    let path = format!("/v1/connect/connectors/{connector}/deliveries/{}", id.as_str().unwrap());
    kit.manage("GET", &path, None).await.ok()
}

/// The newest delivery of a connector in this state, when there is one.
async fn ends(kit: &Kit, connector: &str, state: &str) -> Value {
    let found = eventually(&format!("the delivery is {state}"), async || {
        let all = deliveries(kit, connector, "").await;
        for one in all.iter().filter(|one| one["state"] == "waiting") {
            go_on(kit, connector, &one["id"]).await;
        }
        all.into_iter().find(|one| one["state"] == state)
    })
    .await;
    delivery(kit, connector, &found["id"]).await
}

/// Lets time go by until the next attempt of a delivery. Not while one is under way: its claim would run out.
async fn go_on(kit: &Kit, connector: &str, id: &Value) -> Value {
    let one = delivery(kit, connector, id).await;
    let noted = one["attempts"].as_array().unwrap().len() as u64;
    let next = one["nextAttemptAt"].as_i64().unwrap_or_default() - kit.clock.now().millis();
    if one["state"] == "waiting" && one["attemptCount"] == noted && next > 0 {
        kit.clock.pass(std::time::Duration::from_millis(next.unsigned_abs()));
    }
    one
}

/// What the destination answered to each attempt.
fn statuses(delivery: &Value) -> Vec<Option<u64>> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].as_u64()).collect()
}
