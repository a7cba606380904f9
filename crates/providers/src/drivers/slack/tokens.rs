//! The renewal of a token and its end.
//!
//! A token that lives until it is revoked, of an app whose tokens rotate by now, is kept as what renews itself: it is
//! exchanged when it is asked for first, and that works once, as with every refresh token ("Using token rotation",
//! "oauth.v2.exchange").

use std::time::Duration;

use carnet_model::grant::Cause;
use carnet_model::{SecretString, Time};
use serde_json::{Map, Value};

use super::answer::{self, Token};
use super::consent;
use super::settings::Settings;
use crate::driver::At;
use crate::driver::failure::DriverError;
use crate::driver::held::{Access, Bound, Held, Tokens};
use crate::driver::mint::{Minted, Revocation};
use crate::driver::standing::Standing;
use crate::oauth::client::Form;
use crate::oauth::failure::Phase;

/// A new token. Slack answers with the token at the top, whosever it is; it must be of the same kind as the one before, and
/// for the same workspace. One that is for another is ended and not handed out; what it is renewed with is kept, because the
/// refresh token before it is spent.
pub(super) async fn refresh(
    at: &At<'_>,
    settings: &Settings,
    held: Option<&Held>,
) -> Result<Minted, DriverError> {
    let gone = || DriverError::Gone { cause: Cause::Expired, vendor: None };
    let before = held.and_then(Held::tokens).ok_or_else(gone)?;
    let old = before.refresh.as_ref().ok_or_else(gone)?;
    let is_exchange = is_long_lived(old);
    if is_exchange && !settings.rotates {
        return Ok(as_it_is(before, old));
    }
    let mut said = if is_exchange {
        answer::exchange(at.env, &settings.client_in_form(at)?, old).await?
    } else {
        let mut form = Form::of("refresh_token");
        form.push_secret("refresh_token", old);
        answer::access(at.env, &settings.client(at)?, form, Phase::Refresh).await?
    };
    let garbage = || DriverError::garbage(true, "it is not what its API promises");
    if is_exchange && said.members.get("token_type").is_none_or(Value::is_null) {
        // Its answer is not documented; whose the token is shows in the token.
        let new = said.members.get("access_token").and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = if is_bot(&SecretString::new(new)) { "bot" } else { "user" };
        said.members.insert("token_type".to_owned(), kind.into());
    }
    let token = Token::read(&said.members)?.ok_or_else(garbage)?;
    let old_token = before.access.as_ref().map(|access| &access.token).or(is_exchange.then_some(old));
    let was_bot = old_token.map(is_bot);
    if was_bot.is_some_and(|was| was != token.is_bot) {
        return Err(garbage());
    }
    let tenant = consent::place(&said).and_then(|place| place.tenant_id);
    // One for a whole organization may name the workspace beside it; that is no other place.
    let named: Vec<String> =
        ["team", "enterprise"].iter().filter_map(|object| said.text(object, "id")).collect();
    let meant = before.tenant.as_ref().or(settings.team.as_ref());
    let elsewhere = !named.is_empty() && meant.is_some_and(|meant| !named.contains(meant));
    if elsewhere {
        let _ = end(at, &token.access).await;
    }
    let expires_at = token.expires_in.map(|seconds| end_of(said.at, seconds));
    let scopes = token.scopes.or_else(|| before.scopes.clone());
    let access = Access { token: token.access.duplicate(), expires_at, scopes: scopes.clone() };
    let access = Some(access).filter(|_| !elsewhere);
    Ok(Minted {
        token: token.access,
        expires_at,
        scopes: scopes.clone(),
        held: Some(Held::of_tokens(Tokens {
            access,
            // The one before is revoked by being used; without another, this token is the last.
            refresh: token.refresh,
            refresh_expires_at: None,
            scopes,
            external_subject: before.external_subject.clone(),
            claims: Map::new(),
            tenant: before.tenant.clone().or(tenant.filter(|_| !elsewhere)),
            bound: Bound::default(),
            aside: None,
        })),
        refresh_expires_at: None,
        metadata: Map::new(),
        claims: Map::new(),
        external_subject: before.external_subject.clone(),
        stray: elsewhere.then(|| "it is for another workspace than the one before".to_owned()),
        flawed: false,
    })
}

