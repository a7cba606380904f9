//! What stands before the server: counts, remembers, and lets answers go wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use url::form_urlencoded;

use super::fault::{Fault, What, half};
use crate::listener::routed;

pub(super) struct Front {
    routes: Router,
    pub(super) tokens: Script,
    pub(super) revocations: Script,
    /// Whether it says of a client that is tried what it thinks of it.
    pub(super) judges_clients: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    secrets: Mutex<Vec<(&'static str, String)>>,
}

/// A request that arrived.
struct Seen {
    at: Instant,
    grant_type: String,
    fields: Vec<(String, String)>,
}

/// Faults for one endpoint.
#[derive(Default)]
pub(super) struct Script {
    next: Mutex<VecDeque<Fault>>,
    always: Mutex<Option<Box<dyn Fn() -> Fault + Send + Sync>>>,
}

impl Script {
    pub(super) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.next.lock().unwrap().extend(faults);
    }

    pub(super) fn always(&self, fault: impl Fn() -> Fault + Send + Sync + 'static) {
        *self.always.lock().unwrap() = Some(Box::new(fault));
    }

    pub(super) fn heal(&self) {
        self.next.lock().unwrap().clear();
        *self.always.lock().unwrap() = None;
    }

    fn take(&self) -> Fault {
        let next = self.next.lock().unwrap().pop_front();
        next.unwrap_or_else(|| self.always.lock().unwrap().as_ref().map_or_else(Fault::none, |fault| fault()))
    }
}

impl Front {
    pub(super) fn new(routes: Router) -> Self {
        Self {
            routes,
            tokens: Script::default(),
            revocations: Script::default(),
            judges_clients: AtomicBool::new(false),
            seen: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    pub(super) fn requests(&self, grant_type: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.grant_type == grant_type).count()
    }

    pub(super) fn arrivals(&self, grant_type: &str) -> Vec<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.grant_type == grant_type).map(|seen| seen.at).collect()
    }

    pub(super) fn last(&self, grant_type: &str, field: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let fields = seen.iter().rfind(|seen| seen.grant_type == grant_type).map(|seen| seen.fields.iter());
        let named = fields.into_iter().flatten().filter(|(name, _)| name == field);
        named.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn secrets(&self) -> Vec<(&'static str, String)> {
        self.secrets.lock().unwrap().clone()
    }

    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Option<Response<Body>> {
        let script = match request.uri().path() {
            _ if request.headers().contains_key("x-behind-the-back") => None,
            "/demo/token" => Some(&self.tokens),
            "/demo/revoke" => Some(&self.revocations),
            _ => None,
        };
        let Some(script) = script else {
            return Some(routed(self.routes.clone(), request.map(Body::new)).await);
        };
        let (head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        // Whoever makes a connector asks whether the client is known; most tests make up their clients, and all count what
        // is asked of grants.
        if is_trial(&body) {
            if self.judges_clients.load(Ordering::SeqCst) {
                return Some(routed(self.routes.clone(), Request::from_parts(head, Body::from(body))).await);
            }
            let refusal = Body::from(r#"{"error": "invalid_grant"}"#);
            let answer =
                Response::builder().status(400).header("content-type", "application/json").body(refusal);
            return Some(answer.unwrap());
        }
        self.note(&body);
        let fault = script.take();
        let answer = if fault.processed {
            let answer = routed(self.routes.clone(), Request::from_parts(head, Body::from(body))).await;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            self.keep(&body);
            Some((head, body))
        } else {
            None
        };
        tokio::time::sleep(fault.delay).await;
        if let Some(mut gate) = fault.gate {
            let _ = gate.wait_for(|open| *open).await;
        }
        match (fault.what, answer) {
            (What::Lost, _) => None,
            (What::Instead(make, given), _) => Some(make(&given)),
            (What::AsItShould, Some((head, body))) => Some(Response::from_parts(head, Body::from(body))),
            (What::Truncated, Some((head, body))) => Some(half(Response::from_parts(head, ()), &body)),
            (What::Rewritten(change), Some((mut head, body))) => {
                let mut json: Value = serde_json::from_slice(&body).unwrap();
                change(json.as_object_mut().unwrap());
                head.headers.remove(http::header::CONTENT_LENGTH);
                Some(Response::from_parts(head, Body::from(json.to_string())))
            }
            (What::AsItShould | What::Truncated | What::Rewritten(_), None) => {
                unreachable!("these are made of an answer")
            }
        }
    }

    /// Remembers what was asked.
    fn note(&self, body: &Bytes) {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let grant_type = field("grant_type").unwrap_or_else(|| "revoke".to_owned());
        let mut secrets = self.secrets.lock().unwrap();
        for name in ["code", "code_verifier"] {
            secrets.extend(field(name).map(|value| (name, value)));
        }
        drop(secrets);
        self.seen.lock().unwrap().push(Seen { at: Instant::now(), grant_type, fields });
    }

    /// Remembers what was given.
    fn keep(&self, body: &Bytes) {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut secrets = self.secrets.lock().unwrap();
        for name in ["access_token", "refresh_token"] {
            secrets.extend(json[name].as_str().map(|value| (name, value.to_owned())));
        }
    }
}

/// Whether a request only asks what the provider thinks of a client, with a grant that is none.
fn is_trial(body: &Bytes) -> bool {
    form_urlencoded::parse(body).any(|(_, value)| value == "is-this-client-known")
}
