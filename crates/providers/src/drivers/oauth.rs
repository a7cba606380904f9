//! Any server that speaks OAuth 2.0 or OpenID Connect: tokens of people by authorization code with PKCE, renewed by
//! refresh token; tokens of the application by client credentials; tokens of asserted identities, and tokens in exchange
//! for others.
//!
//! Here is what a connector is and can do, and its end; [`server`] finds whom it speaks to and [`registration`] as whom,
//! which [`upkeep`] keeps true; [`consent`] is how a grant is made, [`mint`] what comes of it; [`jwt_bearer`] and
//! [`exchange`] need no grant. What servers have of their own is data too: [`account`], [`installation`],
//! [`disconnection`].

pub(super) mod account;
mod client_assertion;
mod consent;
mod disconnection;
mod exchange;
mod installation;
mod jwt_bearer;
mod mint;
mod registration;
mod server;
mod settings;
mod upkeep;

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Scopes, SecretString, SubjectKind, Time};
use serde_json::{Map, Value};
use url::Url;

use crate::driver::ability::{Abilities, Resources, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::{Access, Held};
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::Signer;
use crate::driver::{Accepted, At, Boxed, Driver, Inspection, NewConnector, Synced};
use crate::oauth::client::{Client, Received};
use crate::oauth::client_auth::{ClientAssertion, ClientAuth, Proof};
use crate::oauth::id_token::{self, Expected, Person};
use crate::oauth::introspection::Introspected;
use crate::oauth::metadata::Server;
use crate::oauth::target::Target;
use settings::{Read, Settings};

/// The driver of `oauth` connectors.
pub(super) struct Oauth;

impl Driver for Oauth {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(accept(ask))
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        Settings::of(connector).map_or(Abilities::NONE, |settings| abilities(&settings))
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        Settings::of(connector).ok()?.options.idle()
    }

    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        Settings::of(connector).map_or_else(
            |_| BTreeSet::new(),
            |Settings { server, options, .. }| {
                let own = options.own_addresses().map(|(_, url)| url);
                server
                    .confidants()
                    .cloned()
                    .chain(own)
                    .map(|url| url.origin().ascii_serialization())
                    .collect()
            },
        )
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        consent::way(at, ask)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(consent::begin(at, ask))
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(consent::finish(at, back, kept))
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        consent::import(at, import)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            let client = client(at, &settings)?;
            match ask {
                MintAsk::Refresh { scopes, resources, audience, details } => {
                    let none = DriverError::Gone { cause: Cause::Expired, vendor: None };
                    let held = held.and_then(Held::tokens).ok_or(none)?;
                    let is_targeted = !(resources.is_empty() && audience.is_empty() && details.is_empty());
                    // Where nobody says, it is for what the held token is for, and for nothing else.
                    let (resources, audience, details) = if is_targeted {
                        (resources, audience, details)
                    } else {
                        (&held.bound.resources, &held.bound.audience, &held.bound.details)
                    };
                    let meant = settings.options.resources(resources);
                    let target = Target::new(&settings.server, meant, audience, None, details)?;
                    mint::refresh(&settings, &client, held, scopes.as_ref(), &target, is_targeted).await
                }
                MintAsk::App { scopes, resources, audience, details, installation } => {
                    if let Some(own) = settings.options.installation.as_ref().filter(|one| one.own_token) {
                        let named = scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
                        if named || !(resources.is_empty() && audience.is_empty() && details.is_empty()) {
                            return Err(unsupported(
                                "the token that an application has everywhere cannot be narrowed; ask for it as it is",
                            ));
                        }
                        return own.token(at.secrets.at(installation::TOKEN), installation.as_ref());
                    }
                    if !settings.options.app.is_on() {
                        return Err(unsupported(
                            "this connector has no tokens of the application: clientCredentials is not enabled",
                        ));
                    }
                    let default = settings.options.default_audience.as_deref();
                    let meant = settings.options.resources(resources);
                    let target = Target::new(&settings.server, meant, audience, default, details)?;
                    mint::app(&settings, &client, scopes.as_ref(), &target).await
                }
                MintAsk::Asserted { who, scopes, resources, audience, details } => {
                    if !settings.options.jwt_bearer.enabled {
                        return Err(unsupported(
                            "this connector has no tokens of asserted identities: jwtBearer is not enabled",
                        ));
                    }
                    let default = settings.options.default_audience.as_deref();
                    let target = Target::new(&settings.server, resources, audience, default, details)?;
                    let signer = signer(at)?;
                    jwt_bearer::mint(&settings, client, signer, who, scopes.as_ref(), &target).await
                }
                MintAsk::Exchanged { token, scopes, resources, audience, details } => {
                    let rules = &settings.options.exchange;
                    if !rules.enabled {
                        return Err(unsupported(
                            "this connector exchanges no tokens: tokenExchange is not enabled",
                        ));
                    }
                    let resources = if resources.is_empty() { &rules.resource } else { resources };
                    let audience = if audience.is_empty() { &rules.audience } else { audience };
                    let default = settings.options.default_audience.as_deref();
                    let target = Target::new(&settings.server, resources, audience, default, details)?;
                    let actor = if rules.actor { Some(signer(at)?) } else { None };
                    exchange::mint(&settings, &client, actor, token, scopes.as_ref(), &target).await
                }
            }
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(revoke(at, held))
    }

    fn sync<'a>(&'a self, at: &'a At<'_>, renew: bool) -> Boxed<'a, Synced> {
        Box::pin(upkeep::sync(at, renew))
    }

    fn retire<'a>(&'a self, at: &'a At<'_>) -> Boxed<'a, ()> {
        Box::pin(upkeep::retire(at))
    }

    fn inspect<'a>(&'a self, at: &'a At<'_>) -> Boxed<'a, Result<Option<Inspection>, BadConfiguration>> {
        Box::pin(async move { server::inspect(at).await.map(Some) })
    }

    fn client_document(&self, connector: &Connector) -> Option<Map<String, Value>> {
        upkeep::document(connector)
    }
}

