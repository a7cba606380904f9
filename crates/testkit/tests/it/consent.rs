//! Consent: from the request for it to the grant, and everything that must not lead to one.

mod adding;
mod completion;
mod confirm;
mod device;
mod keys;
mod lapse;
mod parameters;
mod progress;
mod protection;
mod walk;
mod withdrawn;

use carnet_testkit::{Answer, Browser, Kit};
pub(crate) use completion::verified;
use serde_json::{Value, json};

/// Where the application wants its people back.
const HOME: &str = "https://app.example/back?tab=2";

/// A request for Alice's consent that returns to the application: its page, and the whole answer.
async fn begin(kit: &Kit) -> (String, Value) {
    let started = kit.authorize("alice", json!({"returnUrl": HOME})).await;
    (started["url"].as_str().unwrap().to_owned(), started)
}

/// The way to the callback with a yes everywhere, as Ada.
async fn to_the_callback(browser: &mut Browser, page: &str) -> String {
    let provider = browser.leave(page).await;
    browser.at_provider(&provider, "allow", "ada").await
}

/// The outcome in the application's address: a redirect after the callback, a page with a link after a form of ours.
#[track_caller]
fn outcome(answer: &Answer) -> (String, Option<String>) {
    let to = answer.header("location").map_or_else(|| answer.link(), str::to_owned);
    let to = url::Url::parse(&to).unwrap();
    assert_eq!(to.host_str(), Some("app.example"));
    let value =
        |name: &str| to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(value("tab").as_deref(), Some("2"), "the application's own parameters stay");
    (value("status").unwrap(), value("error"))
}

/// How many codes were exchanged.
fn exchanges(kit: &Kit) -> usize {
    kit.provider.requests("authorization_code")
}

/// Alice has given nothing.
async fn nothing_was_granted(kit: &Kit) {
    assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    assert!(kit.grants().await.is_empty());
}

/// The address with this parameter changed, or without it.
fn with(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = url::Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}
