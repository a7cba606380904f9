//! Clients and keys are tried when a connector is made or changed: a wrong one is refused with its field, and a stored one is
//! shown to nobody else on the way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use super::change;
use super::peer::Peer;

on_both_engines!(
    stored_secrets_are_not_tried_at_a_server_that_a_change_names,
    a_wrong_secret_is_refused_when_the_connector_is_made_or_changed,
);

async fn stored_secrets_are_not_tried_at_a_server_that_a_change_names(engine: Engine) {
    let (home, elsewhere) = (Peer::start(), Peer::start());
    let origins = vec![
        ("https://acme.okta.com", home.url.clone()),
        ("https://elsewhere.example", elsewhere.url.clone()),
    ];
    let kit = Kit::start(engine, Plan { origins, ..Plan::default() }).await;
    for (peer, issuer) in [(&home, "https://acme.okta.com"), (&elsewhere, "https://elsewhere.example")] {
        peer.now("/.well-known/openid-configuration", 200, json!({"issuer": issuer}));
        peer.now("/oauth2/v1/token", 400, json!({"error": "invalid_grant"}));
        peer.now("/token", 400, json!({"error": "invalid_grant"}));
        peer.now("/whoami", 200, json!({"id": "ada"}));
    }
    let made = async |name: &str, kind: &str, data: Value| {
        let body = json!({"service": "tried.example", "name": name, "type": kind, "data": data});
        let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        made["id"].as_str().unwrap().to_owned()
    };
    let probe =
        |peer: &Peer| json!({"url": format!("{}/whoami", peer.url), "scheme": "Bearer", "account": "/id"});
    let config = |peer: &Peer| json!({"authorization_endpoint": format!("{}/authorize", peer.url), "token_endpoint": format!("{}/token", peer.url)});
    for (kind, path, data, moved, anew) in [
        (
            "api-key",
            "/whoami",
            json!({"values": [{"value": "stored-s3cret"}], "probe": probe(&home)}),
            json!({"probe": probe(&elsewhere)}),
            json!({"values": [{"value": "new-s3cret"}]}),
        ),
        (
            "oauth",
            "/token",
            json!({"clientId": "c", "clientSecret": "stored-s3cret", "serverConfig": config(&home)}),
            json!({"serverConfig": config(&elsewhere)}),
            json!({"clientSecret": "new-s3cret"}),
        ),
        (
            "okta",
            "/oauth2/v1/token",
            json!({"clientId": "c", "clientSecret": "stored-s3cret", "domain": "acme.okta.com", "userScopes": ["openid"]}),
            json!({"domain": "elsewhere.example"}),
            json!({"clientSecret": "new-s3cret"}),
        ),
    ] {
        let connector = made(kind, kind, data).await;
        assert!(!home.seen(path).is_empty(), "{kind}: it is tried where it belongs");
        let refused = change(&kit, &connector, &json!({"data": moved})).await;
        assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{kind}: {}", refused.text());
        assert!(refused.text().contains("Give the secrets for that server"), "{kind}: {}", refused.text());
        let seen = elsewhere.seen(path);
        assert!(seen.is_empty(), "{kind}: {seen:?}");
        // What is given in the same change is tried there, and nothing else is.
        let mut both = moved;
        both.as_object_mut().unwrap().extend(anew.as_object().unwrap().clone());
        change(&kit, &connector, &json!({"data": both})).await.ok();
        let seen = elsewhere.seen(path);
        assert!(!seen.is_empty(), "{kind}");
        let stored = STANDARD.encode("c:stored-s3cret");
        for one in seen {
            let text = format!("{one:?}");
            assert!(!text.contains("stored-s3cret") && !text.contains(&stored), "{kind}: {text}");
        }
    }
}

async fn a_wrong_secret_is_refused_when_the_connector_is_made_or_changed(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.provider.judge_clients();
    let mut data = kit.data();
    data.insert("clientSecret".to_owned(), "wr0ng-secret".into());
    let body = json!({"service": "demo", "name": "wrong", "type": "oauth", "data": data});
    let refused = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await;
    assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{}", refused.text());
    assert_eq!(refused.json()["error"]["field"], "data.clientSecret");
    assert!(!refused.text().contains("wr0ng-secret"), "{}", refused.text());
    let listed = kit.manage("GET", "/v1/connect/connectors", None).await.ok();
    assert_eq!(listed["clients"].as_array().unwrap().len(), 1, "nothing was made: {listed}");
    // The connector goes on with the secret that it has.
    let changed = json!({"data": {"clientSecret": "wr0ng-secret"}});
    let refused = change(&kit, &kit.connector, &changed).await;
    assert_eq!(refused.json()["error"]["field"], "data.clientSecret", "{}", refused.text());
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    let body = json!({"service": "demo", "name": "right", "type": "oauth", "data": kit.data()});
    kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
}
