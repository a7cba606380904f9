//! How the application learns what became of its request by asking, and what a request may name.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    the_maker_of_a_request_can_ask_what_became_of_it,
    a_link_that_was_opened_is_waited_for_while_the_person_signs_in,
    a_link_is_waited_for_where_its_person_was_just_told_that_it_is_needed,
);

/// The command line draws the verifier, and polls while the person signs in.
async fn a_link_that_was_opened_is_waited_for_while_the_person_signs_in(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let mut beside = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let poll = async |verifier: &str| {
        let path = format!("/v1/connect/result/{verifier}");
        match &beside {
            Some(node) => node.call("GET", &path, Some(&kit.tenant.token), None).await,
            None => kit.manage("GET", &path, None).await,
        }
    };
    for (kind, verifier) in [("authorize", "v".repeat(50)), ("install", "w".repeat(50))] {
        let gone = (404, "not_found".to_owned());
        assert_eq!(poll(&verifier).await.refusal(), gone, "nobody has opened it");
        let code = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let team = &kit.tenant.team;
        let link = format!("/api/v1/connect/{kind}/demo%2Fhello?teamId={team}&request_code={code}&scopes=*");
        let page = Browser::default().get(&format!("{}{link}", kit.url())).await;
        assert!(page.header("location").unwrap().starts_with("/login?to="), "{}", page.text());
        assert_eq!(poll(&verifier).await.ok()["status"], "pending");
        assert_eq!(poll(&"x".repeat(50)).await.refusal(), gone, "and no other");
        kit.clock.pass(Duration::from_mins(16));
        assert_eq!(poll(&verifier).await.refusal(), gone, "nobody signed in");
    }
    if let Some(node) = &mut beside {
        node.stop().await;
    }
}

/// The command line asks for a token, is told to open a link, and polls: the person may take a while to open it.
async fn a_link_is_waited_for_where_its_person_was_just_told_that_it_is_needed(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let mut beside = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let poll = async |verifier: &str, bearer: &str| {
        let path = format!("/v1/connect/result/{verifier}");
        beside.as_ref().unwrap_or(&kit.node).call("GET", &path, Some(bearer), None).await
    };
    let (own, verifier) = (kit.tenant.token.clone(), "v".repeat(49) + "w");
    let gone = (404, "not_found".to_owned());
    let subject = json!({"subject": {"type": "user", "id": "somebody"}});
    let refused = kit
        .node
        .call("POST", "/v1/connect/token/demo%2Fhello", Some(&kit.workload("production")), Some(&subject))
        .await;
    assert_eq!(refused.refusal().1, "user_authorization_required");
    assert_eq!(poll(&verifier, &own).await.refusal(), gone, "somebody else was told");

    let path = "/v1/connect/token/demo%2Fhello";
    let own_subject = json!({"subject": {"type": "user", "id": kit.tenant.user}});
    let refused = kit.node.call("POST", path, Some(&own), Some(&own_subject)).await;
    assert_eq!(refused.refusal().1, "user_authorization_required");
    assert_eq!(poll(&verifier, &own).await.ok()["status"], "pending");
    assert_eq!(poll("wrong", &own).await.refusal(), gone, "no command line has drawn it");
    let other = kit.another_tenant("other").await;
    assert_eq!(poll(&verifier, &other.token).await.refusal(), gone);
    kit.consent("alice").await;
    assert_eq!(poll(&verifier, &own).await.refusal(), gone, "somebody has consented since");
    let refused = kit.node.call("POST", path, Some(&own), Some(&own_subject)).await;
    assert_eq!(refused.refusal().1, "user_authorization_required");
    assert_eq!(poll(&verifier, &own).await.ok()["status"], "pending");
    kit.clock.pass(Duration::from_mins(61));
    assert_eq!(poll(&verifier, &own).await.refusal(), gone, "nobody opened it");
    if let Some(node) = &mut beside {
        node.stop().await;
    }
}

