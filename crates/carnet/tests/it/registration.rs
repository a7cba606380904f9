//! A server that is killed while it takes over an application that was just registered: whoever waits is told at once what
//! to look for, and not after an hour.

use std::path::Path;
use std::time::{Duration, Instant};

use carnet_testkit::{Browser, unescaped};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_ended_after_kill_9() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let (github, asked) = a_provider_that_never_answers().await;
    let flags = [format!("https://api.github.com={github}"), format!("https://github.com={github}")];
    let flags = ["--provider-origin", &flags[0], "--provider-origin", &flags[1]];
    let broker = start(home.path(), port, &flags).await;
    let dev = broker.dev().await;

    let ask = json!({"service": "github", "name": "bot", "projectId": dev["projectId"]});
    let refused = call(&broker, &dev, "POST", "/v1/connect/connectors/managed", &ask).await;
    let error = &refused["error"];
    assert_eq!(error["code"], "registration_required", "{refused}");
    let (page, verifier) = (error["registerUrl"].as_str().unwrap(), error["verifier"].as_str().unwrap());
    let result = format!("/v1/connect/result/{verifier}");

    let mut browser = Browser::default();
    let login = browser.get(&format!("{}/login?to=/account", broker.url)).await;
    let token = login.hidden("form_token");
    let passphrase = dev["passphrase"].as_str().unwrap();
    let fields = [
        ("form_token", token.as_str()),
        ("to", "/account"),
        ("email", "dev@localhost"),
        ("passphrase", passphrase),
    ];
    let signed_in = browser.post(&format!("{}/login", broker.url), &fields).await;
    assert_eq!(signed_in.status, 303, "{}", signed_in.text());
    let token = browser.get(page).await.hidden("form_token");
    let fields =
        [("form_token", token.as_str()), ("name", "Bot"), ("owner", ""), ("scopes", "contents:read")];
    let leaving = unescaped(&browser.post(page, &fields).await.text());
    let state = leaving.split("state=").nth(1).unwrap().split(['"', '&']).next().unwrap().to_owned();
    let back = format!("{}/register/callback?code=c0de&state={state}", broker.url);
    // A browser that finds nobody there is no reason to stop.
    let walk = tokio::spawn(async move { browser.get(&back).await.status });
    asked.await.unwrap();
    assert_eq!(call(&broker, &dev, "GET", &result, &Value::Null).await, json!({"status": "pending"}));

    broker.kill();
    let _ = walk.await;
    let begun = Instant::now();
    let broker = start(home.path(), port, &flags).await;
    let ended = call(&broker, &dev, "GET", &result, &Value::Null).await;
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("error"), &json!("provider_unavailable"))
    );
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("was stopped while it took over the application from github"), "{message}");
    eprintln!("told after {:?}", begun.elapsed());
    let events = call(&broker, &dev, "GET", "/v1/audit?limit=1000", &Value::Null).await;
    let events = events["events"].as_array().unwrap();
    let told = events.iter().filter(|event| event["action"] == "registration.complete").count();
    assert_eq!(told, 1, "{events:?}");
}

async fn start(home: &Path, port: u16, flags: &[&str]) -> Broker {
    let started = Broker::try_start(home, port, None, None, flags).await;
    started.unwrap_or_else(|status| panic!("the server ended at its start: {status}"))
}

/// Where it is, and when somebody wanted the application for a code.
async fn a_provider_that_never_answers() -> (String, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut more = [0; 1024];
            let read = connection.read(&mut more).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&more[..read]);
        }
        assert!(seen.starts_with(b"POST /app-manifests/c0de/conversions"));
        told.send(()).unwrap();
        tokio::time::sleep(Duration::from_mins(5)).await;
    });
    (url, asked)
}

async fn call(broker: &Broker, dev: &Value, method: &str, path: &str, body: &Value) -> Value {
    let bearer = dev["accessToken"].as_str().unwrap();
    let request =
        client().request(method.parse().unwrap(), format!("{}{path}", broker.url)).bearer_auth(bearer);
    let request = if body.is_null() { request } else { request.json(body) };
    request.send().await.unwrap().json().await.unwrap()
}
