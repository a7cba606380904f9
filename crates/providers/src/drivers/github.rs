//! GitHub Apps: tokens of an installation, made by the app's key and narrowed to permissions and repositories; tokens of
//! people, renewed by refresh tokens that work once.
//!
//! Facts are from GitHub's documentation (docs.github.com, "Apps", read in 2026), named where they are used. What GitHub
//! answers is compared with what was asked: a token that reaches farther is given back and not handed out.

mod api;
mod device;
mod installation;
mod manifest;
mod narrowing;
mod settings;
mod user;

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::grant::Rotation;
use carnet_model::{Scopes, SubjectKind};
use serde_json::Value;

use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, NotAccepted};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::installed::Installed;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::registration::{Redeem, Redeemed, Registration, RegistrationAsk};
use crate::driver::standing::{Checked, Standing};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use narrowing::Permissions;
use settings::Settings;

/// The driver of `github` connectors.
pub(super) struct Github;

impl Driver for Github {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(settings::accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok(settings) = Settings::of(connector) else { return Abilities::NONE };
        let app = TokenAbilities {
            scopes: settings.app_scopes.clone(),
            refinement: true,
            details: vec![narrowing::DETAIL.to_owned()],
            per_installation: true,
            ..TokenAbilities::default()
        };
        // A person's token reaches whatever the person and the app reach both, in every installation.
        let user = TokenAbilities { cross_installation: true, ..TokenAbilities::default() };
        let mut subjects = vec![SubjectKind::App];
        if settings.has_people {
            subjects.push(SubjectKind::User);
        }
        Abilities {
            subjects,
            installation: true,
            revocation: true,
            app: Some(app),
            user: settings.has_people.then_some(user),
            // "Once you use a refresh token, that refresh token and the old user access token will no longer work"
            // (Refreshing user access tokens).
            rotation: Rotation::Strict,
            old_access_dies: true,
            ..Abilities::NONE
        }
    }

    /// Six months ("Refreshing user access tokens").
    fn idle(&self, connector: &Connector) -> Option<Duration> {
        let has_people = Settings::of(connector).is_ok_and(|settings| settings.has_people);
        has_people.then_some(Duration::from_hours(183 * 24))
    }

    /// The permissions of the app, which GitHub gives to each of its installations.
    fn installs(&self, connector: &Connector) -> Scopes {
        let said = connector.data.get("permissions").and_then(|value| Permissions::of_json(value).ok());
        said.and_then(|permissions| permissions.to_scopes()).unwrap_or_default()
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        [api::WEB, api::API].map(str::to_owned).into()
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        let settings = Settings::of(at.connector)?;
        if settings.by_device && !ask.installs {
            user::check(&settings, ask)?;
            return Ok(Way::Device);
        }
        let mut page = at.http.reroute(&if ask.installs {
            installation::page(&settings, ask)?
        } else {
            user::check(&settings, ask)?;
            api::web("login/oauth/authorize")?
        });
        page.set_query(None);
        Ok(Way::Redirect { page })
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            if ask.installs {
                installation::begin(at, &settings, ask)
            } else if settings.by_device {
                device::begin(at, &settings, ask).await
            } else {
                user::begin(at, &settings, ask)
            }
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            if kept.installs {
                installation::finish(at, &settings, back, kept).await
            } else {
                user::finish(at, &settings, back, kept).await
            }
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        user::import(&Settings::of(at.connector)?, import)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            match ask {
                MintAsk::App { scopes, resources, audience, details, installation } => {
                    if !(resources.is_empty() && audience.is_empty()) {
                        return Err(unsupported(
                            "tokens of GitHub cannot be bound to resources or audiences; narrow them by \
                             authorizationDetails of the type github_app_installation",
                        ));
                    }
                    let place = installation.as_ref();
                    installation::mint(at, &settings, place, scopes.as_ref(), details).await
                }
                MintAsk::Refresh { scopes, resources, audience, details } => {
                    let named = scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
                    if named || !(resources.is_empty() && audience.is_empty() && details.is_empty()) {
                        return Err(unsupported(user::CANNOT_BE_NARROWED));
                    }
                    user::refresh(at, &settings, held).await
                }
                MintAsk::Asserted { .. } | MintAsk::Exchanged { .. } => {
                    Err(unsupported("GitHub has tokens of the app and of people only"))
                }
            }
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(async move { user::revoke(at, &Settings::of(at.connector)?, held).await })
    }

    fn registration(&self, ask: &RegistrationAsk<'_>) -> Result<Option<Registration>, BadConfiguration> {
        manifest::form(ask).map(Some)
    }

    fn redeem<'a>(&'a self, ask: &'a Redeem<'a>) -> Boxed<'a, Result<Redeemed, DriverError>> {
        Box::pin(manifest::redeem(ask))
    }

    fn check<'a>(&'a self, at: &'a At<'_>, what: Checked<'a>) -> Boxed<'a, Result<Standing, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            match what {
                Checked::Installation(place) => installation::standing(at, &settings, place).await,
                Checked::Held(held) => user::standing(at, &settings, held).await,
                Checked::Application => Ok(Standing::Unsaid),
            }
        })
    }

    fn installation<'a>(
        &'a self,
        at: &'a At<'_>,
        external_id: &'a str,
    ) -> Boxed<'a, Result<Option<Installed>, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            installation::find(at, &settings, external_id).await.map(Some)
        })
    }

    fn tenant_in<'a>(&self, details: &'a [Value]) -> Option<&'a str> {
        details.iter().find_map(|detail| detail.get("org").and_then(Value::as_str))
    }
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

/// For the fuzz target alone.
#[cfg(feature = "fuzzing")]
pub(crate) fn reach(body: &[u8]) -> bool {
    use carnet_model::Scopes;
    let detail =
        serde_json::json!({"type": narrowing::DETAIL, "permissions": "contents:read", "repositories": "api"});
    let asked = narrowing::Narrowing::read(&Scopes::empty(), None, &[detail], &Installed::default());
    let answer = crate::oauth::json::object(body);
    asked.ok().zip(answer).is_some_and(|(asked, answer)| asked.judge(&answer).is_none())
}