async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let mut read = Read::new(std::mem::take(&mut ask.data))?;
    let (document, discovered) = if let Some(document) = read.document.take() {
        (document, false)
    } else {
        let NewConnector { service, address, http, tenant, .. } = ask;
        let at = server::Whereabouts { http, tenant, service, address };
        (server::find(at, &mut read.options).await?, true)
    };
    let server = Server::new(document, |text| {
        ask.http.check(text, Purpose::ProviderToken).map_err(|refused| refused.to_string())
    })?;
    for (place, inbound) in read.options.exchange.inbound.iter().enumerate() {
        let address = inbound.jwks_uri.as_ref().map_or(inbound.issuer.as_str(), Url::as_str);
        ask.http.check(address, Purpose::Jwks).map_err(|refused| BadConfiguration {
            field: format!("tokenExchange.trustedIssuers.{place}"),
            why: refused.to_string(),
        })?;
    }
    for (field, url) in read.options.own_addresses() {
        ask.http
            .check(url.as_str(), Purpose::ProviderApi)
            .map_err(|refused| BadConfiguration { field: field.to_owned(), why: refused.to_string() })?;
    }
    Settings::fit(&mut read.options, &server, discovered)?;
    let base = ask.callback_base.trim_end_matches('/');
    let redirect_uri = read.options.sends_people().then(|| {
        // A server that names itself cannot be mistaken for another one. For the others, the address tells
        // (RFC 9700 §4.4.2).
        if server.names_itself() {
            format!("{base}/callback")
        } else {
            format!("{base}/callback/{}", ask.connector)
        }
    });
    if read.options.client_id.is_empty() {
        registration::obtain(&ask, &mut read, &server, redirect_uri.as_deref()).await?;
    }
    let mut secrets = ConnectorSecrets::default();
    if let Some(token) = read.registration_token.take().filter(|_| read.options.registration.is_some()) {
        secrets.insert(REGISTRATION_TOKEN.to_owned(), token);
    }
    if let Some(secret) = read.webhook_secret.take() {
        secrets.insert(WEBHOOK_SECRET.to_owned(), secret);
    }
    let own = read.options.installation.as_ref().zip(read.installation_token.as_ref());
    if let Some((installation, token)) = own {
        if let Some(probe) = &installation.probe {
            probe.accept(ask.http, ask.env, ask.tenant, token, "installation.token").await?;
        }
        secrets.insert(installation::TOKEN.to_owned(), token.duplicate());
    }
    let (settings, secret) = Settings::complete(read, server, discovered)?;
    if let Some(secret) = secret {
        secrets.insert(CLIENT_SECRET.to_owned(), secret);
    }
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri })
}

