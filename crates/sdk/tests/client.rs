//! The client against a real HTTP server that records what it is sent.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use carnet_model::Code;
use carnet_sdk::{
    AskedSubject, AuditFilter, AuthorizationResult, Client, ConnectorFilter, Credential, Error,
    RevokeRequest, TeamRef, TokenRequest,
};
use serde_json::{Value, json};

#[derive(Debug)]
struct Seen {
    line: String,
    authorization: Option<String>,
    content_type: Option<String>,
    body: Value,
}

type Answer = (u16, Value);

#[derive(Clone)]
struct Peer {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answer>,
}

async fn record(
    State(peer): State<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    peer.seen.lock().unwrap().push(Seen {
        line: format!("{method} {uri}"),
        authorization: text("authorization"),
        content_type: text("content-type"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let (status, body) = (*peer.answer).clone();
    let status = StatusCode::from_u16(status).unwrap();
    let headers = [("x-request-id", "req_1"), ("location", "http://127.0.0.1:1/"), ("retry-after", "4")];
    if status == StatusCode::NO_CONTENT {
        return (status, headers).into_response();
    }
    (status, headers, body.to_string()).into_response()
}

async fn peer(status: u16, body: Value) -> (Peer, url::Url) {
    let peer = Peer { seen: Arc::default(), answer: Arc::new((status, body)) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let app = Router::new().fallback(record).with_state(peer.clone());
    #[expect(clippy::disallowed_methods, reason = "the test's own server")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (peer, url)
}

fn member(url: url::Url) -> Client {
    let credential = Credential::AccessToken("crn_secret".to_owned().into());
    Client::builder(url).credential(credential).team(TeamRef::parse("acme")).build().unwrap()
}

const TOKEN: &str = r#"{"token":"xoxb-1","tokenId":"stk_0000000000000000000001","expiresAt":1784065923026,
    "connector":{"id":"scl_0000000000000000000001","uid":"slack/my-bot","type":"oauth"}}"#;

#[tokio::test]
async fn a_uid_travels_as_one_segment_and_the_request_has_the_members_of_the_wire() {
    let (peer, url) = peer(200, serde_json::from_str(TOKEN).unwrap()).await;
    let ask = TokenRequest {
        subject: Some(AskedSubject::User { id: Some("usr_1".to_owned()), issuer: None }),
        scopes: Some(vec!["chat:write".to_owned()]),
        ..TokenRequest::default()
    };
    let token = member(url).get_token_response("slack/my-bot", &ask).await.unwrap();
    assert_eq!(token.token.expose(), "xoxb-1");
    assert_eq!(serde_json::from_str::<Value>(token.body()).unwrap()["expiresAt"], 1_784_065_923_026_i64);
    assert!(!format!("{token:?}").contains("xoxb"));
    let seen = peer.seen.lock().unwrap();
    assert_eq!(seen[0].line, "POST /v1/connect/token/slack%2Fmy-bot?slug=acme");
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer crn_secret"));
    assert_eq!(seen[0].content_type.as_deref(), Some("application/json"));
    assert_eq!(seen[0].body, json!({"subject": {"type": "user", "id": "usr_1"}, "scopes": ["chat:write"]}));
}

#[tokio::test]
async fn a_workload_names_no_team_because_its_identity_does() {
    let (peer, url) = peer(200, serde_json::from_str(TOKEN).unwrap()).await;
    let client = Client::builder(url)
        .credential(Credential::Identity("a.b.c".to_owned().into()))
        .team(TeamRef::parse("team_0000000000000000000001"))
        .build()
        .unwrap();
    client.get_token_response("scl_1", &TokenRequest::default()).await.unwrap();
    let seen = peer.seen.lock().unwrap();
    assert_eq!(seen[0].line, "POST /v1/connect/token/scl_1");
    assert_eq!(seen[0].body, json!({}));
}

#[tokio::test]
async fn lists_are_asked_for_as_the_wire_says() {
    let (peer, url) = peer(200, json!({"clients": [], "cursor": "c2"})).await;
    let client = member(url);
    let filter = ConnectorFilter {
        with_projects: true,
        services: vec!["Slack".to_owned(), "github".to_owned()],
        limit: Some(5),
        ..ConnectorFilter::default()
    };
    assert_eq!(client.connectors(&filter).await.unwrap().cursor.as_deref(), Some("c2"));
    let project = "prj_0000000000000000000001".parse().unwrap();
    client.connectors(&ConnectorFilter { project: Some(project), ..filter }).await.unwrap();
    let seen = peer.seen.lock().unwrap();
    assert_eq!(
        seen[0].line,
        "GET /v1/connect/connectors?limit=5&include=projects&service=slack%2Cgithub&slug=acme"
    );
    assert!(
        seen[1].line.contains("projectId=prj_0000000000000000000001") && !seen[1].line.contains("include")
    );
}

#[tokio::test]
async fn a_refusal_keeps_what_the_server_said() {
    let (_, url) = peer(
        422,
        json!({"error": {"code": "user_authorization_required", "message": "No.",
        "authorizationUrl": "https://carnet.example/authorize/car_1"}}),
    )
    .await;
    let error = member(url).get_token_response("a/b", &TokenRequest::default()).await.unwrap_err();
    assert!(error.is(Code::UserAuthorizationRequired) && !error.is_transient());
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.request_id.as_deref(), Some("req_1"));
    assert_eq!(refusal.retry_after, Some(4));
    assert_eq!(refusal.text("authorizationUrl"), Some("https://carnet.example/authorize/car_1"));
}

#[tokio::test]
async fn absence_is_an_answer_where_it_is_normal() {
    let (_, url) = peer(404, json!({"error": {"code": "not_found", "message": "No."}})).await;
    let client = member(url);
    let project = "prj_0000000000000000000001".parse().unwrap();
    assert!(client.link("a/b", project).await.unwrap().is_none());
    assert!(!client.delete_link("a/b", project).await.unwrap());
    assert!(client.service("mcp.example.com/mcp").await.unwrap().is_none());
    assert!(client.connector_metadata("a/b").await.unwrap_err().is(Code::NotFound));
}

#[tokio::test]
async fn no_content_is_success() {
    let (peer, url) = peer(204, Value::Null).await;
    member(url).delete_connector("a/b").await.unwrap();
    assert_eq!(peer.seen.lock().unwrap()[0].line, "DELETE /v1/connect/connectors/a%2Fb?slug=acme");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (_, url) = peer(307, Value::Null).await;
    let error = member(url).user().await.unwrap_err();
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(307));
}

#[tokio::test]
async fn an_answer_of_something_else_is_named_and_never_quoted() {
    let (_, url) = peer(200, json!({"token": ["xoxb-secret"], "expiresAt": "soon"})).await;
    let error = member(url).get_token_response("a/b", &TokenRequest::default()).await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedAnswer { .. }));
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("POST /v1/connect/token/…") && !text.contains("xoxb") && !text.contains("soon"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_the_error_holds_no_verifier() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url: url::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = member(url).result(&"verifier-secret".to_owned().into()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { what: "cannot be reached", .. }) && error.is_transient());
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = Client::builder(url).timeout(Duration::from_millis(50)).build().unwrap();
    let error = client.livez().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { what: "does not answer in time", .. }));
}

