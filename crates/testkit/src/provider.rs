//! The scripted provider: a real authorization server with a layer of faults before its token and revocation endpoints.

mod fault;
mod front;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_demo::{ClientRegistration, Demo, Options};
use carnet_model::grant::Rotation;
use carnet_model::{Env, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::http::{Answer, Http};
use crate::kit::eventually;
use crate::listener::Listener;
pub use fault::{Fault, Gate};
use front::Front;

/// A provider on loopback.
pub struct Provider {
    front: Arc<Front>,
    listener: Listener,
    http: Http,
    client: (String, String),
}

/// How the provider behaves.
pub struct Behaviour {
    /// What becomes of a refresh token that was used.
    pub rotation: Rotation,
    /// How long access tokens live.
    pub access_life: Duration,
    /// How long refresh tokens live.
    pub refresh_life: Duration,
    /// The client's identifier and secret.
    pub client: (String, String),
    /// Where its browsers come back to.
    pub redirect_uri: String,
}

impl Provider {
    /// One that serves by this clock.
    pub async fn start(env: Env, behaviour: Behaviour) -> Self {
        let socket = Listener::bind().await;
        let origin = format!("http://{}", socket.local_addr().unwrap());
        let Behaviour { rotation, access_life, refresh_life, client, redirect_uri } = behaviour;
        let options = Options {
            clients: vec![ClientRegistration {
                client_id: client.0.clone(),
                client_secret: SecretString::new(client.1.clone()),
                redirect_uris: vec![redirect_uri],
            }],
            access_life,
            refresh_life,
            rotation,
            ..Options::new(Url::parse(&format!("{origin}/demo")).unwrap())
        };
        let demo = Demo::new(options, env).unwrap();
        let routes = axum::Router::new().nest("/demo", demo.router()).merge(demo.well_known_router());
        let front = Arc::new(Front::new(routes));
        let served = front.clone();
        let listener = Listener::serve(socket, move |request| served.clone().answer(request));
        Self { front, listener, http: Http::default(), client }
    }

    /// Its issuer.
    pub fn issuer(&self) -> String {
        format!("{}/demo", self.listener.url())
    }

    /// What the next requests at the token endpoint get, in order.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.front.tokens.next(faults);
    }

    /// What every request at the token endpoint gets, until [`Provider::heal`].
    pub fn always(&self, fault: impl Fn() -> Fault + Send + Sync + 'static) {
        self.front.tokens.always(fault);
    }

    /// What every request at the revocation endpoint gets, until [`Provider::heal`].
    pub fn always_at_revocation(&self, fault: impl Fn() -> Fault + Send + Sync + 'static) {
        self.front.revocations.always(fault);
    }

    /// From now on it says what it thinks of a client that is tried.
    pub fn judge_clients(&self) {
        self.front.judges_clients.store(true, Ordering::SeqCst);
    }

    /// From now on it works as it should.
    pub fn heal(&self) {
        self.front.tokens.heal();
        self.front.revocations.heal();
    }

    /// Closes its port: connections are refused.
    pub fn go_down(&self) {
        self.listener.stop();
    }

    /// Opens its port again.
    pub async fn come_back(&self) {
        let address: SocketAddr = self.listener.address();
        let socket = eventually("the port is free", async || TcpListener::bind(address).await.ok()).await;
        let served = self.front.clone();
        self.listener.run(socket, move |request| served.clone().answer(request));
    }

    /// How many token requests of this grant type have arrived; `revoke` for revocations.
    pub fn requests(&self, grant_type: &str) -> usize {
        self.front.requests(grant_type)
    }

    /// When the token requests of this grant type arrived, the first one first.
    pub fn arrivals(&self, grant_type: &str) -> Vec<std::time::Instant> {
        self.front.arrivals(grant_type)
    }

    /// Waits until this many have arrived.
    pub async fn until_requests(&self, grant_type: &str, count: usize) {
        eventually("the provider is asked", async || (self.requests(grant_type) >= count).then_some(()))
            .await;
    }

    /// Every value that must never leave the broker or be kept in the clear, as far as the provider saw it: codes,
    /// verifiers, refresh tokens; access tokens too.
    pub fn secrets(&self) -> Vec<(&'static str, String)> {
        self.front.secrets()
    }

    /// The refresh token that it gave last.
    pub fn last_refresh_token(&self) -> String {
        let all = self.secrets();
        all.into_iter().rfind(|(name, _)| *name == "refresh_token").unwrap().1
    }

    /// The values of a field in the latest token request of this grant type.
    pub fn last(&self, grant_type: &str, field: &str) -> Vec<String> {
        self.front.last(grant_type, field)
    }

    /// Uses a refresh token behind the broker's back, as a request whose answer never came would.
    pub async fn spend(&self, refresh_token: &str) -> Answer {
        let form = format!(
            "grant_type=refresh_token&refresh_token={refresh_token}&client_id={}&client_secret={}",
            self.client.0, self.client.1
        );
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-behind-the-back", "1")];
        self.http.send("POST", &format!("{}/token", self.issuer()), &headers, form).await
    }

    /// Ends a grant at the provider, as a person who removes the application there.
    pub async fn forget(&self, refresh_token: &str) {
        let form =
            format!("token={refresh_token}&client_id={}&client_secret={}", self.client.0, self.client.1);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-behind-the-back", "1")];
        let answer = self.http.send("POST", &format!("{}/revoke", self.issuer()), &headers, form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What its API says to this token: `None` if it does not take it.
    pub async fn me(&self, token: &str) -> Option<Value> {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/api/me", self.issuer());
        let answer = self.http.send("GET", &url, &[("authorization", &bearer)], "").await;
        (answer.status == 200).then(|| answer.json())
    }

    /// Status of its API for this token at this path.
    pub async fn api(&self, path: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/api/{path}", self.issuer());
        self.http.send("GET", &url, &[("authorization", &bearer)], "").await.status
    }
}

/// An ID token as a provider sends it beside the access token.
pub fn id_token(issuer: &str, client: &str, subject: &str) -> String {
    id_token_of(&json!({"iss": issuer, "aud": client, "sub": subject, "exp": 9_999_999_999_i64, "iat": 1}))
}

/// The same with these claims.
pub fn id_token_of(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(&json!({"alg": "RS256"})),
        part(claims),
        BASE64_URL_SAFE_NO_PAD.encode("unsigned")
    )
}
