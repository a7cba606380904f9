//! Keys that do not change by themselves: one or several that the owner stores, or one that each person pastes.
//!
//! A stored key goes out as it is. A caller picks one by asking for its label as the scope; when that leaves a choice,
//! nothing is given. Where the connector says how a key is tried, the service is asked about every key before it is kept.
//! There is no provider to revoke at: ending a key is done at the service.

use std::collections::BTreeSet;

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::grant::{Cause, Rotation};
use carnet_model::{Scopes, SecretString, SubjectKind, Time};
use http::StatusCode;
use serde_json::{Map, Value};

use super::probe::{Holder, Probe, Refused};
use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::profile::Profile;
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::standing::{Checked, Standing};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::{Fields, is_credential};

/// The driver of `api-key` connectors.
pub(super) struct ApiKey;

impl Driver for ApiKey {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(async move {
            let NewConnector { data, http, env, tenant, .. } = ask;
            let (mut settings, values) = Settings::read(data)?;
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
                    described.holder = probe.accept(http, env, tenant, &value, &field).await?;
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
                    format!("values.{place}"),
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

/// `data` without its keys.
struct Settings {
    is_for_people: bool,
    values: Vec<Described>,
    service_urls: Vec<String>,
    instructions: Option<String>,
    /// How a key is tried.
    probe: Option<Probe>,
    /// With what the service's webhooks are verified. Only new data has it.
    webhook_secret: Option<SecretString>,
}

/// What is known about one stored key.
struct Described {
    label: Option<String>,
    expires_at: Option<Time>,
    /// Whose it is, if the service was asked.
    holder: Holder,
}

impl Settings {
    /// Reads `data`, with or without the keys themselves; they come beside, in the same order.
    fn read(data: Map<String, Value>) -> Result<(Self, Vec<Option<SecretString>>), BadConfiguration> {
        let mut fields = Fields::new(data);
        let is_for_people = match fields.text("subjectType")?.as_deref() {
            None | Some("app") => false,
            Some("user") => true,
            Some(_) => return Err(fields.bad("subjectType", "must be app or user")),
        };
        let mut described: Vec<Described> = Vec::new();
        let mut keys = Vec::new();
        for mut value in fields.objects("values")?.unwrap_or_default() {
            keys.push(value.secret("value")?);
            let label = value.text("scope")?;
            let is_scope = label.as_ref().is_none_or(|label| label != "*" && Scopes::parse([label]).is_ok());
            if !is_scope || described.iter().any(|other| other.label == label) {
                return Err(value.bad("scope", UNFIT_LABEL));
            }
            let millis = value.number("expiresAt")?;
            let expires_at =
                millis.map(|millis| Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)));
            let holder = Holder::read(&mut value)?;
            value.finish()?;
            described.push(Described { label, expires_at, holder });
        }
        match (is_for_people, described.len()) {
            (true, 1..) => return Err(fields.bad("values", "must be absent: each person pastes a key")),
            (false, 0) => return Err(fields.bad("values", "must hold at least one key")),
            (false, 101..) => return Err(fields.bad("values", "holds at most 100 keys")),
            _ => {}
        }
        let service_urls = fields.texts("serviceUrls")?.unwrap_or_default();
        let instructions = fields.prose("instructions")?;
        let probe = Probe::read(&mut fields)?;
        let webhook_secret = fields.secret("webhookSecret")?;
        fields.finish()?;
        let settings =
            Self { is_for_people, values: described, service_urls, instructions, probe, webhook_secret };
        Ok((settings, keys))
    }

    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        let kind = if self.is_for_people { "user" } else { "app" };
        data.insert("subjectType".to_owned(), kind.into());
        if !self.values.is_empty() {
            data.insert("values".to_owned(), self.values.iter().map(Described::to_json).collect());
        }
        if !self.service_urls.is_empty() {
            data.insert("serviceUrls".to_owned(), self.service_urls.clone().into());
        }
        if let Some(instructions) = &self.instructions {
            data.insert("instructions".to_owned(), instructions.clone().into());
        }
        if let Some(probe) = &self.probe {
            data.insert("probe".to_owned(), probe.to_json());
        }
        data
    }

    /// The key that is meant, and its place.
    fn choose(&self, asked: Option<&str>) -> Result<(usize, &Described), DriverError> {
        let fits = |value: &Described| match asked {
            Some(label) => value.label.as_deref() == Some(label),
            None => value.label.is_none() || self.values.len() == 1,
        };
        self.values.iter().enumerate().find(|(_, value)| fits(value)).ok_or_else(|| {
            let labels: Vec<&str> = self.values.iter().filter_map(|value| value.label.as_deref()).collect();
            DriverError::Unsupported(match (asked, labels.is_empty()) {
                (Some(_), true) => "the stored key has no label: ask for it without scopes".to_owned(),
                (Some(_), false) => format!("no stored key has this label; there are: {}", labels.join(", ")),
                (None, _) => format!("ask for one of the stored keys by its label: {}", labels.join(", ")),
            })
        })
    }
}

impl Described {
    fn shown(&self) -> String {
        self.label.as_ref().map(|label| format!(" labelled {label}")).unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let label = self.label.as_ref().map(|label| ("scope".to_owned(), Value::from(label.clone())));
        let end = self.expires_at.map(|end| ("expiresAt".to_owned(), Value::from(end.millis())));
        let holder = self.holder.to_metadata();
        let holder = (!holder.is_empty()).then(|| ("account".to_owned(), holder.into()));
        Value::Object(label.into_iter().chain(end).chain(holder).collect())
    }
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

/// What is wrong with a label that could not be asked for, or not be told apart.
const UNFIT_LABEL: &str = "is a scope name, and no two values have the same one";
