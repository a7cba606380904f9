//! Who is asked for more keeps what there is: one consent after the other, at a server that gives just what it is asked.

use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use crate::of;

on_both_engines!(a_scope_that_is_added_takes_no_other_away);

/// What the provider is asked for when alice says yes to this, and what the page says before; she goes on and consents.
async fn consents(kit: &Kit, more: Value) -> (String, String) {
    let started = kit.authorize("alice", more).await;
    let page = started["url"].as_str().unwrap();
    let mut browser = Browser::default();
    let shown = browser.get(page).await.text();
    let there = browser.leave(page).await;
    let url = Url::parse(&there).unwrap();
    let scope = url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    let callback = browser.at_provider(&there, "allow", "ada").await;
    let done = browser.come_back(&callback).await;
    assert!(done.text().contains("is connected to"), "{}", done.text());
    (scope, shown)
}

fn asking(scopes: &[&str]) -> Value {
    let mut body = of("alice");
    body["scopes"] = json!(scopes);
    body
}

async fn a_scope_that_is_added_takes_no_other_away(engine: Engine) {
    let plan = Plan { scopes: vec!["profile:read", "offline_access"], ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    // RFC 6749 §5.1: without a word about scopes, they are what was asked for.
    kit.provider.always(|| {
        Fault::rewritten(|answer| {
            answer.remove("scope");
        })
    });
    let (first, shown) = consents(&kit, Value::Null).await;
    assert_eq!(first, "offline_access profile:read");
    assert!(!shown.contains("It can already"), "{shown}");
    assert_eq!(kit.ask(&asking(&["messages:read"])).await.refusal().1, "user_authorization_required");

    // One feature of the app names what it needs, and the other goes on with the connector's own.
    let all = "messages:read offline_access profile:read";
    let (added, shown) = consents(&kit, json!({"scopes": ["messages:read"]})).await;
    assert_eq!(added, all);
    let (new, old) = shown.split_once("It can already").unwrap_or_else(|| panic!("{shown}"));
    assert!(new.contains("messages:read") && old.contains("profile:read"), "{shown}");
    let narrow = kit.ask(&asking(&["messages:read"])).await.token();
    let reach = (kit.provider.api("messages", &narrow).await, kit.provider.api("me", &narrow).await);
    assert_eq!(reach, (200, 403));
    let own = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.me(&own).await.unwrap()["scope"], "offline_access profile:read");
    let (again, _) = consents(&kit, Value::Null).await;
    assert_eq!(again, all, "what a caller named stays, whoever is asked for the defaults");
    for scopes in [&["messages:read"][..], &["profile:read"], &["*"]] {
        kit.ask(&asking(scopes)).await.token();
    }
    assert_eq!(kit.grants().await.len(), 1);

    // What the connector does not have any more is not asked for again.
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let fewer = json!({"enabled": true, "scopes": ["messages:write", "offline_access"]});
    kit.manage("PATCH", &path, Some(&json!({"data": {"userAuthorization": fewer}}))).await.ok();
    let (then, _) = consents(&kit, Value::Null).await;
    assert_eq!(then, "messages:read messages:write offline_access");
    assert_eq!(kit.ask(&asking(&["profile:read"])).await.refusal().1, "user_authorization_required");

    // Nor is what was ended.
    kit.manage("DELETE", &format!("{path}/tokens"), Some(&json!({}))).await.ok();
    let (anew, _) = consents(&kit, Value::Null).await;
    assert_eq!(anew, "messages:write offline_access");
}
