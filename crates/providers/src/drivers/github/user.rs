//! Tokens of people: the way to one, its renewal and its end.
//!
//! GitHub says no scopes ("scope: the scopes that the token has. This value will always be an empty string because user
//! access tokens use fine-grained permissions instead of scopes"): what a token may do is what the app and the person may
//! do both. So none can be asked for, and a token cannot be narrowed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_egress::{Answer, Call, Purpose};
use carnet_model::grant::Cause;
use carnet_model::{SecretString, Time};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::api::{self, Api};
use super::device;
use super::settings::Settings;
use super::unsupported;
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::{Access, Bound, Held, Tokens};
use crate::driver::import::Import;
use crate::driver::mint::{Minted, Revocation};
use crate::driver::profile::Profile;
use crate::driver::standing::Standing;
use crate::fields::is_credential;
use crate::oauth::authorization::{self, fresh, is_reserved, is_target};
use crate::oauth::callback;
use crate::oauth::client::{Client, Form, Received};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::{self, Phase};
use crate::oauth::target::Target;

/// Refuses what cannot be asked of a person at GitHub.
pub(super) fn check(settings: &Settings, ask: &ConsentAsk<'_>) -> Result<(), DriverError> {
    if !settings.has_people {
        return Err(no_people());
    }
    let asked = ask.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
    if asked || !(ask.resources.is_empty() && ask.audience.is_empty() && ask.details.is_empty()) {
        return Err(unsupported(CANNOT_BE_NARROWED));
    }
    match ask.additional_params.keys().find(|name| is_reserved(name) || is_target(name)) {
        Some(name) => {
            Err(unsupported(&format!("the parameter {} is set by the protocol", name.escape_default())))
        }
        None => Ok(()),
    }
}

/// Sends the person to GitHub.
pub(super) fn begin(at: &At<'_>, settings: &Settings, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
    check(settings, ask)?;
    let verifier = fresh(at.env);
    let endpoint = api::web("login/oauth/authorize")?;
    let mut more: BTreeMap<&str, &str> =
        ask.additional_params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // GitHub's own name for a hint.
    for (name, value) in [("prompt", &ask.prompt), ("login", &ask.login_hint)] {
        if let Some(value) = value {
            more.insert(name, value);
        }
    }
    let request = authorization::Request {
        endpoint: &endpoint,
        client: &settings.client_id,
        redirect_uri: at.redirect_uri,
        state: ask.state,
        verifier: &verifier,
        nonce: None,
        scopes: None,
        separator: " ",
        target: Target::none(),
        more,
    };
    let url = at.http.reroute(&request.url());
    Ok(Step::Redirect { url, kept: Kept { verifier: Some(verifier), ..Kept::default() } })
}

/// The person came back, or has decided on GitHub's page.
pub(super) async fn finish(
    at: &At<'_>,
    settings: &Settings,
    back: &Callback,
    kept: &Kept,
) -> Result<Granted, DriverError> {
    let received = match (back, &kept.verifier, &kept.device) {
        (Callback::Redirected { params }, Some(verifier), None) => {
            redeem(at, settings, &code(params)?, Some(verifier)).await?
        }
        (Callback::Awaited, None, Some(code)) => device::redeem(at, settings, code).await?,
        _ => return Err(CallbackFault::Unexpected.into()),
    };
    let (account, name) = who(at, &received.issued.access).await;
    let (access_expires_at, refresh_expires_at) = ends(&received);
    let access = Access { token: received.issued.access, expires_at: access_expires_at, scopes: None };
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(access),
            refresh: received.issued.refresh,
            refresh_expires_at,
            external_subject: account.clone(),
            ..Tokens::default()
        }),
        scopes: None,
        external_subject: account,
        access_expires_at,
        refresh_expires_at,
        name,
        metadata: Map::new(),
        profile: Profile::default(),
        installation: None,
    })
}

/// The code in what came back. GitHub names no issuer.
pub(super) fn code(params: &[(String, String)]) -> Result<SecretString, DriverError> {
    callback::code(params, None, false)
}