async fn the_maker_of_a_request_can_ask_what_became_of_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let started = kit.authorize("alice", Value::Null).await;
    let verifier = started["verifier"].as_str().unwrap();
    let path = format!("/v1/connect/result/{verifier}");
    let result = async || kit.manage("GET", &path, None).await.ok();
    assert_eq!(result().await, json!({"status": "pending"}));
    let mut browser = Browser::default();
    let provider = browser.leave(started["url"].as_str().unwrap()).await;
    let callback = browser.at_provider(&provider, "allow", "ada").await;
    assert_eq!(result().await, json!({"status": "pending"}));
    browser.get(&callback).await;
    assert_eq!(result().await, json!({"status": "success", "data": {"clientId": kit.connector}}));
    // The workload that asked may ask too.
    let bearer = kit.workload("production");
    assert_eq!(kit.node.call("GET", &path, Some(&bearer), None).await.ok()["status"], "success");

    let denied = kit.authorize("bob", Value::Null).await;
    Browser::default().decide(denied["url"].as_str().unwrap(), "deny").await;
    let path = format!("/v1/connect/result/{}", denied["verifier"].as_str().unwrap());
    assert_eq!(kit.manage("GET", &path, None).await.ok(), json!({"status": "canceled"}));

    let other = kit.another_tenant("other").await;
    let elsewhere = kit.node.call("GET", &path, Some(&other.token), None).await;
    let unknown = kit.manage("GET", &format!("/v1/connect/result/{}x", &verifier[1..]), None).await;
    assert_eq!(elsewhere.refusal(), (404, "not_found".to_owned()));
    assert_eq!(elsewhere.json(), unknown.json(), "another team's looks like none at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_page_says_who_asks_where_for_what_and_who_is_asked() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let body = json!({"subject": {"type": "user", "id": "<b>al&ice</b>"}, "scopes": ["profile:read", "messages:read"]});
    let bearer = kit.workload("preview");
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let started = kit.node.call("POST", &path, Some(&bearer), Some(&body)).await.ok();
    let answer = Browser::default().get(started["url"].as_str().unwrap()).await;
    let page = answer.text();
    for word in
        ["acme-app", "acme", "preview", "profile:read", "messages:read", started["request"].as_str().unwrap()]
    {
        assert!(page.to_lowercase().contains(&word.to_lowercase()), "{word}: {page}");
    }
    assert!(!page.contains("<b>al"), "{page}");
    assert!(!page.contains("offline_access"));
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_request_may_name_is_checked_before_anything_is_made() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let workload = kit.workload("production");
    let ask = async |bearer: &str, more: Value| {
        let mut body = json!({"subject": {"type": "user", "id": "alice"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        kit.node.call("POST", &path, Some(bearer), Some(&body)).await
    };
    for more in [
        json!({"returnUrl": "http://evil.example/cb"}),
        json!({"returnUrl": "javascript:alert(1)"}),
        json!({"returnUrl": "https://user:pw@app.example/"}),
        json!({"returnUrl": "/relative"}),
        json!({"returnUrl": "https:/app.example/"}),
        json!({"returnUrl": "https://app.example\\@evil.example/"}),
        json!({"returnUrl": "https://app.example/\r\nX: y"}),
        json!({"webhook": "https:/app.example/"}),
        json!({"webhook": format!("https://app.example/{}", "x".repeat(2048))}),
        json!({"webhook": "http://10.0.0.1/hook"}),
        json!({"webhook": "http://169.254.169.254/latest"}),
        json!({"webhook": "ftp://app.example/"}),
        json!({"expiresInMs": 0}),
        json!({"expiresInMs": 1.5}),
        json!({"expiresInMs": 3_600_001}),
        json!({"expiresInMs": -1}),
        json!({"prompt": ""}),
        json!({"prompt": "a\nb"}),
        json!({"surprise": true}),
        json!({"scopes": ["*", "profile:read"]}),
        json!({"additionalParams": {"": "x"}}),
        json!({"additionalParams": {"state": "x"}}),
        json!({"additionalParams": {"redirect_uri": "https://evil.example"}}),
        json!({"additionalParams": {"code_challenge_method": "plain"}}),
        json!({"additionalParams": {"resource": "https://api.example"}}),
    ] {
        assert_eq!(
            ask(&workload, more.clone()).await.refusal(),
            (400, "invalid_request".to_owned()),
            "{more}"
        );
    }
    // A webhook is signed for a project, and a person's access token has none.
    let own =
        json!({"subject": {"type": "user", "id": kit.tenant.user}, "webhook": "https://app.example/hook"});
    assert_eq!(ask(&kit.tenant.token, own).await.refusal(), (400, "invalid_request".to_owned()));
    let app = ask(&workload, json!({"subject": {"type": "app"}})).await;
    assert_eq!(app.refusal(), (422, "unresolved_token".to_owned()));
    assert!(kit.events_of("authorization.start").await.is_empty());
}
