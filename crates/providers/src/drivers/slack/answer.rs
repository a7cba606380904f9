//! Calls to Slack's methods, and what they answer.

use carnet_egress::{Call, Purpose};
use carnet_model::grant::Cause;
use carnet_model::{Env, Scopes, SecretString, Time};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use crate::driver::At;
use crate::driver::failure::{CallbackFault, DriverError, Vendor};
use crate::fields::is_credential;
use crate::oauth::client::{Client, Form};
use crate::oauth::failure::{self, Phase};
use crate::oauth::json;
use crate::oauth::token_answer::seconds;

/// What a method said that did what was asked, and when.
pub(super) struct Said {
    pub members: Map<String, Value>,
    pub at: Time,
}

/// The bot's token or a person's, with what renews it.
pub(super) struct Token {
    pub access: SecretString,
    pub is_bot: bool,
    pub refresh: Option<SecretString>,
    /// In seconds; `None` where token rotation is off, and the token ends only when it is revoked.
    pub expires_in: Option<u64>,
    pub scopes: Option<Scopes>,
}

/// Asks `oauth.v2.access`.
pub(super) async fn access(
    env: &Env,
    client: &Client<'_>,
    form: Form,
    phase: Phase,
) -> Result<Said, DriverError> {
    as_client("oauth.v2.access", env, client, form, phase).await
}

/// Asks `oauth.v2.exchange` for a token that rotates, in the place of one that lives until it is revoked. It works once.
pub(super) async fn exchange(
    env: &Env,
    client: &Client<'_>,
    token: &SecretString,
) -> Result<Said, DriverError> {
    let mut form = Form::new();
    form.push_secret("token", token);
    as_client("oauth.v2.exchange", env, client, form, Phase::Refresh).await
}

async fn as_client(
    name: &str,
    env: &Env,
    client: &Client<'_>,
    mut form: Form,
    phase: Phase,
) -> Result<Said, DriverError> {
    let answer = client.send_within(phase.patience(), &method(name)?, &mut form, "clientId").await?;
    read(&answer, phase, env.now(), form.secrets())
}

/// Asks a method with a token.
pub(super) async fn with_token(at: &At<'_>, name: &str, token: &SecretString) -> Result<Said, DriverError> {
    let text = SecretString::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| DriverError::garbage(false, "it is not what its API promises"))?;
    value.set_sensitive(true);
    let nothing = SecretString::new(String::new());
    let call = Call::post_form(method(name)?, nothing, Purpose::ProviderApi, at.connector.team)
        .header(AUTHORIZATION, value);
    let answer = at.http.send(call).await.map_err(|error| failure::of_transport(error, "clientId"))?;
    read(&answer, Phase::Revocation, at.env.now(), &[token.duplicate()])
}

/// What a method says that is neither about a code nor about a token that is held.
pub(super) fn said(
    answer: &carnet_egress::Answer,
    now: Time,
    sent: &[SecretString],
) -> Result<Said, DriverError> {
    read(answer, Phase::Revocation, now, sent)
}

fn read(
    answer: &carnet_egress::Answer,
    phase: Phase,
    now: Time,
    sent: &[SecretString],
) -> Result<Said, DriverError> {
    let wait = failure::retry_after(&answer.headers, now);
    // Rate limits have a status of their own, and then a body that says nothing more.
    if answer.status != StatusCode::OK {
        return Err(failure::of_nothing(answer.status, wait, failure::UNREADABLE));
    }
    let garbage = || failure::of_nothing(answer.status, wait, failure::UNREADABLE);
    let mut members = json::object(&answer.body).ok_or_else(garbage)?;
    match (members.remove("ok"), members.get("error")) {
        (Some(Value::Bool(true)), None) => Ok(Said { members, at: now }),
        (Some(Value::Bool(false)), Some(Value::String(code))) => {
            let vendor = Vendor::new(answer.status.as_u16(), code, None, sent);
            Err(meant(phase, code, vendor, wait))
        }
        _ => Err(garbage()),
    }
}

