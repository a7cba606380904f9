//! What a create or a change of a connector says about its provider's events: `triggers`, `events`, `triggerDestination`.

use carnet_engine::{NewDestination, TriggerAsk, TriggerChange};
use carnet_model::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::connectors::refused;
use crate::problem::Problem;
use crate::shape::{either, flag, object_of, text};

/// What is wished of a connector's events. `triggers` is a boolean in the documentation and an object from the official
/// CLI, which sends it always.
pub(crate) struct Wished {
    enabled: Option<bool>,
    events: Option<Vec<String>>,
    signing_secret: Option<String>,
}

impl Wished {
    pub(crate) fn read(triggers: Option<&Value>, events: Option<Vec<String>>) -> Result<Self, Problem> {
        let (enabled, signing_secret) = match triggers {
            None | Some(Value::Null) => (None, None),
            Some(Value::Bool(on)) => (Some(*on), None),
            Some(Value::Object(object)) => {
                let enabled = match object.get("enabled") {
                    None | Some(Value::Null) => None,
                    Some(Value::Bool(on)) => Some(*on),
                    Some(_) => return Err(refused("triggers.enabled", "triggers.enabled is true or false.")),
                };
                let secret = match object.get("signingSecret") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(secret)) => Some(secret.clone()),
                    Some(_) => {
                        return Err(refused("triggers.signingSecret", "triggers.signingSecret is a text."));
                    }
                };
                (enabled, secret)
            }
            Some(_) => {
                return Err(refused("triggers", "triggers is true, false or an object with enabled."));
            }
        };
        Ok(Self { enabled, events, signing_secret })
    }

    pub(crate) fn for_new(self) -> Result<Option<TriggerAsk>, Problem> {
        let Self { enabled, events, signing_secret } = self;
        let events = events.unwrap_or_default();
        if enabled == Some(true) {
            return Ok(Some(TriggerAsk { events, signing_secret, if_possible: false }));
        }
        if events.is_empty() {
            return Ok(None);
        }
        Err(refused("events", "events says which events are forwarded, so it needs triggers."))
    }

    /// As a change of a connector; nothing if nothing is wished.
    pub(crate) fn for_change(self) -> Option<TriggerChange> {
        let Self { enabled, events, signing_secret } = self;
        let something = enabled.is_some() || events.is_some() || signing_secret.is_some();
        let signing_secret = signing_secret.map(SecretString::from);
        something.then(|| TriggerChange { enabled, events, signing_secret, keep_previous: None })
    }
}

pub(crate) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    either([flag(), object_of([("enabled?", flag()), ("signingSecret?", text())]).open()]).inside()
}

/// Where a new connector's events are forwarded to: the connector's own project, unless it says another.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct TriggerDestination {
    project_id: Option<String>,
    path: Option<String>,
    branch: Option<String>,
    custom_environment_id: Option<String>,
}

impl TriggerDestination {
    /// The same of a connector that is linked to this project.
    pub(crate) fn of(self, project: Option<&str>) -> Result<NewDestination, Problem> {
        let Self { project_id, path, branch, custom_environment_id } = self;
        let project = project_id.or_else(|| project.map(str::to_owned));
        let project = project
            .ok_or_else(|| refused("triggerDestination", "A destination names its project: projectId."))?;
        Ok(NewDestination { project, path, branch, custom_environment: custom_environment_id })
    }
}
