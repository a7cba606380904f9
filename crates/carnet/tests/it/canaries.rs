//! Secrets with a mark, put through the whole binary, and looked for in everything that it leaves: every file of its
//! data folder, and its log at the finest level.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use carnet_testkit::written_forms;
use serde_json::{Value, json};

use crate::broker::{client, free_port};

const PASSPHRASE: &str = "canary passphrase 9f2e 77c1 b0aa";
const OWNERS: &str = "canary-owners-passphrase-c5d1";
const KEY: &str = "canary-stored-key-41d0";
const CLIENT_SECRET: &str = "canary-client-secret-8be3";
const BEARER: &str = "canary-bearer-that-is-nobodys-5a";

/// On a passphrase, so that it is tried too; the first owner comes by the set-up link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_entrusted_stands_in_a_file_or_in_the_log() {
    let home = tempfile::tempdir().unwrap();
    let (port, log) = (free_port(), home.path().join("log"));
    let url = format!("http://127.0.0.1:{port}");
    std::fs::write(home.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(home.path().join("passphrase"), own).unwrap();
    std::fs::write(home.path().join("carnet.toml"), "passphrase_file = \"passphrase\"\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["serve", "--json", "--config", "carnet.toml", "--data", "data", "--url", &url])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .current_dir(home.path())
        .env_remove("CARNET_URL")
        .env("CARNET_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
        panic!("{line} {}", std::fs::read_to_string(&log).unwrap());
    });
    let link = said["setupUrl"].as_str().unwrap();
    let setup = link.rsplit('/').next().unwrap();
    let http = client();
    let form = format!("form_token={setup}&team=Acme&name=Ada&email=ada%40acme.test&passphrase={OWNERS}");
    let post = http.post(link).header("content-type", "application/x-www-form-urlencoded").body(form);
    let done = post.send().await.unwrap();
    let cookie = done.headers()["set-cookie"].to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let page = done.text().await.unwrap();
    let at = page.find("crn_").unwrap();
    let token = &page[at..at + 40];

    let mut answers = Vec::new();
    for (bearer, method, path, body) in [
        (token, "POST", "/v9/projects", json!({"name": "app"})),
        (
            token,
            "POST",
            "/v1/connect/connectors",
            json!({"service": "keys", "name": "k", "type": "api-key", "data": {"values": [{"value": KEY}]}}),
        ),
        (
            token,
            "POST",
            "/v1/connect/connectors",
            json!({"service": "x.example", "name": "x", "type": "oauth", "data": {"clientId": "c",
                "clientSecret": CLIENT_SECRET, "serverConfig": {"token_endpoint": "https://x.example/token"}}}),
        ),
        (token, "POST", "/v1/connect/connectors", json!({"clientSecret": CLIENT_SECRET})),
        (token, "GET", "/v1/connect/connectors", Value::Null),
        (token, "GET", "/v1/audit?limit=1000", Value::Null),
        (BEARER, "GET", "/v1/audit", Value::Null),
        (BEARER, "POST", "/v1/connect/token/keys%2Fk", json!({"subject": {"type": "app"}})),
    ] {
        let request = http.request(method.parse().unwrap(), format!("{url}{path}")).bearer_auth(bearer);
        let request = if body.is_null() { request } else { request.json(&body) };
        answers.push(request.send().await.unwrap().text().await.unwrap());
    }
    // This one may be told; nobody may keep it.
    let given: Value = http
        .post(format!("{url}/v1/connect/token/keys%2Fk"))
        .bearer_auth(token)
        .json(&json!({"subject": {"type": "app"}}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(given["token"], KEY, "{given}");
    let project = serde_json::from_str::<Value>(&answers[0]).unwrap()["id"].as_str().unwrap().to_owned();
    let identity: Value = http
        .post(format!("{url}/v1/projects/{project}/token"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let identity = identity["token"].as_str().unwrap();

    let mut places = Vec::new();
    let mut look = |when: &str| {
        read_all(&home.path().join("data"), &mut places, when);
        places.push((format!("the log {when}"), std::fs::read(&log).unwrap()));
    };
    look("while it runs");
    child.kill().unwrap();
    child.wait().unwrap();
    look("after its death");
    places
        .extend(answers.into_iter().enumerate().map(|(n, text)| (format!("answer {n}"), text.into_bytes())));
    assert!(places.iter().any(|(place, _)| place.contains("-wal")), "the log of SQLite was looked at");
    let texts: Vec<_> = places.iter().map(|(place, bytes)| (place, String::from_utf8_lossy(bytes))).collect();
    let logged =
        texts.iter().any(|(place, text)| place.starts_with("the log") && text.contains("/v1/connect/token"));
    assert!(logged, "the log was kept");
    for (what, secret) in [
        ("passphrase", PASSPHRASE),
        ("owner's passphrase", OWNERS),
        ("owner's session", &cookie),
        ("set-up link", setup),
        ("owner's access token", token),
        ("stored key", KEY),
        ("client secret", CLIENT_SECRET),
        ("bearer of nobody", BEARER),
        ("identity token", identity),
    ] {
        for form in written_forms(secret) {
            for (place, text) in &texts {
                assert!(!text.contains(&form), "{what} stands in {place}");
            }
        }
    }
    // A private key begins like this (RFC 5208, RSA and P-256), whatever else it is.
    for mark in [
        &b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"[..],
        b"PRIVATE KEY",
        b"\"d\":\"",
    ] {
        for (place, bytes) in &places {
            assert!(
                !bytes.windows(mark.len()).any(|window| window == mark),
                "a signing key stands in {place}"
            );
        }
    }
}

fn read_all(folder: &Path, places: &mut Vec<(String, Vec<u8>)>, when: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, places, when);
        } else if let Ok(bytes) = std::fs::read(&path) {
            places.push((format!("{} {when}", path.display()), bytes));
        }
    }
}
