//! Keys that are known to somebody: everything is turned, and what only people can do is listed.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{IN_USE, everything_opens, rotate, state, status, until, versions};
use crate::of;

on_both_engines!(after_a_leak_every_key_is_new_and_the_rest_is_listed);

async fn after_a_leak_every_key_is_new_and_the_rest_is_listed(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    // Nobody has asked for Bob for more than a day: his grant is left to rest.
    kit.clock.pass(Duration::from_hours(26));
    kit.user_token("alice").await.token();
    let before = kit.provider.requests("refresh_token");
    kit.keep_keys("keys", &json!({"subjectType": "app", "values": [{"value": "key-0123456789"}]})).await;
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let identity =
        kit.manage("POST", &path, Some(&json!({}))).await.ok()["token"].as_str().unwrap().to_owned();
    assert_eq!(
        kit.node.token(&identity, &kit.connector, &of("alice")).await.status,
        422,
        "known, and not consented"
    );

    let done = rotate(&kit, "compromised").await;
    // Signed with a key that leaked.
    let answer = kit.node.token(&identity, &kit.connector, &of("alice")).await;
    assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()));
    let set = kit.node.call("GET", "/.well-known/jwks", None, None).await.ok();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);

    let runbook = done["runbook"].as_array().unwrap();
    let about = |name: &str| runbook.iter().find(|entry| entry["about"] == name).unwrap().clone();
    assert_eq!(runbook.len(), 3, "{runbook:?}");
    let told = |entry: &Value| entry["steps"].to_string();
    assert!(told(&about("this deployment")).contains("carnet keys rotate kek"));
    assert_eq!(about(Kit::UID)["grants"], 2);
    assert!(told(&about(Kit::UID)).contains("carnet revoke-tokens demo/hello --all-tokens"));
    assert!(told(&about("keys/keys")).contains("new keys at the service"));

    // Both are renewed unasked, so that a copied refresh token is spent.
    kit.provider.until_requests("refresh_token", before + 2).await;
    let raw = kit.raw().await;
    eventually("both are recorded", async || {
        let left = raw.number("select count(*) from grants where leaked_rt = rt_version").await;
        (left == 0).then_some(())
    })
    .await;
    kit.clock.pass(IN_USE);
    let team = format!("team:{}", kit.tenant.team);
    for role in ["root", &team] {
        until(&kit, role, 1, "empty").await;
    }
    eventually("the owner's token has moved", async || {
        let status = status(&kit).await;
        (versions(&status, "purpose:token-pepper") == [state(1, "empty"), state(2, "active")]).then_some(())
    })
    .await;
    everything_opens(&kit).await;
    kit.user_token("alice").await.token();
}
