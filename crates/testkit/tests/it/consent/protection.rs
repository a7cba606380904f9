//! What must not lead to a grant: other browsers, other sites, old links, altered answers, other people's codes.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{begin, exchanges, nothing_was_granted, outcome, to_the_callback, with};

on_both_engines!(
    a_callback_counts_only_in_the_browser_that_said_yes,
    nothing_comes_of_a_callback_where_nobody_has_gone_yet,
    a_reload_shows_the_same_end_and_exchanges_nothing_again,
    a_request_that_has_expired_is_of_no_use,
    yes_is_said_to_what_was_read_and_to_nothing_added_since,
);

async fn a_callback_counts_only_in_the_browser_that_said_yes(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    assert_eq!(Browser::default().get(&callback).await.status, 403, "no cookie");
    let mut other = Browser::default();
    other.get(&begin(&kit).await.0).await;
    assert_eq!(other.get(&callback).await.status, 403, "another cookie");
    assert_eq!(other.get(&page).await.status, 403, "nor is the page shown there any more");
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
    // And the one who said yes is not disturbed by it.
    assert_eq!(outcome(&browser.get(&callback).await), ("success".to_owned(), None));
}

/// By a program that looks whether a link is good, or by the browser before its person goes there.
async fn nothing_comes_of_a_callback_where_nobody_has_gone_yet(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let head = browser.head(&callback).await;
    assert_eq!((head.status, head.header("allow")), (405, Some("GET")));
    for (name, value) in
        [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]
    {
        let mut tab = browser.clone();
        tab.headers.push((name, value));
        let ahead = tab.get(&callback).await;
        assert_eq!((ahead.status, ahead.header("cache-control")), (503, Some("no-store")), "{name}");
    }
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
    assert_eq!(outcome(&browser.get(&callback).await), ("success".to_owned(), None));
    assert_eq!(exchanges(&kit), 1);
}

async fn a_reload_shows_the_same_end_and_exchanges_nothing_again(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let many = join_all((0..8).map(|_| {
        let mut tab = browser.clone();
        let callback = callback.clone();
        async move { tab.get(&callback).await }
    }));
    for answer in many.await {
        assert_eq!(outcome(&answer), ("success".to_owned(), None));
    }
    assert_eq!(outcome(&browser.get(&callback).await), ("success".to_owned(), None));
    assert_eq!(exchanges(&kit), 1);
    assert_eq!(kit.events_of("authorization.complete").await.len(), 1);
    // The provider would have ended the grant if the code had come twice.
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());

    assert_eq!(Browser::default().get(&page).await.status, 410, "the end is not for other browsers");
    let form_token = "0".repeat(64);
    let again = browser.post(&page, &[("form_token", &form_token), ("decision", "allow")]).await;
    assert_eq!(again.status, 410, "and the link is used up");
}

async fn a_request_that_has_expired_is_of_no_use(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (early, _) = begin(&kit).await;
    let (page, started) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    kit.clock.pass(Duration::from_mins(11));
    assert_eq!(Browser::default().get(&early).await.status, 410);
    assert_eq!(browser.get(&callback).await.status, 410);
    assert_eq!(exchanges(&kit), 0);
    nothing_was_granted(&kit).await;
    let result = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    assert_eq!(kit.manage("GET", &result, None).await.ok()["error"]["code"], "expired_token");

    let short = kit.authorize("alice", json!({"expiresInMs": 60_000})).await;
    kit.clock.pass(Duration::from_secs(61));
    assert_eq!(Browser::default().get(short["url"].as_str().unwrap()).await.status, 410);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_was_altered_is_refused() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let other = kit.connect("other", Value::Null).await;
    let mut browser = Browser::default();
    let (page, _) = begin(&kit).await;
    let callback = to_the_callback(&mut browser, &page).await;
    let state =
        url::Url::parse(&callback).unwrap().query_pairs().find(|(k, _)| k == "state").unwrap().1.into_owned();
    let flipped = format!("{}{}", &state[1..], &state[..1]);
    for (name, altered, status) in [
        ("another state", with(&callback, "state", Some(&flipped)), 404),
        ("no state", with(&callback, "state", None), 404),
        ("two states", format!("{callback}&state={state}"), 404),
        ("another connector", callback.replace("/callback?", &format!("/callback/{other}?")), 404),
        ("nonsense", callback.replace("/callback?", "/callback/%00?"), 404),
    ] {
        assert_eq!(browser.get(&altered).await.status, status, "{name}");
    }
    assert_eq!(exchanges(&kit), 0);
    // None of it has used the request up. What follows does: it came with the right state.
    assert_eq!(outcome(&browser.get(&callback).await).0, "success");
    kit.manage("DELETE", &format!("/v1/connect/connectors/{}/tokens", kit.connector), Some(&json!({})))
        .await
        .ok();
    for (name, alter) in [
        ("another issuer", (|url| with(url, "iss", Some("https://evil.example"))) as fn(&str) -> String),
        ("no issuer", |url| with(url, "iss", None)),
        ("two issuers", |url| format!("{url}&iss=https%3A%2F%2Fevil.example")),
        ("two codes", |url| format!("{url}&code=another")),
        ("no code", |url| with(url, "code", None)),
    ] {
        let (page, _) = begin(&kit).await;
        let before = exchanges(&kit);
        let callback = to_the_callback(&mut browser, &page).await;
        let back = browser.get(&alter(&callback)).await;
        assert_eq!(outcome(&back), ("error".to_owned(), Some("authorization_failed".to_owned())), "{name}");
        assert_eq!(exchanges(&kit), before, "{name}: the code goes nowhere");
        // The right answer comes too late.
        assert_eq!(outcome(&browser.get(&callback).await).0, "error", "{name}");
    }
    nothing_was_granted(&kit).await;
}

