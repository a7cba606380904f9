//! Slack apps: the bot token that an installation leaves, in a workspace or a whole Enterprise Grid organization, and
//! tokens of people. Each is a grant of its own: where token rotation is on, each has a refresh token of its own.
//!
//! Facts are from Slack's documentation (docs.slack.dev, "Installing with OAuth", "Using token rotation", read in 2026).
//! Slack says whether it did what was asked in `ok`, and with status 200 either way. No PKCE is sent: nothing in Slack's
//! documentation says that an app with a secret may; `state` and the browser's binding stand against a stolen code.

mod answer;
mod consent;
mod manifest;
mod settings;
mod tokens;

use std::collections::BTreeSet;

use carnet_model::SubjectKind;
use carnet_model::connector::Connector;
use carnet_model::grant::Rotation;

use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, NotAccepted};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::registration::{Registration, RegistrationAsk};
use crate::driver::standing::{Checked, Standing};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use settings::Settings;

/// The driver of `slack` connectors.
pub(super) struct Slack;

impl Driver for Slack {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(settings::accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok(settings) = Settings::of(connector) else { return Abilities::NONE };
        let app = TokenAbilities {
            scopes: settings.bot_scopes.clone(),
            per_installation: true,
            left_by_installation: true,
            ..TokenAbilities::default()
        };
        let user = TokenAbilities { scopes: settings.user_scopes.clone(), ..TokenAbilities::default() };
        let (app, user) = (
            Some(app).filter(|app| !app.scopes.is_empty()),
            Some(user).filter(|user| !user.scopes.is_empty()),
        );
        let subjects = [(SubjectKind::App, app.is_some()), (SubjectKind::User, user.is_some())];
        Abilities {
            subjects: subjects.into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind).collect(),
            installation: app.is_some(),
            revocation: true,
            app,
            user,
            // "The refresh token is then revoked": one that was used is worth nothing.
            rotation: Rotation::Strict,
            ..Abilities::NONE
        }
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        [answer::ORIGIN.to_owned()].into()
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        let mut page = at.http.reroute(&consent::page(at, &Settings::of(at.connector)?, ask)?);
        page.set_query(None);
        Ok(Way::Redirect { page })
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            let url = at.http.reroute(&consent::page(at, &Settings::of(at.connector)?, ask)?);
            let scopes = ask.scopes.clone().filter(|scopes| !scopes.is_empty());
            Ok(Step::Redirect { url, kept: Kept { scopes, installs: ask.installs, ..Kept::default() } })
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move { consent::finish(at, &Settings::of(at.connector)?, back, kept).await })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        consent::import(at, &Settings::of(at.connector)?, import)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let MintAsk::Refresh { scopes, resources, audience, details } = ask else {
                return Err(unsupported("tokens of Slack come of an installation, or of a person's consent"));
            };
            let named = scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
            if named || !(resources.is_empty() && audience.is_empty() && details.is_empty()) {
                return Err(unsupported(CANNOT_BE_NARROWED));
            }
            tokens::refresh(at, &Settings::of(at.connector)?, held).await
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(tokens::revoke(at, held))
    }

    fn registration(&self, ask: &RegistrationAsk<'_>) -> Result<Option<Registration>, BadConfiguration> {
        manifest::pages(ask).map(Some)
    }

    fn check<'a>(&'a self, at: &'a At<'_>, what: Checked<'a>) -> Boxed<'a, Result<Standing, DriverError>> {
        Box::pin(async move {
            match what {
                // What an installation is, is the token that it left.
                Checked::Installation(_) | Checked::Application => Ok(Standing::Unsaid),
                Checked::Held(held) => tokens::standing(at, held).await,
            }
        })
    }
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

const CANNOT_BE_NARROWED: &str =
    "a token of Slack has the scopes that were consented to and cannot be narrowed; ask for them as they are";
