//! `carnet backup` and `carnet restore`, on a server that is under load: each copy is whole, opens with its key and with
//! no other, and serves. `CARNET_TEST_LONG=1` for a hundred of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use carnet_model::Env;
use carnet_testkit::Browser;
use carnet_vault::{FileKey, Location};
use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

fn carnet(home: &Path, key: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(args)
        .current_dir(home)
        .env("CARNET_MASTER_KEY_FILE", key)
        .env_remove("CARNET_DATA")
        .env_remove("CARNET_DATABASE_URL")
        .output()
        .unwrap()
}

#[track_caller]
fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(says), "{says}: {said}");
}

/// A server with one person's grant, and its key outside of its data.
struct Deployment {
    home: tempfile::TempDir,
    key: PathBuf,
    port: u16,
}

impl Deployment {
    async fn start() -> (Self, Broker, Value) {
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("carnet.key");
        let port = free_port();
        let broker = Broker::start_with(home.path(), port, None, Some(&key)).await;
        let dev = broker.dev().await;
        let started: Value = client()
            .post(format!("{}/v1/connect/authorize/demo%2Fhello", broker.url))
            .bearer_auth(dev["accessToken"].as_str().unwrap())
            .json(&json!({"subject": {"type": "user"}}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
        (Self { home, key, port }, broker, dev)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn carnet(&self, args: &[&str]) -> Output {
        carnet(self.home.path(), &self.key, args)
    }
}

async fn token(url: &str, dev: &Value, subject: Value) -> reqwest::Response {
    client()
        .post(format!("{url}/v1/connect/token/demo%2Fhello"))
        .bearer_auth(dev["accessToken"].as_str().unwrap())
        .json(&json!({"subject": subject}))
        .send()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_is_whole_and_serves() {
    let long = std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1");
    let rounds = if long { 100 } else { 3 };
    let (deployment, broker, dev) = Deployment::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..4)
        .map(|worker| {
            let (stop, answered) = (stop.clone(), answered.clone());
            let (url, dev) = (broker.url.clone(), dev.clone());
            tokio::spawn(async move {
                let http = client();
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    assert_eq!(token(&url, &dev, json!({"type": "app"})).await.status(), 200);
                    let made = http
                        .post(format!("{url}/v9/projects"))
                        .bearer_auth(dev["accessToken"].as_str().unwrap())
                        .json(&json!({"name": format!("p{worker}-{n}")}))
                        .send()
                        .await
                        .unwrap();
                    assert_eq!(made.status(), 200);
                    answered.fetch_add(2, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut last = 0;
    for round in 0..rounds {
        let name = format!("backup-{round}");
        let manifest = done(&deployment.carnet(&["backup", &name, "--data", "data", "--json"]));
        assert_eq!(manifest["format"], 1);
        assert_eq!(manifest["roots"][0]["wrappedBy"], json!(["kek:file"]));
        let events = manifest["audit"]["last"].as_i64().unwrap();
        assert_eq!(manifest["tables"]["audit_events"], events);
        assert!(events > last, "each copy is later than the one before: {events} after {last}");
        last = events;
        let looked = done(&deployment.carnet(&["restore", &name, "--verify", "--json"]));
        let opened = |table: &str| {
            let columns = looked["examined"]["columns"].as_array().unwrap();
            columns.iter().find(|c| c["name"] == table).unwrap()["opened"].as_u64().unwrap()
        };
        assert_eq!((opened("grants.held"), opened("connectors.secrets")), (1, 1), "{looked}");
        let to = format!("restored-{round}");
        done(&deployment.carnet(&["restore", &name, "--data", &to, "--json"]));
        for folder in [&name, &to] {
            let left = std::fs::read_dir(deployment.path(folder)).unwrap();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert!(left.iter().all(|name| !name.contains("check") && !name.contains("partial")), "{left:?}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    for worker in load {
        worker.await.unwrap();
    }
    assert!(answered.load(Ordering::SeqCst) > 20, "the load did nothing");
    let held = token(&broker.url, &dev, json!({"type": "user"})).await.json::<Value>().await.unwrap();
    broker.kill();

    // Another machine: another folder, the same address, the same key.
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    done(&deployment.carnet(&["restore", "backup-0", "--data", data.to_str().unwrap(), "--json"]));
    let raw = rusqlite::Connection::open(data.join("carnet.db")).unwrap();
    let doubted: i64 = raw
        .query_row("select count(*) from refresh_operations where state = 'aside'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(doubted, 1, "the refresh token may have been presented since");
    raw.close().unwrap();
    let again = Broker::start_with(elsewhere.path(), deployment.port, None, Some(&deployment.key)).await;
    let answer = token(&again.url, &dev, json!({"type": "user"})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["token"], held["token"], "the token that was kept");
    let log: Value =
        client().get(format!("{}/readyz", again.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(log["checks"]["rootKey"], "ok");
}

/// `carnet dev` makes its key in its own folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_development_is_copied_with_the_key_that_lies_in_it() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start_with(home.path(), free_port(), None, None).await;
    let unset = |args: &[&str]| carnet(home.path(), Path::new(""), args);
    done(&unset(&["backup", "kept", "--data", "data", "--json"]));
    broker.kill();
    assert!(!home.path().join("kept/master.key").exists(), "a backup holds no key");
    // It is named where the copy is brought to, as any other.
    let without = unset(&["restore", "kept", "--data", "new"]);
    refused(&without, "no key file");
    refused(&without, "export CARNET_MASTER_KEY_FILE=PATH");
    assert!(!String::from_utf8_lossy(&without.stderr).contains("openssl"), "a new key opens no backup");
    // Which tools are PostgreSQL's own needs no key.
    refused(
        &unset(&["backup", "x", "--database-url", "postgres://localhost/carnet"]),
        "pg_dump --format=custom",
    );
    let key = home.path().join("data/master.key");
    done(&carnet(home.path(), &key, &["restore", "kept", "--data", "new", "--json"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_whole_or_not_ours_to_open_is_refused_with_the_reason() {
    let (deployment, broker, _) = Deployment::start().await;
    done(&deployment.carnet(&["backup", "create", "kept", "--data", "data", "--json"]));
    done(&deployment.carnet(&["backup", "verify", "kept", "--json"]));
    done(&deployment.carnet(&["backup", "restore", "kept", "--data", "restored", "--json"]));
    refused(&deployment.carnet(&["backup"]), "required");
    broker.kill();
    let other = deployment.path("other.key");
    FileKey::create(&Env::system(), &other, Location::Anywhere).unwrap();
    let with_other = |args: &[&str]| carnet(deployment.home.path(), &other, args);
    refused(&with_other(&["restore", "kept", "--data", "new"]), "another key file");
    refused(&with_other(&["restore", "kept", "--verify"]), "another key file");
    refused(&with_other(&["backup", "never", "--data", "data"]), "another key file");
    done(&with_other(&["backup", "unopened", "--data", "data", "--without-key", "--json"]));
    let none = deployment.path("none.key");
    refused(&carnet(deployment.home.path(), &none, &["restore", "kept", "--data", "new"]), "no key file");

    refused(&deployment.carnet(&["backup", "kept", "--data", "data"]), "exists already");
    refused(&deployment.carnet(&["backup", "nothing", "--data", "nowhere"]), "no carnet.db");
    refused(&deployment.carnet(&["restore", "kept", "--data", "data"]), "not empty");
    refused(&deployment.carnet(&["restore", "nowhere", "--verify"]), "no backup");
    refused(
        &deployment.carnet(&["backup", "x", "--database-url", "postgres://localhost/carnet"]),
        "pg_dump --format=custom",
    );
    refused(
        &deployment.carnet(&["restore", "kept", "--database-url", "postgres://localhost/carnet"]),
        "pg_restore --clean",
    );

    // One byte of the store, wherever it is.
    let store = deployment.path("kept/carnet.db");
    let whole = std::fs::read(&store).unwrap();
    for at in [20, whole.len() / 2, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&store, altered).unwrap();
        refused(&deployment.carnet(&["restore", "kept", "--data", "new"]), "not what the manifest says");
    }
    std::fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    refused(&deployment.carnet(&["restore", "kept", "--data", "new"]), "not what the manifest says");
    std::fs::write(&store, &whole).unwrap();

    // A secret moved by somebody who made the checksum fit.
    let raw = rusqlite::Connection::open(&store).unwrap();
    raw.execute("update grants set subject = 'user:mallory'", []).unwrap();
    raw.close().unwrap();
    let manifest = deployment.path("kept/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut told: Value = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(&store).unwrap();
    told["files"][0]["bytes"] = json!(bytes.len());
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    told["files"][0]["sha256"] =
        json!(sum.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
    std::fs::write(&manifest, told.to_string()).unwrap();
    refused(&deployment.carnet(&["restore", "kept", "--data", "new"]), "1 of grants.held");

    // A manifest that names what no backup has, or that says another thing than the store.
    for (member, value, says) in [
        ("/files/0/path", json!("../../etc/passwd"), "names no carnet.db"),
        ("/format", json!(2), "format 2"),
        ("/audit/last", json!(1), "not the one that the manifest tells of"),
    ] {
        let mut wrong = told.clone();
        *wrong.pointer_mut(member).unwrap() = value;
        std::fs::write(&manifest, wrong.to_string()).unwrap();
        refused(&deployment.carnet(&["restore", "kept", "--data", "new"]), says);
    }
    assert!(!deployment.path("new").exists() && !deployment.path("new.partial").exists());
    let left: Vec<_> = std::fs::read_dir(deployment.home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".check-") || name.contains(".partial"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "nothing is left behind");
}
