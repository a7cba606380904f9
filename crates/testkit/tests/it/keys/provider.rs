//! One root-key provider takes over from another, and the first is dropped when nobody needs it any more.

use std::time::Duration;

use carnet_engine::StartError;
use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{everything_opens, rotate, status};

on_both_engines!(
    one_key_file_takes_over_from_another,
    a_second_provider_can_be_given_up,
    a_first_provider_that_is_gone_is_not_gone_back_to,
);

/// By which of its providers, as they are called there, the answering process opens each wrap.
async fn configured(kit: &Kit) -> Vec<Value> {
    let wraps = status(kit).await["wraps"].as_array().unwrap().clone();
    wraps.iter().map(|wrap| wrap["configuredAs"].clone()).collect()
}

async fn kek(kit: &Kit, step: &str) -> carnet_testkit::Answer {
    kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": "kek", "step": step}))).await
}

async fn one_key_file_takes_over_from_another(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    // Nobody has named a second one, and nothing is there to finish.
    assert_eq!(kek(&kit, "begin").await.refusal(), (409, "conflict".to_owned()));
    assert_eq!(kek(&kit, "finish").await.refusal(), (409, "conflict".to_owned()));
    kit.add_next_key();
    kit.restart(async |_| {}).await;
    let blind = if kit.is_shared() { Some(kit.second_node_without_next_key().await) } else { None };
    kek(&kit, "begin").await.ok();
    assert_eq!(kek(&kit, "begin").await.refusal(), (409, "conflict".to_owned()), "it has begun");
    let root = kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": "root"}))).await;
    assert_eq!(root.refusal(), (409, "conflict".to_owned()), "a root key made now would have one wrap");
    let wraps = status(&kit).await["wraps"].as_array().unwrap().clone();
    assert_eq!(wraps.len(), 2);
    assert_eq!(wraps.iter().filter(|wrap| wrap["next"] == true).count(), 1);
    if let Some(mut blind) = blind {
        eventually("the other node has told that it cannot", async || {
            let wraps = status(&kit).await["wraps"].clone();
            let next = wraps.as_array().unwrap().iter().find(|wrap| wrap["next"] == true).cloned();
            (next.unwrap()["notOpenedBy"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        let refused = kek(&kit, "finish").await;
        assert_eq!(refused.refusal(), (409, "conflict".to_owned()));
        assert_eq!(refused.json()["error"]["nodes"].as_array().unwrap().len(), 1, "it is named");
        blind.stop().await;
    }
    kek(&kit, "finish").await.ok();
    assert_eq!(configured(&kit).await, ["next"], "what wraps is not what the configuration calls present");
    everything_opens(&kit).await;
    // The configuration still calls the first one the present one. What is made now is the second one's all the same.
    rotate(&kit, "root").await;
    kit.clock.pass(Duration::from_mins(1));
    rotate(&kit, "compromised").await;
    kit.clock.pass(Duration::from_mins(1));
    assert!(configured(&kit).await.iter().all(|called| called == "next"));
    // The second alone opens it from now on; the first does not.
    kit.drop_first_key();
    kit.restart(async |_| {}).await;
    everything_opens(&kit).await;
    assert!(configured(&kit).await.iter().all(|called| called == "present"));
    kit.user_token("alice").await.token();
    rotate(&kit, "root").await;
    kit.clock.pass(Duration::from_mins(1));
    kit.restart(async |_| {}).await;
    everything_opens(&kit).await;
}

async fn a_second_provider_can_be_given_up(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.add_next_key();
    kit.restart(async |_| {}).await;
    kek(&kit, "begin").await.ok();
    kek(&kit, "cancel").await.ok();
    assert_eq!(status(&kit).await["wraps"].as_array().unwrap().len(), 1);
    let events: Vec<Value> = kit.events_of("key.rotate").await;
    let steps: Vec<_> = events.iter().map(|event| event["detail"]["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["begin", "cancel"]);
    kit.drop_first_key();
    let error = kit.fails_to_restart().await;
    assert!(matches!(error, StartError::Unlock(_)), "{error}");
}

async fn a_first_provider_that_is_gone_is_not_gone_back_to(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.add_next_key();
    kit.restart(async |_| {}).await;
    kek(&kit, "begin").await.ok();
    // Finishing was forgotten, and the configuration names the second one alone.
    kit.drop_first_key();
    kit.restart(async |_| {}).await;
    let finish = async || kek(&kit, "finish").await;
    let refused = kek(&kit, "cancel").await;
    assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "nobody could open what would be left");
    assert_eq!(status(&kit).await["wraps"].as_array().unwrap().len(), 2, "nothing was dropped");
    eventually("this process has told what it opens", async || (finish().await.status == 200).then_some(()))
        .await;
    kit.restart(async |_| {}).await;
    everything_opens(&kit).await;
    kit.user_token("alice").await.token();
}

/// Its silence, or a row that an operator took out, let the others go on without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_cannot_open_what_is_in_use_says_that_it_is_not_ready() {
    let Some(engine) = Engine::postgres().await else { return };
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.add_next_key();
    kit.restart(async |_| {}).await;
    let mut blind = kit.second_node_without_next_key().await;
    kek(&kit, "begin").await.ok();
    eventually("it has told of itself", async || {
        let nodes = status(&kit).await["nodes"].as_array().unwrap().clone();
        (nodes.len() == 2).then_some(())
    })
    .await;
    let nodes = status(&kit).await["nodes"].as_array().unwrap().clone();
    let other = nodes.iter().find(|node| node["this"] == false).unwrap()["id"].as_str().unwrap();
    kit.raw().await.run(&format!("delete from nodes where id = decode('{other}', 'hex')")).await;
    kek(&kit, "finish").await.ok();
    assert_eq!(blind.call("GET", "/readyz", None, None).await.status, 200, "it has all that is in use");
    rotate(&kit, "root").await;
    let answer = eventually("it is not ready", async || {
        let answer = blind.call("GET", "/readyz", None, None).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    let check = answer.json()["checks"]["rootKey"].as_str().unwrap().to_owned();
    assert!(check.starts_with("cannot be used: "), "{check}");
    kit.clock.pass(Duration::from_mins(1));
    let refused = blind.call("GET", "/v2/user", Some(&kit.tenant.token), None).await;
    assert_eq!(refused.refusal(), (503, "unavailable".to_owned()));
    assert_eq!(kit.node.call("GET", "/readyz", None, None).await.status, 200);
    blind.stop().await;
}
