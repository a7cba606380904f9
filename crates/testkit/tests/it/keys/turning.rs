//! Root, team, pepper and signing keys, turned under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use carnet_testkit::{Engine, Http, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    IN_USE, OF_AN_AUTHORITY, everything_opens, leave_an_orphan, one_of_everything, rotate, state, status,
    until, versions, with_authority,
};
use crate::{anew, of};

on_both_engines!(
    keys_turn_under_load_and_no_request_fails,
    what_was_sealed_anew_survives_its_old_key,
    every_sealed_column_is_sealed_anew,
    a_token_that_nobody_uses_is_listed_and_still_works,
    a_signing_key_is_published_before_it_signs,
    only_owners_turn_keys,
);

/// Requests of every kind, again and again, until they are stopped. What failed is told.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(kit: &Kit, users: &[&str]) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let asks: Vec<Value> = users
            .iter()
            .map(|user| of(user))
            .chain([
                json!({"subject": {"type": "app"}}),
                json!({"subject": {"type": "app"}, "scopes": ["profile:read"]}),
            ])
            .collect();
        let workers = asks
            .into_iter()
            .map(|ask| {
                let (stop, done) = (stop.clone(), done.clone());
                let path = format!("{}/v1/connect/token/{}", kit.url(), kit.connector);
                let projects = format!("{}/v9/projects", kit.url());
                let (workload, owner, http) =
                    (kit.workload("production"), kit.tenant.token.clone(), Http::default());
                kit.node.broker().spawn(async move {
                    let mut failed = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let token = http.json("POST", &path, Some(&workload), Some(&ask)).await;
                        let list = http.json("GET", &projects, Some(&owner), None).await;
                        for answer in [token, list] {
                            if answer.status != 200 {
                                failed.push(format!("{} {}", answer.status, answer.text()));
                            }
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    failed
                })
            })
            .collect();
        Self { stop, done, workers }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            assert_eq!(worker.await.unwrap(), Vec::<String>::new());
        }
        self.done.load(Ordering::SeqCst)
    }
}

async fn keys_turn_under_load_and_no_request_fails(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let users = ["alice", "bob", "carol"];
    for user in users {
        kit.consent(user).await;
    }
    let team = format!("team:{}", kit.tenant.team);
    let long = super::is_long();
    let rounds: i64 = if long { 50 } else { 2 };
    for round in 1..=rounds {
        let load = Load::on(&kit, &users);
        for kind in ["root", "team", "pepper", "signing"] {
            // A signing key that waits for its time is turned by no one.
            if kind != "signing" || round == 1 {
                rotate(&kit, kind).await;
            }
        }
        kit.clock.pass(IN_USE);
        until(&kit, "root", round, "empty").await;
        until(&kit, &team, round, "empty").await;
        let requests = load.end().await;
        assert!(requests > 20, "the load did nothing: {requests}");
        assert!(everything_opens(&kit).await >= 6, "connector, grants, made tokens, signing keys");
    }
    kit.restart(async |_| {}).await;
    for user in users {
        kit.user_token(user).await.token();
    }
    // They are renewed with what was sealed anew.
    kit.clock.pass(Duration::from_hours(2));
    for user in users {
        let token = kit.ask(&anew(user)).await.token();
        assert!(kit.provider.me(&token).await.is_some());
    }
}

async fn what_was_sealed_anew_survives_its_old_key(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    let team = format!("team:{}", kit.tenant.team);
    for kind in ["root", "team"] {
        rotate(&kit, kind).await;
    }
    assert_eq!(versions(&status(&kit).await, &team), [state(1, "active"), state(2, "pending")]);
    kit.clock.pass(IN_USE);
    until(&kit, &team, 1, "empty").await;
    until(&kit, "root", 1, "empty").await;
    // Not before a day has passed since, whatever else happens.
    kit.restart(async |kit| kit.clock.pass(Duration::from_hours(20))).await;
    assert_eq!(versions(&status(&kit).await, &team), [state(1, "empty"), state(2, "active")]);
    kit.clock.pass(Duration::from_hours(5));
    carnet_testkit::eventually("the old keys are gone", async || {
        let status = status(&kit).await;
        let gone = versions(&status, &team) == [state(2, "active")]
            && versions(&status, "root") == [state(2, "active")];
        gone.then_some(())
    })
    .await;
    everything_opens(&kit).await;
    kit.ask(&anew("alice")).await.token();
    kit.restart(async |_| {}).await;
    everything_opens(&kit).await;
    kit.user_token("alice").await.token();
    let raw = kit.raw().await;
    assert_eq!(raw.number("select count(*) from keys where version = 1 and role = 'root'").await, 0);
    let told: Vec<String> =
        kit.events_of("key.drop").await.iter().map(|event| event["detail"]["role"].to_string()).collect();
    assert_eq!(told, [format!("\"{team}\"")], "the team's log tells of the team's key");
}

