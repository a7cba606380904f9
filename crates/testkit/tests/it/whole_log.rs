//! Whether the audit log is whole: what was taken out or changed from behind is found, and by whom it may be.

use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(what_is_missing_or_altered_is_found, a_team_sees_its_own_events_alone);

async fn verify(kit: &Kit, bearer: &str) -> Value {
    kit.node.call("GET", "/v1/audit/verify", Some(bearer), None).await.ok()
}

async fn what_is_missing_or_altered_is_found(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let raw = kit.raw().await;
    let whole = verify(&kit, &kit.tenant.token).await;
    assert_eq!((&whole["whole"], &whole["gaps"], &whole["altered"]), (&json!(true), &json!([]), &json!([])));
    assert_eq!((&whole["checked"], &whole["next"]), (&whole["last"], &Value::Null));
    let last = whole["last"].as_i64().unwrap();
    assert!(last > 4, "{whole}");
    let path = format!("/v1/audit/verify?after={}", i64::MAX);
    let beyond = kit.node.call("GET", &path, Some(&kit.tenant.token), None).await.ok();
    assert_eq!(
        (&beyond["checked"], &beyond["gaps"], &beyond["last"]),
        (&json!(0), &json!([]), &whole["last"])
    );

    // Particulars may be erased, both halves together: that is on the record and no damage.
    raw.run("update audit_events set salt = null, payload = null where seq = 1").await;
    let told = verify(&kit, &kit.tenant.token).await;
    assert_eq!((&told["erased"], &told["altered"]), (&json!(1), &json!([])));

    raw.run("update audit_events set payload = '{\"x\":1}' where seq = 2").await;
    raw.run("update audit_events set salt = null where seq = 3").await;
    raw.run("delete from audit_events where seq = 4").await;
    raw.run(&format!("delete from audit_events where seq = {last}")).await;
    let told = verify(&kit, &kit.tenant.token).await;
    assert_eq!(told["altered"], json!([2, 3]));
    assert_eq!(
        told["gaps"],
        json!([{"from": 4, "to": 4}, {"from": last, "to": last}]),
        "the end too: {told}"
    );
    let answer = kit.node.call("GET", "/v1/audit/verify", Some(&kit.workload("production")), None).await;
    assert_eq!(answer.refusal(), (403, "forbidden".to_owned()));
}

async fn a_team_sees_its_own_events_alone(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    kit.raw().await.run("update audit_events set payload = '{}' where seq = 2").await;
    let own = verify(&kit, &other.token).await;
    assert_eq!((&own["whole"], &own["gaps"], &own["altered"]), (&json!(false), &json!([]), &json!([])));
    let all = verify(&kit, &kit.tenant.token).await;
    assert!(own["checked"].as_i64().unwrap() < all["checked"].as_i64().unwrap(), "{own} {all}");
    assert_eq!(all["altered"], json!([2]));
}
