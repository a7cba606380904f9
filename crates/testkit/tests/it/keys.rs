//! Keys that are turned while everything runs: no request fails, nothing becomes unreadable, nothing goes that is needed.

mod compromised;
mod many;
mod nodes;
mod places;
mod provider;
mod shut;
mod turning;

use std::time::Duration;

use carnet_testkit::{Kit, eventually};
use serde_json::{Value, json};

/// Longer than from the commit of a version to the first sealing anew.
const IN_USE: Duration = Duration::from_mins(1);

async fn status(kit: &Kit) -> Value {
    kit.manage("GET", "/v1/keys", None).await.ok()
}

async fn rotate(kit: &Kit, kind: &str) -> Value {
    kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": kind}))).await.ok()
}

/// Versions and states of a role, oldest first.
fn versions(status: &Value, role: &str) -> Vec<(i64, String)> {
    let mut found: Vec<_> = status["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["role"] == role)
        .map(|key| (key["version"].as_i64().unwrap(), key["state"].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    found
}

fn state(version: i64, state: &str) -> (i64, String) {
    (version, state.to_owned())
}

/// Waits until this version of the role is in this state.
async fn until(kit: &Kit, role: &str, version: i64, wanted: &str) {
    eventually(&format!("{role} {version} is {wanted}"), async || {
        versions(&status(kit).await, role).contains(&state(version, wanted)).then_some(())
    })
    .await;
}

/// Everything that is sealed opens; how much that is.
async fn everything_opens(kit: &Kit) -> u64 {
    let found = kit.manage("POST", "/v1/keys/verify", None).await.ok();
    let columns = found["columns"].as_array().unwrap();
    for column in columns {
        assert_eq!(column["refused"], 0, "{found}");
    }
    assert_eq!(found["events"], found["lastEvent"]);
    columns.iter().map(|column| column["opened"].as_u64().unwrap()).sum()
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is said from outside")]
fn is_long() -> bool {
    std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1")
}
