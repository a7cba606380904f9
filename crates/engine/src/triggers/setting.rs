//! Whether a connector's events are received, which of them, and with what they are signed.
//!
//! A secret that is set here takes the place of the one in the connector's configuration. The one before is good for a
//! while beside it, because providers change theirs at another moment; so is the one that a change of the configuration
//! replaces.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Secret, SecretBytes, SecretString, Time, kind};
use carnet_providers::ConnectorSecrets;
use carnet_providers::webhook::{Scheme, scheme_of};
use carnet_store::triggers::{self, TriggerSetting};
use carnet_store::{Step, Write};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Kept, Triggers};
use crate::broker::{Broker, Inner};
use crate::directory::Entry;
use crate::faults;
use crate::sealing::Unsealable;

/// A change of the setting.
#[derive(Debug, Default)]
pub struct TriggerChange {
    /// Whether events are received.
    pub enabled: Option<bool>,
    /// The names of those that are forwarded; empty for all.
    pub events: Option<Vec<String>>,
    /// With what the provider signs from now on.
    pub signing_secret: Option<SecretString>,
    /// For how long the secret before is good beside it; a day if left out.
    pub keep_previous: Option<Duration>,
}

/// The setting as it may be seen.
#[derive(Clone, Debug)]
pub struct TriggerView {
    /// What is received and where it goes.
    pub triggers: Triggers,
    /// The secrets that are good now, without themselves.
    pub secrets: Vec<SigningSecret>,
}

/// A secret with which events may be signed, without itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningSecret {
    /// When it was set; `None` for the one of the connector's configuration.
    pub set_at: Option<Time>,
    /// When it ends, if another has taken its place.
    pub until: Option<Time>,
}

/// A secret as it is sealed.
#[derive(Deserialize)]
pub(super) struct Signing {
    value: SecretString,
    /// `None` where it came from the connector's configuration.
    set_at: Option<Time>,
    until: Option<Time>,
}

impl Signing {
    fn shown(&self) -> SigningSecret {
        SigningSecret { set_at: self.set_at, until: self.until }
    }

    fn is_good(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Broker {
    /// The setting of a connector.
    pub async fn triggers(&self, caller: &Caller, connector: &str) -> Result<TriggerView, Fault> {
        let entry = self.managed(caller, connector, Right::TriggerRead).await?;
        self.told(&entry, &entry.triggers)
    }

    /// Changes the setting of a connector.
    pub async fn change_triggers(
        &self,
        caller: &Caller,
        connector: &str,
        change: TriggerChange,
        request: Id<kind::Request>,
    ) -> Result<TriggerView, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorUpdate).await?;
        let inner = &self.inner;
        let of = &entry.row.connector;
        let asks_nothing = change.enabled != Some(true)
            && change.events.as_ref().is_none_or(Vec::is_empty)
            && change.signing_secret.is_none();
        if asks_nothing && scheme_of(&of.service).is_none() {
            return self.told(&entry, &entry.triggers);
        }
        let turns_on = change.enabled == Some(true);
        let scheme = receives(of, if turns_on { "enabled" } else { "events" })?;
        let now = inner.env.now();
        let mut fields = Vec::new();
        let before = entry.triggers.setting.as_ref();
        let mut signing = match before {
            Some(setting) => inner.open_signing(setting).map_err(faults::internal)?,
            None => Vec::new(),
        };
        signing.retain(|one| one.is_good(now));
        if let Some(value) = change.signing_secret {
            is_sound(&value)?;
            let until = Some(now.plus(change.keep_previous.unwrap_or(BESIDE).min(LONGEST_BESIDE)));
            // The operator's goes by what the operator says, and is kept nowhere else.
            if !of.managed
                && own_counts(&signing)
                && let Some(value) = scheme.secret_of(&inner.secrets(&entry).map_err(faults::internal)?)
            {
                signing.insert(0, Signing { value, set_at: None, until });
            }
            for one in signing.iter_mut().filter(|one| one.until.is_none()) {
                one.until = until;
            }
            signing.insert(0, Signing { value, set_at: Some(now), until: None });
            signing.truncate(MOST_SECRETS);
            fields.push("signingSecret");
        }
        let mut setting = TriggerSetting {
            connector: of.id,
            team: of.team,
            enabled: before.is_some_and(|setting| setting.enabled),
            events: before.map(|setting| setting.events.clone()).unwrap_or_default(),
            secrets: Vec::new(),
            version: before.map_or(1, |setting| setting.version + 1),
            created_at: before.map_or(now, |setting| setting.created_at),
            updated_at: now,
        };
        if let Some(enabled) = change.enabled {
            setting.enabled = enabled;
            fields.push("enabled");
        }
        if let Some(events) = change.events {
            setting.events = names(events)?;
            fields.push("events");
        }
        if setting.enabled && own_counts(&signing) {
            self.is_offered(&entry)?;
            let own = inner.secrets(&entry).map_err(faults::internal)?;
            scheme.secret_of(&own).ok_or_else(|| no_secret(of, scheme))?;
        }
        setting.secrets = inner.seal_signing(&setting, &signing).map_err(faults::internal)?;
        let event = AuditEvent::of(caller, now, Action::TriggerPut, Some(request))
            .on(of.id)
            .with("enabled", setting.enabled)
            .with("events", setting.events.clone())
            .with("fields", fields);
        let write = Write::new().step(triggers::put(&setting)).event(&inner.env, &event).revises();
        inner.db.write(write).await.map_err(faults::store)?;
        let kept = Kept { setting: Some(setting), destinations: entry.triggers.destinations.clone() };
        self.told(&entry, &kept)
    }

