//! Atlassian, for people: Jira, Confluence and whatever else is reached through `api.atlassian.com` (OAuth 2.0, 3LO).
//!
//! Facts are from developer.atlassian.com ("OAuth 2.0 (3LO) apps", "Implementing the refresh token flow") and Atlassian's
//! announcement of rotating refresh tokens (community.developer.atlassian.com/t/54172), read 2026-11-30:
//! - A token is good for the sites that the person chose, at `https://api.atlassian.com/ex/PRODUCT/CLOUD-ID/…`. Which these
//!   are is asked with the token itself. One grant per person and app holds all sites; a later consent adds to it.
//! - A refresh token works once. Sending it again is taken for ten minutes; after that it ends the grant. It ends after
//!   ninety days without use, and a year after the consent whatever is done.
//! - There is no address to end a token at: the person ends it under "Connected apps".
//! - A dead refresh token is answered with 403, by `invalid_grant`, or by `unauthorized_client` with the words
//!   "refresh_token is invalid" (seen by many, documented nowhere), which says nothing about the client.

use std::time::Duration;

use carnet_egress::{Call, Limits, Purpose};
use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Scopes, SecretString};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, ReadSecret, callback, client_is_known, kept, named, taken_with_secret};
use crate::driver::consent::{ConsentAsk, Granted};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::{Held, Tokens};
use crate::driver::mint::Minted;
use crate::driver::{Accepted, At, Boxed, NewConnector};
use crate::fields::Fields;
use crate::oauth::client_auth::Proof;
use crate::oauth::json;
use crate::oauth::probe::By;

/// Atlassian.
pub(super) struct Atlassian;

/// What is known about an app.
pub(super) struct Facts {
    client_id: String,
    user_scopes: Scopes,
    /// The one site that it is for, by its host.
    site: Option<String>,
}

impl Dialect for Atlassian {
    const NAME: &'static str = "Atlassian";
    type Facts = Facts;

    fn read<S>(mut fields: Fields, secret: ReadSecret<'_, S>) -> Result<(Facts, S), BadConfiguration> {
        let client_id = fields.text("clientId")?.ok_or_else(|| fields.bad("clientId", "is missing"))?;
        let secret = secret(&mut fields)?;
        let user_scopes = named(fields.scopes("userScopes")?).ok_or_else(|| {
            fields.bad(
                "userScopes",
                "is empty: name what people are asked for, with offline_access to renew it",
            )
        })?;
        let site = match fields.text("site")? {
            None => None,
            Some(text) => {
                let text = text.to_ascii_lowercase();
                let host = text.strip_prefix("https://").unwrap_or(&text).trim_end_matches('/');
                let name = host.strip_suffix(SITES).unwrap_or(host);
                let is_name = (1..=63).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !name.starts_with('-')
                    && !name.ends_with('-');
                if !is_name {
                    return Err(
                        fields.bad("site", "must be the name of one site: acme, or acme.atlassian.net")
                    );
                }
                Some(format!("{name}{SITES}"))
            }
        };
        fields.finish()?;
        Ok((Facts { client_id, user_scopes, site }, secret))
    }

