//! Somebody who receives webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::kit::eventually;
use crate::listener::Listener;

/// A webhook that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
    /// The body, byte for byte.
    pub raw: Vec<u8>,
}

/// A server that takes every webhook with 204, or as it was told, and keeps it.
pub struct Receiver {
    listener: Listener,
    received: Arc<Mutex<Vec<Received>>>,
    next: Arc<Mutex<VecDeque<StatusCode>>>,
}

impl Receiver {
    /// On a free port.
    pub async fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let next = Arc::new(Mutex::new(VecDeque::new()));
        let (kept, told) = (received.clone(), next.clone());
        let listener = Listener::serve(Listener::bind().await, move |request| {
            let (kept, told) = (kept.clone(), told.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.ok()?.to_bytes();
                let raw = body.to_vec();
                let body = serde_json::from_slice(&raw).unwrap_or_default();
                kept.lock().unwrap().push(Received {
                    path: head.uri.to_string(),
                    headers: head.headers,
                    body,
                    raw,
                });
                let status = told.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
                Some(status.into_response().map(Body::new))
            }
        });
        Self { listener, received, next }
    }

    /// Answers the next webhooks so.
    pub fn next(&self, statuses: impl IntoIterator<Item = u16>) {
        let statuses = statuses.into_iter().map(|status| StatusCode::from_u16(status).unwrap());
        self.next.lock().unwrap().extend(statuses);
    }

    /// What has arrived at this path so far.
    pub fn all_at(&self, path: &str) -> Vec<Received> {
        self.received.lock().unwrap().iter().filter(|one| one.path == path).cloned().collect()
    }

    /// This many webhooks at this path, when they have arrived.
    pub async fn count_at(&self, path: &str, count: usize) -> Vec<Received> {
        eventually("the webhooks arrive", async || Some(self.all_at(path)).filter(|all| all.len() >= count))
            .await
    }

    /// Where to send a webhook.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.listener.url())
    }

    /// How many requests of any kind have come.
    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// The first webhook at this path, when it has arrived.
    pub async fn at(&self, path: &str) -> Received {
        eventually("the webhook arrives", async || {
            self.received.lock().unwrap().iter().find(|one| one.path == path).cloned()
        })
        .await
    }
}