    /// The setting of a connector that is being made.
    pub(crate) fn first_setting(
        &self,
        connector: &Connector,
        own: Option<SecretString>,
        ask: TriggerChange,
        now: Time,
    ) -> Result<TriggerSetting, Fault> {
        let scheme = receives(connector, "triggers")?;
        if let Some(value) = &ask.signing_secret {
            is_sound(value)?;
        }
        let signing: Vec<_> = ask
            .signing_secret
            .map(|value| Signing { value, set_at: Some(now), until: None })
            .into_iter()
            .collect();
        let enabled = ask.enabled.unwrap_or_default();
        if enabled && signing.is_empty() && own.is_none() {
            return Err(no_secret(connector, scheme));
        }
        let mut setting = TriggerSetting {
            connector: connector.id,
            team: connector.team,
            enabled,
            events: names(ask.events.unwrap_or_default())?,
            secrets: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        setting.secrets = self.inner.seal_signing(&setting, &signing).map_err(faults::internal)?;
        Ok(setting)
    }

    fn told(&self, entry: &Entry, kept: &Kept) -> Result<TriggerView, Fault> {
        let now = self.inner.env.now();
        let mut secrets: Vec<SigningSecret> = match &kept.setting {
            Some(setting) => {
                let signing = self.inner.open_signing(setting).map_err(faults::internal)?;
                signing.iter().filter(|one| one.is_good(now)).map(Signing::shown).collect()
            }
            None => Vec::new(),
        };
        let connector = &entry.row.connector;
        let own_counts = secrets.iter().all(|one| one.until.is_some());
        // Where the operator offers the application no longer, there is none of its own.
        let own_counts = own_counts && self.is_offered(entry).is_ok();
        if let (true, Some(scheme)) = (own_counts, scheme_of(&connector.service)) {
            let own = self.inner.secrets(entry).map_err(faults::internal)?;
            if scheme.secret_of(&own).is_some() {
                secrets.insert(0, SigningSecret { set_at: None, until: None });
            }
        }
        Ok(TriggerView { triggers: self.shown(connector.id, kept), secrets })
    }
}

impl Inner {
    /// Every secret with which an event of this connector may be signed now.
    pub(super) fn signing_of(
        &self,
        entry: &Entry,
        setting: &TriggerSetting,
        scheme: Scheme,
        now: Time,
    ) -> Result<Vec<SecretString>, Unsealable> {
        let signing = self.open_signing(setting)?;
        let good: Vec<_> = signing.into_iter().filter(|one| one.is_good(now)).collect();
        let own = if own_counts(&good) { scheme.secret_of(&self.secrets(entry)?) } else { None };
        Ok(own.into_iter().chain(good.into_iter().map(|one| one.value)).collect())
    }

    /// Another secret in the connector's configuration: the one before is good beside it for a day, as it is where another
    /// is set here. Nothing where the configuration's is not the one that counts, or where it is of another client now.
    pub(crate) fn kept_beside(
        &self,
        entry: &Entry,
        before: &ConnectorSecrets,
        after: &ConnectorSecrets,
        now: Time,
    ) -> Result<Option<Step>, Unsealable> {
        let setting = entry.triggers.setting.as_ref().filter(|setting| setting.enabled);
        let (Some(setting), Some(scheme)) = (setting, scheme_of(&entry.row.connector.service)) else {
            return Ok(None);
        };
        let (Some(old), Some(new)) = (scheme.secret_of(before), scheme.secret_of(after)) else {
            return Ok(None);
        };
        let mut signing = self.open_signing(setting)?;
        signing.retain(|one| one.is_good(now));
        let (one, other) = (old.expose().as_bytes(), new.expose().as_bytes());
        if !own_counts(&signing) || verify_slices_are_equal(one, other).is_ok() {
            return Ok(None);
        }
        signing.insert(0, Signing { value: old, set_at: None, until: Some(now.plus(BESIDE)) });
        signing.truncate(MOST_SECRETS);
        let mut next = TriggerSetting { version: setting.version + 1, updated_at: now, ..setting.clone() };
        next.secrets = self.seal_signing(&next, &signing)?;
        Ok(Some(triggers::put(&next)))
    }

