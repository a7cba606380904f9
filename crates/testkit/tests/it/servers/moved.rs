//! The server gets another address: people come back to where it is now, and what providers know of it is told and mended.

use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use super::{change, made, registered, registrar};
use crate::of;

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
    // Whom it trusts does not move along.
    let bearer = kit.workload("production");
    let before = kit.url().to_owned();
    let here = before.replace("127.0.0.1", "localhost");
    kit.move_to(&here);
    kit.restart(async |_| ()).await;
    let told = kit.events_of("connector.moved").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let told = told[0].to_string();
    assert!(told.contains("peer/found") && told.contains(Kit::UID) && told.contains(&here), "{told}");
    let moved = left_behind(&kit).await;
    assert_eq!(moved.len(), 2);
    for one in moved {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        assert_eq!(text("redirectUriNow"), text("redirectUri").replace(&before, &here));
    }
    assert_eq!(peer.lines("/register/given"), [""; 0], "a copy takes no registration away by itself");
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let started = kit.node.call("POST", &path, Some(&bearer), Some(&of("alice"))).await.ok();
    let page = started["url"].as_str().unwrap().replace(&here, &before);
    let provider = Url::parse(&Browser::default().leave(&page).await).unwrap();
    let (_, sent_back) = provider.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    assert_eq!(sent_back, format!("{here}/callback"), "and not to the address before");

    peer.now("/register/given", 200, registered(&peer, "care-2", "secret-2"));
    let name = json!({"name": "found"});
    let renewed = change(&kit, &found, &name).await.ok();
    assert_eq!(renewed["serviceSync"], json!({"status": "done"}));
    let put = &peer.seen("/register/given")[0];
    assert!(put.line.starts_with("PUT ") && put.body.contains(&format!("{here}/callback")), "{}", put.body);
    assert!(!put.body.contains(&before));
    let by_hand = change(&kit, &kit.connector, &json!({"name": "hello"})).await.ok();
    let add = format!("Add the redirect URI {here}/callback to the client at the provider.");
    assert_eq!(by_hand["serviceSync"]["errors"][0], json!(add));
    assert_eq!(left_behind(&kit).await, [] as [Value; 0]);
    kit.restart(async |_| ()).await;
    assert_eq!(kit.events_of("connector.moved").await.len(), 1, "there is nothing more to tell");
}