/// What one of Slack's codes means. What is not known is never taken for the end of a grant.
fn meant(phase: Phase, code: &str, vendor: Vendor, retry_after: Option<u64>) -> DriverError {
    match code {
        "ratelimited" | "rate_limited" | "team_added_to_org" | "org_login_required" => {
            DriverError::Later { retry_after, in_doubt: false }
        }
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            DriverError::Later { retry_after, in_doubt: true }
        }
        "invalid_client_id" | "bad_client_secret" | "invalid_client" | "oauth_authorization_url_mismatch" => {
            DriverError::ClientRejected { vendor }
        }
        "invalid_code" | "code_already_used" | "bad_redirect_uri" if phase == Phase::Code => {
            CallbackFault::CodeRefused { vendor }.into()
        }
        // The last two are said of an exchange: whoever made it has what came of it, and if that was us, its answer was lost.
        "invalid_refresh_token"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "invalid_auth"
        | "authorization_not_found"
        | "token_already_exchanged"
            if phase == Phase::Refresh =>
        {
            DriverError::Gone { cause: Cause::RevokedAtProvider, vendor: Some(vendor) }
        }
        "token_rotation_not_enabled" => DriverError::Misconfigured(
            "tokenRotation".to_owned(),
            "is true, and Slack says that the app has no token rotation: switch it on in the app's settings \
             (\u{201c}OAuth & Permissions\u{201d}), or set tokenRotation to false"
                .to_owned(),
        ),
        _ => DriverError::Refused { vendor },
    }
}

impl Token {
    /// The token in an object; `None` if there is none, and an error for half of one.
    pub(super) fn read(members: &Map<String, Value>) -> Result<Option<Self>, DriverError> {
        let garbage = || DriverError::garbage(true, "it is not what its API promises");
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(garbage()),
        };
        let secret = |name: &str| match text(name)? {
            None => Ok(None),
            Some(text) if is_credential(text) && !text.contains(' ') => {
                Ok(Some(SecretString::new(text.to_owned())))
            }
            Some(_) => Err(garbage()),
        };
        let Some(access) = secret("access_token")? else { return Ok(None) };
        let is_bot = match text("token_type")? {
            Some("bot") => true,
            Some("user") => false,
            _ => return Err(garbage()),
        };
        let refresh = secret("refresh_token")?;
        let expires_in = match members.get("expires_in") {
            None | Some(Value::Null) => None,
            // What cannot be read does not cost the refresh token beside it.
            Some(value) => seconds(Some(value)).or(refresh.is_some().then_some(UNREAD_LIFE)),
        };
        // 0 is said of tokens that do not end.
        let expires_in = expires_in.filter(|seconds| *seconds > 0);
        let scopes = match text("scope")? {
            None => None,
            Some(joined) => Some(
                Scopes::parse(joined.split(',').filter(|name| !name.is_empty())).map_err(|_| garbage())?,
            ),
        };
        Ok(Some(Self { access, is_bot, refresh, expires_in, scopes }))
    }
}

impl Said {
    /// A text in an object of the answer: `team`, `id`.
    pub(super) fn text(&self, object: &str, name: &str) -> Option<String> {
        let text = self.members.get(object)?.get(name)?.as_str()?;
        Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
            .filter(|text: &String| !text.is_empty())
    }
}

/// The address of a method.
fn method(name: &str) -> Result<Url, DriverError> {
    Url::parse(&format!("{ORIGIN}/api/{name}"))
        .map_err(|_| DriverError::garbage(false, "it is not what its API promises"))
}

pub(super) const ORIGIN: &str = "https://slack.com";
/// In seconds: how long a token is used that can be renewed, and of which nobody could read how long it lives.
const UNREAD_LIFE: u64 = 15 * 60;
