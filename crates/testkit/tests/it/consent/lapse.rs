//! Requests whose process, or whose person, never came back: they go on, or end so that everybody knows.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{exchanges, nothing_was_granted, to_the_callback};

on_both_engines!(
    a_consent_goes_on_after_a_restart_at_any_step,
    an_exchange_that_was_cut_off_ends_and_is_not_repeated,
    the_end_of_what_nobody_came_for_is_recorded_once,
);

async fn result(kit: &Kit, started: &Value) -> Value {
    let path = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    kit.manage("GET", &path, None).await.ok()
}

async fn a_consent_goes_on_after_a_restart_at_any_step(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let started = kit.authorize("alice", json!({"returnUrl": super::HOME})).await;
    let page = started["url"].as_str().unwrap().to_owned();
    kit.restart(async |_| {}).await;
    assert_eq!(result(&kit, &started).await, json!({"status": "pending"}));
    let mut browser = Browser::default();
    let form_token = browser.get(&page).await.hidden("form_token");
    kit.restart(async |_| {}).await;
    let left = browser.post(&page, &[("form_token", &form_token), ("decision", "allow")]).await;
    let provider = left.link();
    kit.restart(async |_| {}).await;
    let callback = browser.at_provider(&provider, "allow", "ada").await;
    kit.restart(async |_| {}).await;
    assert_eq!(super::outcome(&browser.get(&callback).await).0, "success");
    kit.restart(async |_| {}).await;
    assert_eq!(super::outcome(&browser.get(&callback).await).0, "success", "the end is kept");
    assert_eq!(result(&kit, &started).await["status"], "success");
    kit.user_token("alice").await.token();
    assert_eq!(exchanges(&kit), 1);
    // It is told for a month, not only while the page would have worked.
    kit.clock.pass(Duration::from_hours(29 * 24));
    kit.restart(async |_| {}).await;
    assert_eq!(result(&kit, &started).await["status"], "success");
}

/// What a process leaves behind that was killed between taking the code and recording what it brought.
async fn an_exchange_that_was_cut_off_ends_and_is_not_repeated(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let started = kit.authorize("alice", json!({"webhook": receiver.url("/cut")})).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, started["url"].as_str().unwrap()).await;
    kit.restart(async |kit| {
        let raw = kit.raw().await;
        assert_eq!(raw.run("update consents set state = 'exchanging'").await, 1);
        // Where other nodes may be at it, only a long silence says that nobody is.
        kit.clock.pass(Duration::from_mins(4));
    })
    .await;
    let end = result(&kit, &started).await;
    assert_eq!((&end["status"], &end["error"]["code"]), (&json!("error"), &json!("authorization_failed")));
    assert!(end["error"]["message"].as_str().unwrap().contains("was stopped"), "{end}");
    let told = receiver.at("/cut").await;
    assert_eq!((&told.body["request"], &told.body["status"]), (&started["request"], &json!("error")));
    let late = browser.come_back(&callback).await;
    assert_eq!(late.status, 422, "{}", late.text());
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
    let ends = kit.events_of("authorization.complete").await;
    assert_eq!((ends.len(), &ends[0]["detail"]["stood"]), (1, &json!("exchanging")));
}

async fn the_end_of_what_nobody_came_for_is_recorded_once(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let started = kit.authorize("alice", json!({"expiresInMs": 1000})).await;
    let page = started["url"].as_str().unwrap().to_owned();
    kit.restart(async |kit| kit.clock.pass(Duration::from_secs(2))).await;
    let ends = eventually("its end is on the record", async || {
        Some(kit.events_of("authorization.complete").await).filter(|ends| !ends.is_empty())
    })
    .await;
    assert_eq!(
        (&ends[0]["outcome"], &ends[0]["detail"]["code"]),
        (&json!("failed"), &json!("expired_token"))
    );
    assert_eq!(result(&kit, &started).await["error"]["code"], "expired_token");
    assert_eq!(Browser::default().get(&page).await.status, 410);
    assert!(Browser::default().get(&page).await.text().contains("has expired"));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(kit.events_of("authorization.complete").await.len(), 1);
}
