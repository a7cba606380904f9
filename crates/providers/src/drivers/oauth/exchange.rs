//! `tokenExchange`: a token for the holder of another one (RFC 8693).
//!
//! The inbound token goes into one form, to the connector's token endpoint, and is forgotten. What comes back must say
//! what kind of token it is, and be of a kind that was asked for.

use std::time::Duration;

use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::settle;
use super::mint::without_grant;
use super::settings::{Settings, way};
use crate::driver::ability::Inbound;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::mint::Minted;
use crate::driver::signer::Signer;
use crate::fields::Fields;
use crate::oauth::assertion::Assertion;
use crate::oauth::client::{Client, Form};
use crate::oauth::failure::Phase;
use crate::oauth::target::Target;

/// How tokens are exchanged.
#[derive(Debug)]
pub(super) struct Exchange {
    pub enabled: bool,
    /// Whether anything is said about it.
    said: bool,
    pub scopes: Scopes,
    subject_type: TokenType,
    requested_type: Option<TokenType>,
    /// For whom, where the caller names nobody.
    pub audience: Vec<String>,
    /// For which, where the caller names none (RFC 8707).
    pub resource: Vec<String>,
    /// Whether the connector says, in a token of its own, that it is the one who acts (RFC 8693 §2.1).
    pub actor: bool,
    pub inbound: Vec<Inbound>,
}

/// The kinds of token (RFC 8693 §3) that callers have and can use. Refresh tokens are not among them: nothing that makes
/// tokens is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Access,
    Id,
    Jwt,
}

impl TokenType {
    const ALL: [Self; 3] = [Self::Access, Self::Id, Self::Jwt];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "urn:ietf:params:oauth:token-type:access_token",
            Self::Id => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    fn read(fields: &mut Fields, name: &str) -> Result<Option<Self>, BadConfiguration> {
        let Some(text) = fields.text(name)? else { return Ok(None) };
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        let names = || Self::ALL.map(Self::as_str).join(", ");
        found.map(Some).ok_or_else(|| fields.bad(name, format!("must be one of {}", names())))
    }
}

impl Exchange {
    /// Reads it; off if it is not there.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, BadConfiguration> {
        let mut read = Self {
            enabled: false,
            said: false,
            scopes: Scopes::empty(),
            subject_type: TokenType::Access,
            requested_type: None,
            audience: Vec::new(),
            resource: Vec::new(),
            actor: false,
            inbound: Vec::new(),
        };
        let Some(mut inner) = fields.object("tokenExchange")? else { return Ok(read) };
        read.said = true;
        read.enabled = inner.flag("enabled")?.unwrap_or(true);
        read.scopes = inner.scopes("scopes")?.unwrap_or_default();
        read.subject_type = TokenType::read(&mut inner, "subjectTokenType")?.unwrap_or(TokenType::Access);
        read.requested_type = TokenType::read(&mut inner, "requestedTokenType")?;
        read.audience = inner.text_or_texts("audience")?;
        read.resource = inner.text_or_texts("resource")?;
        read.actor = inner.flag("actorToken")?.unwrap_or(false);
        for issuer in inner.objects("trustedIssuers")?.unwrap_or_default() {
            read.inbound.push(inbound(issuer)?);
        }
        inner.finish()?;
        Ok(read)
    }

    /// As stored and shown; `None` if it was never there.
    pub(super) fn to_json(&self) -> Option<Value> {
        self.said.then(|| {
            let lists = [("audience", self.audience.as_slice()), ("resource", self.resource.as_slice())];
            let mut out = way(self.enabled, &self.scopes, lists);
            let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
            put("subjectTokenType", self.subject_type.as_str().into());
            if let Some(kind) = self.requested_type {
                put("requestedTokenType", kind.as_str().into());
            }
            if self.actor {
                put("actorToken", true.into());
            }
            if !self.inbound.is_empty() {
                put("trustedIssuers", self.inbound.iter().map(written).collect());
            }
            out.into()
        })
    }

    /// Whether an answer that says this of itself is one that was asked for.
    fn takes(&self, issued: Option<&str>, is_other: bool) -> bool {
        let Some(kind) = TokenType::ALL.into_iter().find(|kind| Some(kind.as_str()) == issued) else {
            return false;
        };
        // What can be used as an access token has a type of its own (RFC 8693 §2.2.1).
        let fits = kind != TokenType::Access || !is_other;
        fits && self.requested_type.is_none_or(|wanted| wanted == kind)
    }
}

