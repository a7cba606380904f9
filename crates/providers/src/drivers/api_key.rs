//! Keys that do not change by themselves: one or several that the owner stores, or one that each person pastes.
//!
//! A stored key goes out as it is. A caller picks one by asking for its label as the scope; when that leaves a choice,
//! nothing is given. Where the connector says how a key is tried, the service is asked about every key before it is kept.
//! There is no provider to revoke at: ending a key is done at the service.

mod settings;

use std::collections::BTreeSet;

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::grant::{Cause, Rotation};
use carnet_model::{Scopes, SecretString, SubjectKind, Time};
use http::StatusCode;
use serde_json::Map;

use super::probe::{Holder, Probe, Refused};
use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError, NotAccepted, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::profile::Profile;
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::standing::{Checked, Standing};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::is_credential;
use settings::Settings;

/// The driver of `api-key` connectors.
pub(super) struct ApiKey;

impl Driver for ApiKey {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move {
            let mut ask = ask;
            let (mut settings, values) = Settings::read(std::mem::take(&mut ask.data))?;
            let http = ask.http;
            for (place, url) in settings.service_urls.iter().enumerate() {
                http.check(url, Purpose::ProviderApi).map_err(|refused| BadConfiguration {
                    field: format!("serviceUrls.{place}"),
                    why: refused.to_string(),
                })?;
            }
            if let Some(probe) = &settings.probe {
                http.check(&probe.plain(), Purpose::ProviderApi).map_err(|refused| BadConfiguration {
                    field: "probe.url".to_owned(),
                    why: refused.to_string(),
                })?;
            }
            let mut secrets = ConnectorSecrets::default();
            let described = settings.values.iter_mut();
            for (place, (value, described)) in values.into_iter().zip(described).enumerate() {
                let field = format!("values.{place}.value");
                let value = value.ok_or_else(|| BadConfiguration {
                    field: field.clone(),
                    why: "is missing: it is the key itself".to_owned(),
                })?;
                if let Some(probe) = &settings.probe {
                    described.holder = probe.accept(&ask, &value, &field).await?;
                }
                secrets.insert(pointer(place), value);
            }
            if let Some(secret) = settings.webhook_secret.take() {
                secrets.insert("/webhookSecret".to_owned(), secret);
            }
            Ok(Accepted { data: settings.to_data(), secrets, redirect_uri: None })
        })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok((settings, _)) = Settings::read(connector.data.clone()) else { return Abilities::NONE };
        let none = Abilities { rotation: Rotation::None, ..Abilities::NONE };
        if settings.is_for_people {
            let user = TokenAbilities { manual_credential: true, ..TokenAbilities::default() };
            return Abilities { subjects: vec![SubjectKind::User], user: Some(user), ..none };
        }
        let refinement = settings.values.iter().any(|value| value.label.is_some());
        let app = TokenAbilities { refinement, ..TokenAbilities::default() };
        Abilities { subjects: vec![SubjectKind::App], app: Some(app), ..none }
    }

    fn asks_for_app_tokens(&self, _connector: &Connector) -> bool {
        false
    }

    /// A key goes to callers, and to whom it is tried at.
    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        let settings = Settings::read(connector.data.clone());
        settings.ok().and_then(|(settings, _)| settings.probe?.origin()).into_iter().collect()
    }

    fn way(&self, at: &At<'_>, _ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        instructions(at).map(|instructions| Way::PasteKey { instructions })
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, _ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async { instructions(at).map(|instructions| Step::PasteKey { instructions }) })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        _kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let (settings, _) = Settings::read(at.connector.data.clone())?;
            let Callback::Pasted { key } = back else { return Err(CallbackFault::Unexpected.into()) };
            if !settings.is_for_people {
                return Err(no_people());
            }
            let key = SecretString::new(key.expose().trim().to_owned());
            if !is_credential(key.expose()) {
                return Err(CallbackFault::InvalidKey.into());
            }
            let holder = match &settings.probe {
                None => Holder::default(),
                Some(probe) => {
                    let asked = probe.ask(at.http, at.env, at.connector.team, &key).await;
                    asked.map_err(|refused| match refused {
                        Refused::Key(_) => CallbackFault::KeyRefused.into(),
                        Refused::Unsaid(error) => error,
                    })?
                }
            };
            Ok(Granted {
                held: Held::of_key(key),
                scopes: None,
                external_subject: holder.account,
                access_expires_at: None,
                refresh_expires_at: None,
                name: holder.name,
                metadata: Map::new(),
                profile: Profile::default(),
                installation: None,
            })
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        let (settings, _) = Settings::read(at.connector.data.clone())?;
        if !settings.is_for_people {
            return Err(no_people());
        }
        let Import { access, access_expires_at, refresh, scopes, external_subject, name, metadata, .. } =
            import;
        if refresh.is_some() || scopes.is_some_and(|scopes| !scopes.is_empty()) {
            return Err(DriverError::Unsupported("a key has neither a refresh token nor scopes".to_owned()));
        }
        if !is_credential(access.expose()) || access.expose().contains(' ') {
            return Err(CallbackFault::InvalidKey.into());
        }
        Ok(Granted {
            held: Held::of_key(access),
            scopes: None,
            external_subject,
            access_expires_at,
            refresh_expires_at: None,
            name,
            metadata,
            profile: Profile::default(),
            installation: None,
        })
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let (settings, _) = Settings::read(at.connector.data.clone())?;
            let asked = asked_label(ask)?;
            if settings.is_for_people {
                if asked.is_some() {
                    return Err(DriverError::Unsupported(
                        "a pasted key cannot be narrowed: ask for it without scopes".to_owned(),
                    ));
                }
                let key = held
                    .and_then(Held::key)
                    .ok_or(DriverError::Gone { cause: Cause::Expired, vendor: None })?;
                return Ok(minted(key, None, None));
            }
            if !matches!(ask, MintAsk::App { .. }) {
                return Err(no_people());
            }
            let (place, value) = settings.choose(asked)?;
            if value.expires_at.is_some_and(|end| end <= at.env.now()) {
                return Err(DriverError::Misconfigured(
                    format!("values.{place}.expiresAt"),
                    format!("the key{} has expired; store its successor", value.shown()),
                ));
            }
            let key = at.secrets.at(&pointer(place)).ok_or_else(|| {
                DriverError::Misconfigured(format!("values.{place}.value"), "is missing".to_owned())
            })?;
            let scopes = value.label.as_ref().and_then(|label| Scopes::parse([label]).ok());
            Ok(Minted {
                external_subject: value.holder.account.clone(),
                metadata: value.holder.to_metadata(),
                ..minted(key, value.expires_at, scopes)
            })
        })
    }

    fn revoke<'a>(&'a self, _at: &'a At<'_>, _held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(async { Ok(Revocation::NotSupported) })
    }

    fn check<'a>(&'a self, at: &'a At<'_>, what: Checked<'a>) -> Boxed<'a, Result<Standing, DriverError>> {
        Box::pin(async move {
            let (settings, _) = Settings::read(at.connector.data.clone())?;
            let Some(probe) = &settings.probe else { return Ok(Standing::Unsaid) };
            match what {
                Checked::Installation(_) => Ok(Standing::Unsaid),
                Checked::Held(held) => match held.key() {
                    Some(key) => standing_of_key(at, probe, key).await,
                    None => Ok(Standing::Unsaid),
                },
                Checked::Application => stored_keys_hold(at, &settings, probe).await,
            }
        })
    }
}

