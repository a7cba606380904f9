//! Calls to GitHub, and what its refusals mean.

use carnet_egress::{Answer, Call, Egress, Purpose};
use carnet_model::{Env, Id, SecretString, Time, kind};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::driver::At;
use crate::driver::failure::{DriverError, Vendor};
use crate::oauth::{failure, json};
use crate::private_key::PrivateKey;

/// GitHub, for one team.
pub(super) struct Api<'a> {
    pub http: &'a Egress,
    pub env: &'a Env,
    pub tenant: Id<kind::Team>,
}

/// The app, as which GitHub is asked: its number and its key.
pub(super) struct App<'a> {
    pub id: u64,
    pub key: &'a PrivateKey,
}

impl<'a> Api<'a> {
    pub(super) const fn of(at: &At<'a>) -> Self {
        Self { http: at.http, env: at.env, tenant: at.connector.team }
    }

    /// A call with this bearer.
    pub(super) async fn with_token(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        token: &SecretString,
    ) -> Result<Answer, DriverError> {
        self.send(method, url, body, &SecretString::new(format!("Bearer {}", token.expose()))).await
    }

    /// A call as the app itself. GitHub refuses a JWT from the future and one that ends more than ten minutes after its
    /// own time; if our clock and its differ, the JWT is written once more by its clock. Nothing that is called so is
    /// spent by being called twice.
    pub(super) async fn as_app(
        &self,
        app: &App<'_>,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Answer, DriverError> {
        let now = self.env.now();
        let answer = self.with_token(method.clone(), url.clone(), body, &jwt(app, now)?).await?;
        let there = there(self.env, &answer);
        if answer.status != StatusCode::UNAUTHORIZED || there == now {
            return Ok(answer);
        }
        self.with_token(method, url, body, &jwt(app, there)?).await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        authorization: &SecretString,
    ) -> Result<Answer, DriverError> {
        let mut value = HeaderValue::from_str(authorization.expose())
            .map_err(|_| DriverError::garbage(false, "it is not what its API promises"))?;
        value.set_sensitive(true);
        let mut call = Call::new(method, url, Purpose::ProviderApi, self.tenant)
            .header(AUTHORIZATION, value)
            .header(ACCEPT, HeaderValue::from_static("application/vnd.github+json"))
            .header(VERSION, HeaderValue::from_static("2022-11-28"));
        if let Some(body) = body {
            call.body = body.to_string().into();
            call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // An installation of a large organization lists five hundred repositories with a token.
        call.limits.body = 4 * 1024 * 1024;
        self.http.send(call).await.map_err(|error| failure::of_transport(error, "appId"))
    }

    /// What an answer means that is not the one hoped for. `missing` says what a 404 means.
    pub(super) fn refusal(
        &self,
        answer: &Answer,
        sent: &[SecretString],
        missing: impl FnOnce(Vendor) -> DriverError,
    ) -> DriverError {
        let now = self.env.now();
        let status = answer.status;
        let said = json::object(&answer.body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let words = text("message");
        let vendor = || Vendor::new(status.as_u16(), "", words, sent);
        // "Rate limits for the REST API": 403 or 429, with Retry-After or with x-ratelimit-remaining of 0.
        let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
        let spent = number("x-ratelimit-remaining") == Some(0);
        let wait = failure::retry_after(&answer.headers, now).or_else(|| {
            let seconds = number("x-ratelimit-reset").filter(|_| spent)? - now.secs();
            Some(u64::try_from(seconds).unwrap_or(0).min(3600))
        });
        // A secondary limit may come with neither; then "wait for at least one minute".
        let is_limit = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.contains("secondary rate limit") || text.contains("secondary-rate-limit")
        };
        let second = text("message").is_some_and(is_limit) || text("documentation_url").is_some_and(is_limit);
        let wait = wait.or_else(|| second.then_some(60));
        match status {
            StatusCode::TOO_MANY_REQUESTS => DriverError::Later { retry_after: wait, in_doubt: false },
            StatusCode::FORBIDDEN if wait.is_some() || spent => {
                DriverError::Later { retry_after: wait, in_doubt: false }
            }
            StatusCode::UNAUTHORIZED => DriverError::ClientRejected { vendor: vendor() },
            StatusCode::NOT_FOUND => missing(vendor()),
            status if status.is_server_error() => DriverError::Later { retry_after: wait, in_doubt: false },
            status if status.is_client_error() => DriverError::Refused { vendor: vendor() },
            _ => DriverError::garbage(false, "it is not what its API promises"),
        }
    }
}

/// What time it is at GitHub, as far as that is noticeably another than ours.
pub(super) fn there(env: &Env, answer: &Answer) -> Time {
    let now = env.now();
    let there = failure::date(&answer.headers).unwrap_or(now);
    if (there.secs() - now.secs()).abs() > NOTICED { there } else { now }
}

/// The object in an answer of this status.
pub(super) fn object(answer: &Answer, status: StatusCode) -> Option<Map<String, Value>> {
    if answer.status == status { json::object(&answer.body) } else { None }
}

/// An address of the API.
pub(super) fn api(path: &str) -> Result<Url, DriverError> {
    url(API, path)
}

/// An address of the site.
pub(super) fn web(path: &str) -> Result<Url, DriverError> {
    url(WEB, path)
}

fn url(origin: &str, path: &str) -> Result<Url, DriverError> {
    Url::parse(&format!("{origin}/{path}"))
        .map_err(|_| DriverError::Misconfigured("appSlug".to_owned(), "makes no address".to_owned()))
}

/// "Generating a JSON Web Token (JWT) for a GitHub App": issued a minute ago against clock drift, ends within ten
/// minutes.
fn jwt(app: &App<'_>, now: Time) -> Result<SecretString, DriverError> {
    let claims = Map::from_iter([
        ("iat".to_owned(), (now.secs() - 60).into()),
        ("exp".to_owned(), (now.secs() + 540).into()),
        ("iss".to_owned(), app.id.to_string().into()),
    ]);
    app.key
        .jwt(None, &claims)
        .map_err(|error| DriverError::Misconfigured("privateKeyPem".to_owned(), error.to_string()))
}

pub(super) const WEB: &str = "https://github.com";
pub(super) const API: &str = "https://api.github.com";
const VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
/// In seconds. Clocks that are not farther apart are not what is wrong with a JWT.
const NOTICED: i64 = 30;
