//! The members of `data`, one by one: what each may say, and what is meant where it says nothing.

use std::time::Duration;

use carnet_model::Scopes;
use carnet_model::grant::Rotation;

use super::GrantType;
use crate::driver::failure::BadConfiguration;
use crate::driver::signer::SigningAlgorithm;
use crate::fields::Fields;
use crate::oauth::authorization::{is_protocols_own, is_reserved};
use crate::oauth::client::Format;
use crate::oauth::target::is_resource;

pub(super) fn grant_type(fields: &mut Fields, name: &str) -> Result<GrantType, BadConfiguration> {
    let Some(mut inner) = fields.object(name)? else {
        return Ok(GrantType { enabled: None, scopes: Scopes::empty() });
    };
    let enabled = inner.flag("enabled")?.unwrap_or(true);
    let scopes = inner.scopes("scopes")?.unwrap_or_default();
    inner.finish()?;
    Ok(GrantType { enabled: Some(enabled), scopes })
}

pub(super) fn resource(fields: &mut Fields) -> Result<Option<String>, BadConfiguration> {
    match fields.text("resource")? {
        Some(text) if !is_resource(&text) => {
            Err(fields.bad("resource", "must be an absolute URI without a fragment (RFC 8707 §2)"))
        }
        resource => Ok(resource),
    }
}

/// `{"enabled": …}`, or what is meant where nothing is said.
pub(super) fn switch(fields: &mut Fields, name: &str, unsaid: bool) -> Result<bool, BadConfiguration> {
    let Some(mut inner) = fields.object(name)? else { return Ok(unsaid) };
    let enabled = inner.flag("enabled")?.unwrap_or(true);
    inner.finish()?;
    Ok(enabled)
}

pub(super) fn refresh_tokens(fields: &mut Fields) -> Result<(bool, Option<u16>), BadConfiguration> {
    let Some(mut inner) = fields.object("refreshTokens")? else { return Ok((true, None)) };
    let enabled = inner.flag("enabled")?.unwrap_or(true);
    let idle_days = match inner.number("idleDays")?.map(u16::try_from) {
        None => None,
        Some(Ok(days @ 1..=3650)) => Some(days),
        Some(_) => return Err(inner.bad("idleDays", "must be 1 to 3650 days")),
    };
    inner.finish()?;
    Ok((enabled, idle_days))
}

/// What callers are told: claims of the ID token, members of the token endpoint's answer.
pub(super) fn forwarded(fields: &mut Fields) -> Result<(Vec<String>, Vec<String>), BadConfiguration> {
    let Some(mut inner) = fields.object("forwardedClaims")? else { return Ok((Vec::new(), Vec::new())) };
    let claims = inner.texts("idToken")?.unwrap_or_default();
    let members = inner.texts("tokenResponse")?.unwrap_or_default();
    inner.finish()?;
    Ok((claims, members))
}

pub(super) fn default_life(fields: &mut Fields) -> Result<Option<Duration>, BadConfiguration> {
    match fields.number("defaultTokenExpiresIn")? {
        None => Ok(None),
        Some(seconds @ 60..=315_360_000) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(fields.bad("defaultTokenExpiresIn", "must be 60 seconds to ten years")),
    }
}

/// What some servers want to hear when a code is redeemed, and nowhere else.
pub(super) fn token_params(fields: &mut Fields) -> Result<Vec<(String, String)>, BadConfiguration> {
    let params = fields.pairs("tokenRequestParams")?.unwrap_or_default();
    let is_own =
        |name: &str| is_protocols_own(name) || ["grant_type", "code", "refresh_token"].contains(&name);
    match params.iter().find(|(name, _)| is_own(name)) {
        Some((name, _)) => {
            Err(fields.bad(&format!("tokenRequestParams.{name}"), "is set by the protocol itself"))
        }
        None => Ok(params),
    }
}

pub(super) fn authorization_params(fields: &mut Fields) -> Result<Vec<(String, String)>, BadConfiguration> {
    let params = fields.pairs("authorizationUrlParams")?.unwrap_or_default();
    match params.iter().find(|(name, _)| is_reserved(name)) {
        Some((name, _)) => {
            Err(fields.bad(&format!("authorizationUrlParams.{name}"), "is set by the protocol itself"))
        }
        None => Ok(params),
    }
}

pub(super) fn separator(fields: &mut Fields) -> Result<Option<String>, BadConfiguration> {
    match fields.text("scopeSeparator")? {
        Some(text) if !matches!(text.as_str(), " " | ",") => {
            Err(fields.bad("scopeSeparator", "must be a space or a comma"))
        }
        separator => Ok(separator),
    }
}

pub(super) fn format(fields: &mut Fields) -> Result<Format, BadConfiguration> {
    match fields.text("tokenRequestFormat")? {
        None => Ok(Format::default()),
        Some(name) => {
            Format::parse(&name).ok_or_else(|| fields.bad("tokenRequestFormat", "must be form or json"))
        }
    }
}

pub(super) fn signing(fields: &mut Fields) -> Result<Option<SigningAlgorithm>, BadConfiguration> {
    match fields.text("signingAlgorithm")? {
        None => Ok(None),
        Some(name) => SigningAlgorithm::parse(&name)
            .map(Some)
            .ok_or_else(|| fields.bad("signingAlgorithm", "must be RS256, ES256, PS256, ES384 or EdDSA")),
    }
}

/// Where nothing is said, a refresh token is taken to work once: presenting such a token twice may cost the grant,
/// while sparing one that works often costs a retry.
pub(super) fn rotation(fields: &mut Fields) -> Result<Rotation, BadConfiguration> {
    let Some(mut inner) = fields.object("rotation")? else { return Ok(Rotation::Strict) };
    let class = inner.text("class")?;
    let seconds = inner.number("seconds")?.map(u32::try_from);
    let rotation = match (class.as_deref(), seconds) {
        (Some("none"), None) => Rotation::None,
        (Some("strict"), None) => Rotation::Strict,
        (Some("grace"), Some(Ok(seconds @ 1..=86_400))) => Rotation::Grace { seconds },
        _ => {
            let forms = r#"must be {"class":"none"}, {"class":"strict"}, or {"class":"grace","seconds":…} of 1 to 86400"#;
            return Err(fields.bad("rotation", forms));
        }
    };
    inner.finish()?;
    Ok(rotation)
}
