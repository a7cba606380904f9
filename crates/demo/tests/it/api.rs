use std::time::Duration;

use crate::world::World;

#[tokio::test]
async fn a_token_reads_and_writes_what_its_scopes_allow() {
    let world = World::new().await;
    let (access, _) = world.grant().await;
    let me = world.api("GET", "me", &access, "").await.json();
    assert_eq!(
        (&me["type"], &me["sub"], &me["email"]),
        (&"person".into(), &"ada".into(), &"ada@hello.test".into())
    );
    let written = world.api("POST", "messages", &access, r#"{"text":"Grüße"}"#).await;
    assert_eq!((written.status.as_u16(), &written.json()["from"]), (201, &"ada".into()));
    let board = world.api("GET", "messages", &access, "").await.json();
    let last = board["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["text"], &last["from"]), (&"Grüße".into(), &"ada".into()));
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let world = World::new().await;
    let code = world.code(&[("scope", "profile:read")]).await;
    let access = world.redeem(&code).await.json()["access_token"].as_str().unwrap().to_owned();
    for (method, scope) in [("GET", "messages:read"), ("POST", "messages:write")] {
        let answer = world.api(method, "messages", &access, r#"{"text":"x"}"#).await;
        assert_eq!(answer.error(), (403, "insufficient_scope".into()));
        assert_eq!(
            answer.header("www-authenticate").unwrap(),
            format!("Bearer realm=\"carnet-demo\", error=\"insufficient_scope\", scope=\"{scope}\"")
        );
    }
}

#[tokio::test]
async fn no_token_and_a_dead_token_are_told_apart() {
    let world = World::new().await;
    let url = format!("{}/api/me", world.issuer);
    let none = world.get(&url).await;
    assert_eq!(none.status, 401);
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"carnet-demo\""));
    let (access, _) = world.grant().await;
    assert_eq!(world.get(&format!("{url}?access_token={access}")).await.status, 401);
    world.pass(Duration::from_hours(1));
    for token in [access.as_str(), "nonsense"] {
        let dead = world.api("GET", "me", token, "").await;
        assert_eq!(dead.error(), (401, "invalid_token".into()));
        assert_eq!(
            dead.header("www-authenticate"),
            Some("Bearer realm=\"carnet-demo\", error=\"invalid_token\"")
        );
    }
}

#[tokio::test]
async fn a_message_of_the_wrong_form_is_refused() {
    let world = World::new().await;
    let (access, _) = world.grant().await;
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(501));
    for body in ["", "text=x", "{}", r#"{"text":""}"#, r#"{"text":"x","from":"grace"}"#, &long] {
        let answer = world.api("POST", "messages", &access, body).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{body:.40}");
    }
}