async fn every_sealed_column_is_sealed_anew(engine: Engine) {
    let kit = Kit::start(engine, with_authority().await).await;
    leave_an_orphan(&kit).await;
    one_of_everything(&kit).await;
    let opened = async || {
        let found = kit.manage("POST", "/v1/keys/verify", None).await.ok();
        let columns = found["columns"].as_array().unwrap().clone();
        columns
            .into_iter()
            .map(|column| (column["name"].as_str().unwrap().to_owned(), column["opened"].as_u64().unwrap()))
            .filter(|(name, _)| {
                let table = name.split('.').next().unwrap_or_default();
                kit.plan.authority.is_some() || !OF_AN_AUTHORITY.contains(&table)
            })
            .collect::<Vec<_>>()
    };
    let before = opened().await;
    assert!(before.len() >= 8 && before.iter().all(|(_, opened)| *opened > 0), "{before:?}");
    let team = format!("team:{}", kit.tenant.team);
    for kind in ["root", "team"] {
        rotate(&kit, kind).await;
    }
    kit.clock.pass(IN_USE);
    // Nothing refers to the old keys any more, and all of it opens.
    until(&kit, &team, 1, "empty").await;
    until(&kit, "root", 1, "empty").await;
    everything_opens(&kit).await;
    assert_eq!(opened().await, before);
}

async fn a_token_that_nobody_uses_is_listed_and_still_works(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let made = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "forgotten"}))).await.ok();
    let forgotten = made["token"].as_str().unwrap();
    rotate(&kit, "pepper").await;
    kit.clock.pass(IN_USE);
    // The owner's own token is used by this, and so moves to the new pepper.
    let listed = carnet_testkit::eventually("the token in use has moved", async || {
        let unseen = status(&kit).await["unseenTokens"].as_array().unwrap().clone();
        (unseen.len() == 1).then_some(unseen)
    })
    .await;
    assert_eq!(listed[0]["name"], "forgotten");
    assert!(forgotten.ends_with(listed[0]["last4"].as_str().unwrap()));
    // Long after, when the old pepper would be gone if nothing referred to it.
    kit.clock.pass(Duration::from_hours(24 * 40));
    assert_eq!(versions(&status(&kit).await, "purpose:token-pepper")[0], state(1, "superseded"));
    let me = kit.node.call("GET", "/v2/user", Some(forgotten), None).await;
    assert_eq!(me.status, 200, "{}", me.text());
    carnet_testkit::eventually("it has moved too", async || {
        status(&kit).await["unseenTokens"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    until(&kit, "purpose:token-pepper", 1, "empty").await;
    kit.clock.pass(Duration::from_hours(26));
    carnet_testkit::eventually("the old pepper is gone", async || {
        (versions(&status(&kit).await, "purpose:token-pepper") == [state(2, "active")]).then_some(())
    })
    .await;
    assert_eq!(kit.node.call("GET", "/v2/user", Some(forgotten), None).await.status, 200);
}

async fn a_signing_key_is_published_before_it_signs(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let kid = async || -> String {
        use base64::Engine as _;
        let token =
            kit.manage("POST", &path, Some(&json!({}))).await.ok()["token"].as_str().unwrap().to_owned();
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
        serde_json::from_slice::<Value>(&head.unwrap()).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let published = async || -> Vec<String> {
        let set = kit.node.call("GET", "/.well-known/jwks", None, None).await.ok();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let first = kid().await;
    let second = rotate(&kit, "signing").await["made"][0].as_str().unwrap().to_owned();
    assert!(published().await.contains(&second), "at once");
    assert_eq!(kid().await, first, "not yet");
    let again = kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": "signing"}))).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));
    kit.clock.pass(Duration::from_hours(2));
    assert_eq!(kid().await, second);
    assert!(published().await.contains(&first), "what it signed is still verified");
}

async fn only_owners_turn_keys(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    let call = async |bearer: &str, kind: &str| {
        kit.node.call("POST", "/v1/keys/rotate", Some(bearer), Some(&json!({"kind": kind}))).await
    };
    for kind in ["kek", "root", "pepper", "signing", "compromised"] {
        assert_eq!(call(&other.token, kind).await.refusal(), (403, "forbidden".to_owned()), "{kind}");
    }
    assert_eq!(call(&other.token, "team").await.status, 200);
    let seen = kit.node.call("GET", "/v1/keys", Some(&other.token), None).await.ok();
    let roles: Vec<_> = seen["keys"].as_array().unwrap().iter().map(|key| key["role"].clone()).collect();
    assert_eq!(roles, vec![json!(format!("team:{}", other.team)); 2], "its own and no other");
    assert!(seen["wraps"].as_array().unwrap().is_empty() && seen["nodes"].as_array().unwrap().is_empty());
    assert_eq!(call(&kit.workload("production"), "team").await.refusal(), (403, "forbidden".to_owned()));
    let unknown = call(&kit.tenant.token, "everything").await;
    assert_eq!(unknown.refusal(), (400, "invalid_request".to_owned()));
}