    fn accept<'a>(&'a self, mut ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(async move {
            let (facts, secret) = taken_with_secret::<Self>(&mut ask)?;
            if let Some(site) = &facts.site {
                is_site(&ask, site).await?;
            }
            let redirect_uri = callback(&ask);
            // Atlassian says "Unauthorized" of an unknown client and of a wrong secret alike.
            let (proof, by) = (Proof::Post(&secret), By::Code(&redirect_uri));
            client_is_known(&ask, TOKEN, &facts.client_id, proof, by, |_| "clientSecret").await?;
            Ok(Accepted { data: facts.to_data(), secrets: kept(secret), redirect_uri: Some(redirect_uri) })
        })
    }

    fn plain(&self, facts: &Facts, _connector: &Connector) -> Map<String, Value> {
        let data = json!({
            "clientId": facts.client_id,
            "serverConfig": {
                "authorization_endpoint": "https://auth.atlassian.com/authorize",
                "token_endpoint": TOKEN,
            },
            "tokenEndpointAuthMethod": "client_secret_post",
            "userAuthorization": {"enabled": true, "scopes": facts.user_scopes},
            "authorizationUrlParams": {"audience": "api.atlassian.com", "prompt": "consent"},
            "rotation": {"class": "grace", "seconds": 600},
            "refreshTokens": {"enabled": true, "idleDays": 90},
        });
        data.as_object().cloned().unwrap_or_default()
    }

    fn confidants(&self, _facts: &Facts) -> Vec<String> {
        vec![API.to_owned()]
    }

    fn asked<'a>(&self, _facts: &Facts, ask: &ConsentAsk<'a>) -> Result<ConsentAsk<'a>, DriverError> {
        if ask.additional_params.contains_key("audience") {
            return Err(DriverError::Unsupported(
                "the parameter audience is set by the connector".to_owned(),
            ));
        }
        let mut ask = ask.clone();
        // Nothing else is known there.
        ask.prompt = None;
        Ok(ask)
    }

    fn granted<'a>(
        &'a self,
        at: &'a At<'_>,
        facts: &'a Facts,
        mut granted: Granted,
    ) -> Boxed<'a, Result<Granted, (Granted, DriverError)>> {
        Box::pin(async move {
            let ends = granted.held.refresh().map(|_| at.env.now().plus(YEAR));
            granted.refresh_expires_at = granted.refresh_expires_at.or(ends);
            let knows_me = granted.scopes.as_ref().is_some_and(|scopes| scopes.contains("read:me"));
            let token = granted.held.access().map(|access| access.token.duplicate());
            let Some(token) = token else { return Ok(granted) };
            if knows_me && let Some((account, name)) = person(at, &token).await {
                granted.external_subject = Some(account);
                granted.name = name;
            }
            if let Some(tokens) = granted.held.tokens_mut() {
                tokens.refresh_expires_at = granted.refresh_expires_at;
                tokens.external_subject.clone_from(&granted.external_subject);
            }
            match place(facts, sites(at, &token).await.as_deref()) {
                Ok(metadata) => {
                    granted.metadata.extend(metadata);
                    Ok(granted)
                }
                Err(Misplaced::Untold) => Err((granted, untold())),
                Err(misplaced) => Err((granted, DriverError::Stray(misplaced.to_string()))),
            }
        })
    }

    fn minted<'a>(
        &'a self,
        at: &'a At<'_>,
        facts: &'a Facts,
        held: Option<&'a Held>,
        mut minted: Minted,
    ) -> Boxed<'a, Minted> {
        Box::pin(async move {
            // The year goes on however often the token turns.
            if let Some(ends) = held.and_then(Held::refresh_expires_at) {
                minted.refresh_expires_at = Some(ends);
                if let Some(tokens) = minted.held.as_mut().and_then(Held::tokens_mut) {
                    tokens.refresh_expires_at = Some(ends);
                }
            }
            // There is nothing to ask with.
            if minted.flawed {
                return minted;
            }
            match place(facts, sites(at, &minted.token).await.as_deref()) {
                Ok(metadata) => minted.metadata.extend(metadata),
                Err(misplaced) => {
                    minted.stray = Some(misplaced.to_string());
                    if let Some(tokens) = minted.held.as_mut().and_then(Held::tokens_mut) {
                        // It cost a refresh token, and may be good: it is asked about again.
                        let access = tokens.access.take();
                        tokens.aside = access.filter(|_| misplaced == Misplaced::Untold);
                    }
                }
            }
            minted
        })
    }

    fn aside<'a>(
        &'a self,
        at: &'a At<'_>,
        facts: &'a Facts,
        held: Option<&'a Held>,
    ) -> Boxed<'a, Option<Result<Minted, DriverError>>> {
        Box::pin(async move {
            let tokens = held?.tokens()?;
            let soon = at.env.now().plus(SOON);
            let aside =
                tokens.aside.as_ref().filter(|aside| aside.expires_at.is_none_or(|end| end > soon))?;
            let (access, metadata, stray) = match place(facts, sites(at, &aside.token).await.as_deref()) {
                Ok(metadata) => (Some(aside.duplicate()), metadata, None),
                Err(Misplaced::Untold) => return Some(Err(untold())),
                Err(misplaced) => (None, Map::new(), Some(misplaced.to_string())),
            };
            Some(Ok(Minted {
                token: aside.token.duplicate(),
                expires_at: aside.expires_at,
                scopes: tokens.scopes.clone(),
                held: Some(Held::of_tokens(Tokens {
                    access,
                    refresh: tokens.refresh.as_ref().map(SecretString::duplicate),
                    refresh_expires_at: tokens.refresh_expires_at,
                    scopes: tokens.scopes.clone(),
                    external_subject: tokens.external_subject.clone(),
                    claims: tokens.claims.clone(),
                    tenant: tokens.tenant.clone(),
                    bound: tokens.bound.clone(),
                    aside: None,
                })),
                refresh_expires_at: tokens.refresh_expires_at,
                metadata,
                claims: tokens.claims.clone(),
                external_subject: tokens.external_subject.clone(),
                stray,
                flawed: false,
            }))
        })
    }

    fn failed(&self, error: DriverError, refreshes: bool) -> DriverError {
        match error {
            DriverError::ClientRejected { vendor } | DriverError::Refused { vendor }
                if refreshes
                    && vendor
                        .description
                        .as_deref()
                        .is_some_and(|words| words.contains("refresh_token is invalid")) =>
            {
                DriverError::Gone { cause: Cause::RevokedAtProvider, vendor: Some(vendor) }
            }
            error => error,
        }
    }
}

