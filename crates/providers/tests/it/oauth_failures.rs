//! What goes wrong at a token endpoint, and what it means.

use carnet_egress::{Egress, Policy};
use carnet_providers::{ConnectorSecrets, DriverError};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::bench::{Bench, outcome};
use crate::server::{Reply, Seen};

fn error(status: u16, code: &str) -> Reply {
    Reply::json(status, json!({"error": code, "error_description": "because"}))
}

fn suberror(sub: &str) -> Reply {
    Reply::json(400, json!({"error": "invalid_grant", "suberror": sub}))
}

/// Each row: the answer, then what it means for a refresh, for an application's token, and for a code.
#[tokio::test]
async fn every_answer_has_its_meaning() {
    let html = Reply::text(200, "text/html", "<!doctype html>");
    let empty = |status| Reply::text(status, "text/plain", "");
    let form = Reply::text(200, "application/x-www-form-urlencoded", "error=bad_refresh_token");
    let mac = Reply::json(200, json!({"access_token": "at", "token_type": "mac"}));
    let huge = Reply::json(200, json!({"access_token": "at", "x": "x".repeat(300_000)}));
    let rows: Vec<(Reply, &str, &str, &str)> = vec![
        // The grant.
        (
            error(400, "invalid_grant"),
            "gone revoked_at_provider",
            "refused invalid_grant",
            "callback CodeRefused",
        ),
        (
            error(401, "invalid_grant"),
            "gone revoked_at_provider",
            "refused invalid_grant",
            "callback CodeRefused",
        ),
        (
            error(200, "invalid_grant"),
            "gone revoked_at_provider",
            "refused invalid_grant",
            "callback CodeRefused",
        ),
        (
            error(200, "bad_refresh_token"),
            "gone revoked_at_provider",
            "refused bad_refresh_token",
            "callback CodeRefused",
        ),
        (form, "gone revoked_at_provider", "refused bad_refresh_token", "callback CodeRefused"),
        (suberror("bad_token"), "gone revoked_at_provider", "refused invalid_grant", "callback CodeRefused"),
        (
            suberror("consent_required"),
            "gone interaction_required",
            "refused invalid_grant",
            "callback CodeRefused",
        ),
        (
            error(400, "interaction_required"),
            "gone interaction_required",
            "refused interaction_required",
            "refused interaction_required",
        ),
        (
            error(400, "consent_required"),
            "gone interaction_required",
            "refused consent_required",
            "refused consent_required",
        ),
        // The client. Nobody's grant is dead.
        (
            error(401, "invalid_client"),
            "client rejected invalid_client",
            "client rejected invalid_client",
            "client rejected invalid_client",
        ),
        (
            error(400, "invalid_client"),
            "client rejected invalid_client",
            "client rejected invalid_client",
            "client rejected invalid_client",
        ),
        (
            error(400, "unauthorized_client"),
            "client rejected unauthorized_client",
            "client rejected unauthorized_client",
            "client rejected unauthorized_client",
        ),
        (
            error(200, "incorrect_client_credentials"),
            "client rejected incorrect_client_credentials",
            "client rejected incorrect_client_credentials",
            "client rejected incorrect_client_credentials",
        ),
        (
            error(401, "whatever"),
            "client rejected whatever",
            "client rejected whatever",
            "client rejected whatever",
        ),
        (empty(401), "client rejected", "client rejected", "client rejected"),
        // Wait.
        (empty(429), "later", "later", "later"),
        (error(429, "invalid_grant").with("retry-after", "7"), "later 7s", "later 7s", "later 7s"),
        (error(400, "slow_down"), "later", "later", "later"),
        (error(400, "RATELIMITED"), "later", "later", "later"),
        (error(200, "ratelimited"), "later", "later", "later"),
        (
            error(503, "temporarily_unavailable").with("retry-after", "99999"),
            "later 3600s",
            "later 3600s",
            "later 3600s",
        ),
        // 2027-01-15T08:01:30Z, a minute and a half from now
        (
            empty(429).with("retry-after", "Fri, 15 Jan 2027 08:01:30 GMT"),
            "later 90s",
            "later 90s",
            "later 90s",
        ),
        (empty(429).with("retry-after", "tomorrow"), "later", "later", "later"),
        // Broken inside: it may have been done.
        (empty(500), "later in doubt", "later in doubt", "later in doubt"),
        (error(500, "invalid_grant"), "later in doubt", "later in doubt", "later in doubt"),
        (error(400, "server_error"), "later in doubt", "later in doubt", "later in doubt"),
        (empty(502), "later in doubt", "later in doubt", "later in doubt"),
        (empty(503).with("retry-after", "3"), "later 3s in doubt", "later 3s in doubt", "later 3s in doubt"),
        (Reply::HangUp, "later in doubt", "later in doubt", "later in doubt"),
        (Reply::Truncated, "later in doubt", "later in doubt", "later in doubt"),
        // Not an answer: with a good status it was done, with another it was not.
        (html, "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (Reply::json(200, "{\"access_token\":"), "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (Reply::json(200, "{}"), "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (mac, "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (huge, "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (empty(204), "garbage in doubt", "garbage in doubt", "garbage in doubt"),
        (empty(400), "garbage", "garbage", "garbage"),
        (Reply::text(403, "text/html", "<h1>Forbidden</h1>"), "garbage", "garbage", "garbage"),
        (empty(404), "garbage", "garbage", "garbage"),
        (empty(307).with("location", "/elsewhere"), "garbage", "garbage", "garbage"),
        // Refused for what was asked.
        (
            error(400, "invalid_scope"),
            "refused invalid_scope",
            "refused invalid_scope",
            "refused invalid_scope",
        ),
        (
            error(400, "invalid_target"),
            "refused invalid_target",
            "refused invalid_target",
            "refused invalid_target",
        ),
        (
            error(400, "invalid_request"),
            "refused invalid_request",
            "refused invalid_request",
            "refused invalid_request",
        ),
        (
            error(400, "unsupported_grant_type"),
            "refused unsupported_grant_type",
            "refused unsupported_grant_type",
            "refused unsupported_grant_type",
        ),
        (
            error(403, "never_heard_of"),
            "refused never_heard_of",
            "refused never_heard_of",
            "refused never_heard_of",
        ),
    ];
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    for (reply, refresh, app, code) in rows {
        bench.server.on("/token", reply.clone());
        assert_eq!(outcome(&made.refresh(&held, "").await), refresh, "refresh: {reply:.200?}");
        assert_eq!(outcome(&made.app("read").await), app, "application: {reply:.200?}");
        let (_, kept) = made.begin(|_| ()).await.unwrap();
        assert_eq!(outcome(&made.finish("code=c", &kept).await), code, "code: {reply:.200?}");
        let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
        assert_eq!(lines, ["POST /token"; 3], "each was sent once and followed nowhere: {reply:.200?}");
        bench.server.forget("/token");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_leaves_no_doubt() {
    let bench = Bench::new();
    // Bound, so that nobody else gets it, and without anybody who takes a connection.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap();
    let made =
        bench.oauth(json!({"serverConfig": {"token_endpoint": format!("http://{closed}/token")}})).await;
    assert_eq!(outcome(&made.app("read").await), "later");
}

#[tokio::test]
async fn an_address_that_is_no_longer_allowed_is_the_configurations_fault() {
    let mut bench = Bench::new();
    let accepted = bench
        .accept(carnet_model::connector::ConnectorType::Oauth, bench.oauth_data(json!({})))
        .await
        .unwrap();
    bench.http = Egress::new(Policy::default()).unwrap();
    let made = crate::bench::Made::new(&bench, carnet_model::connector::ConnectorType::Oauth, accepted);
    assert_eq!(outcome(&made.app("read").await), "misconfigured serverConfig.token_endpoint");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn stored_configuration_that_cannot_be_read_is_named_and_nothing_is_sent() {
    let bench = Bench::new();
    let mut made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    made.secrets = ConnectorSecrets::default();
    assert_eq!(outcome(&made.refresh(&held, "").await), "misconfigured clientSecret");
    made.connector.data.remove("serverConfig");
    assert_eq!(outcome(&made.refresh(&held, "").await), "misconfigured serverConfig");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn no_error_holds_what_was_sent_in_confidence() {
    let bench = Bench::new();
    for method in ["client_secret_post", "client_secret_basic"] {
        let made =
            bench.oauth(json!({"tokenEndpointAuthMethod": method, "clientSecret": "very-secret-1"})).await;
        let (_, kept) = made.begin(|_| ()).await.unwrap();
        let verifier = kept.verifier.as_ref().unwrap().expose();
        let words = format!("very-secret-1 code-42 {verifier} \u{7}<script>");
        bench
            .server
            .on("/token", Reply::json(400, json!({"error": "invalid_request", "error_description": words})));
        let failed = made.finish("code=code-42", &kept).await.unwrap_err();
        let shown = format!("{failed} {failed:?}");
        for secret in ["very-secret-1", "code-42", verifier] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let DriverError::Refused { vendor } = failed else { panic!("{shown}") };
        assert_eq!(
            serde_json::to_value(&vendor).unwrap(),
            json!({"status": 400, "error": "invalid_request", "description": "[secret] [secret] [secret] <script>"})
        );
        bench.server.forget("/token");
    }
}
