//! The completion webhook: signed, whatever the end; sent again until it is taken; outliving the process.

use std::time::Duration;

use carnet_identity::{Algorithm, Expectation, KeySet, Presented};
use carnet_model::Clock as _;
use carnet_testkit::{Browser, Engine, Kit, Plan, Received, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use super::with;

on_both_engines!(
    a_completion_webhook_arrives_signed_whatever_the_end,
    a_webhook_that_was_not_taken_is_sent_again_by_the_next_process,
);

/// A request of Alice's with this webhook: its page, and its identifier.
async fn begin(kit: &Kit, receiver: &Receiver, path: &str) -> (String, Value) {
    let started = kit.authorize("alice", json!({"webhook": receiver.url(path)})).await;
    (started["url"].as_str().unwrap().to_owned(), started["request"].clone())
}

async fn a_completion_webhook_arrives_signed_whatever_the_end(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let (page, request) = begin(&kit, &receiver, "/done?x=1").await;
    Browser::default().consent(&page, "ada").await;
    let told = receiver.at("/done?x=1").await;
    let connector = json!({"id": kit.connector, "uid": Kit::UID});
    let body =
        |status: &str, request: &Value| json!({"request": request, "status": status, "connector": connector});
    assert_eq!(told.body, body("success", &request));
    let bearer = verified(&kit, &receiver.url("/done?x=1"), &told).await;
    // It says where a webhook came from; it opens nothing here.
    let refused = kit.node.token(&bearer, &kit.connector, &json!({"subject": {"type": "app"}})).await;
    assert_eq!(refused.refusal(), (401, "unauthorized".to_owned()));

    let (page, request) = begin(&kit, &receiver, "/denied").await;
    Browser::default().decide(&page, "deny").await;
    let told = receiver.at("/denied").await;
    assert_eq!(told.body, body("canceled", &request));
    verified(&kit, &receiver.url("/denied"), &told).await;

    let (page, _) = begin(&kit, &receiver, "/failed").await;
    let mut browser = Browser::default();
    let provider = browser.leave(&page).await;
    let callback = browser.at_provider(&provider, "allow", "ada").await;
    browser.get(&with(&callback, "iss", Some("https://evil.example"))).await;
    let told = receiver.at("/failed").await;
    assert_eq!(
        (&told.body["status"], &told.body["error"]["code"]),
        (&json!("error"), &json!("authorization_failed"))
    );
    verified(&kit, &receiver.url("/failed"), &told).await;

    // Nobody came at all, and somebody who did not come back.
    let (_, request) = begin(&kit, &receiver, "/late").await;
    let (page, _) = begin(&kit, &receiver, "/away").await;
    Browser::default().leave(&page).await;
    kit.clock.pass(Duration::from_mins(11));
    let told = receiver.at("/late").await;
    assert_eq!(
        (&told.body["request"], &told.body["status"], &told.body["error"]["code"]),
        (&request, &json!("error"), &json!("expired_token"))
    );
    verified(&kit, &receiver.url("/late"), &told).await;
    assert_eq!(receiver.at("/away").await.body["error"]["code"], "expired_token");

    // What it was asked for is gone.
    let (_, _) = begin(&kit, &receiver, "/removed").await;
    kit.manage("DELETE", &format!("/v1/connect/connectors/{}", kit.connector), None).await;
    assert_eq!(receiver.at("/removed").await.body["error"]["code"], "not_found");
    for path in ["/done?x=1", "/denied", "/failed", "/late", "/away", "/removed"] {
        assert_eq!(receiver.all_at(path).len(), 1, "{path}: taken, so not sent again");
    }
}

async fn a_webhook_that_was_not_taken_is_sent_again_by_the_next_process(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    receiver.next([503, 301, 404]);
    let (page, _) = begin(&kit, &receiver, "/hook").await;
    Browser::default().decide(&page, "deny").await;
    let first = receiver.at("/hook").await;
    arrive_in_time(&kit, &receiver, 2).await;
    kit.restart(async |_| {}).await;
    arrive_in_time(&kit, &receiver, 3).await;
    let all = arrive_in_time(&kit, &receiver, 4).await;
    for again in &all {
        assert_eq!(again.raw, first.raw, "the same, byte for byte");
        assert_eq!(again.headers["webhook-id"], first.headers["webhook-id"]);
    }
    verified(&kit, &receiver.url("/hook"), &all[3]).await;
    let delivered = eventually("it is on the record", async || {
        kit.events_of("completion.deliver").await.into_iter().next()
    })
    .await;
    assert_eq!((&delivered["outcome"], &delivered["detail"]["attempts"]), (&json!("success"), &json!(4)));
    kit.clock.pass(Duration::from_hours(1));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.all_at("/hook").len(), 4, "taken is taken");
}

/// This many webhooks, while time goes by.
async fn arrive_in_time(kit: &Kit, receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually("the webhook is sent again", async || {
        kit.clock.pass(Duration::from_secs(2));
        Some(receiver.all_at("/hook")).filter(|all| all.len() >= count)
    })
    .await
}

/// A receiver that never takes it is left alone after some time, and one that says so at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_that_nobody_takes_has_an_end() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let receiver = Receiver::start().await;
    receiver.next([410]);
    let (page, _) = begin(&kit, &receiver, "/gone").await;
    Browser::default().decide(&page, "deny").await;
    let ended = async |count: usize| {
        eventually("it is given up", async || {
            Some(kit.events_of("completion.deliver").await).filter(|all| all.len() >= count)
        })
        .await
    };
    assert_eq!(ended(1).await[0]["outcome"], "failed");
    receiver.next([500; 20]);
    let (page, _) = begin(&kit, &receiver, "/never").await;
    Browser::default().decide(&page, "deny").await;
    let end = eventually("it is given up", async || {
        kit.clock.pass(Duration::from_hours(1));
        kit.events_of("completion.deliver").await.get(1).cloned()
    })
    .await;
    assert_eq!((&end["outcome"], &end["detail"]["attempts"]), (&json!("failed"), &json!(10)));
    kit.clock.pass(Duration::from_hours(24));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((receiver.all_at("/gone").len(), receiver.all_at("/never").len()), (1, 10));
}

/// As the receiver would: with the keys that the deployment publishes. What comes back is the token.
pub(crate) async fn verified(kit: &Kit, audience: &str, told: &Received) -> String {
    let bearer = told.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let jwks = kit.node.call("GET", "/.well-known/jwks", None, None).await;
    let keys = KeySet::parse(&jwks.body).unwrap();
    let issuer = kit.audience(&kit.tenant);
    let expect = Expectation {
        issuer: &issuer,
        audiences: &[audience.to_owned()],
        algorithms: &[Algorithm::Rs256],
        types: &["JWT".to_owned()],
        max_life: Duration::from_mins(5),
        max_age: None,
        skew: Duration::ZERO,
    };
    let claims = Presented::parse(&bearer).unwrap().verify(&keys, &expect, kit.clock.now()).unwrap();
    assert_eq!(claims.subject(), "owner:acme:project:acme-app:environment:production");
    let id = told.headers["webhook-id"].to_str().unwrap();
    assert!(id.starts_with("dlv_"), "{id}");
    assert_eq!(claims.claim("jti"), Some(&json!(id)), "what is repeated is known by it");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &told.raw);
    let hex = digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(claims.claim("body_sha256"), Some(&json!(hex)), "the proof is for this body alone");
    bearer
}