fn abilities(settings: &Settings) -> Abilities {
    let of = |scopes: &Scopes| TokenAbilities {
        scopes: scopes.clone(),
        refinement: true,
        bounded: false,
        resources: settings.options.resource.clone().map_or(Resources::Any, Resources::Only),
        audience: true,
        details: settings.server.document.detail_types.clone().unwrap_or_default(),
        manual_credential: false,
        cross_installation: false,
        per_installation: false,
        left_by_installation: false,
    };
    let options = &settings.options;
    let installed = options.installation.as_ref();
    let app = match installed {
        // What an installation allows is said by its consent, and is as much for every token of it.
        Some(one) if one.own_token => {
            Some(TokenAbilities { per_installation: true, ..TokenAbilities::default() })
        }
        Some(one) => {
            Some(TokenAbilities { per_installation: true, left_by_installation: true, ..of(&one.scopes) })
        }
        None => options.app.is_on().then(|| of(&options.app.scopes)),
    };
    let user = options.user.is_on().then(|| of(&options.user.scopes));
    let bounded = |scopes: &Scopes| TokenAbilities { bounded: true, ..of(scopes) };
    let asserted = options.jwt_bearer.enabled.then(|| bounded(&options.jwt_bearer.scopes));
    let exchanged = options.exchange.enabled.then(|| bounded(&options.exchange.scopes));
    let subjects = [
        (SubjectKind::App, app.is_some()),
        (SubjectKind::User, user.is_some()),
        (SubjectKind::JwtBearer, asserted.is_some()),
        (SubjectKind::Token, exchanged.is_some()),
    ];
    Abilities {
        subjects: subjects.into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind).collect(),
        installation: installed.is_some(),
        revocation: settings.server.revocation.is_some() || options.disconnection.is_some(),
        app,
        user,
        asserted,
        exchanged,
        inbound: options.exchange.inbound.clone(),
        rotation: options.rotation,
        old_access_dies: false,
        signs: settings.signs(),
    }
}

/// The refresh token first: a server should end everything of the grant with it (RFC 7009 §2.1). The access token too,
/// while it lives, for servers that do not.
async fn revoke(at: &At<'_>, held: &Held) -> Result<Revocation, DriverError> {
    let settings = Settings::of(at.connector)?;
    if let Some(own) = at.secrets.at(installation::TOKEN)
        && held.access().is_some_and(|access| access.token.expose() == own.expose())
    {
        // It is the application's everywhere, and ends at the service.
        return Ok(Revocation::NotSupported);
    }
    if let Some(disconnection) = &settings.options.disconnection {
        return disconnection.end(at, &settings, at.secrets.at(CLIENT_SECRET), held).await;
    }
    let Some(endpoint) = &settings.server.revocation else { return Ok(Revocation::NotSupported) };
    let client = client(at, &settings)?;
    let lives = |access: &&Access| access.expires_at.is_none_or(|end| end > at.env.now());
    let access = held.access().filter(lives).map(|access| &access.token);
    let mut outcome = Revocation::NotSupported;
    for (token, hint) in [(held.refresh(), "refresh_token"), (access, "access_token")] {
        if let Some(token) = token
            && client.revoke(settings.form(), endpoint, token, hint).await? == Revocation::Revoked
        {
            outcome = Revocation::Revoked;
        }
    }
    Ok(outcome)
}

fn client<'a>(at: &At<'a>, settings: &'a Settings) -> Result<Client<'a>, DriverError> {
    let secret = at.secrets.at(CLIENT_SECRET);
    let missing = || DriverError::Misconfigured("clientSecret".to_owned(), "is missing".to_owned());
    let proof = match settings.auth {
        ClientAuth::None => Proof::Name,
        ClientAuth::Basic => Proof::Basic(secret.ok_or_else(missing)?),
        ClientAuth::Post => Proof::Post(secret.ok_or_else(missing)?),
        ClientAuth::PrivateKeyJwt => {
            let assertion = &settings.options.client_assertion;
            Proof::Assertion(ClientAssertion {
                signer: signer(at)?,
                audience: assertion.audience.as_deref().unwrap_or_else(|| settings.server.audience()),
                issuer: assertion.issuer.as_deref(),
                subject: assertion.subject.as_deref(),
                life: assertion.life,
                claims: &assertion.claims,
            })
        }
    };
    // Said by us, because servers say no more than invalid_client.
    let ends = settings.options.registration.as_ref().and_then(|registration| registration.secret_ends);
    if let Some(at) = ends.filter(|end| *end <= at.env.now()) {
        return Err(DriverError::SecretEnded { at });
    }
    Ok(Client {
        http: at.http,
        env: at.env,
        tenant: at.connector.team,
        id: &settings.options.client_id,
        proof,
    })
}