/// Whether the service still accepts a person's key. What it answers to a request that it does not understand ends no
/// grant.
async fn standing_of_key(at: &At<'_>, probe: &Probe, key: &SecretString) -> Result<Standing, DriverError> {
    match probe.ask(at.http, at.env, at.connector.team, key).await {
        Ok(_) => Ok(Standing::Holds),
        Err(Refused::Key(StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)) => Ok(Standing::Gone),
        Err(Refused::Key(_)) => Ok(Standing::Unsaid),
        Err(Refused::Unsaid(error)) => Err(error),
    }
}

/// Whether the service accepts every key that the connector has and that has not ended.
async fn stored_keys_hold(at: &At<'_>, settings: &Settings, probe: &Probe) -> Result<Standing, DriverError> {
    for (place, value) in settings.values.iter().enumerate() {
        let ended = value.expires_at.is_some_and(|end| end <= at.env.now());
        let Some(key) = at.secrets.at(&pointer(place)).filter(|_| !ended) else { continue };
        match probe.ask(at.http, at.env, at.connector.team, key).await {
            Ok(_) => {}
            Err(Refused::Key(status)) => {
                let why = format!("values.{place}.value: the key{} is not accepted", value.shown());
                let vendor = Vendor::new(status.as_u16(), "", Some(&why), &[]);
                return Err(DriverError::ClientRejected { vendor });
            }
            Err(Refused::Unsaid(error)) => return Err(error),
        }
    }
    Ok(Standing::Holds)
}

/// The one label in what is asked. What a key cannot be bound to is refused rather than dropped.
fn asked_label(ask: &MintAsk) -> Result<Option<&str>, DriverError> {
    let (MintAsk::Refresh { scopes, resources, audience, details }
    | MintAsk::App { scopes, resources, audience, details, .. }) = ask
    else {
        return Err(DriverError::Unsupported(
            "a stored key is the application's or a person's, and nobody else's".to_owned(),
        ));
    };
    if !(resources.is_empty() && audience.is_empty() && details.is_empty()) {
        return Err(DriverError::Unsupported(
            "a stored key cannot be bound to resources, audiences or authorization details".to_owned(),
        ));
    }
    let mut labels = scopes.iter().flat_map(Scopes::iter);
    match (labels.next(), labels.next()) {
        (_, Some(_)) => Err(DriverError::Unsupported("ask for one label at a time".to_owned())),
        (label, None) => Ok(label),
    }
}

fn minted(key: &SecretString, expires_at: Option<Time>, scopes: Option<Scopes>) -> Minted {
    Minted {
        token: key.duplicate(),
        expires_at,
        scopes,
        held: None,
        refresh_expires_at: None,
        metadata: Map::new(),
        claims: Map::new(),
        external_subject: None,
        stray: None,
        flawed: false,
    }
}

fn instructions(at: &At<'_>) -> Result<Option<String>, DriverError> {
    let (settings, _) = Settings::read(at.connector.data.clone())?;
    if settings.is_for_people { Ok(settings.instructions) } else { Err(no_people()) }
}

fn no_people() -> DriverError {
    DriverError::Unsupported("this connector has keys of the application only (subjectType app)".to_owned())
}

fn pointer(place: usize) -> String {
    format!("/values/{place}/value")
}
