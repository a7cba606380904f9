//! Any server that speaks OAuth 2.0 or OpenID Connect: tokens of people by authorization code with PKCE, renewed by
//! refresh token; tokens of the application by client credentials; tokens of asserted identities, and tokens in exchange
//! for others.
//!
//! Here is what a connector is and can do, and its end; [`consent`] is how a grant is made, [`mint`] what comes of it;
//! [`jwt_bearer`] and [`exchange`] need no grant.

mod client_assertion;
mod consent;
mod exchange;
mod jwt_bearer;
mod mint;
mod settings;

use std::collections::BTreeSet;

use carnet_egress::{Egress, Purpose};
use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Id, Scopes, SecretString, SubjectKind, Time, kind};
use serde_json::{Map, Value};
use url::Url;

use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::{Access, Held};
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::Signer;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::oauth::client::{Client, Received};
use crate::oauth::client_auth::{ClientAssertion, ClientAuth, Proof};
use crate::oauth::discovery::discover;
use crate::oauth::id_token::{self, Expected, Person};
use crate::oauth::metadata::{Document, Server};
use crate::oauth::target::Target;
use settings::{Options, Read, Settings};

/// The driver of `oauth` connectors.
pub(super) struct Oauth;

impl Driver for Oauth {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(accept(ask))
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        Settings::of(connector).map_or(Abilities::NONE, |settings| abilities(&settings))
    }

    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        Settings::of(connector).map_or_else(
            |_| BTreeSet::new(),
            |Settings { server, .. }| {
                let endpoints = [Some(&server.token), server.revocation.as_ref()];
                endpoints.into_iter().flatten().map(|url| url.origin().ascii_serialization()).collect()
            },
        )
    }

    fn begin(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
        consent::begin(at, ask)
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
                    let target = Target::new(&settings.server, resources, audience, None, details)?;
                    let held = held.and_then(Held::tokens);
                    let none = DriverError::Gone { cause: Cause::Expired, vendor: None };
                    mint::refresh(&settings, &client, held.ok_or(none)?, scopes.as_ref(), &target).await
                }
                MintAsk::App { scopes, resources, audience, details } => {
                    if !settings.options.app.is_on() {
                        return Err(unsupported(
                            "this connector has no tokens of the application: clientCredentials is not enabled",
                        ));
                    }
                    let default = settings.options.default_audience.as_deref();
                    let target = Target::new(&settings.server, resources, audience, default, details)?;
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
}

async fn accept(ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let NewConnector { service, data, http, tenant, callback_base, connector, .. } = ask;
    let mut read = Read::new(data)?;
    let (document, discovered) = match read.document.take() {
        Some(document) => (document, false),
        None => (find(http, tenant, service, &mut read.options).await?, true),
    };
    let server = Server::new(document, |text| {
        http.check(text, Purpose::ProviderToken).map_err(|refused| refused.to_string())
    })?;
    for (place, inbound) in read.options.exchange.inbound.iter().enumerate() {
        let address = inbound.jwks_uri.as_ref().map_or(inbound.issuer.as_str(), Url::as_str);
        http.check(address, Purpose::Jwks).map_err(|refused| BadConfiguration {
            field: format!("tokenExchange.trustedIssuers.{place}"),
            why: refused.to_string(),
        })?;
    }
    let (settings, secret) = Settings::complete(read, server, discovered)?;
    let mut secrets = ConnectorSecrets::default();
    if let Some(secret) = secret {
        secrets.insert(CLIENT_SECRET.to_owned(), secret);
    }
    let base = callback_base.trim_end_matches('/');
    let redirect_uri = settings.options.user.is_on().then(|| {
        // A server that names itself cannot be mistaken for another one. For the others, the address tells
        // (RFC 9700 §4.4.2).
        if settings.server.names_itself() {
            format!("{base}/callback")
        } else {
            format!("{base}/callback/{connector}")
        }
    });
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri })
}

/// The metadata of a server that the configuration names by its issuer.
async fn find(
    http: &Egress,
    tenant: Id<kind::Team>,
    service: &str,
    options: &mut Options,
) -> Result<Document, BadConfiguration> {
    // A service that is named by its host needs no second address.
    if options.server_url.is_none() && service.contains('.') {
        options.server_url = Some(format!("https://{service}"));
    }
    let named = [("discoveryServerUrl", &options.discovery_server_url), ("serverUrl", &options.server_url)];
    let found = named.into_iter().find_map(|(field, url)| Some((field, url.as_deref()?)));
    let (field, issuer) = found.ok_or_else(|| BadConfiguration {
        field: "serverUrl".to_owned(),
        why: "is missing: give the server's issuer, or describe the server in serverConfig".to_owned(),
    })?;
    discover(http, tenant, field, issuer).await
}

fn abilities(settings: &Settings) -> Abilities {
    let of = |scopes: &Scopes| TokenAbilities {
        scopes: scopes.clone(),
        refinement: true,
        bounded: false,
        resources: true,
        details: settings.server.document.detail_types.clone().unwrap_or_default(),
        manual_credential: false,
        cross_installation: false,
    };
    let options = &settings.options;
    let app = options.app.is_on().then(|| of(&options.app.scopes));
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
        installation: false,
        revocation: settings.server.revocation.is_some(),
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
    let Some(endpoint) = &settings.server.revocation else { return Ok(Revocation::NotSupported) };
    let client = client(at, &settings)?;
    let lives = |access: &&Access| access.expires_at.is_none_or(|end| end > at.env.now());
    let access = held.access().filter(lives).map(|access| &access.token);
    let mut outcome = Revocation::NotSupported;
    for (token, hint) in [(held.refresh(), "refresh_token"), (access, "access_token")] {
        if let Some(token) = token
            && client.revoke(endpoint, token, hint).await? == Revocation::Revoked
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
                life: assertion.life,
                claims: &assertion.claims,
            })
        }
    };
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
    let now = is_first.then_some(received.at);
    let expected = Expected { issuer, client: &settings.options.client_id, nonce, now };
    id_token::read(&token, &expected).map(Some).map_err(|_| DriverError::Garbage { in_doubt: true })
}

fn facts(settings: &Settings, person: Option<Person>) -> (Option<String>, Map<String, Value>) {
    let Some(person) = person else { return (None, Map::new()) };
    let claims = person.only(&settings.options.forwarded_claims);
    (Some(person.subject), claims)
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
const CLIENT_SECRET: &str = "/clientSecret";