impl Facts {
    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("clientId".to_owned(), self.client_id.clone().into());
        data.insert("userScopes".to_owned(), json!(self.user_scopes));
        if let Some(site) = &self.site {
            data.insert("site".to_owned(), site.clone().into());
        }
        data
    }
}

/// Whether there is such a site: it says its own cloud ID to everybody (`/_edge/tenant_info`).
async fn is_site(ask: &NewConnector<'_>, site: &str) -> Result<(), BadConfiguration> {
    let bad = |why: &str| BadConfiguration { field: "site".to_owned(), why: why.to_owned() };
    let unasked = |why: &str| bad(&format!("could not be asked about: {why}"));
    let url = format!("https://{site}/_edge/tenant_info");
    let url = ask.http.check(&url, Purpose::ProviderApi).map_err(|refused| unasked(&refused.to_string()))?;
    let answer = ask.http.send(Call::get(url, Purpose::ProviderApi, ask.tenant)).await;
    let answer = answer.map_err(|error| unasked(&error.to_string()))?;
    let said = json::object(&answer.body).unwrap_or_default();
    match answer.status {
        StatusCode::OK if said.get("cloudId").is_some_and(Value::is_string) => Ok(()),
        status if status.is_server_error() => Err(unasked(&format!("status {}", status.as_u16()))),
        _ => Err(bad("is no site that Atlassian knows")),
    }
}

/// A site for which a token is good.
#[derive(Deserialize)]
struct Site {
    id: String,
    url: String,
    #[serde(default)]
    name: String,
}

impl Site {
    fn host(&self) -> &str {
        self.url.strip_prefix("https://").unwrap_or(&self.url).trim_end_matches('/')
    }

    fn told(&self) -> Value {
        json!({"cloudId": self.id, "url": self.url, "name": self.name})
    }

    fn is_sound(&self) -> bool {
        let is_short = |text: &str| text.len() <= 300 && !text.chars().any(char::is_control);
        let is_id = !self.id.is_empty() && self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_id
            && self.id.len() <= 64
            && is_short(&self.url)
            && is_short(&self.name)
            && self.url.starts_with("https://")
    }
}

