//! An application that is made for a deployment that providers can reach tells it of lost access.

use carnet_model::Clock as _;
use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use crate::servers::peer::Peer;

on_both_engines!(an_app_that_is_made_for_a_public_address_is_told_to_send_events_there);

async fn an_app_that_is_made_for_a_public_address_is_told_to_send_events_there(engine: Engine) {
    let slack = Peer::start();
    let origins = vec![("https://slack.com", slack.url.clone())];
    let url = Some("https://carnet.acme.example");
    let kit = Kit::start(engine, Plan { origins, url, ..Plan::default() }).await;
    let create = "/api/apps.manifest.create";
    slack.now("/api/oauth.v2.access", 200, json!({"ok": false, "error": "invalid_code"}));
    slack.now(
        create,
        200,
        json!({"ok": true, "app_id": "A123", "credentials": {"client_id": "1.2", "client_secret": "app-s3cret",
            "signing_secret": "signing-s3cret"}}),
    );
    let made = async |name: &str, triggers: bool| {
        let data = json!({"configurationToken": "xoxe.xoxp-right", "botScopes": ["chat:write"]});
        let body =
            json!({"service": "slack", "name": name, "type": "slack", "data": data, "triggers": triggers});
        let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        let sent = slack.seen(create);
        let manifest: Value = serde_json::from_str(&sent[0].field("manifest").unwrap()).unwrap();
        (made, manifest["settings"].clone())
    };
    let (bot, settings) = made("bot", true).await;
    let id = bot["id"].as_str().unwrap();
    assert_eq!(
        settings["event_subscriptions"],
        json!({"request_url": format!("https://carnet.acme.example/connect/trigger/{id}"),
            "bot_events": ["app_uninstalled", "tokens_revoked"]})
    );
    // Slack asks of the address before it uses it: with the secret that came with the app.
    let question = r#"{"type": "url_verification", "challenge": "c4allenge"}"#;
    let time = kit.clock.now().secs().to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"signing-s3cret");
    let tag = aws_lc_rs::hmac::sign(&key, format!("v0:{time}:{question}").as_bytes());
    let tag = tag.as_ref().iter().fold("v0=".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    let headers = [
        ("content-type", "application/json"),
        ("x-slack-request-timestamp", time.as_str()),
        ("x-slack-signature", tag.as_str()),
    ];
    let there = format!("http://{}/connect/trigger/{id}", kit.node.address);
    let answer = kit.http.send("POST", &there, &headers, question).await;
    assert_eq!((answer.status, answer.text()), (200, "c4allenge".to_owned()));
    // Nobody hears what is not received.
    let (_, settings) = made("deaf", false).await;
    assert_eq!(settings.get("event_subscriptions"), None, "{settings}");
}
