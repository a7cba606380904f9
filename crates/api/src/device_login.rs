//! Signing in command lines: the OAuth endpoints of RFC 8628, 6749 §6, 7009 and 7662. Forms in, and errors as OAuth has
//! them, because that is what the official command line speaks.

use std::net::SocketAddr;

use axum::Json as Answer;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, CommandLineTokens, OauthRefused, Visitor};
use carnet_model::SecretString;
use http::{StatusCode, header};
use serde_json::json;
use url::form_urlencoded;

use crate::body::read;
use crate::problem::Problem;
use crate::route::{Parameter, Told};
use crate::shape::{Shape, count, either, flag, id, object_of, text};

/// A program asks to be signed in.
pub(crate) async fn start(State(broker): State<Broker>, form: Form) -> Result<Response, Refused> {
    let started = broker.start_device_login(form.text("client_id")?, &form.visitor).await?;
    Ok(Answer(json!({
        "device_code": started.device_code.expose(),
        "user_code": started.user_code,
        "verification_uri": started.page,
        "verification_uri_complete": started.page_with_code,
        "expires_in": started.expires_in.as_secs(),
        "interval": started.interval.as_secs(),
    }))
    .into_response())
}

/// It asks what came of it, or for another access token.
pub(crate) async fn token(State(broker): State<Broker>, form: Form) -> Result<Response, Refused> {
    let client = form.text("client_id")?;
    let given = match form.text("grant_type")? {
        "urn:ietf:params:oauth:grant-type:device_code" => {
            broker.device_login_tokens(client, &form.secret("device_code")?).await?
        }
        "refresh_token" => broker.renew_command_line(client, &form.secret("refresh_token")?).await?,
        _ => return Err(Refused::of("unsupported_grant_type", "There are device_code and refresh_token.")),
    };
    let CommandLineTokens { access, expires_in, refresh } = given;
    Ok(Answer(json!({
        "access_token": access.expose(),
        "token_type": "Bearer",
        "expires_in": expires_in.as_secs(),
        "refresh_token": refresh.expose(),
        "scope": "openid offline_access",
    }))
    .into_response())
}

/// It signs out.
pub(crate) async fn revoke(State(broker): State<Broker>, form: Form) -> Result<Response, Refused> {
    broker.revoke_command_line(form.text("client_id")?, &form.secret("token")?).await?;
    Ok(Answer(json!({})).into_response())
}

/// Whoever holds a token may ask what it is.
pub(crate) async fn introspect(State(broker): State<Broker>, form: Form) -> Result<Response, Refused> {
    let found = broker.introspect(&form.secret("token")?).await?;
    Ok(Answer(match found {
        None => json!({"active": false}),
        Some(found) => json!({
            "active": true,
            "client_id": found.row.client,
            "session_id": found.row.id,
            "sub": found.row.user,
            "token_type": "Bearer",
            "exp": found.expires_at.secs(),
        }),
    })
    .into_response())
}

pub(crate) fn started_shape() -> Shape {
    object_of([
        ("device_code", text()),
        ("user_code", text()),
        ("verification_uri", text()),
        ("verification_uri_complete", text()),
        ("expires_in", count()),
        ("interval", count()),
    ])
}

pub(crate) fn tokens_shape() -> Shape {
    object_of([
        ("access_token", text()),
        ("token_type", text()),
        ("expires_in", count()),
        ("refresh_token", text()),
        ("scope", text()),
    ])
}

pub(crate) fn revoked_shape() -> Shape {
    object_of([])
}

pub(crate) fn introspected_shape() -> Shape {
    let good = object_of([
        ("active", flag()),
        ("client_id", text()),
        ("session_id", id("cli")),
        ("sub", id("usr")),
        ("token_type", text()),
        ("exp", count()),
    ]);
    either([good, object_of([("active", flag())])])
}

pub(crate) fn error_shape() -> Shape {
    object_of([("error", text()), ("error_description", text())]).named("OauthError")
}

