//! Two processes on one PostgreSQL: one refresh between them, and a revocation in one is seen in the other.

use std::time::Duration;

use carnet_demo::{ClientRegistration, Demo, Options, What};
use carnet_model::{Env, SecretString};
use carnet_testkit::Browser;
use carnet_testpg::Database;
use serde_json::{Value, json};
use url::Url;

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_refresh_one_strict_grant_once_and_share_its_end() {
    let Some(database) = Database::create().await.unwrap() else { return };
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let key = homes[0].path().join("shared.key");
    let first = Broker::start_with(homes[0].path(), free_port(), Some(database.url()), Some(&key)).await;
    let dev = first.dev().await;
    let second = Broker::start_with(homes[1].path(), free_port(), Some(database.url()), Some(&key)).await;
    second.dev().await;
    let (demo, issuer) = strict_provider(&first.url).await;

    let http = client();
    // A person's own grant: the two have addresses, and so identity tokens, of their own.
    let person = dev["accessToken"].as_str().unwrap();
    let data = json!({
        "serverUrl": issuer, "clientId": "two", "clientSecret": "a-secret-for-two-processes",
        "userAuthorization": {"enabled": true, "scopes": ["profile:read", "offline_access"]},
    });
    let body = json!({"service": "demo", "name": "two", "type": "oauth", "data": data});
    let made = http
        .post(format!("{}/v1/connect/connectors", first.url))
        .bearer_auth(person)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());

    let subject = json!({"subject": {"type": "user"}});
    let started: Value = http
        .post(format!("{}/v1/connect/authorize/demo%2Ftwo", first.url))
        .bearer_auth(person)
        .json(&subject)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    let refreshes = || {
        let is_one = |what: &What| matches!(what, What::Token(Some(carnet_demo::GrantType::RefreshToken)));
        demo.events().iter().filter(|event| is_one(&event.what)).count()
    };
    // With one that was none the client was tried when the connector was made.
    let tried = refreshes();

    // Half the callers ask one process, half the other. They take a token to its last moment: with the usual buffer each
    // who comes after the refresh would rightly ask for one more, as no token of this provider outlives it.
    tokio::time::sleep(LIFE + Duration::from_millis(300)).await;
    let wanted = json!({"subject": {"type": "user"}, "validityBufferMs": 0});
    let ask = |url: &str| {
        let request =
            http.post(format!("{url}/v1/connect/token/demo%2Ftwo")).bearer_auth(person).json(&wanted);
        tokio::spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        })
    };
    let asked: Vec<_> = (0..64).map(|n| ask(if n % 2 == 0 { &first.url } else { &second.url })).collect();
    let mut tokens = std::collections::BTreeSet::new();
    for answer in asked {
        let (status, body) = answer.await.unwrap();
        assert_eq!(status, 200, "{body}");
        tokens.insert(body["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(tokens.len(), 1, "everybody has the same token");
    assert_eq!(refreshes() - tried, 1, "one refresh between two processes");

    let revoked = http
        .delete(format!("{}/v1/connect/connectors/demo%2Ftwo/tokens", first.url))
        .bearer_auth(person)
        .json(&subject)
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.json::<Value>().await.unwrap()["providerRevoked"], 1);
    let (status, body) = ask(&second.url).await.unwrap();
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (422, Some("user_authorization_required")),
        "{body}"
    );
}

/// Of an access token: longer than the slowest machine takes for all the callers, short enough to be waited for.
const LIFE: Duration = Duration::from_secs(8);

/// A provider that takes a refresh token once.
async fn strict_provider(broker: &str) -> (Demo, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/demo", listener.local_addr().unwrap());
    let options = Options {
        clients: vec![ClientRegistration {
            client_id: "two".to_owned(),
            client_secret: SecretString::new("a-secret-for-two-processes".to_owned()),
            redirect_uris: vec![format!("{broker}/callback")],
        }],
        access_life: LIFE,
        ..Options::new(Url::parse(&issuer).unwrap())
    };
    let demo = Demo::new(options, Env::system()).unwrap();
    let routes = axum::Router::new().nest("/demo", demo.router()).merge(demo.well_known_router());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (demo, issuer)
}