/// Tokens for a code.
pub(super) async fn redeem(
    at: &At<'_>,
    settings: &Settings,
    code: &SecretString,
    verifier: Option<&SecretString>,
) -> Result<Received, DriverError> {
    let mut form = Form::new();
    form.push_secret("code", code);
    // The address is said again only where it was said before.
    if let Some(verifier) = verifier {
        form.push("redirect_uri", at.redirect_uri);
        form.push_secret("code_verifier", verifier);
    }
    client(at, settings)?.token(&api::web(TOKEN)?, form, Phase::Code).await
}

/// A new token. Sent once: the refresh token works once, and the access token before it is dead from then on.
pub(super) async fn refresh(
    at: &At<'_>,
    settings: &Settings,
    held: Option<&Held>,
) -> Result<Minted, DriverError> {
    let gone = || DriverError::Gone { cause: Cause::Expired, vendor: None };
    let tokens = held.and_then(Held::tokens).ok_or_else(gone)?;
    let old = tokens.refresh.as_ref().ok_or_else(gone)?;
    let mut form = Form::of("refresh_token");
    form.push_secret("refresh_token", old);
    let received = client(at, settings)?.token(&api::web(TOKEN)?, form, Phase::Refresh).await?;
    let (expires_at, refresh_expires_at) = ends(&received);
    let token = received.issued.access;
    let stray = received.issued.flaw.map(str::to_owned);
    let access = Access { token: token.duplicate(), expires_at, scopes: None };
    let new = Tokens {
        access: Some(access).filter(|_| stray.is_none()),
        // What was sent is worth nothing now; GitHub gives another one each time.
        refresh: received.issued.refresh,
        refresh_expires_at,
        scopes: None,
        external_subject: tokens.external_subject.clone(),
        claims: Map::new(),
        tenant: None,
        bound: Bound::default(),
        aside: None,
    };
    Ok(Minted {
        token,
        expires_at,
        scopes: None,
        held: Some(Held::of_tokens(new)),
        refresh_expires_at,
        metadata: Map::new(),
        claims: Map::new(),
        external_subject: tokens.external_subject.clone(),
        flawed: stray.is_some(),
        stray,
    })
}

/// Tokens that the same app got for a person.
pub(super) fn import(settings: &Settings, import: Import) -> Result<Granted, DriverError> {
    if !settings.has_people {
        return Err(no_people());
    }
    let sound = |token: &SecretString| is_credential(token.expose()) && !token.expose().contains(' ');
    if !import.refresh.iter().chain([&import.access]).all(sound) {
        return Err(unsupported("a token has 1 to 16384 printable ASCII characters and no space"));
    }
    if import.scopes.is_some_and(|scopes| !scopes.is_empty()) {
        return Err(unsupported(CANNOT_BE_NARROWED));
    }
    let refresh_expires_at = import.refresh_expires_at.filter(|_| import.refresh.is_some());
    let access = Access { token: import.access, expires_at: import.access_expires_at, scopes: None };
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(access),
            refresh: import.refresh,
            refresh_expires_at,
            external_subject: import.external_subject.clone(),
            ..Tokens::default()
        }),
        scopes: None,
        external_subject: import.external_subject,
        access_expires_at: import.access_expires_at,
        refresh_expires_at,
        name: import.name,
        metadata: import.metadata,
        profile: Profile::default(),
        installation: None,
    })
}

/// Ends a token. Of a person, this one alone: ending the whole grant would end what the same person gave in other
/// environments too ("Delete an app authorization").
pub(super) async fn revoke(at: &At<'_>, settings: &Settings, held: &Held) -> Result<Revocation, DriverError> {
    let now = at.env.now();
    let lives = |access: &&Access| access.expires_at.is_none_or(|end| end > now);
    let Some(access) = held.access().filter(lives) else { return Ok(Revocation::NotSupported) };
    // Tokens of installations begin so ("GitHub's token formats").
    if !access.token.expose().starts_with("ghs_") {
        return forget(at, settings, &access.token).await;
    }
    let github = Api::of(at);
    let url = api::api("installation/token")?;
    let answer = github.with_token(Method::DELETE, url, None, &access.token).await?;
    match answer.status {
        // A token that GitHub does not know any more is as good as ended.
        StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED => Ok(Revocation::Revoked),
        _ => {
            Err(github
                .refusal(&answer, &[access.token.duplicate()], |vendor| DriverError::Refused { vendor }))
        }
    }
}

