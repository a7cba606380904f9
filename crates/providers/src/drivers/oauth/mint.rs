//! Tokens from a grant, and tokens of the application.
//!
//! Of a grant, the refresh token and the last access token that was not narrowed are kept. A narrowed token, or one
//! for a resource, is handed out and not kept.

use carnet_model::Scopes;
use carnet_model::grant::Cause;
use serde_json::{Map, Value};

use super::answer::{end_of_access, facts, person, settle, told};
use super::settings::Settings;
use crate::driver::failure::DriverError;
use crate::driver::held::{Access, Held, Tokens};
use crate::driver::mint::Minted;
use crate::oauth::client::{Client, Received};
use crate::oauth::failure::Phase;
use crate::oauth::target::Target;

/// A new token from what is held. `is_targeted` says that a caller asked for a target of its own.
pub(super) async fn refresh(
    settings: &Settings,
    client: &Client<'_>,
    held: &Tokens,
    narrowed: Option<&Scopes>,
    target: &Target<'_>,
    is_targeted: bool,
) -> Result<Minted, DriverError> {
    // One whose end is known and past would be taken for stolen by some, and ends nothing that has not ended.
    let lives = held.refresh_expires_at.is_none_or(|end| end > client.env.now());
    let old = held.refresh.as_ref().filter(|_| settings.options.refresh && lives);
    let old = old.ok_or(DriverError::Gone { cause: Cause::Expired, vendor: None })?;
    let narrowed = narrowed.filter(|scopes| !scopes.is_empty());
    let mut form = settings.form_of("refresh_token");
    form.push_secret("refresh_token", old);
    if let Some(scopes) = narrowed {
        form.push("scope", &scopes.joined(settings.options.separator()));
    }
    target.apply(&mut form);
    let mut received = client.token(&settings.server.token, form, Phase::Refresh).await?;
    let mut stray = settle(settings, client, target, &mut received).await;

    let metadata = told(settings, &mut received);
    // The refresh token that came is kept whatever else is wrong: it may be the only one that still works.
    let person = person(settings, client.http, &mut received, None, false).unwrap_or_else(|_| {
        stray.get_or_insert_with(|| "its ID token is not of this issuer for this client".to_owned());
        None
    });
    let (subject, claims) = facts(settings, person);
    if let (Some(before), Some(now)) = (&held.external_subject, &subject)
        && before != now
    {
        // OpenID Connect Core §12.2: a refresh never changes the account.
        return Err(DriverError::garbage(true, "its id_token is of another account than before"));
    }
    let is_new_person = subject.is_some();
    let external_subject = subject.or_else(|| held.external_subject.clone());
    let claims = if is_new_person { claims } else { held.claims.clone() };
    let expires_at = end_of_access(settings, &received, true);
    // Of what is not what was asked, nothing else is believed.
    let metadata = if stray.is_none() { metadata } else { Map::new() };
    let granted = received.issued.scopes.take().filter(|_| stray.is_none());

    // RFC 6749 §6: without a new refresh token, the old one stays in use.
    let rotated = received.issued.refresh.take();
    let refresh_expires_at = match (received.issued.refresh_expires_in, &rotated) {
        (Some(life), _) => Some(received.end_of(life)),
        (None, Some(_)) => None,
        (None, None) => held.refresh_expires_at,
    };
    let is_particular = narrowed.is_some() || is_targeted;
    let refresh = Some(rotated.unwrap_or_else(|| old.duplicate()));
    let flawed = received.issued.flaw.is_some();
    let token = received.issued.access;
    let keep = |access, scopes| {
        Held::of_tokens(Tokens {
            access,
            refresh,
            refresh_expires_at,
            scopes,
            external_subject: external_subject.clone(),
            claims: claims.clone(),
            tenant: None,
            bound: held.bound.clone(),
            aside: None,
        })
    };
    let (scopes, new) = if is_particular {
        let scopes = granted.or_else(|| narrowed.cloned()).or_else(|| held.scopes.clone());
        let access = held.access.as_ref().map(Access::duplicate);
        (scopes, keep(access, held.scopes.clone()))
    } else {
        let scopes = granted.or_else(|| held.scopes.clone());
        let access = Access { token: token.duplicate(), expires_at, scopes: scopes.clone() };
        // What is not what was asked is not kept either: what is kept is served. Half an answer says nothing of the token
        // before it, which lives as long as it did.
        let before =
            held.access.as_ref().filter(|access| access.expires_at.is_none_or(|end| end > received.at));
        let access = match (&stray, flawed) {
            (None, _) => Some(access),
            (Some(_), true) => before.map(Access::duplicate),
            (Some(_), false) => None,
        };
        (scopes.clone(), keep(access, scopes))
    };
    Ok(Minted {
        token,
        expires_at,
        scopes,
        held: Some(new),
        refresh_expires_at,
        metadata,
        claims,
        external_subject,
        stray,
        flawed,
    })
}

/// A token of the application, by client credentials (RFC 6749 §4.4).
pub(super) async fn app(
    settings: &Settings,
    client: &Client<'_>,
    scopes: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<Minted, DriverError> {
    let asked = scopes.filter(|scopes| !scopes.is_empty());
    let mut form = settings.form_of("client_credentials");
    if let Some(scopes) = asked {
        form.push("scope", &scopes.joined(settings.options.separator()));
    }
    target.apply(&mut form);
    let mut received = client.token(&settings.server.token, form, Phase::App).await?;
    if let Some(why) = settle(settings, client, target, &mut received).await {
        return Err(DriverError::Stray(why));
    }
    Ok(without_grant(settings, received, asked, Map::new()))
}

/// A token that hangs on no grant. A refresh token should not be beside it (RFC 6749 §4.4.3, RFC 7521 §4.1) and is not
/// needed: the same can always be asked again.
pub(super) fn without_grant(
    settings: &Settings,
    mut received: Received,
    asked: Option<&Scopes>,
    mut metadata: Map<String, Value>,
) -> Minted {
    metadata.extend(told(settings, &mut received));
    let expires_at = end_of_access(settings, &received, true);
    Minted {
        token: received.issued.access,
        expires_at,
        scopes: received.issued.scopes.or_else(|| asked.cloned()),
        held: None,
        refresh_expires_at: None,
        metadata,
        claims: Map::new(),
        external_subject: None,
        stray: None,
        flawed: false,
    }
}
