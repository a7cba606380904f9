//! The server of the tests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{CONNECTOR, PROJECT, TEAM, USER};

/// A running server that records what it is asked.
pub(crate) struct Peer {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) bearer: String,
    pub(crate) body: Value,
}

type Answers = Arc<dyn Fn(&str, &Value, &str) -> Option<(u16, Value)> + Send + Sync>;

#[derive(Clone)]
struct Desk {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Answers,
    /// Whether the query belongs to what is answered.
    whole: bool,
    url: String,
}

impl Peer {
    /// One with the usual answers.
    pub(crate) fn usual() -> Self {
        Self::with(|_, _, _| None)
    }

    /// One whose answers depend on the query too: `answers` gets method, path and query, and the body.
    pub(crate) fn following(
        answers: impl Fn(&str, &Value) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(move |line: &str, body: &Value, _: &str| answers(line, body)), true)
    }

    /// One that answers some requests in its own way. `answers` gets method and path, body and the server's address.
    pub(crate) fn with(
        answers: impl Fn(&str, &Value, &str) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(answers), false)
    }

    fn start(answers: Answers, whole: bool) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::default();
        let desk = Desk { seen: Arc::clone(&seen), answers, whole, url: url.clone() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(desk)).await
            })
        });
        Self { url, seen }
    }

    /// What it was asked, without query.
    pub(crate) fn lines(&self) -> Vec<String> {
        let without_query = |seen: &Seen| seen.line.split('?').next().unwrap().to_owned();
        self.seen.lock().unwrap().iter().map(without_query).collect()
    }

    /// Everything it was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The body of the first request whose method and path begin so.
    #[track_caller]
    pub(crate) fn body(&self, line: &str) -> Value {
        let seen = self.seen();
        let found = seen.iter().find(|seen| seen.line.starts_with(line));
        found.unwrap_or_else(|| panic!("no {line} in {seen:?}")).body.clone()
    }
}

async fn answer(
    State(desk): State<Desk>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let line = format!("{method} {uri}");
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let bearer =
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    desk.seen.lock().unwrap().push(Seen { line: line.clone(), bearer, body: body.clone() });
    let route = line.split('?').next().unwrap();
    let (status, body) = (desk.answers)(if desk.whole { &line } else { route }, &body, &desk.url)
        .unwrap_or_else(|| usual(route));
    let status = StatusCode::from_u16(status).unwrap();
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    (status, [("content-type", "application/json"), ("x-request-id", "req_1")], body.to_string())
        .into_response()
}

/// An error of the wire.
pub(crate) fn refusal(status: u16, code: &str, extra: Value) -> (u16, Value) {
    let mut error = json!({"code": code, "message": format!("No, because of {code}.")});
    error.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    (status, json!({ "error": error }))
}

/// The connector `demo/hello`.
pub(crate) fn connector() -> Value {
    json!({"id": CONNECTOR, "uid": "demo/hello", "name": "Hello", "displayName": "Hello", "type": "oauth",
        "typeName": "OAuth", "service": "demo", "createdAt": 1_784_065_923_000_i64, "updatedAt": 1_784_065_923_000_i64,
        "supportedSubjectTypes": ["app", "user"], "supportsRevocation": true, "supportsInstallation": false,
        "supportsTriggers": false, "supportsIcon": "false", "redirectUri": "http://127.0.0.1/callback"})
}

pub(crate) fn project() -> Value {
    json!({"id": PROJECT, "name": "my-app", "accountId": TEAM, "createdAt": 1_784_065_923_000_i64,
        "updatedAt": 1_784_065_923_000_i64})
}

pub(crate) fn link() -> Value {
    json!({"clientId": CONNECTOR, "connectorId": CONNECTOR, "projectId": PROJECT,
        "environments": ["production", "preview", "development"], "project": {"id": PROJECT, "name": "my-app"}})
}

pub(crate) fn issued() -> Value {
    json!({"token": "demo-token", "tokenId": "stk_0000000000000000000001", "expiresAt": 1_784_065_923_026_i64,
        "connector": {"id": CONNECTOR, "uid": "demo/hello", "type": "oauth"}, "extra": {"kept": true}})
}

fn keys() -> Value {
    let key = |kid: &str, state: &str| {
        json!({"kid": kid, "algorithm": "RS256", "publicJwk": {"kty": "RSA"}, "state": state,
            "createdAt": 1_784_065_923_000_i64, "activatesAt": 1_784_065_923_000_i64, "goneAt": null})
    };
    json!({"jwksUri": format!("http://127.0.0.1/connect/jwks/{CONNECTOR}"),
        "keys": [key("kid-one", "active"), key("kid-two", "pending")]})
}

fn usual(route: &str) -> (u16, Value) {
    let by_id = format!("/v1/connect/connectors/{CONNECTOR}");
    let links = format!("GET {by_id}/projects");
    let one_link = format!("{by_id}/projects/{PROJECT}");
    let known = match route {
        "POST /v1/connect/token/demo%2Fhello" => issued(),
        "GET /v1/connect/connectors/demo%2Fhello" => connector(),
        "GET /v1/connect/connectors" => json!({"clients": [connector()]}),
        "POST /v1/connect/connectors" | "POST /v1/connect/connectors/managed" => return (201, connector()),
        "GET /v9/projects" => json!({"projects": [project()], "pagination": {"next": null}}),
        "POST /v9/projects" | "GET /v9/projects/my-app" => project(),
        "GET /v2/user" => {
            json!({"user": {"id": USER, "email": "dev@localhost", "username": "dev", "name": "Dev",
            "defaultTeamId": TEAM, "version": "northstar"}})
        }
        "GET /v1/connect/standing" => json!({"connectors": 1, "grants": 0, "states": [], "needConsent": []}),
        "GET /v1/audit" => json!({"events": [], "next": null}),
        "GET /livez" => json!("ok"),
        "GET /readyz" => json!({"status": "ok", "checks": {"store": "ok"}, "version": "0.1.0"}),
        _ if route == format!("GET /v9/projects/{PROJECT}") => project(),
        _ if route == format!("GET /v9/projects/{PROJECT}/custom-environments") => {
            json!({"environments": [{"id": "env_0000000000000000000001", "slug": "qa"}]})
        }
        _ if route == format!("GET /teams/{TEAM}") => json!({"id": TEAM, "slug": "dev", "name": "Dev"}),
        _ if route == format!("GET {by_id}") => connector(),
        "POST /v2/files" => json!({"sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}),
        _ if route == links => json!({"projects": [link()]}),
        "POST /v1/connect/connectors/demo%2Fhello/check" => {
            json!({"connector": {"id": CONNECTOR, "uid": "demo/hello"},
            "holds": true, "installations": [], "grants": []})
        }
        _ if route == format!("GET {by_id}/grants") => json!({"grants": []}),
        _ if route == format!("GET {by_id}/keys") => keys(),
        _ if route == format!("POST {by_id}/keys") => return (201, keys()),
        _ if route == format!("DELETE {by_id}") => return (204, Value::Null),
        _ if route == format!("DELETE {by_id}/tokens") => json!({"tokensFound": 2, "deleted": 2,
            "providerRevoked": 1, "providerSkipped": 0, "providerFailed": 1}),
        _ if route == format!("GET {one_link}") || route == format!("POST {one_link}") => link(),
        _ if route == format!("DELETE {one_link}/environments/preview") => return (204, Value::Null),
        _ if route == format!("DELETE {one_link}") || route == format!("DELETE /v9/projects/{PROJECT}") => {
            return (204, Value::Null);
        }
        _ => return refusal(404, "not_found", json!({})),
    };
    (200, known)
}
