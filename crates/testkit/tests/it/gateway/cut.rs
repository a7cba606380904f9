//! What ends a sign-in: the app, the person's grant, the team's link. At once.

use std::time::Duration;

use carnet_testkit::{Engine, on_both_engines};
use serde_json::json;

use super::{World, text};

on_both_engines!(
    an_app_ends_its_own_sessions_and_nobody_elses,
    a_sign_in_ends_with_the_grant_and_with_the_link,
    an_access_token_is_good_for_a_quarter_of_an_hour,
);

async fn an_app_ends_its_own_sessions_and_nobody_elses(engine: Engine) {
    let world = World::start(engine).await;
    for member in ["refresh_token", "access_token"] {
        let given = world.signed_in("ada").await;
        let token = text(&given, member);
        let preview = world.kit.workload("preview");
        world.ask_as(&world.connector, &preview, "revoke", &[("token", token)]).await.ok();
        world.ask("revoke", &[("token", "cgr_nonsense")]).await.ok();
        world.userinfo(&given["access_token"]).await.ok();
        world.ask("revoke", &[("token", token), ("token_type_hint", "refresh_token")]).await.ok();
        assert_eq!(world.userinfo(&given["access_token"]).await.refusal().0, 401, "{member}");
        assert_eq!(world.renew(text(&given, "refresh_token")).await.refusal().1, "invalid_grant");
        world.ask("revoke", &[("token", token)]).await.ok();
    }
    let ends = world.kit.events_of("gateway.end").await;
    assert!(ends.len() == 2 && ends.iter().all(|end| end["detail"]["why"] == "revoked"), "{ends:?}");
    // What the person granted is the person's and the team's to end.
    let grants = format!("/v1/connect/connectors/{}/grants", world.connector);
    assert_eq!(world.kit.manage("GET", &grants, None).await.ok()["grants"].as_array().unwrap().len(), 1);
}

async fn a_sign_in_ends_with_the_grant_and_with_the_link(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let is_over = async |given: &serde_json::Value, code: &str| {
        assert_eq!(world.userinfo(&given["access_token"]).await.refusal().0, 401);
        let renewed = world.renew(text(given, "refresh_token")).await;
        assert_eq!(renewed.refusal().1, code, "{}", renewed.text());
    };
    let given = world.signed_in("ada").await;
    let code = world.code("ada").await;
    let sub = world.userinfo(&given["access_token"]).await.ok()["sub"].clone();
    let tokens = format!("/v1/connect/connectors/{}/tokens", world.connector);
    let subject = json!({"subject": {"type": "user", "id": sub}});
    kit.node.call("DELETE", &tokens, Some(&kit.workload("production")), Some(&subject)).await.ok();
    is_over(&given, "invalid_grant").await;
    assert_eq!(world.redeem(&code).await.refusal().1, "invalid_grant");
    // Consent that somebody else gives for the same user is not that person's.
    let start = json!({"subject": {"type": "user", "id": sub}, "returnUrl": "https://app.example/x"});
    let path = format!("/v1/connect/authorize/{}", world.connector);
    let started = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&start)).await.ok();
    let (url, mut browser) = (text(&started, "url"), carnet_testkit::Browser::default());
    let end = browser.consent(url, "grace").await;
    if end.status == 200 {
        // Another account than before: that is meant.
        let token = end.hidden("form_token");
        browser.post(url, &[("form_token", &token), ("decision", "allow")]).await;
    }
    assert_eq!(world.userinfo(&given["access_token"]).await.refusal().0, 401);

    let given = world.signed_in("ada").await;
    world.userinfo(&given["access_token"]).await.ok();
    let link = format!("/v1/connect/connectors/{}/projects/{}", world.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["preview"]}))).await.ok();
    is_over(&given, "invalid_client").await;
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    world.userinfo(&given["access_token"]).await.ok();
    kit.manage("DELETE", &link, None).await.ok();
    is_over(&given, "invalid_client").await;
    // Attached again, the app registers its address anew, and nobody is signed in.
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    is_over(&given, "invalid_grant").await;
    assert_eq!(kit.http.send("GET", &world.link(&[]), &[], "").await.status, 400);
}

async fn an_access_token_is_good_for_a_quarter_of_an_hour(engine: Engine) {
    let world = World::start(engine).await;
    world.kit.clock.hold();
    let given = world.signed_in("ada").await;
    world.kit.clock.pass(Duration::from_secs(899));
    world.userinfo(&given["access_token"]).await.ok();
    world.kit.clock.pass(Duration::from_secs(1));
    assert_eq!(world.userinfo(&given["access_token"]).await.refusal().0, 401);
    let given = world.renew(text(&given, "refresh_token")).await.ok();
    world.userinfo(&given["access_token"]).await.ok();
    // Two of a kind: neither is taken for the other.
    let env = world.kit.workload("production");
    assert_eq!(world.userinfo(&json!(env)).await.refusal().0, 401);
    let mut forged = text(&given, "access_token").to_owned();
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert_eq!(world.userinfo(&json!(forged)).await.refusal().0, 401);
}
