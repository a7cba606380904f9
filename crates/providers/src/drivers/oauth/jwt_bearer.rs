//! `jwtBearer`: tokens for identities that a caller asserts (RFC 7523 §2.1), in assertions signed by the connector's own
//! key.
//!
//! The connector says which issuers, audiences and subjects may be asserted at all. What it says itself cannot be said
//! otherwise by a caller.

use std::time::Duration;

use carnet_model::Scopes;
use serde_json::{Map, Value};

use super::answer::settle;
use super::client_assertion::{further_claims, life};
use super::mint::without_grant;
use super::settings::{Settings, way};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::mint::{Asserted, Minted};
use crate::driver::signer::Signer;
use crate::fields::Fields;
use crate::oauth::assertion::Assertion;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::Phase;
use crate::oauth::target::Target;

/// What may be asserted, and how.
#[derive(Debug)]
pub(super) struct JwtBearer {
    pub enabled: bool,
    /// Whether anything is said about it.
    said: bool,
    pub scopes: Scopes,
    /// Who may be asserted; anybody if empty. `*` stands for anything, at the beginning or the end.
    sub: Vec<String>,
    /// By whom; the first if the caller does not say. Anybody, and the client itself first, if empty.
    iss: Vec<String>,
    /// To whom; the first if the caller does not say. Anybody, and the token endpoint first, if empty.
    aud: Vec<String>,
    claims: Map<String, Value>,
    life: Duration,
    /// Whether the client proves itself besides.
    with_client: bool,
}

impl JwtBearer {
    /// Reads it; off if it is not there.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, BadConfiguration> {
        let mut read = Self {
            enabled: false,
            said: false,
            scopes: Scopes::empty(),
            sub: Vec::new(),
            iss: Vec::new(),
            aud: Vec::new(),
            claims: Map::new(),
            life: LIFE,
            with_client: true,
        };
        let Some(mut inner) = fields.object("jwtBearer")? else { return Ok(read) };
        read.said = true;
        read.enabled = inner.flag("enabled")?.unwrap_or(true);
        read.scopes = inner.scopes("scopes")?.unwrap_or_default();
        read.sub = inner.text_or_texts("sub")?;
        if read.sub.iter().any(|pattern| pattern.trim_start_matches('*').trim_end_matches('*').contains('*'))
        {
            return Err(inner.bad("sub", "may have a * at the beginning or at the end, and nowhere else"));
        }
        read.iss = inner.text_or_texts("iss")?;
        read.aud = inner.text_or_texts("aud")?;
        if let Some(claims) = inner.object("additionalClaims")? {
            read.claims = further_claims(claims)?;
        }
        read.life = life(&mut inner)?.unwrap_or(LIFE);
        read.with_client = inner.flag("useClientCredentials")?.unwrap_or(true);
        inner.finish()?;
        Ok(read)
    }

    /// As stored and shown; `None` if it was never there.
    pub(super) fn to_json(&self) -> Option<Value> {
        self.said.then(|| {
            let lists =
                [("sub", self.sub.as_slice()), ("iss", self.iss.as_slice()), ("aud", self.aud.as_slice())];
            let mut out = way(self.enabled, &self.scopes, lists);
            let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
            if !self.claims.is_empty() {
                put("additionalClaims", self.claims.clone().into());
            }
            put("ttl", self.life.as_secs().into());
            put("useClientCredentials", self.with_client.into());
            out.into()
        })
    }

    /// The assertion, if the connector's rules allow it.
    fn assertion<'a>(
        &'a self,
        who: &'a Asserted,
        client: &'a str,
        endpoint: &'a str,
    ) -> Result<Assertion<'a>, DriverError> {
        if !self.sub.is_empty() && !self.sub.iter().any(|pattern| fits(pattern, &who.sub)) {
            return Err(forbidden("sub", "this connector does not let anybody assert this subject"));
        }
        let issuer = pinned("iss", &self.iss, who.iss.as_deref(), client)?;
        let audience = pinned("aud", &self.aud, who.aud.as_deref(), endpoint)?;
        if let Some(name) = self.claims.keys().find(|name| who.claims.contains_key(*name)) {
            return Err(forbidden(
                &format!("additionalClaims.{name}"),
                "the connector says this claim itself",
            ));
        }
        let mut claims = who.claims.clone();
        claims.extend(self.claims.clone());
        Ok(Assertion { issuer, subject: &who.sub, audience, life: self.life, claims })
    }
}

/// A token for an asserted identity.
pub(super) async fn mint(
    settings: &Settings,
    client: Client<'_>,
    signer: &dyn Signer,
    who: &Asserted,
    scopes: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<Minted, DriverError> {
    let rules = &settings.options.jwt_bearer;
    let asked = scopes.filter(|scopes| !scopes.is_empty());
    let (id, env) = (client.id, client.env);
    let form = |now| {
        let assertion = rules.assertion(who, id, settings.server.token.as_str())?;
        let mut form = Form::of(GRANT_TYPE);
        form.push_secret("assertion", &assertion.sign(signer, env, now)?);
        if let Some(scopes) = asked {
            form.push("scope", &scopes.joined(settings.options.separator()));
        }
        target.apply(&mut form);
        Ok(form)
    };
    let silent = Client { http: client.http, env, tenant: client.tenant, id, proof: Proof::Unsaid };
    let asker = if rules.with_client { &client } else { &silent };
    let mut received = asker.token_by_clock(&settings.server.token, Phase::Assertion, form).await?;
    // Whoever asks about a token says who asks, whether or not the assertion needed it.
    if let Some(why) = settle(settings, &client, target, &mut received).await {
        return Err(DriverError::Stray(why));
    }
    Ok(without_grant(settings, received, asked, Map::new()))
}

/// What the caller says, if the connector lets it; else what the connector says; else the default.
fn pinned<'a>(
    name: &str,
    allowed: &'a [String],
    said: Option<&'a str>,
    default: &'a str,
) -> Result<&'a str, DriverError> {
    match said {
        None => Ok(allowed.first().map_or(default, String::as_str)),
        Some(said) if allowed.is_empty() || allowed.iter().any(|one| one == said) => Ok(said),
        Some(_) => Err(forbidden(name, "this connector does not let anybody assert this value")),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => text.contains(pattern.trim_matches('*')),
        (Some(end), None) => text.ends_with(end),
        (None, Some(beginning)) => text.starts_with(beginning),
        (None, None) => text == pattern,
    }
}

fn forbidden(field: &str, why: &str) -> DriverError {
    DriverError::Forbidden(format!("subject.{field}: {why}"))
}

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Salesforce takes five minutes at most, and its own clients say three.
const LIFE: Duration = Duration::from_mins(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_at_the_end_where_it_is() {
        for (pattern, text, want) in [
            ("alice", "alice", true),
            ("alice", "alice2", false),
            ("*@acme.example", "alice@acme.example", true),
            ("*@acme.example", "alice@acme.example.evil", false),
            ("svc-*", "svc-1", true),
            ("svc-*", "my-svc-1", false),
            ("*", "anybody", true),
            ("*.bot.*", "a.bot.b", true),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
    }
}