    /// What is good now of the secrets that were set here, the newest first, for a file that only the holder of the
    /// recovery key opens.
    pub(crate) fn written_signing(&self, setting: &TriggerSetting, now: Time) -> Result<Value, Unsealable> {
        let signing = self.open_signing(setting)?;
        let written =
            |one: &Signing| json!({"value": one.value.expose(), "setAt": one.set_at, "until": one.until});
        Ok(signing.iter().filter(|one| one.is_good(now)).map(written).collect())
    }

    fn seal_signing(&self, setting: &TriggerSetting, signing: &[Signing]) -> Result<Vec<u8>, Unsealable> {
        let plain: Vec<_> = signing
            .iter()
            .map(|one| json!({"value": one.value.expose(), "set_at": one.set_at, "until": one.until}))
            .collect();
        let plain = serde_json::to_vec(&plain).map_err(|_| Unsealable("trigger_settings"))?;
        self.seal_trigger_secrets(setting, Secret::new(plain))
    }

    fn open_signing(&self, setting: &TriggerSetting) -> Result<Vec<Signing>, Unsealable> {
        let plain: SecretBytes = self.open_trigger_secrets(setting)?;
        serde_json::from_slice(plain.expose()).map_err(|_| Unsealable("trigger_settings"))
    }
}

/// Whether the secret of the connector's configuration counts: where none was set here that has not been replaced.
fn own_counts(signing: &[Signing]) -> bool {
    signing.iter().all(|one| one.until.is_some())
}

/// How the events of a connector are verified, if its service sends any that can be.
pub(super) fn receives(connector: &Connector, field: &str) -> Result<Scheme, Fault> {
    scheme_of(&connector.service).ok_or_else(|| {
        Fault::new(
            Code::InvalidRequest,
            format!(
                "Connectors to {} receive no provider events: how they would be signed is not known here.",
                connector.service
            ),
        )
        .with("field", field)
    })
}

fn no_secret(connector: &Connector, scheme: Scheme) -> Fault {
    let member = scheme.secret_member();
    Fault::new(
        Code::InvalidConnector,
        format!(
            "{} has nothing to verify events with: give data.{member}, or signingSecret of its triggers.",
            connector.uid
        ),
    )
    .with("field", format!("data.{member}"))
    .next(
        format!("carnet update {} --triggers --signing-secret @-", connector.uid),
        "to set it and receive events",
    )
}

fn is_sound(secret: &SecretString) -> Result<(), Fault> {
    let text = secret.expose();
    if (8..=512).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let why = "signingSecret has 8 to 512 characters and no control character.";
    Err(Fault::new(Code::InvalidRequest, why).with("field", "signingSecret"))
}

fn names(events: Vec<String>) -> Result<Vec<String>, Fault> {
    let sound = |name: &String| (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    if events.len() > 100 || !events.iter().all(sound) {
        let why = "events has at most 100 names of 1 to 100 characters, without spaces.";
        return Err(Fault::new(Code::InvalidRequest, why).with("field", "events"));
    }
    let mut out: Vec<String> = Vec::with_capacity(events.len());
    for name in events {
        if !out.contains(&name) {
            out.push(name);
        }
    }
    Ok(out)
}

/// Whether an event of this name is forwarded. Some providers subscribe to `message.im` and send `message`, others
/// subscribe to `issues` and send `issues.opened`.
pub(super) fn is_wanted(wanted: &[String], name: &str) -> bool {
    let begins = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    wanted.is_empty()
        || wanted.iter().any(|one| one == name || one == "*" || begins(one, name) || begins(name, one))
}

/// For how long the secret before is good, if nobody says.
const BESIDE: Duration = Duration::from_hours(24);
const LONGEST_BESIDE: Duration = Duration::from_hours(24 * 30);
/// The newest and those it replaces.
const MOST_SECRETS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wanted_as_a_provider_subscribes_to_it() {
        let wanted = ["message.im".to_owned(), "issues".to_owned()];
        for (name, is) in [
            ("message.im", true),
            ("message", true),
            ("issues.opened", true),
            ("issues", true),
            ("issue", false),
            ("issues_opened", false),
            ("app_mention", false),
        ] {
            assert_eq!(is_wanted(&wanted, name), is, "{name}");
        }
        assert!(is_wanted(&[], "anything"));
        assert!(names(vec!["a b".to_owned()]).is_err());
        assert_eq!(names(vec!["a".to_owned(), "a".to_owned()]).unwrap(), ["a"]);
    }
}
