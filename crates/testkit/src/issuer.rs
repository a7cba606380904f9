//! An issuer of workload identities: its key, its documents on loopback, and tokens as a platform would make them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use carnet_identity::{Algorithm, SigningKey, discovery_document};
use carnet_model::Time;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::listener::Listener;

/// A platform that gives its workloads identities.
pub struct Issuer {
    key: SigningKey,
    listener: Listener,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// With a key of its own.
    pub async fn start() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let socket = Listener::bind().await;
        let url = format!("http://{}", socket.local_addr().unwrap());
        let discovery = discovery_document(&url, &format!("{url}/jwks"), &[Algorithm::Es256]);
        let jwks = json!({"keys": [key.public_jwk()]});
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let listener = Listener::serve(socket, move |request| {
            let body = match request.uri().path() {
                "/.well-known/openid-configuration" => Some(discovery.clone()),
                "/jwks" => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    Some(jwks.clone())
                }
                _ => None,
            };
            let answer = match body {
                Some(body) => axum::Json(body).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            };
            async move { Some(answer.map(Body::new)) }
        });
        Self { key, listener, asked }
    }

    /// `iss`
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Its public keys.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.key.public_jwk()]})
    }

    /// How often its keys were fetched.
    pub fn fetched(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A configuration that trusts it: `rules` are those of the wire.
    pub fn trusted_for(&self, audience: &str, rules: &Value) -> Value {
        json!({"issuer": self.url(), "audiences": [audience], "algorithms": ["ES256"], "rules": rules})
    }

    /// The claims of a token for a workload of `project` in `environment`, good for five minutes.
    pub fn claims(&self, now: Time, audience: &str, project: &str, environment: &str) -> Map<String, Value> {
        let claims = json!({
            "iss": self.url(),
            "aud": audience,
            "sub": format!("workload:{project}:{environment}"),
            "workload_project": project,
            "environment": environment,
            "iat": now.secs(),
            "exp": now.plus(Duration::from_mins(5)).secs(),
        });
        claims.as_object().unwrap().clone()
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        self.key.sign("JWT", claims).unwrap()
    }
}