/// A token that lives until it is revoked, where the connector's tokens do not rotate after all.
fn as_it_is(before: &Tokens, token: &SecretString) -> Minted {
    let scopes = before.scopes.clone();
    let access = Access { token: token.duplicate(), expires_at: None, scopes: scopes.clone() };
    Minted {
        token: token.duplicate(),
        expires_at: None,
        scopes: scopes.clone(),
        held: Some(Held::of_tokens(Tokens {
            access: Some(access),
            scopes,
            external_subject: before.external_subject.clone(),
            tenant: before.tenant.clone(),
            ..Tokens::default()
        })),
        refresh_expires_at: None,
        metadata: Map::new(),
        claims: Map::new(),
        external_subject: before.external_subject.clone(),
        stray: None,
        flawed: false,
    }
}

/// What is kept of a token that came without anything to renew it: itself, to be exchanged at its first use, where the
/// app's tokens rotate and this one does not yet.
pub(super) fn to_exchange(settings: &Settings, token: &SecretString) -> Option<SecretString> {
    (settings.rotates && is_long_lived(token)).then(|| token.duplicate())
}

/// Ends what is held, while there is a token to end it with.
pub(super) async fn revoke(at: &At<'_>, held: &Held) -> Result<Revocation, DriverError> {
    let now = at.env.now();
    let living = held.access().filter(|access| access.expires_at.is_none_or(|end| end > now));
    // One that was not exchanged yet lives on.
    let living = living.map(|access| &access.token).or(held.refresh().filter(|token| is_long_lived(token)));
    match living {
        Some(token) => end(at, token).await,
        None => Ok(Revocation::NotSupported),
    }
}

/// Ends one token ("auth.revoke").
pub(super) async fn end(at: &At<'_>, token: &SecretString) -> Result<Revocation, DriverError> {
    match answer::with_token(at, "auth.revoke", token).await {
        Ok(_) => Ok(Revocation::Revoked),
        // It was ended before.
        Err(DriverError::Refused { vendor }) if ENDED.contains(&vendor.error.as_str()) => {
            Ok(Revocation::Revoked)
        }
        Err(error) => Err(error),
    }
}

/// Whether Slack still takes a token ("auth.test"). One that has run out says nothing about what renews it.
pub(super) async fn standing(at: &At<'_>, held: &Held) -> Result<Standing, DriverError> {
    let Some(access) = held.access() else { return Ok(Standing::Unsaid) };
    match answer::with_token(at, "auth.test", &access.token).await {
        Ok(_) => Ok(Standing::Holds),
        Err(DriverError::Refused { vendor }) if vendor.error == "token_expired" => Ok(Standing::Unsaid),
        Err(DriverError::Refused { vendor }) if ENDED.contains(&vendor.error.as_str()) => Ok(Standing::Gone),
        Err(error) => Err(error),
    }
}

/// Whether a token lives until it is revoked ("Token types": `xoxb-`, `xoxp-`; those that rotate begin with `xoxe`).
fn is_long_lived(token: &SecretString) -> bool {
    ["xoxb-", "xoxp-"].iter().any(|kind| token.expose().starts_with(kind))
}

/// Whether a token is a bot's ("Token types": `xoxb-`, and `xoxe.xoxb-` where rotation is on).
pub(super) fn is_bot(token: &SecretString) -> bool {
    let text = token.expose();
    text.strip_prefix("xoxe.").unwrap_or(text).starts_with("xoxb-")
}

/// When a life of this many seconds ends that began at `at`.
pub(super) fn end_of(at: Time, seconds: u64) -> Time {
    at.plus(Duration::from_secs(seconds.min(10 * 365 * 24 * 3600)))
}

const ENDED: [&str; 5] = ["token_revoked", "token_expired", "invalid_auth", "account_inactive", "not_authed"];
