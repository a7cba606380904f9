//! An issuer of workload identities: its keys, its documents on loopback, and tokens as a platform would make them.

mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use carnet_identity::{Algorithm, discovery_document};
use carnet_model::Time;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::listener::Listener;
use key::{Key, b64};

/// A platform that gives its workloads identities.
pub struct Issuer {
    keys: Vec<Key>,
    listener: Listener,
    ending: &'static str,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// With a key of its own, for ES256.
    pub async fn start() -> Self {
        Self::start_with(&[Algorithm::Es256]).await
    }

    /// One that signs people in, and leaves what is given for their codes to this address. Its name ends so: in nothing,
    /// as most do, or in a slash.
    pub async fn start_for_people(token_endpoint: &str, algorithm: Algorithm, ending: &'static str) -> Self {
        Self::start_with_endpoint(&[algorithm], Some(token_endpoint), ending).await
    }

    /// With a key for each of these; the first is the usual one.
    pub async fn start_with(algorithms: &[Algorithm]) -> Self {
        Self::start_with_endpoint(algorithms, None, "").await
    }

    async fn start_with_endpoint(
        algorithms: &[Algorithm],
        token_endpoint: Option<&str>,
        ending: &'static str,
    ) -> Self {
        let keys: Vec<Key> = algorithms.iter().copied().map(Key::generate).collect();
        let socket = Listener::bind().await;
        let url = format!("http://{}", socket.local_addr().unwrap());
        let mut discovery = discovery_document(&format!("{url}{ending}"), &format!("{url}/jwks"), algorithms);
        if let Some(endpoint) = token_endpoint {
            discovery["authorization_endpoint"] = format!("{url}/authorize").into();
            discovery["token_endpoint"] = endpoint.into();
        }
        let jwks = key_set(&keys);
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
        Self { keys, listener, ending, asked }
    }

    /// `iss`
    pub fn url(&self) -> String {
        format!("{}{}", self.listener.url(), self.ending)
    }

    /// Its public keys.
    pub fn jwks(&self) -> Value {
        key_set(&self.keys)
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
        self.sign_as(self.keys[0].algorithm, claims)
    }

    /// A token of these claims, by its key for this algorithm.
    pub fn sign_as(&self, algorithm: Algorithm, claims: &Map<String, Value>) -> String {
        let head = json!({"alg": algorithm, "typ": "JWT", "kid": algorithm.as_str().to_lowercase()});
        let text = serde_json::to_string(claims).unwrap();
        self.raw(algorithm, head.to_string().as_bytes(), text.as_bytes())
    }

    /// A token of these very texts, by its key for this algorithm: also what no sound issuer would write.
    pub fn raw(&self, algorithm: Algorithm, head: &[u8], payload: &[u8]) -> String {
        let key = self.keys.iter().find(|key| key.algorithm == algorithm).expect("a key for the algorithm");
        let input = format!("{}.{}", b64(head), b64(payload));
        let signature = key.sign(input.as_bytes());
        format!("{input}.{}", b64(&signature))
    }
}

fn key_set(keys: &[Key]) -> Value {
    json!({"keys": keys.iter().map(Key::public_jwk).collect::<Vec<_>>()})
}
