//! The configuration of an `api-key` connector: what is known about its keys, and not the keys themselves.

use carnet_model::{Scopes, SecretString, Time};
use serde_json::{Map, Value};

use super::super::probe::{Holder, Probe};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::fields::Fields;

/// `data` without its keys.
pub(super) struct Settings {
    pub(super) is_for_people: bool,
    pub(super) values: Vec<Described>,
    pub(super) service_urls: Vec<String>,
    pub(super) instructions: Option<String>,
    /// How a key is tried.
    pub(super) probe: Option<Probe>,
    /// With what the service's webhooks are verified. Only new data has it.
    pub(super) webhook_secret: Option<SecretString>,
}

/// What is known about one stored key.
pub(super) struct Described {
    pub(super) label: Option<String>,
    pub(super) expires_at: Option<Time>,
    /// Whose it is, if the service was asked.
    pub(super) holder: Holder,
}

impl Settings {
    /// Reads `data`, with or without the keys themselves; they come beside, in the same order.
    pub(super) fn read(
        data: Map<String, Value>,
    ) -> Result<(Self, Vec<Option<SecretString>>), BadConfiguration> {
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

    pub(super) fn to_data(&self) -> Map<String, Value> {
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
    pub(super) fn choose(&self, asked: Option<&str>) -> Result<(usize, &Described), DriverError> {
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
    pub(super) fn shown(&self) -> String {
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

/// What is wrong with a label that could not be asked for, or not be told apart.
const UNFIT_LABEL: &str = "is a scope name, and no two values have the same one";
