//! Telling the server that a grant is no longer wanted.

use carnet_providers::{At, Held, Revocation};
use serde_json::json;

use crate::bench::{Bench, NOW, outcome, standing_at};
use crate::server::Reply;

#[tokio::test]
async fn the_refresh_token_is_revoked_first_and_then_the_access_token() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    bench.server.on("/revoke", Reply::text(200, "text/plain", ""));
    assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::Revoked);
    let seen = bench.server.seen();
    let told: Vec<_> = seen
        .iter()
        .map(|s| (s.line(), s.field("token").unwrap(), s.field("token_type_hint").unwrap()))
        .collect();
    let line = "POST /revoke".to_owned();
    assert_eq!(
        told,
        [
            (line.clone(), "rt0".to_owned(), "refresh_token".to_owned()),
            (line, "at0".to_owned(), "access_token".to_owned()),
        ]
    );
    assert_eq!(seen[0].names(), ["token", "token_type_hint", "client_id", "client_secret"]);
}

#[tokio::test]
async fn an_access_token_that_has_ended_is_not_revoked() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    bench.server.on(
        "/token",
        Reply::json(200, json!({"access_token": "at", "expires_in": 60, "refresh_token": "rt"})),
    );
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let held = made.finish("code=c", &kept).await.unwrap().held;
    bench.server.seen();
    bench.server.on("/revoke", Reply::text(200, "text/plain", ""));
    let env = standing_at(NOW + 61);
    let later = At { env: &env, ..made.at() };
    assert_eq!(made.driver.revoke(&later, &held).await.unwrap(), Revocation::Revoked);
    assert_eq!(bench.server.only().field("token").as_deref(), Some("rt"));
}

#[tokio::test]
async fn a_token_of_the_application_can_be_revoked_alone() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    bench.server.on("/revoke", Reply::text(200, "text/plain", ""));
    let held = Held::of_access("at".to_owned().into());
    assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::Revoked);
    let seen = bench.server.only();
    assert_eq!(seen.field("token").as_deref(), Some("at"));
    assert_eq!(seen.field("token_type_hint").as_deref(), Some("access_token"));
}

#[tokio::test]
async fn what_a_server_cannot_revoke_is_told_apart_from_what_it_would_not() {
    let unsupported = Reply::json(400, json!({"error": "unsupported_token_type"}));
    let fine = Reply::text(200, "text/plain", "");
    for (replies, want) in [
        (vec![unsupported.clone()], "NotSupported"),
        (vec![unsupported.clone(), fine.clone()], "Revoked"),
        (vec![fine.clone(), unsupported], "Revoked"),
        // Not known there any more, in the words of servers that do not keep to RFC 7009 §2.2.
        (vec![fine.clone(), Reply::json(400, json!({"error": "invalid_token"}))], "Revoked"),
        (vec![Reply::json(401, json!({"error": "invalid_token"}))], "client rejected invalid_token"),
        (vec![Reply::json(401, json!({"error": "invalid_client"}))], "client rejected invalid_client"),
        (vec![Reply::text(503, "text/plain", "").with("retry-after", "5")], "later 5s in doubt"),
        (vec![Reply::text(405, "text/html", "")], "garbage"),
        (vec![fine, Reply::json(400, json!({"error": "invalid_request"}))], "refused invalid_request"),
        (vec![Reply::HangUp], "later in doubt"),
    ] {
        let bench = Bench::new();
        let made = bench.oauth(json!({})).await;
        let held = made.granted().await;
        for reply in &replies {
            bench.server.on("/revoke", reply.clone());
        }
        let got = made.driver.revoke(&made.at(), &held).await;
        let shown = got.as_ref().map_or_else(|_| outcome(&got), |done| format!("{done:?}"));
        assert_eq!(shown, want, "{replies:?}");
    }
}

#[tokio::test]
async fn a_server_without_the_endpoint_is_not_asked() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"serverConfig": {"revocation_endpoint": null}})).await;
    let held = made.granted().await;
    assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::NotSupported);
    assert_eq!(bench.server.seen(), []);
}
