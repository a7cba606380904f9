//! Snowflake: people by a security integration of the account (`TYPE = OAUTH`), the application as a service user by a key
//! pair or by [`workload`] identity, and either by [`external`] tokens of another authorization server.
//!
//! The first is [`Oauth`]'s protocol at addresses that follow from the account. A key pair asks nobody: the token is a JWT
//! that the user's key signs, which Snowflake's SQL API takes as `KEYPAIR_JWT`. Whether the account is there and takes the
//! key is asked once, by [`login`]. Facts are from docs.snowflake.com
//! ("CREATE SECURITY INTEGRATION (Snowflake OAuth)", "Configure Snowflake OAuth for custom clients", "Authenticating to the
//! server" of the SQL API). Snowflake has no address to end a token at: `ALTER USER … REMOVE DELEGATED AUTHORIZATIONS`
//! does it.

mod account;
mod external;
mod key_pair;
mod login;
mod settings;
mod workload;

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_model::SubjectKind;
use carnet_model::connector::Connector;
use serde_json::{Map, Value};

use super::oauth::Oauth;
use crate::driver::ability::{Abilities, Resources, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{DriverError, NotAccepted};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::SigningAlgorithm;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use external::View;
use settings::Settings;

/// The driver of `snowflake` connectors.
pub(super) struct Snowflake;

impl Driver for Snowflake {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(settings::accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok(settings) = Settings::of(connector) else { return Abilities::NONE };
        if let Some(view) = elsewhere(&settings, connector) {
            return Oauth.abilities(&view.connector);
        }
        let mut abilities = match settings.as_oauth(connector) {
            Some(people) => Oauth.abilities(&people),
            None => Abilities::NONE,
        };
        if let Some(user) = &mut abilities.user {
            user.refinement = false;
            user.resources = Resources::Unknown;
            user.audience = false;
        }
        abilities.app = settings.has_app().then(TokenAbilities::default);
        abilities.signs = settings.by_workload.then(SigningAlgorithm::default);
        let subjects =
            [(SubjectKind::App, abilities.app.is_some()), (SubjectKind::User, abilities.user.is_some())];
        abilities.subjects = subjects.into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind).collect();
        abilities
    }

    /// A key pair and a workload identity are presented to the account by whoever has the token, and not from here.
    fn asks_for_app_tokens(&self, connector: &Connector) -> bool {
        Settings::of(connector).is_ok_and(|settings| elsewhere(&settings, connector).is_some())
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        Oauth.idle(&elsewhere(&Settings::of(connector).ok()?, connector)?.connector)
    }

    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        let Ok(settings) = Settings::of(connector) else { return BTreeSet::new() };
        match elsewhere(&settings, connector) {
            Some(view) => Oauth.recipients(&view.connector),
            None => [settings.account.origin()].into(),
        }
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        if let Some((_, view)) = view(at)? {
            return Oauth.way(&view.at(at), ask);
        }
        let (_, people) = people(at)?;
        refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
        Oauth.way(&At { connector: &people, ..*at }, ask)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            if let Some((_, view)) = view(at)? {
                return Oauth.begin(&view.at(at), ask).await;
            }
            let (_, people) = people(at)?;
            refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
            Oauth.begin(&At { connector: &people, ..*at }, ask).await
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            if let Some((settings, view)) = view(at)? {
                let mut granted = Oauth.finish(&view.at(at), back, kept).await?;
                granted.metadata.extend(settings.told("OAUTH"));
                return Ok(granted);
            }
            let (settings, people) = people(at)?;
            let mut granted = Oauth.finish(&At { connector: &people, ..*at }, back, kept).await?;
            // Names of users are what Snowflake knows them by ("username" in the answer).
            let user = granted.metadata.get("username").and_then(Value::as_str).map(str::to_owned);
            if let Some(tokens) = granted.held.tokens_mut() {
                tokens.external_subject.clone_from(&user);
            }
            granted.name.clone_from(&user);
            granted.external_subject = user;
            granted.metadata = settings.told("OAUTH");
            Ok(granted)
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        if let Some((settings, view)) = view(at)? {
            let mut granted = Oauth.import(&view.at(at), import)?;
            granted.metadata.extend(settings.told("OAUTH"));
            return Ok(granted);
        }
        let (settings, people) = people(at)?;
        let mut granted = Oauth.import(&At { connector: &people, ..*at }, import)?;
        granted.metadata.extend(settings.told("OAUTH"));
        Ok(granted)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            if let Some((settings, view)) = view(at)? {
                let mut minted = Oauth.mint(&view.at(at), held, ask).await?;
                minted.metadata.extend(settings.told("OAUTH"));
                return Ok(minted);
            }
            match ask {
                MintAsk::App { scopes, resources, audience, details, .. } => {
                    refuse_targets(resources, audience, details)?;
                    if scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) {
                        return Err(unsupported(
                            "a token of a service user gives its default role and cannot be narrowed; choose the role in \
                             the session",
                        ));
                    }
                    let settings = Settings::of(at.connector)?;
                    if settings.by_workload {
                        return workload::mint(at, &settings);
                    }
                    key_pair::mint(at, &settings)
                }
                MintAsk::Refresh { scopes, resources, audience, details } => {
                    let (settings, people) = people(at)?;
                    refuse_targets(resources, audience, details)?;
                    if scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) {
                        return Err(unsupported(
                            "a token of Snowflake has the role that was consented to and cannot be narrowed",
                        ));
                    }
                    let mut minted = Oauth.mint(&At { connector: &people, ..*at }, held, ask).await?;
                    minted.metadata = settings.told("OAUTH");
                    Ok(minted)
                }
                MintAsk::Asserted { .. } | MintAsk::Exchanged { .. } => {
                    Err(unsupported("Snowflake gives tokens to people, and to service users"))
                }
            }
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(async move {
            match view(at)? {
                Some((_, view)) => Oauth.revoke(&view.at(at), held).await,
                None => Ok(Revocation::NotSupported),
            }
        })
    }
}

