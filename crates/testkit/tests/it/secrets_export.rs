//! Secrets leave for the operator's recovery key alone, and that they do is on the record.

use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(secrets_leave_for_the_recovery_key_and_an_owner_cannot_choose_it);

/// Of the documentation of the format; who holds its private half does not matter here.
const OPERATOR: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const PATH: &str = "/v1/export/secrets";

async fn secrets_leave_for_the_recovery_key_and_an_owner_cannot_choose_it(engine: Engine) {
    let plan = Plan { recovery_key: Some(OPERATOR.to_owned()), ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    let other = kit.another_tenant("other").await;
    kit.consent("alice").await;
    let token = kit.user_token("alice").await.token();
    let ask = json!({"recoveryKey": OPERATOR});

    let answer = kit.manage("POST", PATH, Some(&ask)).await;
    let told = answer.ok();
    assert_eq!((&told["connectors"], &told["grants"]), (&json!(1), &json!(1)));
    assert!(told["file"].as_str().unwrap().starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
    assert!(!answer.text().contains(&token) && !answer.text().contains(&kit.plan.client_secret));
    let events = kit.events_of("secrets.export").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["detail"], json!({"recoveryKey": OPERATOR, "connectors": 1, "grants": 1}));

    // Another team has its own, which is nothing; a key of the asker's choice, and a workload, get none.
    let theirs = kit.node.call("POST", PATH, Some(&other.token), Some(&ask)).await.ok();
    assert_eq!((&theirs["connectors"], &theirs["grants"]), (&json!(0), &json!(0)));
    let chosen = json!({"recoveryKey": "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"});
    for (bearer, body) in [(kit.tenant.token.clone(), &chosen), (kit.workload("production"), &ask)] {
        let refused = kit.node.call("POST", PATH, Some(&bearer), Some(body)).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    }
    assert_eq!(kit.manage("POST", PATH, Some(&Value::Null)).await.status, 400);
    assert_eq!(kit.events_of("secrets.export").await.len(), 1);
}
