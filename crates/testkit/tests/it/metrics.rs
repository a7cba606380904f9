//! Figures for a program on this machine.

use carnet_testkit::{Engine, Kit, Plan};
use serde_json::json;

use crate::of;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_and_refused_is_counted_and_nothing_that_was_entrusted_is_told() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    for _ in 0..2 {
        kit.user_token("alice").await.token();
    }
    assert_eq!(kit.user_token("nobody").await.status, 422);
    let stranger = kit.node.token("crn_stranger", Kit::UID, &of("alice")).await;
    assert_eq!(stranger.status, 401);
    let martian = kit.http.send("MARTIAN", &format!("{}/v2/user", kit.url()), &[], "").await;
    assert_eq!(martian.status, 405);

    let url = format!("{}/metrics", kit.url());
    let answer = kit.http.send("GET", &url, &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4")));
    let text = answer.text();
    let token = "route=\"/v1/connect/token/{connector}\"";
    for line in [
        "carnet_ready 1",
        &format!("carnet_requests_total{{{token},method=\"POST\",status=\"200\"}} 2"),
        &format!("carnet_requests_total{{{token},method=\"POST\",status=\"422\"}} 1"),
        &format!("carnet_request_seconds_count{{{token}}} 4"),
        "carnet_requests_total{route=\"/v2/user\",method=\"other\",status=\"405\"} 1",
        "carnet_refusals_total{code=\"user_authorization_required\"} 1",
        "carnet_refusals_total{code=\"unauthorized\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    for (name, secret) in kit.provider.secrets() {
        assert!(!text.contains(&secret), "{name}");
    }
    assert!(!text.contains("MARTIAN") && !text.contains("alice"), "{text}");

    // Whoever asks through a proxy, or by another name, is told what is told where there is nothing.
    let nowhere = kit.http.send("GET", &format!("{}/metrix", kit.url()), &[], "").await;
    assert_eq!(nowhere.json()["error"]["code"], json!("not_found"));
    for header in [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
        ("host", "connect.example.com"),
    ] {
        let elsewhere = kit.http.send("GET", &url, &[header], "").await;
        assert_eq!((elsewhere.status, elsewhere.json()), (404, nowhere.json()), "{header:?}");
    }
}