/// The connector, and as [`Oauth`] reads it where another server gives the tokens.
fn view(at: &At<'_>) -> Result<Option<(Settings, View)>, DriverError> {
    let settings = Settings::of(at.connector)?;
    let view = View::of(&settings, at.connector, at.secrets);
    Ok(view.map(|view| (settings, view)))
}

/// The same, for questions that need no secret.
fn elsewhere(settings: &Settings, connector: &Connector) -> Option<View> {
    View::of(settings, connector, &ConnectorSecrets::default())
}

/// The connector, and as [`Oauth`] reads it.
fn people(at: &At<'_>) -> Result<(Settings, Connector), DriverError> {
    let settings = Settings::of(at.connector)?;
    let people = settings.as_oauth(at.connector);
    let people =
        people.ok_or_else(|| unsupported("this connector has no tokens of people: clientId is not set"))?;
    Ok((settings, people))
}

fn refuse_targets(resources: &[String], audience: &[String], details: &[Value]) -> Result<(), DriverError> {
    if resources.is_empty() && audience.is_empty() && details.is_empty() {
        return Ok(());
    }
    Err(unsupported("a token of Snowflake cannot be bound to resources, audiences or authorization details"))
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

impl Settings {
    /// What a caller needs to use a token: where, and as what.
    fn told(&self, kind: &str) -> Map<String, Value> {
        [
            ("accountIdentifier", self.account.identifier()),
            ("accountUrl", &self.account.origin()),
            ("tokenType", kind),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), Value::from(text)))
        .collect()
    }
}

/// For the fuzz target alone.
#[cfg(feature = "fuzzing")]
pub(crate) fn origin(text: &str) -> Option<String> {
    account::Account::parse(text).ok().map(|account| account.origin())
}
