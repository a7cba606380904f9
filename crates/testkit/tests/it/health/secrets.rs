//! The secret of a client that a server registered, where the server has set it an end.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Engine, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{HOOK, told_at};
use crate::servers::peer::Peer;

on_both_engines!(
    a_secret_that_ends_is_renewed_ahead_of_that_or_told_of,
    what_a_server_gives_is_kept_beside_what_others_change_meanwhile,
);

const DAY: Duration = Duration::from_hours(24);

async fn a_secret_that_ends_is_renewed_ahead_of_that_or_told_of(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    let peer = Peer::start();
    peer.describe(json!({"registration_endpoint": format!("{}/register", peer.url)}));
    let registered = |care: &str, secret: &str, days: u32| {
        let end = kit.clock.now().plus(DAY * days);
        json!({"client_id": "given", "client_secret": secret, "client_secret_expires_at": end.secs(),
            "registration_access_token": care, "registration_client_uri": format!("{}/register/given", peer.url)})
    };
    let body = json!({"service": peer.url, "name": "found", "uid": "peer/found", "type": "oauth", "data": {},
        "projectId": kit.tenant.project});
    // A server that fails is no mistake in the configuration.
    peer.now("/register", 503, json!({}));
    let later = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await;
    assert_eq!(later.header("retry-after"), Some("5"));
    assert_eq!(later.refusal(), (503, "provider_unavailable".to_owned()));
    peer.now("/register", 201, registered("care-1", "secret-1", 30));
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let path = format!("/v1/connect/connectors/{}", made["id"].as_str().unwrap());
    let ends =
        |connector: &Value| connector["data"]["clientRegistration"]["secretExpiresAt"].as_i64().unwrap();
    let first = ends(&made);

    // Ahead of time and once, with the token of the registration.
    peer.now("/register/given", 200, registered("care-2", "secret-2", 54));
    kit.clock.pass(DAY * 24);
    let second = eventually("another secret is had", async || {
        Some(ends(&kit.manage("GET", &path, None).await.ok())).filter(|end| *end > first)
    })
    .await;
    let told = peer.seen("/register/given");
    assert_eq!((told.len(), told[0].line.as_str()), (1, "PUT /register/given"));
    assert_eq!(told[0].bearer.as_deref(), Some("Bearer care-1"));
    let updated = kit.events_of("connector.update").await;
    assert!(updated.iter().any(|event| event["actor"]["type"] == "system"), "{updated:?}");

    // Where none is had, it is told while the present one works.
    peer.now("/register/given", 503, json!({}));
    kit.clock.pass(DAY * 25);
    let told = receiver.at(HOOK).await.body;
    assert_eq!((&told["type"], &told["cause"]), (&json!("connector.ending"), &json!("secret_expires")));
    assert_eq!((&told["endsAt"], &told["connector"]["uid"]), (&json!(second), &json!("peer/found")));
    assert!(told["message"].as_str().unwrap().contains("carnet check peer/found --accept"), "{told}");
    let tried = peer.seen("/register/given");
    assert_eq!(tried[0].bearer.as_deref(), Some("Bearer care-2"), "what was given anew was kept");

    // After it, everybody is told the true cause, and what mends it does.
    kit.clock.pass(DAY * 6);
    let check = async || kit.manage("POST", &format!("{path}/check"), None).await.ok();
    let found = check().await;
    assert_eq!((&found["application"]["standing"], &found["holds"]), (&json!("secret_ended"), &json!(false)));
    assert!(found["application"]["message"].as_str().unwrap().contains("has ended"), "{found}");
    peer.now("/register/given", 200, {
        let mut extended = registered("care-3", "unused", 90);
        extended.as_object_mut().unwrap().remove("client_secret");
        extended
    });
    let server = format!("{path}/server");
    let shown = kit.manage("GET", &server, None).await.ok();
    kit.manage("POST", &server, Some(&json!({"digest": shown["digest"]}))).await.ok();
    assert_eq!(check().await["holds"], true, "the same secret, with a later end");
}

async fn what_a_server_gives_is_kept_beside_what_others_change_meanwhile(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    peer.describe(json!({"registration_endpoint": format!("{}/register", peer.url)}));
    let registered = |care: &str, secret: &str| {
        json!({"client_id": "given", "client_secret": secret, "registration_access_token": care,
            "registration_client_uri": format!("{}/register/given", peer.url)})
    };
    peer.now("/register", 201, registered("care-1", "secret-1"));
    let body = json!({"service": peer.url, "name": "found", "uid": "peer/found", "type": "oauth", "data": {},
        "projectId": kit.tenant.project});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let path = format!("/v1/connect/connectors/{}", made["id"].as_str().unwrap());

    peer.now("/register/given", 200, registered("care-2", "secret-2"));
    peer.hold(Some("/register/given"));
    let server = format!("{path}/server");
    let shown = kit.manage("GET", &server, None).await.ok();
    let digest = json!({"digest": shown["digest"]});
    let (accepted, ()) = tokio::join!(kit.manage("POST", &server, Some(&digest)), async {
        eventually("the server is asked", async || peer.lines("/register/given").pop()).await;
        kit.manage("PATCH", &path, Some(&json!({"accentColor": "#112233"}))).await.ok();
        peer.hold(None);
    });
    assert_eq!(accepted.ok()["serviceSync"], json!({"status": "done"}));
    let renamed = kit.manage("PATCH", &path, Some(&json!({"name": "Renamed"}))).await.ok();
    assert_eq!(renamed["accentColor"], "#112233", "what somebody changed meanwhile stays");
    let told = peer.seen("/register/given");
    let last = told.last().unwrap();
    assert_eq!(last.bearer.as_deref(), Some("Bearer care-2"), "and so does what the server gave");
}
