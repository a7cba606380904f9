//! Which addresses an app may have: what can be registered, by whom, and what becomes of it.

use carnet_testkit::{Browser, Engine, on_both_engines};
use serde_json::{Value, json};

use super::{HOME, World};

on_both_engines!(
    an_address_is_registered_for_one_project_and_environment,
    what_is_removed_takes_its_addresses_along
);

async fn an_address_is_registered_for_one_project_and_environment(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let set = world.register(&[(HOME, "production"), ("http://localhost:3000/cb", "development")]).await.ok();
    assert_eq!(
        set["redirectUris"],
        json!([{"uri": "http://localhost/cb", "environment": "development"}, {"uri": HOME, "environment": "production"}])
    );
    let path = world.registered_at(&kit.tenant.project);
    assert_eq!(kit.manage("GET", &path, None).await.ok(), set);
    for uris in [
        vec![("http://localhost/cb", "production")],
        vec![("http://app.example/cb", "development")],
        vec![("https://app.example/cb#x", "production")],
        vec![("https://*.example/cb", "production")],
        vec![("https://app.example/cb?code=x", "production")],
        vec![("https://app.example/cb", "nowhere")],
        vec![("https://app.example/cb", "production"), ("https://app.example/cb", "preview")],
    ] {
        assert_eq!(world.register(&uris).await.refusal(), (400, "invalid_request".to_owned()), "{uris:?}");
    }
    assert_eq!(kit.manage("GET", &path, None).await.ok(), set, "nothing has changed");
    // Another project of the team cannot have what this one has.
    let second = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = second["id"].as_str().unwrap();
    let link = format!("/v1/connect/connectors/{}/projects/{second}", world.connector);
    let there = world.registered_at(second);
    let same = json!({"redirectUris": [{"uri": HOME, "environment": "production"}]});
    assert_eq!(kit.manage("PUT", &there, Some(&same)).await.refusal(), (404, "not_found".to_owned()));
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    assert_eq!(kit.manage("PUT", &there, Some(&same)).await.refusal(), (409, "conflict".to_owned()));
    let preview = json!({"redirectUris": [{"uri": "https://two.example/cb", "environment": "preview"}]});
    assert_eq!(kit.manage("PUT", &there, Some(&preview)).await.refusal().0, 400, "the link has no preview");
    let own = json!({"redirectUris": [{"uri": "https://two.example/cb", "environment": "production"}]});
    kit.manage("PUT", &there, Some(&own)).await.ok();
    let events = kit.events_of("link.redirect-uris.put").await;
    assert_eq!(
        events.last().unwrap()["detail"]["redirectUris"],
        json!(["production https://two.example/cb"])
    );
}

async fn what_is_removed_takes_its_addresses_along(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let project = &kit.tenant.project;
    let environments = format!("/v9/projects/{project}/custom-environments");
    let qa = kit.manage("POST", &environments, Some(&json!({"slug": "qa"}))).await.ok();
    let qa = qa["id"].as_str().unwrap();
    let link = format!("/v1/connect/connectors/{}/projects/{project}", world.connector);
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "qa"]}))).await.ok();
    let set = world.register(&[(HOME, "production"), ("https://qa.example/cb", "qa")]).await.ok();
    assert_eq!(set["redirectUris"][0]["environment"], json!(qa));
    world.signed_in("ada").await;
    kit.manage("DELETE", &format!("{environments}/{qa}"), None).await.ok();
    let left = kit.manage("GET", &world.registered_at(project), None).await.ok();
    assert_eq!(left["redirectUris"].as_array().unwrap().len(), 1);
    // A connector and a project can be removed with people signed in.
    let second = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = second["id"].as_str().unwrap().to_owned();
    let there = format!("/v1/connect/connectors/{}/projects/{second}", world.connector);
    kit.manage("POST", &there, Some(&json!({"environments": ["production"]}))).await.ok();
    let own = json!({"redirectUris": [{"uri": "https://two.example/cb", "environment": "production"}]});
    kit.manage("PUT", &world.registered_at(&second), Some(&own)).await.ok();
    kit.manage("DELETE", &format!("/v9/projects/{second}"), None).await.ok();
    kit.manage("DELETE", &format!("/v1/connect/connectors/{}", world.connector), None).await.ok();
    assert_eq!(Browser::default().get(&world.link(&[])).await.status, 400);
    let raw = kit.raw().await.everything().await;
    let left: Vec<&String> = raw
        .iter()
        .filter(|(place, _)| ["gateway_", "redirect_uris"].iter().any(|table| place.starts_with(table)))
        .map(|(place, _)| place)
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let _: Value = kit.manage("GET", "/v1/audit/verify", None).await.ok();
}