fn signer<'a>(at: &At<'a>) -> Result<&'a dyn Signer, DriverError> {
    at.signer.ok_or_else(|| {
        let why = "the connector has no signing key that can be used; turn its keys to make one";
        DriverError::Misconfigured("signingAlgorithm".to_owned(), why.to_owned())
    })
}

/// The person in the ID token. Without a known issuer there is nothing to hold the token against, and it is not read.
fn person(
    settings: &Settings,
    received: &mut Received,
    nonce: Option<&SecretString>,
    is_first: bool,
) -> Result<Option<Person>, DriverError> {
    let Some(issuer) = settings.server.issuer() else { return Ok(None) };
    let Some(token) = received.issued.id_token.take() else { return Ok(None) };
    let now = is_first.then_some(received.there);
    let expected = Expected { issuer, client: &settings.options.client_id, nonce, now };
    id_token::read(&token, &expected).map(Some).map_err(|_| DriverError::Garbage { in_doubt: true })
}

/// What has to be known about new tokens before they are used: when they end, where the server did not say and can be
/// asked; and whether they are what was asked for. The answer is why they are not.
async fn settle(
    settings: &Settings,
    client: &Client<'_>,
    target: &Target<'_>,
    received: &mut Received,
) -> Option<String> {
    let issued = &mut received.issued;
    let patience = TIME_FOR_BOTH.saturating_sub(received.took).min(TIME_TO_TELL);
    let silent = issued.expires_in.is_none() && !patience.is_zero();
    if let Some(endpoint) = settings.server.introspection.as_ref().filter(|_| silent) {
        match client.introspect(endpoint, &issued.access, patience).await {
            Introspected::Active { expires_in, scopes } => {
                issued.expires_in = expires_in;
                issued.scopes = issued.scopes.take().or(scopes);
            }
            Introspected::Inactive => return Some("the provider says that it is not active".to_owned()),
            Introspected::Unsaid => {}
        }
    }
    target.stray(issued)
}

fn facts(settings: &Settings, person: Option<Person>) -> (Option<String>, Map<String, Value>) {
    let Some(person) = person else { return (None, Map::new()) };
    let claims = person.only(&settings.options.forwarded_claims);
    (Some(person.subject), claims)
}

/// What callers are told of the server's answer besides: texts, numbers and flags that the connector names, and no token
/// under another name.
fn told(settings: &Settings, received: &mut Received) -> Map<String, Value> {
    let issued = &mut received.issued;
    let names = settings.options.forwarded_members.iter();
    let said = &mut issued.more.0;
    let each: Vec<_> = names.filter_map(|name| Some((name.clone(), said.remove(name)?))).collect();
    let holds_token = |text: &str| {
        let tokens = [Some(&issued.access), issued.refresh.as_ref(), issued.id_token.as_ref()];
        tokens.into_iter().flatten().any(|token| text.contains(token.expose().as_str()))
    };
    each.into_iter()
        .filter(|(_, value)| match value {
            Value::String(text) => {
                text.len() <= 2048 && !text.chars().any(char::is_control) && !holds_token(text)
            }
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        })
        .collect()
}

/// When an access token ends: as the server says, else as configured. If nobody says, a token that can be had anew is
/// taken to end soon: served for ever, it would be served dead. One that cannot be had anew is kept without an end.
fn end_of_access(settings: &Settings, received: &Received, renewable: bool) -> Option<Time> {
    let default = settings.options.default_life.map(|life| life.as_secs());
    let life = received.issued.expires_in.or(default).or(renewable.then_some(UNSAID_LIFE));
    life.map(|life| received.end_of(life))
}

fn no_people() -> DriverError {
    unsupported("this connector has no tokens of people: userAuthorization is not enabled")
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

/// In seconds. The shortest session that a large provider without `expires_in` can be set to (Salesforce, session
/// settings: 15 minutes).
const UNSAID_LIFE: u64 = 15 * 60;
/// The engine gives a refresh eight seconds, and what it brought must not be lost to a question about it.
const TIME_FOR_BOTH: Duration = Duration::from_secs(6);
const TIME_TO_TELL: Duration = Duration::from_secs(2);
const CLIENT_SECRET: &str = "/clientSecret";
const WEBHOOK_SECRET: &str = "/webhookSecret";
const REGISTRATION_TOKEN: &str = "/clientRegistration/accessToken";
