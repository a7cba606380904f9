//! kill -9 at random moments under load: nothing that was acknowledged is lost, the log has no gap, and the server is
//! ready again within two seconds. `CARNET_TEST_LONG=1` for many rounds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet_testpg::Database;
use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sqlite_acknowledged_survives_kill_9() {
    survives(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_acknowledged_survives_kill_9() {
    if let Some(database) = Database::create().await.unwrap() {
        survives(Some(database.url())).await;
    }
}

async fn survives(database: Option<&str>) {
    let long = std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1");
    let rounds: u64 = if long { 200 } else { 6 };
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..rounds {
        let broker = Broker::start(home.path(), port, database).await;
        // The first start makes keys and schema.
        assert!(
            round == 0 || broker.started_in < Duration::from_secs(2),
            "ready after {:?}",
            broker.started_in
        );
        let dev = broker.dev().await;
        let seen = acknowledged.lock().unwrap().clone();
        check(&broker.url, &dev, &seen).await;
        let load: Vec<_> = (0..8)
            .map(|worker| {
                tokio::spawn(load(
                    broker.url.clone(),
                    dev.clone(),
                    format!("r{round}w{worker}"),
                    acknowledged.clone(),
                ))
            })
            .collect();
        // Spread over the first half second, differently in every round.
        tokio::time::sleep(Duration::from_millis(40 + (round * 97) % 460)).await;
        broker.kill();
        for worker in load {
            worker.await.unwrap();
        }
    }
    let broker = Broker::start(home.path(), port, database).await;
    let dev = broker.dev().await;
    let seen = acknowledged.lock().unwrap().clone();
    assert!(seen.tokens.len() > usize::try_from(rounds).unwrap(), "the load did nothing");
    check(&broker.url, &dev, &seen).await;
}

/// What the server said was done.
#[derive(Clone, Default)]
struct Acknowledged {
    /// Request identifiers of tokens that were answered.
    tokens: BTreeSet<String>,
    /// Names of projects that were made.
    projects: BTreeSet<String>,
}

/// Asks for tokens and makes projects until the server is gone.
async fn load(url: String, dev: Value, name: String, acknowledged: Arc<Mutex<Acknowledged>>) {
    let http = client();
    let (person, workload) = (dev["accessToken"].as_str().unwrap(), dev["oidcToken"].as_str().unwrap());
    for n in 0.. {
        let asked = http
            .post(format!("{url}/v1/connect/token/demo%2Fhello"))
            .bearer_auth(workload)
            .json(&json!({"subject": {"type": "app"}}))
            .send()
            .await;
        let Ok(answer) = asked else { return };
        let request = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        if answer.status() == 200 && answer.bytes().await.is_ok() {
            acknowledged.lock().unwrap().tokens.insert(request);
        }
        if n % 4 == 0 {
            let project = format!("{name}-{n}");
            let made = http
                .post(format!("{url}/v9/projects"))
                .bearer_auth(person)
                .json(&json!({"name": project}))
                .send()
                .await;
            let Ok(answer) = made else { return };
            if answer.status() == 200 {
                acknowledged.lock().unwrap().projects.insert(project);
            }
        }
    }
}

/// Everything acknowledged is there, and the log of the team grows without a repeat.
async fn check(url: &str, dev: &Value, acknowledged: &Acknowledged) {
    let http = client();
    let person = dev["accessToken"].as_str().unwrap();
    let get = async |path: String| -> Value {
        let answer = http.get(format!("{url}{path}")).bearer_auth(person).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    };
    let (mut issued, mut last) = (BTreeSet::new(), 0);
    loop {
        let page = get(format!("/v1/audit?after={last}&limit=1000")).await;
        let events = page["events"].as_array().unwrap();
        for event in events {
            assert!(event["seq"].as_i64().unwrap() > last);
            last = event["seq"].as_i64().unwrap();
            if event["action"] == "token.issue" && event["outcome"] == "success" {
                issued.insert(event["requestId"].as_str().unwrap().to_owned());
            }
        }
        if page["next"].is_null() {
            break;
        }
    }
    // Counted in the write that records it: neither more nor less than the log has.
    let usage = get("/v1/usage?since=1970-01".to_owned()).await;
    let counted: u64 =
        usage["months"].as_array().unwrap().iter().map(|month| month["requests"].as_u64().unwrap()).sum();
    assert_eq!(counted, issued.len() as u64, "the count and the log are one");
    let lost: Vec<_> = acknowledged.tokens.difference(&issued).collect();
    assert!(
        lost.is_empty(),
        "{} of {} tokens are not in the log: {lost:?}",
        lost.len(),
        acknowledged.tokens.len()
    );
    for project in &acknowledged.projects {
        get(format!("/v9/projects/{project}")).await;
    }
}
