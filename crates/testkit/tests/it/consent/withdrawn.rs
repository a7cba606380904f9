//! What changes while a person is at the page or at the provider: the link, and the client that the connector is.

use carnet_testkit::{Browser, Engine, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use super::{HOME, exchanges, outcome, to_the_callback};

on_both_engines!(
    what_may_be_asked_no_more_is_not_consented_to,
    a_code_goes_to_no_other_client,
    what_waits_to_be_confirmed_goes_to_no_other_client,
    a_code_for_one_thing_is_not_redeemed_for_another,
);

/// Alice's request, with a webhook: its page, and where its outcome is asked for.
async fn begin(kit: &Kit, receiver: &Receiver, path: &str) -> (String, String) {
    let more = json!({"returnUrl": HOME, "webhook": receiver.url(path)});
    let started = kit.authorize("alice", more).await;
    let result = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    (started["url"].as_str().unwrap().to_owned(), result)
}

/// It ended with this code, everywhere, and left nothing.
async fn failed(kit: &Kit, receiver: &Receiver, (path, result): (&str, &str), code: &str) {
    assert_eq!(kit.manage("GET", result, None).await.ok()["error"]["code"], code, "{path}");
    let told = receiver.at(path).await;
    assert_eq!(
        (&told.body["status"], &told.body["error"]["code"]),
        (&json!("error"), &json!(code)),
        "{path}"
    );
    assert_eq!(exchanges(kit), 0, "{path}");
    assert!(kit.grants().await.is_empty(), "{path}");
}

async fn what_may_be_asked_no_more_is_not_consented_to(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    let all = json!({"environments": ["production", "preview", "development"]});
    let fewer = json!({"environments": ["preview", "development"]});
    let forbidden = ("error".to_owned(), Some("forbidden".to_owned()));
    for (name, method, body) in [("detached", "DELETE", None), ("environment", "POST", Some(&fewer))] {
        // While the person reads.
        let path = format!("/{name}-page");
        let (page, result) = begin(&kit, &receiver, &path).await;
        let mut browser = Browser::default();
        let form_token = browser.get(&page).await.hidden("form_token");
        assert!(kit.manage(method, &link, body).await.status < 300);
        let answer = browser.post(&page, &[("form_token", &form_token), ("decision", "allow")]).await;
        assert_eq!(outcome(&answer), forbidden, "{name}: at the yes");
        failed(&kit, &receiver, (&path, &result), "forbidden").await;
        kit.manage("POST", &link, Some(&all)).await.ok();
        // While the person is at the provider.
        let path = format!("/{name}-away");
        let (page, result) = begin(&kit, &receiver, &path).await;
        let callback = to_the_callback(&mut browser, &page).await;
        assert!(kit.manage(method, &link, body).await.status < 300);
        assert_eq!(outcome(&browser.get(&callback).await), forbidden, "{name}: at the callback");
        failed(&kit, &receiver, (&path, &result), "forbidden").await;
        kit.manage("POST", &link, Some(&all)).await.ok();
    }
}

async fn a_code_goes_to_no_other_client(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let (page, result) = begin(&kit, &receiver, "/client").await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    let other = json!({"data": {"clientId": "another", "clientSecret": "secret-of-another"}});
    kit.manage("PATCH", &connector, Some(&other)).await.ok();
    let ended = outcome(&browser.get(&callback).await);
    assert_eq!(ended, ("error".to_owned(), Some("authorization_failed".to_owned())));
    failed(&kit, &receiver, ("/client", &result), "authorization_failed").await;
    // Another secret of the same client is no other client.
    let same: Value = json!({"data": kit.data()});
    kit.manage("PATCH", &connector, Some(&same)).await.ok();
    let (page, _) = begin(&kit, &receiver, "/secret").await;
    let callback = to_the_callback(&mut browser, &page).await;
    kit.manage("PATCH", &connector, Some(&same)).await.ok();
    assert_eq!(outcome(&browser.get(&callback).await).0, "success");
}

async fn what_waits_to_be_confirmed_goes_to_no_other_client(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    let rules = format!("{connector}/consent-rules");
    kit.manage("PATCH", &rules, Some(&json!({"requireCompletion": true}))).await.ok();
    let (page, result) = begin(&kit, &receiver, "/parked").await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let back = Url::parse(browser.get(&callback).await.header("location").unwrap()).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "completion_code").unwrap().1.into_owned();
    let given = kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1;
    assert!(kit.provider.me(&given).await.is_some());
    let other = json!({"data": {"clientId": "another", "clientSecret": "secret-of-another"}});
    kit.manage("PATCH", &connector, Some(&other)).await.ok();
    let body = json!({"code": code});
    let bearer = kit.workload("production");
    let late = kit.node.call("POST", "/v1/connect/authorize/complete", Some(&bearer), Some(&body)).await;
    assert_eq!(late.refusal(), (404, "not_found".to_owned()));
    assert!(kit.grants().await.is_empty());
    // Whoever waits is told, and who gave it is told as the client to which it was given.
    assert_eq!(receiver.at("/parked").await.body["error"]["code"], "expired_token");
    assert_eq!(kit.manage("GET", &result, None).await.ok()["error"]["code"], "expired_token");
    eventually("it is given back", async || kit.provider.me(&given).await.is_none().then_some(())).await;
}

async fn a_code_for_one_thing_is_not_redeemed_for_another(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let (page, result) = begin(&kit, &receiver, "/target").await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    let other = json!({"data": {"resource": "https://another.example/api"}});
    kit.manage("PATCH", &connector, Some(&other)).await.ok();
    assert_eq!(browser.get(&callback).await.status, 410);
    failed(&kit, &receiver, ("/target", &result), "expired_token").await;
}
