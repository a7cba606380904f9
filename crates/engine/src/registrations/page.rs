//! The page of a registration: what it shows to the person who asked for the connector, and the form with which the browser
//! goes to the provider.

use carnet_model::caller::Caller;
use carnet_model::{Fault, Id, Scopes, SecretString, kind};
use carnet_providers::RegistrationAsk;
use carnet_store::{DbError, Write, registrations};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{chosen_badly, over, scopes_of, unknown};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::hex;
use crate::faults;

/// What the page of a registration shows.
#[derive(Clone, Debug)]
pub struct RegistrationPage {
    /// The registration.
    pub id: Id<kind::Registration>,
    /// The team that will own the connector, by name.
    pub team: String,
    /// The service in words.
    pub service: String,
    /// The UID that the connector will have.
    pub uid: String,
    /// What the application could be called.
    pub name: String,
    /// What it could be allowed, with spaces between.
    pub scopes: String,
    /// How it is registered.
    pub way: RegistrationWay,
    /// Whether the provider is told where to send events, unless the person says that it cannot.
    pub hears: bool,
}

/// How an application is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationWay {
    /// At the provider, in the browser; an organization can own it.
    Form,
    /// With a token of the person's.
    Token {
        /// Where one is had.
        tokens: Url,
        /// Where the application can be made by hand.
        by_hand: Url,
    },
}

/// What a person chose.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RegistrationChoice {
    /// What the application is called.
    pub name: String,
    /// The organization that owns it; the person if it is empty.
    pub owner: String,
    /// What it may do, with spaces or commas between.
    pub scopes: String,
    /// Whether accounts besides its owner's may install it.
    #[serde(default)]
    pub shared: bool,
    /// Whether the provider is told no address for its events, because it could not reach it.
    #[serde(default)]
    pub quiet: bool,
}

/// A form that the browser posts to the provider.
#[derive(Clone, Debug)]
pub struct ProviderForm {
    /// Where to.
    pub to: Url,
    /// Names and values.
    pub fields: Vec<(&'static str, String)>,
}

impl Broker {
    /// The team for which an application is registered, for whoever has the link and signs in: all else is told to that
    /// team's member alone.
    pub async fn registration_team(&self, id: &str) -> Result<Id<kind::Team>, Fault> {
        Ok(self.registration_of(id).await?.team)
    }

    /// What whoever has nothing to do with a registration is told.
    pub fn no_registration(&self) -> Fault {
        unknown()
    }

    /// The page of a registration, for the person who asked for the connector.
    pub async fn registration_page(&self, caller: &Caller, id: &str) -> Result<RegistrationPage, Fault> {
        let (registration, wish) = self.open_registration(caller, id).await?;
        let kind = wish.kind().ok_or_else(|| over(&registration.service))?;
        let team = self.team(registration.team).await?;
        let scopes = wish.scopes();
        let name: String = format!("{} {}", team.name, wish.uid.rsplit('/').next().unwrap_or_default())
            .chars()
            .filter(|c| !c.is_control())
            .take(34)
            .collect();
        let parsed = Scopes::parse(scopes.split_whitespace()).unwrap_or_default();
        let redirect_uri = self.redirect_of(&wish);
        let ask = RegistrationAsk {
            name: name.trim(),
            owner: None,
            scopes: &parsed,
            shared: false,
            home: self.inner.settings.base(),
            redirect_uri: &redirect_uri,
            events: None,
            back: "",
            state: "",
        };
        let way = match carnet_providers::driver(kind).registration(&ask).map_err(chosen_badly)? {
            Some(carnet_providers::Registration::Form { .. }) => RegistrationWay::Form,
            Some(carnet_providers::Registration::Token { tokens, by_hand }) => {
                RegistrationWay::Token { tokens, by_hand }
            }
            None => return Err(over(&registration.service)),
        };
        let entry = self.inner.settings.catalog.get(&registration.service);
        let hears = wish.events_at(self.inner.settings.base(), false).is_some();
        Ok(RegistrationPage {
            id: registration.id,
            team: team.name,
            service: entry.map_or_else(|| registration.service.clone(), |entry| entry.name.to_string()),
            uid: wish.uid,
            name: name.trim().to_owned(),
            scopes,
            way,
            hears,
        })
    }

    /// The form with which this browser goes to the provider.
    pub async fn registration_form(
        &self,
        caller: &Caller,
        id: &str,
        browser: &SecretString,
        choice: &RegistrationChoice,
    ) -> Result<ProviderForm, Fault> {
        let inner = &self.inner;
        let (registration, wish) = self.open_registration(caller, id).await?;
        let kind = wish.kind().ok_or_else(|| over(&registration.service))?;
        let state = hex(&inner.env.bytes::<32>());
        let scopes = scopes_of(&choice.scopes)?;
        let (redirect_uri, back) =
            (self.redirect_of(&wish), format!("{}/register/callback", inner.settings.base()));
        let owner = Some(choice.owner.trim()).filter(|owner| !owner.is_empty());
        let events = wish.events_at(inner.settings.base(), choice.quiet);
        let ask = RegistrationAsk {
            name: &choice.name,
            owner,
            scopes: &scopes,
            shared: choice.shared,
            home: inner.settings.base(),
            redirect_uri: &redirect_uri,
            events: events.as_deref(),
            back: &back,
            state: &state,
        };
        let made = carnet_providers::driver(kind).registration(&ask).map_err(chosen_badly)?;
        let Some(carnet_providers::Registration::Form { to, fields }) = made else {
            return Err(over(&registration.service));
        };
        let chosen = serde_json::to_value(choice).map_err(faults::internal)?;
        let now = inner.env.now();
        let (state, browser) = (sha256(state.as_bytes()), sha256(browser.expose().as_bytes()));
        let write = Write::new().step(registrations::send(&registration, state, browser, &chosen, now));
        match inner.db.write(write).await {
            Ok(_) => Ok(ProviderForm { to: inner.egress.reroute(&to), fields }),
            Err(DbError::Unmet(_)) => Err(over(&registration.service)),
            Err(error) => Err(faults::store(error)),
        }
    }
}
