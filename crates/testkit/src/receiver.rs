//! Somebody who receives webhooks.

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
}

/// A server that takes every webhook with 204 and keeps it.
pub struct Receiver {
    listener: Listener,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// On a free port.
    pub async fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let listener = Listener::serve(Listener::bind().await, move |request| {
            let kept = kept.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.ok()?.to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                kept.lock().unwrap().push(Received {
                    path: head.uri.to_string(),
                    headers: head.headers,
                    body,
                });
                Some(StatusCode::NO_CONTENT.into_response().map(Body::new))
            }
        });
        Self { listener, received }
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
