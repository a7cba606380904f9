//! The server gets another address: people come back to where it is now, and what providers know of it is told and mended.

use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use super::{change, made, registered, registrar};

on_both_engines!(people_come_back_to_where_the_server_is_now);

/// The connectors whose providers know another address, with where people are sent back to.
async fn left_behind(kit: &Kit) -> Vec<Value> {
    let list = kit.manage("GET", "/v1/connect/connectors", None).await.ok();
    let all = list["clients"].as_array().unwrap().clone();
    all.into_iter().filter(|one| one.get("redirectUriNow").is_some()).collect()
}

async fn people_come_back_to_where_the_server_is_now(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let peer = registrar();
    let found = made(&kit, &peer.url, json!({})).await;
    peer.seen("/register");
    assert_eq!(left_behind(&kit).await, [] as [Value; 0]);
    // As if it had been at another address when they were made.
    let here = kit.url().to_owned();
    let sql = format!(
        "update connectors set redirect_uri = replace(redirect_uri, '{here}', 'https://old.example')"
    );
    kit.restart(async |kit| assert_eq!(kit.raw().await.run(&sql).await, 2)).await;
    let told = kit.events_of("connector.moved").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let told = told[0].to_string();
    assert!(told.contains("peer/found") && told.contains(Kit::UID) && told.contains(&here), "{told}");
    let moved = left_behind(&kit).await;
    assert_eq!(moved.len(), 2);
    for one in moved {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        assert_eq!(text("redirectUriNow"), text("redirectUri").replace("https://old.example", &here));
    }
    assert_eq!(peer.lines("/register/given"), [""; 0], "a copy takes no registration away by itself");
    kit.consent("alice").await;

    peer.now("/register/given", 200, registered(&peer, "care-2", "secret-2"));
    let name = json!({"name": "found"});
    let renewed = change(&kit, &found, &name).await.ok();
    assert_eq!(renewed["serviceSync"], json!({"status": "done"}));
    let put = &peer.seen("/register/given")[0];
    assert!(put.line.starts_with("PUT ") && put.body.contains(&format!("{here}/callback")), "{}", put.body);
    assert!(!put.body.contains("old.example"));
    let by_hand = change(&kit, &kit.connector, &json!({"name": "hello"})).await.ok();
    let add = format!("Add the redirect URI {here}/callback to the client at the provider.");
    assert_eq!(by_hand["serviceSync"]["errors"][0], json!(add));
    assert_eq!(left_behind(&kit).await, [] as [Value; 0]);
    kit.restart(async |_| ()).await;
    assert_eq!(kit.events_of("connector.moved").await.len(), 1, "there is nothing more to tell");
}
