//! The ways to an end: yes, no, and what goes wrong at the provider.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use super::{HOME, begin, exchanges, nothing_was_granted, outcome, to_the_callback, with};

on_both_engines!(a_yes_leads_back_to_the_application_and_to_tokens, a_no_leads_back_and_grants_nothing);

async fn a_yes_leads_back_to_the_application_and_to_tokens(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, started) = begin(&kit).await;
    assert!(page.starts_with(&format!("{}/authorize/car_", kit.url())), "{page}");
    assert!(started["verifier"].as_str().unwrap().len() >= 43);
    assert!(started["expiresAt"].is_i64() && started.get("deviceCode").is_none());
    let connector = &started["connector"];
    for (name, value) in
        [("id", kit.connector.as_str()), ("uid", Kit::UID), ("type", "oauth"), ("service", "demo")]
    {
        assert_eq!(connector[name], value);
    }
    let mut browser = Browser::default();
    let provider = browser.leave(&page).await;
    let asked: Vec<(String, String)> = Url::parse(&provider).unwrap().query_pairs().into_owned().collect();
    let asked = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(asked("code_challenge_method"), Some("S256"));
    assert_eq!(asked("scope"), Some("messages:read offline_access profile:read"));
    assert!(asked("state").unwrap().len() >= 43);
    let callback = browser.at_provider(&provider, "allow", "ada").await;
    let back = browser.get(&callback).await;
    assert_eq!(outcome(&back), ("success".to_owned(), None));
    let to = back.header("location").unwrap();
    assert!(to.contains(started["request"].as_str().unwrap()));
    for secret in [asked("state").unwrap(), started["verifier"].as_str().unwrap()] {
        assert!(!to.contains(secret), "{to}");
    }
    assert_eq!(back.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(back.header("cache-control"), Some("no-store"));
    let token = kit.user_token("alice").await;
    assert_eq!(token.ok()["connector"]["uid"], Kit::UID);
    assert_eq!(kit.provider.me(&token.token()).await.unwrap()["sub"], "ada");
    let actions: Vec<Value> = kit.events().await.iter().map(|event| event["action"].clone()).collect();
    for action in ["authorization.start", "authorization.approve", "authorization.complete", "token.issue"] {
        assert_eq!(actions.iter().filter(|one| **one == action).count(), 1, "{action}");
    }
}

async fn a_no_leads_back_and_grants_nothing(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    assert_eq!(outcome(&Browser::default().decide(&page, "deny").await), ("canceled".to_owned(), None));
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let provider = browser.leave(&page).await;
    let callback = browser.at_provider(&provider, "deny", "ada").await;
    assert_eq!(outcome(&browser.get(&callback).await), ("canceled".to_owned(), None));
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
    let ends = kit.events_of("authorization.complete").await;
    assert!(ends.len() == 2 && ends.iter().all(|end| end["outcome"] == "denied"), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_error_from_the_provider_is_told_in_our_words() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for (code, told) in [
        ("access_denied", ("canceled", None)),
        ("server_error", ("error", Some("provider_unavailable"))),
        ("temporarily_unavailable", ("error", Some("provider_unavailable"))),
        ("invalid_scope", ("error", Some("provider_refused"))),
        ("<script>alert(1)</script>", ("error", Some("provider_refused"))),
    ] {
        let (page, _) = begin(&kit).await;
        let mut browser = Browser::default();
        let callback = to_the_callback(&mut browser, &page).await;
        let callback = with(&with(&callback, "code", None), "error", Some(code));
        let callback = with(&callback, "error_description", Some("go to https://evil.example"));
        let back = browser.get(&callback).await;
        let (status, error) = outcome(&back);
        assert_eq!((status.as_str(), error.as_deref()), told, "{code}");
        assert!(!back.header("location").unwrap().contains("evil"));
    }
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_exchange_that_goes_wrong_ends_the_request_and_is_not_repeated() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for (number, (fault, error)) in [
        (Fault::error(400, "invalid_grant"), "authorization_failed"),
        (Fault::error(401, "invalid_client"), "connector_credentials_rejected"),
        (Fault::status(503), "provider_unavailable"),
        (Fault::html(), "provider_answer_invalid"),
        (Fault::lost().after_its_work(), "provider_unavailable"),
        (Fault::redirect(), "provider_answer_invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        let (page, started) = begin(&kit).await;
        let mut browser = Browser::default();
        let callback = to_the_callback(&mut browser, &page).await;
        kit.provider.next([fault]);
        let told = ("error".to_owned(), Some(error.to_owned()));
        assert_eq!(outcome(&browser.get(&callback).await), told);
        assert_eq!(outcome(&browser.get(&callback).await), told, "a reload says the same");
        assert_eq!(exchanges(&kit), number + 1);
        let result = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
        let result = kit.manage("GET", &result, None).await.ok();
        assert_eq!((&result["status"], &result["error"]["code"]), (&json!("error"), &json!(error)));
        kit.clock.pass(Duration::from_secs(61));
    }
    nothing_was_granted(&kit).await;
    let (page, _) = begin(&kit).await;
    Browser::default().consent(&page, "ada").await;
    kit.user_token("alice").await.token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_an_address_to_return_to_a_page_of_ours_says_how_it_ended() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let page = kit.authorize("alice", Value::Null).await["url"].as_str().unwrap().to_owned();
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let back = browser.get(&callback).await;
    assert_eq!(back.status, 303);
    let clean = back.header("location").unwrap();
    for secret in ["code", "state"] {
        assert!(!clean.contains(secret), "{clean}");
    }
    let end = browser.come_back(&callback).await;
    assert_eq!(end.status, 200);
    assert!(end.text().contains("is connected to"), "{}", end.text());
    let denied = kit.authorize("bob", Value::Null).await["url"].as_str().unwrap().to_owned();
    assert!(Browser::default().decide(&denied, "deny").await.text().contains("Cancelled"));
}

/// What was granted before is replaced as a whole, by the newest yes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_consent_replaces_the_first() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let first = kit.user_token("alice").await.token();
    let more = json!({"scopes": ["profile:read", "messages:read", "messages:write", "offline_access"], "returnUrl": HOME});
    let started = kit.authorize("alice", more).await;
    let mut browser = Browser::default();
    let page = started["url"].as_str().unwrap();
    let shown = browser.get(page).await.text();
    assert!(shown.contains("It can already"), "{shown}");
    assert_eq!(outcome(&browser.consent(page, "ada").await), ("success".to_owned(), None));
    let asked = json!({"subject": {"type": "user", "id": "alice"}, "scopes": ["messages:write", "messages:read", "profile:read"]});
    let second = kit.ask(&asked).await.token();
    assert_ne!(second, first);
    assert_eq!(
        kit.provider.me(&second).await.unwrap()["scope"],
        "messages:read messages:write offline_access profile:read"
    );
    assert_eq!(kit.grants().await.len(), 1);
}