#[tokio::test]
async fn a_name_that_would_change_the_route_is_not_sent() {
    let (peer, url) = peer(200, json!({})).await;
    let client = member(url);
    for name in ["", ".", ".."] {
        assert!(matches!(client.connector_metadata(name).await, Err(Error::InvalidArgument(_))), "{name:?}");
    }
    assert!(peer.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn results_of_every_kind_are_read() {
    let cases = [
        (json!({"status": "pending"}), AuthorizationResult::Pending),
        (json!({"status": "queued"}), AuthorizationResult::Pending),
        (json!({"status": "canceled"}), AuthorizationResult::Canceled),
        (
            json!({"status": "partial", "progress": "Installing", "data": {"clientId": "scl_1"}}),
            AuthorizationResult::Partial { progress: Some("Installing".to_owned()) },
        ),
        (
            json!({"status": "success", "data": {"clientId": "scl_1", "installationId": "sci_1"}}),
            AuthorizationResult::Success { installation_id: Some("sci_1".to_owned()) },
        ),
        (
            json!({"status": "error", "error": {"code": "access_denied", "message": "No."}}),
            AuthorizationResult::Failed { code: "access_denied".to_owned(), message: "No.".to_owned() },
        ),
    ];
    for (body, want) in cases {
        let (_, url) = peer(200, body).await;
        assert_eq!(member(url).result(&"v".to_owned().into()).await.unwrap(), want);
    }
}

#[tokio::test]
async fn revocation_is_a_delete_with_a_body_and_counters() {
    let (peer, url) = peer(
        200,
        json!({"tokensFound": 2, "deleted": 2, "providerRevoked": 1, "providerSkipped": 0, "providerFailed": 1}),
    )
    .await;
    let which = RevokeRequest { subject: Some(AskedSubject::App), installation_id: None };
    let done = member(url).revoke_token("a/b", &which).await.unwrap();
    assert_eq!((done.deleted, done.provider_failed), (2, 1));
    let seen = peer.seen.lock().unwrap();
    assert_eq!(seen[0].line, "DELETE /v1/connect/connectors/a%2Fb/tokens?slug=acme");
    assert_eq!(seen[0].body, json!({"subject": {"type": "app"}}));
}

#[tokio::test]
async fn the_audit_log_is_paged_by_place() {
    let event = json!({"seq": 7, "at": 1, "actor": {"type": "system"}, "action": "token.issue",
        "target": null, "outcome": "success", "requestId": null, "detail": {}});
    let (peer, url) = peer(200, json!({"events": [event], "next": null})).await;
    let filter = AuditFilter { after: Some(6), limit: Some(1), ..AuditFilter::default() };
    assert_eq!(member(url).audit(&filter).await.unwrap().events[0].seq, 7);
    assert_eq!(peer.seen.lock().unwrap()[0].line, "GET /v1/audit?limit=1&after=6&slug=acme");
}

#[tokio::test]
async fn a_server_that_is_not_ready_says_why() {
    let (_, url) = peer(503, json!({"status": "unavailable", "checks": {"store": "locked"}})).await;
    let (ready, readiness) = member(url).readyz().await.unwrap();
    assert!(!ready);
    assert_eq!(readiness.checks["store"], "locked");
}
