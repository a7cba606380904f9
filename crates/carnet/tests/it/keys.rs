//! Keys of a running process: killed in the middle of a turn, and kept out of the reach of its own user's other
//! processes.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

async fn keys(broker: &Broker, dev: &Value) -> Value {
    let asked = client()
        .get(format!("{}/v1/keys", broker.url))
        .bearer_auth(dev["accessToken"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 200);
    asked.json().await.unwrap()
}

async fn post(broker: &Broker, dev: &Value, path: &str, body: Value) -> Value {
    let asked = client()
        .post(format!("{}{path}", broker.url))
        .bearer_auth(dev["accessToken"].as_str().unwrap())
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(asked.status().is_success(), "{path}: {}", asked.status());
    asked.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_killed_goes_on_at_the_next_start() {
    let long = std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1");
    if !long {
        // From the commit of a version to its use is half a minute, which is not for every run.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut broker = Broker::start(home.path(), port, None).await;
    let mut dev = broker.dev().await;
    for n in 0..2_000 {
        let body = json!({"subject": {"type": "app"}, "audience": [format!("https://{n}.example")]});
        post(&broker, &dev, "/v1/connect/token/demo%2Fhello", body).await;
    }
    post(&broker, &dev, "/v1/keys/rotate", json!({"kind": "team"})).await;
    post(&broker, &dev, "/v1/keys/rotate", json!({"kind": "root"})).await;
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        assert!(begun.elapsed() < Duration::from_mins(5), "it does not come to an end");
        let states: Vec<(String, i64, String)> = keys(&broker, &dev).await["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| {
                let text = |name: &str| key[name].as_str().unwrap().to_owned();
                (text("role"), key["version"].as_i64().unwrap(), text("state"))
            })
            .collect();
        let old = states
            .iter()
            .filter(|(role, version, _)| *version == 1 && (role == "root" || role.starts_with("team:")));
        if old.clone().all(|(_, _, state)| state == "empty") {
            break;
        }
        if old.clone().any(|(_, _, state)| state == "superseded") && kills < 20 {
            broker.kill();
            kills += 1;
            broker = Broker::start(home.path(), port, None).await;
            dev = broker.dev().await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(kills > 0, "it was killed in the middle");
    let found = post(&broker, &dev, "/v1/keys/verify", json!({})).await;
    for column in found["columns"].as_array().unwrap() {
        assert_eq!(column["refused"], 0, "{found}");
    }
    assert!(found["columns"].to_string().contains("minted_tokens"), "{found}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_memory_of_a_server_is_not_for_other_processes_of_its_user() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["serve", "--url", &url, "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(home.path())
        .env_remove("CARNET_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..1_000 {
        if reqwest::get(format!("{url}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let proc = Path::new("/proc").join(child.id().to_string());
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).collect();
    assert_eq!(numbers[..2], ["0", "0"], "{core}");
    // A process that is not dumpable belongs to root in /proc (proc(5)), so its own user gets at nothing there. Where the
    // tests run as root, this says nothing.
    assert_eq!(std::fs::metadata(proc.join("mem")).unwrap().uid(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
}
