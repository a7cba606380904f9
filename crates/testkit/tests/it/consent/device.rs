//! Device codes: entered once, in one browser, by people; not guessed by anybody.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use super::nothing_was_granted;

on_both_engines!(
    a_code_entered_elsewhere_leads_to_tokens,
    a_code_that_was_nearly_guessed_is_worth_nothing,
    wrong_codes_are_counted_by_all_processes_and_after_a_restart,
);

/// Enters a code; what comes back is the answer to the form.
async fn enter(kit: &Kit, browser: &mut Browser, code: &str) -> Answer {
    enter_at(kit.url(), browser, code).await
}

/// The same at a node.
async fn enter_at(node: &str, browser: &mut Browser, code: &str) -> Answer {
    let url = format!("{node}/device");
    let form_token = browser.get(&url).await.hidden("form_token");
    browser.post(&url, &[("form_token", &form_token), ("code", code)]).await
}

/// A browser somewhere else.
fn from(address: &'static str) -> Browser {
    let mut browser = Browser::default();
    browser.headers.push(("x-forwarded-for", address));
    browser
}

async fn start(kit: &Kit) -> (String, Value) {
    let started = kit.authorize("alice", json!({"deviceCode": true})).await;
    (started["deviceCode"].as_str().unwrap().to_owned(), started)
}

/// The first letter changed.
fn spoiled(code: &str) -> String {
    let first = if code.starts_with('B') { "C" } else { "B" };
    format!("{first}{}", &code[1..])
}

/// The last letter changed.
fn nearly(code: &str) -> String {
    let last = if code.ends_with('B') { "C" } else { "B" };
    format!("{}{last}", &code[..8])
}

async fn a_code_entered_elsewhere_leads_to_tokens(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let (code, started) = start(&kit).await;
    assert_eq!(started["url"], format!("{}/device", kit.url()), "no link that holds the code");
    assert!(code.len() == 9 && code.as_bytes()[4] == b'-', "{code}");
    let request = started["request"].as_str().unwrap();
    let page = format!("{}/authorize/{request}", kit.url());
    // Whoever knows or guesses the address of the page has not entered the code.
    let (guess, nonsense) = (
        Browser::default().get(&page).await,
        Browser::default().get(&format!("{}/authorize/car_0000000000000000000000", kit.url())).await,
    );
    assert_eq!((guess.status, guess.text()), (404, nonsense.text()));

    // A restart in between loses nothing.
    kit.restart(async |_| {}).await;
    let mut browser = Browser::default();
    let typed = format!(" {} ", code.to_lowercase().replace('-', " "));
    let on = enter(&kit, &mut browser, &typed).await;
    assert_eq!((on.status, on.header("location")), (303, Some(format!("/authorize/{request}").as_str())));
    kit.clock.pass(Duration::from_secs(130));
    let shown = browser.get(&page).await.text();
    for said in ["Only continue if you started this yourself in", "acme-app", "2 minutes ago", "profile:read"]
    {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    // The code has led one browser on; it leads no other.
    assert_eq!(enter(&kit, &mut from("203.0.113.5"), &code).await.status, 422);
    assert_eq!(Browser::default().get(&page).await.status, 403);
    // The same one may come back to it.
    assert_eq!(enter(&kit, &mut browser, &code).await.status, 303);
    kit.restart(async |_| {}).await;
    let done = browser.consent(&page, "ada").await;
    assert!(done.text().contains("is connected to"), "{}", done.text());
    kit.user_token("alice").await.token();
    let result = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    assert_eq!(kit.manage("GET", &result, None).await.ok()["status"], "success");
    assert_eq!(enter(&kit, &mut browser, &code).await.status, 422, "and is over with its request");
    let entered = kit.events_of("authorization.enter-code").await;
    assert!(entered.len() == 2 && entered[0]["outcome"] == "success", "{entered:?}");
}

async fn a_code_that_was_nearly_guessed_is_worth_nothing(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (code, _) = start(&kit).await;
    let (other, _) = start(&kit).await;
    // From as many addresses as one likes.
    for address in ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"] {
        assert_eq!(enter(&kit, &mut from(address), &nearly(&code)).await.status, 422);
    }
    let right = enter(&kit, &mut from("203.0.113.9"), &code).await;
    let wrong = enter(&kit, &mut from("203.0.113.10"), &spoiled(&other)).await;
    assert_eq!(right.status, 422);
    let without_token = |answer: &Answer| {
        let token = answer.hidden("form_token");
        answer.text().replace(&token, "")
    };
    assert_eq!(without_token(&right), without_token(&wrong), "and answered as if it had never been");
    assert_eq!(enter(&kit, &mut from("203.0.113.11"), &other).await.status, 303, "others still hold");
    nothing_was_granted(&kit).await;
}