/// Ends one token of a person ("Delete an app token").
pub(super) async fn forget(
    at: &At<'_>,
    settings: &Settings,
    token: &SecretString,
) -> Result<Revocation, DriverError> {
    let answer = about(at, settings, Method::DELETE, token).await?;
    match answer.status {
        // What is not there any more is not found, or "validation failed".
        StatusCode::NO_CONTENT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => {
            Ok(Revocation::Revoked)
        }
        _ => Err(refused(at, &answer, token)),
    }
}

/// Whether GitHub still takes a person's token ("Check a token").
pub(super) async fn standing(at: &At<'_>, settings: &Settings, held: &Held) -> Result<Standing, DriverError> {
    let Some(access) = held.access() else { return Ok(Standing::Unsaid) };
    let answer = about(at, settings, Method::POST, &access.token).await?;
    match answer.status {
        StatusCode::OK => Ok(Standing::Holds),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => Ok(Standing::Gone),
        _ => Err(refused(at, &answer, &access.token)),
    }
}

fn refused(at: &At<'_>, answer: &Answer, token: &SecretString) -> DriverError {
    let secret = Settings::client_secret(at).ok().map(SecretString::duplicate);
    let sent: Vec<SecretString> = secret.into_iter().chain([token.duplicate()]).collect();
    Api::of(at).refusal(answer, &sent, |vendor| DriverError::Refused { vendor })
}

/// A call of the app about one token of a person, with the client's own credentials.
async fn about(
    at: &At<'_>,
    settings: &Settings,
    method: Method,
    token: &SecretString,
) -> Result<Answer, DriverError> {
    let secret = Settings::client_secret(at)?;
    let pair = SecretString::new(format!("{}:{}", settings.client_id, secret.expose()));
    let text = SecretString::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| DriverError::garbage(false, "it is not what its API promises"))?;
    value.set_sensitive(true);
    let url = api::api(&format!("applications/{}/token", settings.client_id))?;
    let mut call = Call::new(method, url, Purpose::ProviderApi, at.connector.team)
        .header(AUTHORIZATION, value)
        .header(ACCEPT, HeaderValue::from_static("application/vnd.github+json"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.body = json!({"access_token": token.expose()}).to_string().into();
    at.http.send(call).await.map_err(|error| failure::of_transport(error, "clientId"))
}

/// Who the person is: the account's number, which stays, and its name, which may change. A grant is not given up because
/// GitHub does not say.
async fn who(at: &At<'_>, token: &SecretString) -> (Option<String>, Option<String>) {
    let Ok(url) = api::api("user") else { return (None, None) };
    let answer = Api::of(at).with_token(Method::GET, url, None, token).await;
    let person = answer.ok().and_then(|answer| api::object(&answer, StatusCode::OK)).unwrap_or_default();
    let number = person.get("id").and_then(Value::as_u64);
    let login = person.get("login").and_then(Value::as_str);
    let login = login.map(|login| login.chars().filter(|c| !c.is_control()).take(100).collect());
    (number.map(|number| number.to_string()), login)
}

fn ends(received: &Received) -> (Option<Time>, Option<Time>) {
    let issued = &received.issued;
    let refresh = issued.refresh_expires_in.filter(|_| issued.refresh.is_some());
    (issued.expires_in.map(|life| received.end_of(life)), refresh.map(|life| received.end_of(life)))
}

fn client<'a>(at: &At<'a>, settings: &'a Settings) -> Result<Client<'a>, DriverError> {
    Ok(Client {
        http: at.http,
        env: at.env,
        tenant: at.connector.team,
        id: &settings.client_id,
        proof: Proof::Post(Settings::client_secret(at)?),
    })
}

fn no_people() -> DriverError {
    unsupported("this connector has no tokens of people: clientSecret is not set")
}

pub(super) const TOKEN: &str = "login/oauth/access_token";
pub(super) const CANNOT_BE_NARROWED: &str = "tokens of people at GitHub have no scopes and cannot be narrowed: they reach what the app and the person reach \
     both; ask without scopes";