/// Why a token is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Misplaced {
    /// Nobody says for now where it is good.
    #[error("Atlassian does not say whether it is good for the connector's site")]
    Untold,
    #[error("it is not good for the connector's site: the person chose others, or lost access")]
    Elsewhere,
}

/// It may be well in a moment.
const fn untold() -> DriverError {
    DriverError::Later { retry_after: Some(5), in_doubt: false }
}

/// Where a token is good, for the caller. Of a connector for one site, a token that is not good there, or of which nobody
/// knows, is refused; of any other, the sites that were known before stay known.
fn place(facts: &Facts, sites: Option<&[Site]>) -> Result<Map<String, Value>, Misplaced> {
    let mut metadata = Map::new();
    let Some(sites) = sites else {
        return match facts.site {
            None => Ok(metadata),
            Some(_) => Err(Misplaced::Untold),
        };
    };
    let one = match &facts.site {
        Some(host) => {
            let found = sites.iter().find(|site| site.host().eq_ignore_ascii_case(host));
            Some(found.ok_or(Misplaced::Elsewhere)?)
        }
        None => match sites {
            [one] => Some(one),
            _ => None,
        },
    };
    if let Some(one) = one {
        metadata.insert("cloudId".to_owned(), one.id.clone().into());
        metadata.insert("siteUrl".to_owned(), one.url.clone().into());
    }
    metadata.insert("sites".to_owned(), sites.iter().map(Site::told).collect());
    Ok(metadata)
}

/// The sites for which a token is good, each once: Atlassian lists one per product. `None` if it does not say.
async fn sites(at: &At<'_>, token: &SecretString) -> Option<Vec<Site>> {
    let body = ask(at, "oauth/token/accessible-resources", token).await?;
    let listed: Vec<Site> = serde_json::from_slice(&body).ok()?;
    let mut sites: Vec<Site> = Vec::new();
    for site in listed.into_iter().filter(Site::is_sound) {
        if sites.len() < MOST_SITES && sites.iter().all(|known| known.id != site.id) {
            sites.push(site);
        }
    }
    Some(sites)
}

/// Who the person is ("User Identity API"), if the token may know.
async fn person(at: &At<'_>, token: &SecretString) -> Option<(String, Option<String>)> {
    let said = json::object(&ask(at, "me", token).await?)?;
    let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let account = text("account_id").filter(|id| id.len() <= 128 && !id.chars().any(char::is_control))?;
    let name = text("name").map(|name| name.chars().filter(|c| !c.is_control()).take(100).collect());
    Some((account.to_owned(), name))
}

/// What the API says; `None` for anything but an answer. A new token is not given up because of it.
async fn ask(at: &At<'_>, path: &str, token: &SecretString) -> Option<Vec<u8>> {
    let url = at.http.check(&format!("{API}/{path}"), Purpose::ProviderApi).ok()?;
    let text = SecretString::new(format!("Bearer {}", token.expose()));
    let mut bearer = HeaderValue::from_str(text.expose()).ok()?;
    bearer.set_sensitive(true);
    let call = Call::get(url, Purpose::ProviderApi, at.connector.team)
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .limits(Limits { total: PATIENCE, ..Limits::default() });
    let answer = at.http.send(call).await.ok()?;
    (answer.status == StatusCode::OK).then(|| answer.body.to_vec())
}

const TOKEN: &str = "https://auth.atlassian.com/oauth/token";
const API: &str = "https://api.atlassian.com";
const SITES: &str = ".atlassian.net";
const MOST_SITES: usize = 50;
/// A token that was put aside and ends so soon is not asked about any more.
const SOON: Duration = Duration::from_secs(30);
/// What a refresh brought must not be lost to a question about it.
const PATIENCE: Duration = Duration::from_secs(2);
/// "All tokens have an absolute expiry time of 365 days."
const YEAR: Duration = Duration::from_hours(24 * 365);
