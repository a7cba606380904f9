//! Any server that speaks OAuth 2.0 or OpenID Connect: tokens of people by authorization code with PKCE, renewed by
//! refresh token; tokens of the application by client credentials; tokens of asserted identities, and tokens in exchange
//! for others.
//!
//! Here is what a connector can do, and its end; [`accept`] is how one is made, for which [`server`] finds whom it speaks to
//! and [`registration`] as whom, which [`upkeep`] keeps true; [`consent`] is how a grant is made, [`mint`] what comes of it,
//! [`answer`] what is read from what the server gives; [`jwt_bearer`] and [`exchange`] need no grant. What servers have of
//! their own is data too: [`account`], [`installation`], [`disconnection`].

mod accept;
pub(super) mod account;
mod answer;
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

use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Scopes, SubjectKind};
use serde_json::{Map, Value};

use crate::driver::ability::{Abilities, Resources, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, NotAccepted};
use crate::driver::held::{Access, Held};
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::signer::Signer;
use crate::driver::{Accepted, At, Boxed, Driver, Inspection, NewConnector, Renewal, Synced};
use crate::oauth::client::Client;
use crate::oauth::client_auth::{ClientAssertion, ClientAuth, Proof};
use crate::oauth::target::Target;
use settings::Settings;

/// The driver of `oauth` connectors.
pub(super) struct Oauth;

impl Driver for Oauth {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(accept::accept(ask))
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
                    // As with the code: a server that is told none may give a token for its own default.
                    let default = settings.options.default_audience.as_deref();
                    let target = Target::new(&settings.server, meant, audience, default, details)?;
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
                    let meant = settings.options.resources(resources);
                    let target = Target::new(&settings.server, meant, audience, default, details)?;
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
                    let meant = settings.options.resources(resources);
                    let target = Target::new(&settings.server, meant, audience, default, details)?;
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

    fn renewal(&self, connector: &Connector) -> Option<Renewal> {
        Settings::of(connector).ok()?.options.registration?.renewal()
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
        keeps_no_refresh: !options.refresh,
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

fn no_people() -> DriverError {
    unsupported("this connector has no tokens of people: userAuthorization is not enabled")
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

const CLIENT_SECRET: &str = "/clientSecret";
const WEBHOOK_SECRET: &str = "/webhookSecret";
const REGISTRATION_TOKEN: &str = "/clientRegistration/accessToken";
