//! Two nodes on one database: what one seals with a new key, the other opens from the first moment.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, eventually};
use serde_json::{Value, json};

use super::{IN_USE, rotate, status};
use crate::{anew, of};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_seals_with_a_new_key_another_opens_at_once() {
    let Some(engine) = Engine::postgres().await else { return };
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let second = kit.second_node().await;
    let elsewhere = async |ask: Value| second.token(&kit.workload("production"), &kit.connector, &ask).await;
    elsewhere(of("alice")).await.token();
    for round in 0..3 {
        for kind in ["root", "team", "pepper"] {
            rotate(&kit, kind).await;
        }
        // Straight from knowing to using, so that the second node had no time of its own to look.
        kit.clock.pass(IN_USE);
        let renewed = kit.ask(&anew("alice")).await.token();
        assert_eq!(elsewhere(of("alice")).await.token(), renewed, "round {round}");
        // A token whose digest was made here with the new pepper is found there.
        let made = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "new"}))).await.ok();
        let token = made["token"].as_str().unwrap();
        assert_eq!(second.call("GET", "/v2/user", Some(token), None).await.status, 200, "round {round}");
        // And the other way round: sealed there, opened here to be renewed.
        elsewhere(anew("alice")).await.token();
        kit.ask(&anew("alice")).await.token();
        kit.clock.pass(Duration::from_secs(61));
    }
    eventually("both tell of themselves, and know every key", async || {
        let nodes = status(&kit).await["nodes"].as_array().unwrap().clone();
        (nodes.len() == 2 && nodes.iter().all(|node| node["knowsAll"] == true)).then_some(())
    })
    .await;
}
