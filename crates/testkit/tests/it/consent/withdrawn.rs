//! What changes while a person is at the page or at the provider: the link, and the client that the connector is.

use carnet_testkit::{Browser, Engine, Kit, Plan, Receiver, on_both_engines};
use serde_json::{Value, json};

use super::{HOME, exchanges, outcome, to_the_callback};

on_both_engines!(what_may_be_asked_no_more_is_not_consented_to, a_code_goes_to_no_other_client,);

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
