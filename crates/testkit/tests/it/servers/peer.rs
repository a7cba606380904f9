//! A server that says what it is told to, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) bearer: Option<String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<(u16, Value)>>,
    seen: Vec<Seen>,
    held: Option<String>,
}

/// The server, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = Self { url, script: Arc::default() };
        let state = peer.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(state)).await
            })
        });
        peer.describe(json!({}));
        peer
    }

    /// Its metadata: the usual, and `more`.
    pub(crate) fn describe(&self, more: Value) {
        let url = &self.url;
        let mut document = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"), "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.now("/.well-known/oauth-authorization-server", 200, document);
    }

    /// The next answer for a path. The last one stands for all that follow; without any, 404.
    pub(crate) fn then(&self, path: &str, status: u16, body: Value) {
        self.script.lock().unwrap().answers.entry(path.to_owned()).or_default().push_back((status, body));
    }

    /// The answer for a path from now on.
    pub(crate) fn now(&self, path: &str, status: u16, body: Value) {
        self.script.lock().unwrap().answers.remove(path);
        self.then(path, status, body);
    }

    /// Answers nothing at this path from now on, until nothing is held.
    pub(crate) fn hold(&self, path: Option<&str>) {
        self.script.lock().unwrap().held = path.map(str::to_owned);
    }

    /// What arrived at a path since the last look.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let mut script = self.script.lock().unwrap();
        let all = std::mem::take(&mut script.seen);
        let (found, rest) =
            all.into_iter().partition(|seen: &Seen| seen.line.split(' ').nth(1) == Some(path));
        script.seen = rest;
        found
    }

    pub(crate) fn lines(&self, path: &str) -> Vec<String> {
        self.seen(path).into_iter().map(|seen| seen.line).collect()
    }
}

async fn answer(
    State(peer): State<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let line = format!("{method} {}", uri.path());
    let body = String::from_utf8(body.to_vec()).unwrap();
    peer.script.lock().unwrap().seen.push(Seen { line, bearer, body });
    while peer.script.lock().unwrap().held.as_deref() == Some(uri.path()) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut script = peer.script.lock().unwrap();
    let answers = script.answers.get_mut(uri.path());
    let (status, body) = match answers {
        Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
        Some(queue) => queue.front().cloned().unwrap(),
        None => (404, json!({})),
    };
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
