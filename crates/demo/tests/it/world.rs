//! A running demo provider, a clock in the hand, and a small client for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carnet_demo::{ClientRegistration, Demo, Options};
use carnet_model::{Clock, Env, OsRandom, Secret, Time};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;
use url::form_urlencoded::Serializer;

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";
pub(crate) const CALLBACK_WITH_QUERY: &str = "http://127.0.0.1:9/callback?tenant=a";
pub(crate) const SECRET: &str = "s%crêt:& +";
pub(crate) const ALL: &str = "messages:read messages:write offline_access profile:read";

pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) origin: String,
    pub(crate) issuer: String,
    hand: Arc<Hand>,
    http: Client<HttpConnector, Body>,
    _server: JoinSet<()>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose options are as usual but for `change`.
    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let issuer = format!("{origin}/demo");
        let mut options = Options::new(Url::parse(&issuer).unwrap());
        options.clients = ["app", "other"].map(registration).into();
        change(&mut options);
        let hand = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        let demo = Demo::new(options, Env::new(hand.clone(), Arc::new(OsRandom))).unwrap();
        let router = axum::Router::new().nest("/demo", demo.router()).merge(demo.well_known_router());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { demo, origin, issuer, hand, http, _server: server }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.hand.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.http.request(request).await.unwrap();
        let status = answer.status();
        let headers = answer.headers().iter();
        let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &[], "").await
    }

    /// A form, sent by client `app` with its right secret.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_as("app", path, fields).await
    }

    pub(crate) async fn post_as(&self, client: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let url = format!("{}/{path}", self.issuer);
        let headers = [("authorization", basic(client, SECRET)), ("content-type", FORM.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.send("POST", &url, &headers, &form(fields)).await
    }

    pub(crate) fn authorize_url(&self, changes: &[(&str, &str)]) -> String {
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("scope", ALL),
            ("state", "st&te"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        format!("{}/authorize?{}", self.issuer, form(&fields))
    }

    /// Opens the page and decides.
    pub(crate) async fn decide(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(url).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let seal = page.seal();
        let cookie = page.cookie();
        let fields = [&[("seal", seal.as_str())], fields].concat();
        self.send("POST", url, &[("content-type", FORM), ("cookie", &cookie)], &form(&fields)).await
    }

    /// A code for Ada.
    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        let answer =
            self.decide(&self.authorize_url(changes), &[("decision", "allow"), ("person", "ada")]).await;
        answer.returned("code").unwrap_or_else(|| panic!("no code: {} {}", answer.status, answer.body))
    }

    pub(crate) async fn redeem(&self, code: &str) -> Answer {
        self.post("token", &redemption(code)).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// A whole grant for Ada: access token and refresh token.
    pub(crate) async fn grant(&self) -> (String, String) {
        self.redeem(&self.code(&[]).await).await.tokens()
    }

    pub(crate) async fn api(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let url = format!("{}/api/{path}", self.issuer);
        self.send(method, &url, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// Whether the API still takes this token.
    pub(crate) async fn works(&self, token: &str) -> bool {
        self.api("GET", "me", token, "").await.status == 200
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.body))
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn tokens(&self) -> (String, String) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }

    /// A parameter that came back in the address of a redirect.
    pub(crate) fn returned(&self, name: &str) -> Option<String> {
        let to = Url::parse(self.header("location")?).unwrap();
        to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn seal(&self) -> String {
        self.body.split("name=\"seal\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

pub(crate) fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// RFC 6749 §2.3.1: both halves form-encoded.
pub(crate) fn basic(client: &str, secret: &str) -> String {
    let encoded = |text: &str| form(&[("", text)])[1..].to_owned();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret))))
}

fn registration(id: &str) -> ClientRegistration {
    ClientRegistration {
        client_id: id.to_owned(),
        client_secret: Secret::new(SECRET.to_owned()),
        redirect_uris: vec![CALLBACK.to_owned(), CALLBACK_WITH_QUERY.to_owned()],
    }
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
