//! One life through three root-key providers: a key file, the transit engine of a Vault, a key file again. Where several
//! nodes share the store, they are restarted one after the other, and no request fails.

use std::cell::Cell;
use std::time::Duration;

use carnet_testkit::{Engine, Http, Kit, Plan, VaultServer, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{everything_opens, rotate, status};
use crate::of;

on_both_engines!(a_deployment_moves_from_a_key_file_to_a_vault_and_back);

async fn a_deployment_moves_from_a_key_file_to_a_vault_and_back(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let first = kit.user_token("alice").await.token();
    let load = Load::on(&kit);
    let life = async {
        let vault = VaultServer::start(kit.clock.env()).await;
        kit.add_next_vault(&vault);
        take_over(&mut kit, &load).await;
        let asked = vault.asked();
        assert!(asked > 0, "the vault wraps the root key");
        rotate(&kit, "root").await;
        assert!(vault.asked() > asked, "and every one from now on");

        kit.add_next_key();
        take_over(&mut kit, &load).await;
        // Nobody needs it any more.
        vault.go_down();
        drop(vault);
        restart(&mut kit, &load).await;
        rotate(&kit, "root").await;
        everything_opens(&kit).await;
        load.end.set(true);
    };
    let ((), requests) = tokio::join!(life, load.run());
    assert!(requests > 50 || !kit.is_shared(), "the load did nothing: {requests}");
    assert_eq!(kit.user_token("alice").await.token(), first);
    let events: Vec<Value> = kit.events_of("key.rotate").await;
    let steps: Vec<_> = events.iter().filter_map(|event| event["detail"]["step"].as_str()).collect();
    assert_eq!(steps, ["begin", "finish", "begin", "finish"]);
}

/// From the present provider to the next one, until the first is not named any more.
async fn take_over(kit: &mut Kit, load: &Load) {
    restart(kit, load).await;
    let step = async |step: &str| {
        kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": "kek", "step": step}))).await
    };
    step("begin").await.ok();
    eventually("every node has shown that it opens what the next one wrapped", async || {
        (step("finish").await.status == 200).then_some(())
    })
    .await;
    let wraps = status(kit).await["wraps"].as_array().unwrap().clone();
    assert!(wraps.iter().all(|wrap| wrap["next"] == false), "{wraps:?}");
    kit.drop_first_key();
    restart(kit, load).await;
    everything_opens(kit).await;
}

/// Restarts the node; where another can stand in for it, one does, with the new configuration.
async fn restart(kit: &mut Kit, load: &Load) {
    if !kit.is_shared() {
        return kit.restart(async |_| {}).await;
    }
    let mut meanwhile = kit.second_node().await;
    load.goes_to(format!("http://{}", meanwhile.address)).await;
    kit.restart(async |_| {}).await;
    load.goes_to(kit.url().to_owned()).await;
    meanwhile.stop().await;
}

/// A caller who asks again and again, and goes to the node that he is sent to. On a store that is one process's own
/// there is no second node to go to, and so no load.
struct Load {
    http: Http,
    bearer: String,
    owner: String,
    path: String,
    to: Cell<Option<String>>,
    rounds: Cell<usize>,
    end: Cell<bool>,
}

impl Load {
    fn on(kit: &Kit) -> Self {
        Self {
            http: Http::default(),
            bearer: kit.workload("production"),
            owner: kit.tenant.token.clone(),
            path: format!("/v1/connect/token/{}", kit.connector),
            to: Cell::new(kit.is_shared().then(|| kit.url().to_owned())),
            rounds: Cell::new(0),
            end: Cell::new(false),
        }
    }

    /// From the next round on, which has begun when this returns.
    async fn goes_to(&self, node: String) {
        self.to.set(Some(node));
        let before = self.rounds.get();
        eventually("it goes there", async || (self.rounds.get() > before + 1).then_some(())).await;
    }

    async fn run(&self) -> usize {
        while !self.end.get() {
            let to = self.to.take();
            self.to.set(to.clone());
            let Some(to) = to else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            for ask in [of("alice"), json!({"subject": {"type": "app"}})] {
                let url = format!("{to}{}", self.path);
                let answer = self.http.json("POST", &url, Some(&self.bearer), Some(&ask)).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            let url = format!("{to}/v9/projects");
            let answer = self.http.json("GET", &url, Some(&self.owner), None).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.rounds.set(self.rounds.get() + 1);
        }
        self.rounds.get()
    }
}