/// An error of RFC 6749 §5.2, or a fault of ours.
pub(crate) enum Refused {
    Oauth { code: &'static str, why: &'static str, wait: Option<u64> },
    Problem(Box<Problem>),
}

impl Refused {
    const fn of(code: &'static str, why: &'static str) -> Self {
        Self::Oauth { code, why, wait: None }
    }
}

impl From<OauthRefused> for Refused {
    fn from(refused: OauthRefused) -> Self {
        match refused {
            OauthRefused::InvalidClient => {
                Self::of("invalid_client", "There is no program of this client_id.")
            }
            OauthRefused::InvalidGrant => Self::of(
                "invalid_grant",
                "The code or the refresh token is not good any more. Sign in again.",
            ),
            OauthRefused::Pending => Self::of("authorization_pending", "Nobody has decided yet."),
            OauthRefused::SlowDown => Self::of("slow_down", "Wait for the interval between two questions."),
            OauthRefused::Denied => Self::of("access_denied", "The person said no."),
            OauthRefused::Expired => Self::of("expired_token", "Nobody decided in time. Begin anew."),
            OauthRefused::Busy(time) => Self::Oauth {
                code: "slow_down",
                why: "Too many programs ask to be signed in from this network.",
                wait: Some(time.as_secs().max(1)),
            },
            OauthRefused::Fault(fault) => Self::Problem(Box::new(Problem(fault))),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Oauth { code, why, wait } => {
                let status = match (code, wait) {
                    (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
                    ("invalid_client", _) => StatusCode::UNAUTHORIZED,
                    _ => StatusCode::BAD_REQUEST,
                };
                let body = Answer(json!({"error": code, "error_description": why}));
                let mut response = (status, body).into_response();
                if let Some(seconds) = wait {
                    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                }
                response
            }
        }
    }
}

/// A form whose every field stands there once.
pub(crate) struct Form {
    fields: Vec<(String, SecretString)>,
    visitor: Visitor,
}

impl Parameter for Form {
    fn tell(told: &mut Told) {
        told.upload = &["application/x-www-form-urlencoded"];
    }
}

impl FromRequest<Broker> for Form {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &Broker) -> Result<Self, Refused> {
        let visitor = visitor(&request);
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refused::of(
                "invalid_request",
                "The body is a form: application/x-www-form-urlencoded.",
            ));
        }
        let body = read(request, LIMIT).await?;
        let fields: Vec<(String, SecretString)> = form_urlencoded::parse(&body)
            .map(|(name, value)| (name.into_owned(), SecretString::new(value.into_owned())))
            .collect();
        let twice = |at: usize, name: &str| fields.iter().skip(at + 1).any(|(other, _)| other == name);
        if fields.iter().enumerate().any(|(at, (name, _))| twice(at, name)) {
            return Err(Refused::of("invalid_request", "A field stands there twice."));
        }
        Ok(Self { fields, visitor })
    }
}

impl Form {
    /// A field that is there and not empty.
    pub(crate) fn find(&self, name: &str) -> Option<&SecretString> {
        self.fields
            .iter()
            .find(|(known, value)| known == name && !value.expose().is_empty())
            .map(|(_, value)| value)
    }

    fn field(&self, name: &str) -> Result<&SecretString, Refused> {
        self.find(name).ok_or(Refused::of("invalid_request", "A field is missing."))
    }

    fn text(&self, name: &str) -> Result<&str, Refused> {
        self.field(name).map(|value| value.expose().as_str())
    }

    fn secret(&self, name: &str) -> Result<SecretString, Refused> {
        self.field(name).map(SecretString::duplicate)
    }
}

fn visitor(request: &Request) -> Visitor {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let browser = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Visitor {
        address: Visitor::seen_by(request.headers(), peer),
        browser: browser.unwrap_or_default().to_owned(),
    }
}

/// The longest of these forms holds a token and some names.
const LIMIT: usize = 16 * 1024;