/// PKCE: a code is worth something only with the verifier of the request that it was given for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_of_another_request_is_worth_nothing() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let mut browser = Browser::default();
    let (stolen_from, _) = begin(&kit).await;
    let stolen = to_the_callback(&mut Browser::default(), &stolen_from).await;
    let code =
        url::Url::parse(&stolen).unwrap().query_pairs().find(|(k, _)| k == "code").unwrap().1.into_owned();
    let (page, _) = begin(&kit).await;
    let callback = to_the_callback(&mut browser, &page).await;
    let back = browser.get(&with(&callback, "code", Some(&code))).await;
    assert_eq!(outcome(&back), ("error".to_owned(), Some("authorization_failed".to_owned())));
    nothing_was_granted(&kit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_counts_only_from_our_page_in_this_browser() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let form_token = browser.get(&page).await.hidden("form_token");
    let (other_page, _) = begin(&kit).await;
    let of_other_request = browser.get(&other_page).await.hidden("form_token");
    let of_other_browser = Browser::default().get(&page).await.hidden("form_token");
    for decision in ["allow", "deny"] {
        for (name, token) in [
            ("nothing", ""),
            ("zeros", &"0".repeat(64)),
            ("another request's", &of_other_request),
            ("another browser's", &of_other_browser),
        ] {
            let answer = browser.post(&page, &[("form_token", token), ("decision", decision)]).await;
            assert_eq!(answer.status, 403, "{decision} with {name}");
        }
        let mut bare = Browser::default();
        let answer = bare.post(&page, &[("form_token", &form_token), ("decision", decision)]).await;
        assert_eq!(answer.status, 403, "{decision} without the cookie");
        for site in ["cross-site", "same-site"] {
            let mut elsewhere = browser.clone();
            elsewhere.headers.push(("sec-fetch-site", site));
            let answer = elsewhere.post(&page, &[("form_token", &form_token), ("decision", decision)]).await;
            assert_eq!(answer.status, 403, "{decision} posted {site}");
        }
    }
    let answer = browser.post(&page, &[("form_token", &form_token), ("decision", "maybe")]).await;
    assert_eq!(answer.status, 400);
    browser.headers.push(("sec-fetch-site", "same-origin"));
    let answer = browser.post(&page, &[("form_token", &form_token), ("decision", "allow")]).await;
    assert_eq!(answer.status, 200, "and the right one still counts");
    assert!(answer.link().starts_with(&kit.provider.issuer()));
    nothing_was_granted(&kit).await;
}

/// A person who goes back and says yes again starts anew at the provider; the first way is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_second_yes_the_state_of_the_first_is_worth_nothing() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let first = to_the_callback(&mut browser, &page).await;
    let second = to_the_callback(&mut browser, &page).await;
    assert_eq!(browser.get(&first).await.status, 404);
    assert_eq!(outcome(&browser.get(&second).await).0, "success");
    assert_eq!(exchanges(&kit), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_request_is_a_page_and_not_a_failure() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for path in
        ["/authorize/car_0000000000000000000000", "/authorize/nonsense", "/callback", "/callback?state=x"]
    {
        let answer = Browser::default().get(&format!("{}{path}", kit.url())).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{path}");
    }
}

/// The request belongs to its connector: when that goes, the request goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_of_a_removed_connector_is_gone() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    assert_eq!(
        kit.manage("DELETE", &format!("/v1/connect/connectors/{}", kit.connector), None).await.status,
        204
    );
    assert_eq!(browser.get(&callback).await.status, 404);
    assert_eq!(browser.get(&page).await.status, 404);
    assert_eq!(exchanges(&kit), 0);
}

async fn yes_is_said_to_what_was_read_and_to_nothing_added_since(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let read = browser.get(&page).await;
    assert!(!read.text().contains("messages:write"));
    let scopes = ["profile:read", "messages:read", "messages:write", "offline_access"];
    let more = json!({"data": {"userAuthorization": {"enabled": true, "scopes": scopes}}});
    kit.manage("PATCH", &format!("/v1/connect/connectors/{}", kit.connector), Some(&more)).await.ok();
    let (token, path) = (read.hidden("form_token"), page.replacen(kit.url(), "", 1));
    let said = browser.post(&page, &[("form_token", &token), ("decision", "allow")]).await;
    assert_eq!((said.status, said.header("location")), (303, Some(path.as_str())), "{}", said.text());
    assert!(kit.events_of("authorization.approve").await.is_empty());
    // The page says it now; and no can be said to either.
    let there = browser.leave(&page).await;
    assert!(there.contains("messages%3Awrite"), "{there}");
    let (page, _) = begin(&kit).await;
    let mut browser = Browser::default();
    let read = browser.get(&page).await;
    let fewer = json!({"data": {"userAuthorization": {"enabled": true, "scopes": ["profile:read"]}}});
    kit.manage("PATCH", &format!("/v1/connect/connectors/{}", kit.connector), Some(&fewer)).await.ok();
    let token = read.hidden("form_token");
    browser.post(&page, &[("form_token", &token), ("decision", "deny")]).await;
    assert_eq!(kit.events_of("authorization.complete").await.len(), 1);
}