fn inbound(mut fields: Fields) -> Result<Inbound, BadConfiguration> {
    let issuer = fields.text("issuer")?.ok_or_else(|| fields.bad("issuer", "is missing"))?;
    let jwks_uri = match fields.text("jwksUri")? {
        None => None,
        Some(text) => Some(Url::parse(&text).map_err(|_| fields.bad("jwksUri", "is not a URL"))?),
    };
    let audiences = fields.text_or_texts("audiences")?;
    if audiences.is_empty() {
        return Err(fields.bad("audiences", "is missing: a token that is for somebody else is not taken"));
    }
    let once = fields.flag("oneTime")?.unwrap_or(false);
    fields.finish()?;
    Ok(Inbound { issuer, jwks_uri, audiences, once })
}

fn written(inbound: &Inbound) -> Value {
    let Inbound { issuer, jwks_uri, audiences, once } = inbound;
    let mut out = Map::new();
    out.insert("issuer".to_owned(), issuer.clone().into());
    out.insert("audiences".to_owned(), json!(audiences));
    if let Some(url) = jwks_uri {
        out.insert("jwksUri".to_owned(), url.as_str().into());
    }
    if *once {
        out.insert("oneTime".to_owned(), true.into());
    }
    out.into()
}

/// A token in exchange for another.
pub(super) async fn mint(
    settings: &Settings,
    client: &Client<'_>,
    actor: Option<&dyn Signer>,
    inbound: &SecretString,
    scopes: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<Minted, DriverError> {
    let rules = &settings.options.exchange;
    let asked = scopes.filter(|scopes| !scopes.is_empty());
    let form = |now| {
        let mut form = Form::of(GRANT_TYPE);
        form.push_secret("subject_token", inbound);
        form.push("subject_token_type", rules.subject_type.as_str());
        if let Some(kind) = rules.requested_type {
            form.push("requested_token_type", kind.as_str());
        }
        if let Some(signer) = actor {
            let actor = Assertion {
                issuer: client.id,
                subject: client.id,
                audience: settings.server.audience(),
                life: ACTOR_LIFE,
                claims: Map::new(),
            };
            form.push_secret("actor_token", &actor.sign(signer, client.env, now)?);
            form.push("actor_token_type", TokenType::Jwt.as_str());
        }
        if let Some(scopes) = asked {
            form.push("scope", &scopes.joined(settings.options.separator()));
        }
        target.apply(&mut form);
        Ok(form)
    };
    let endpoint = &settings.server.token;
    let mut received = if actor.is_some() {
        client.token_by_clock(endpoint, Phase::Exchange, form).await?
    } else {
        client.token(endpoint, form(client.env.now())?, Phase::Exchange).await?
    };
    let kind = received.issued.kind.clone();
    if !rules.takes(kind.as_deref(), received.issued.is_other) {
        let what = match kind {
            None => "its issued_token_type is missing",
            Some(_) => {
                "its issued_token_type, or its token_type, is not of the kind that the connector takes"
            }
        };
        return Err(DriverError::garbage(true, what));
    }
    if let Some(why) = settle(settings, client, target, &mut received).await {
        return Err(DriverError::Stray(why));
    }
    let told = kind.map(|kind| ("issuedTokenType".to_owned(), kind.into()));
    Ok(without_grant(settings, received, asked, told.into_iter().collect()))
}

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The same as of a client's own assertion.
const ACTOR_LIFE: Duration = Duration::from_mins(1);