async fn wrong_codes_are_counted_by_all_processes_and_after_a_restart(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let (code, _) = start(&kit).await;
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let nodes = second.iter().map(|node| format!("http://{}", node.address)).chain([kit.url().to_owned()]);
    let nodes: Vec<String> = nodes.collect();
    // Right ones in between count for nothing.
    let (other, _) = start(&kit).await;
    for (n, guess) in
        ["BBBB-BBBB", "CCCC-CCCC", &other, "DDDD-DDDD", "FFFF-FFFF", "GGGG-GGGG"].iter().enumerate()
    {
        let answer = enter_at(&nodes[n % nodes.len()], &mut from("198.51.100.7"), guess).await;
        assert_eq!(answer.status, if **guess == *other { 303 } else { 422 }, "{n}: {}", answer.text());
    }
    for node in &nodes {
        assert_eq!(enter_at(node, &mut from("198.51.100.7"), &code).await.status, 429, "{node}");
    }
    drop(second);
    kit.restart(async |_| {}).await;
    assert_eq!(enter(&kit, &mut from("198.51.100.7"), &code).await.status, 429, "it was not forgotten");
    assert_eq!(enter(&kit, &mut from("198.51.100.8"), &code).await.status, 303, "and nobody else waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_guesses_has_to_wait_and_nobody_else() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (code, _) = start(&kit).await;
    for (n, guess) in ["BBBB-BBBB", "nonsense", "", "CCCC-CCCC", "DDDD-DDDD"].into_iter().enumerate() {
        let answer = enter(&kit, &mut from("198.51.100.7"), guess).await;
        assert_eq!(answer.status, 422, "{n}");
    }
    // A fresh browser at the same place is no help, nor is an address that the visitor made up.
    let mut fresh = from("203.0.113.1, 198.51.100.7");
    let held = enter(&kit, &mut fresh, &code).await;
    assert_eq!(held.status, 429);
    assert!(held.text().contains("Try again in 10 minutes"), "{}", held.text());
    let after: u64 = held.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((540..=600).contains(&after), "programs are told in seconds: {after}");
    assert_eq!(enter(&kit, &mut from("198.51.100.8"), &code).await.status, 303);
    kit.clock.pass(Duration::from_mins(10));
    let (later, _) = start(&kit).await;
    assert_eq!(enter(&kit, &mut fresh, &later).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unknown_used_and_expired_codes_look_the_same() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (expired, started) = start(&kit).await;
    let longest = started["expiresAt"].as_i64().unwrap();
    let asked = kit.authorize("bob", json!({"deviceCode": true, "expiresInMs": 3_600_000})).await;
    let more = asked["expiresAt"].as_i64().unwrap() - longest;
    assert!((0..5000).contains(&more), "ten minutes are the most: {more}");
    kit.clock.pass(Duration::from_mins(11));
    let (used, _) = start(&kit).await;
    let mut browser = Browser::default();
    let page = enter(&kit, &mut browser, &used).await.header("location").unwrap().to_owned();
    browser.decide(&format!("{}{page}", kit.url()), "deny").await;
    let mut bodies = Vec::new();
    for (address, code) in [("203.0.113.1", "ZZZZ-ZZZZ"), ("203.0.113.2", &used), ("203.0.113.3", &expired)] {
        let answer = enter(&kit, &mut from(address), code).await;
        assert_eq!(answer.status, 422);
        bodies.push(answer.text().replace(&answer.hidden("form_token"), ""));
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    nothing_was_granted(&kit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_counts_only_from_our_page_in_this_browser() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (code, _) = start(&kit).await;
    let url = format!("{}/device", kit.url());
    let mut browser = Browser::default();
    let form_token = browser.get(&url).await.hidden("form_token");
    let other = Browser::default().get(&url).await.hidden("form_token");
    for token in ["", "0", &"0".repeat(64), &other] {
        let answer = browser.post(&url, &[("form_token", token), ("code", &code)]).await;
        assert_eq!(answer.status, 403, "{token}");
    }
    let mut elsewhere = browser.clone();
    elsewhere.headers.push(("sec-fetch-site", "cross-site"));
    assert_eq!(elsewhere.post(&url, &[("form_token", &form_token), ("code", &code)]).await.status, 403);
    let mut tampered = browser.clone();
    tampered.cookies.values_mut().for_each(|value| *value = "f".repeat(64));
    assert_eq!(tampered.post(&url, &[("form_token", &form_token), ("code", &code)]).await.status, 403);
    assert_eq!(
        Browser::default().post(&url, &[("form_token", &form_token), ("code", &code)]).await.status,
        403
    );
    assert_eq!(browser.post(&url, &[("form_token", &form_token)]).await.status, 400);
    // Twice at once from the same browser: one request, not two.
    let (one, two) = (browser.clone(), browser.clone());
    let posted =
        async |mut tab: Browser| tab.post(&url, &[("form_token", &form_token), ("code", &code)]).await.status;
    assert_eq!(futures_util::future::join(posted(one), posted(two)).await, (303, 303));
    // The link in a page of ours holds no code, and neither does the page.
    let page = browser.get(&url).await;
    assert!(!page.text().contains(&code));
    assert!(page.header("content-security-policy").unwrap().contains("form-action 'self'"));
}

/// With an address to return to the person has a link, and compares the code instead of entering it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_beside_a_link_is_compared() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let started = kit.authorize("alice", json!({"deviceCode": true, "returnUrl": super::HOME})).await;
    let code = started["deviceCode"].as_str().unwrap();
    let page = Browser::default().get(started["url"].as_str().unwrap()).await.text();
    assert!(page.contains("Compare this code") && page.contains(code), "{page}");
    assert_eq!(enter(&kit, &mut Browser::default(), code).await.status, 422, "it opens nothing by itself");
    let without = kit.authorize("alice", json!({"returnUrl": super::HOME})).await;
    assert!(without.get("deviceCode").is_none());
    let page = Browser::default().get(without["url"].as_str().unwrap()).await.text();
    assert!(!page.contains("Compare this code") && !page.contains("You entered a code"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connector_may_do_without_codes() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let rules = format!("/v1/connect/connectors/{}/consent-rules", kit.connector);
    assert_eq!(
        kit.manage("GET", &rules, None).await.ok(),
        json!({"deviceCodes": true, "requireCompletion": false})
    );
    let off = kit.manage("PATCH", &rules, Some(&json!({"deviceCodes": false}))).await.ok();
    assert_eq!(off["deviceCodes"], false);
    let body = json!({"subject": {"type": "user", "id": "alice"}, "deviceCode": true});
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let refused = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
    kit.authorize("alice", Value::Null).await;
    let other = kit.connect("other", Value::Null).await;
    let path = format!("/v1/connect/authorize/{other}");
    kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await.ok();
    // Only people of the team say so.
    let stranger = kit.another_tenant("stranger").await;
    let answer = kit.node.call("PATCH", &rules, Some(&stranger.token), Some(&json!({}))).await;
    assert_eq!(answer.refusal(), (404, "not_found".to_owned()));
    let answer = kit.node.call("PATCH", &rules, Some(&kit.workload("production")), Some(&json!({}))).await;
    assert_eq!(answer.refusal(), (403, "forbidden".to_owned()));
}
