//! An authorization server that takes assertions and exchanges tokens. It gives whatever a test tells it to, and keeps
//! what arrived, so that the test can judge it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use carnet_identity::{Algorithm, Expectation, JwtError, KeySet, Presented, VerifiedClaims};
use carnet_model::Time;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::listener::Listener;

/// A server with a token and a revocation endpoint.
pub struct Authority {
    listener: Listener,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    next: Mutex<VecDeque<(u16, Value)>>,
    asked: Mutex<Vec<Asked>>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The form, in order.
    pub form: Vec<(String, String)>,
}

impl Authority {
    /// On a free port.
    pub async fn start() -> Self {
        let desk = Arc::new(Desk::default());
        let kept = desk.clone();
        let listener = Listener::serve(Listener::bind().await, move |request| {
            let desk = kept.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.ok()?.to_bytes();
                let authorization = head.headers.get(http::header::AUTHORIZATION);
                let asked = Asked {
                    path: head.uri.path().to_owned(),
                    authorization: authorization.and_then(|value| value.to_str().ok()).map(str::to_owned),
                    form: form_urlencoded::parse(&body).into_owned().collect(),
                };
                let (status, answer) = desk.answer(asked);
                let status = StatusCode::from_u16(status).unwrap();
                Some((status, axum::Json(answer)).into_response().map(Body::new))
            }
        });
        Self { listener, desk }
    }

    /// Its issuer.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// `serverConfig` of a connector to it.
    pub fn config(&self) -> Value {
        let url = self.url();
        json!({
            "issuer": url,
            "token_endpoint": format!("{url}/token"),
            "revocation_endpoint": format!("{url}/revoke"),
        })
    }

    /// What the next request gets; otherwise a token that lives an hour.
    pub fn next(&self, status: u16, answer: Value) {
        self.desk.next.lock().unwrap().push_back((status, answer));
    }

    /// What has arrived, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }

    /// Forgets what has arrived: a connector tries its client when it is made.
    pub fn forget(&self) {
        self.desk.asked.lock().unwrap().clear();
    }

    /// What arrived last.
    #[track_caller]
    pub fn last(&self) -> Asked {
        self.asked().pop().expect("something was asked")
    }
}

impl Desk {
    fn answer(&self, asked: Asked) -> (u16, Value) {
        let mut all = self.asked.lock().unwrap();
        let mut usual = json!({
            "access_token": format!("authority-token-{}", all.len()), "token_type": "Bearer", "expires_in": 3600,
        });
        if asked.field("grant_type").is_some_and(|grant| grant.ends_with(":token-exchange")) {
            usual["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token".into();
        }
        all.push(asked);
        self.next.lock().unwrap().pop_front().unwrap_or((200, usual))
    }
}

impl Asked {
    /// A field of the form.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The claims of the assertion in this field, verified by a key of `jwks` as a server would.
    pub fn assertion(
        &self,
        field: &str,
        jwks: &Value,
        issuer: &str,
        audience: &str,
        now: Time,
    ) -> Result<VerifiedClaims, JwtError> {
        let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
        let expectation = Expectation {
            issuer,
            audiences: &[audience.to_owned()],
            algorithms: &Algorithm::ALL,
            types: &["JWT".to_owned()],
            max_life: Duration::from_mins(11),
            max_age: Some(Duration::from_mins(1)),
            skew: Duration::from_secs(5),
        };
        Presented::parse(self.field(field).unwrap())?.verify(&keys, &expectation, now)
    }
}
