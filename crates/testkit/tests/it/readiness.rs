//! `/readyz`: a store that takes no write is not one to send requests to.

use std::time::{Duration, Instant};

use carnet_testkit::{Answer, Engine, Kit, Plan, eventually, on_both_engines};

on_both_engines!(a_store_that_takes_no_write_is_said_within_two_seconds_and_comes_back,);

async fn ready(kit: &Kit) -> Answer {
    kit.node.call("GET", "/readyz", None, None).await
}

async fn a_store_that_takes_no_write_is_said_within_two_seconds_and_comes_back(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    assert_eq!(ready(&kit).await.ok()["checks"]["store"], "ok");
    let raw = kit.raw().await;
    let held = raw.hold_writes().await;
    let begun = Instant::now();
    let answer = loop {
        let answer = ready(&kit).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}: {}", begun.elapsed(), answer.text());
        if answer.status == 503 {
            break answer.json();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(answer["status"], "not ready");
    assert!(answer["checks"]["store"].as_str().unwrap().starts_with("takes no write: "), "{answer}");
    let figures = kit.http.send("GET", &format!("{}/metrics", kit.url()), &[], "").await.text();
    assert!(figures.lines().any(|line| line == "carnet_ready 0"), "{figures}");
    assert_eq!(kit.node.call("GET", "/livez", None, None).await.status, 200);

    raw.release(held).await;
    eventually("it is ready again", async || (ready(&kit).await.status == 200).then_some(())).await;
    kit.user_token("nobody").await.refusal();
}
