//! What a connector does with its provider's events, as it is written down, read and made: whether it receives them,
//! which, where they are forwarded to, and, opened by the holder of the recovery key, with what they are signed.

use carnet_model::SecretString;
use carnet_sdk::{Client, Connector, TriggerChange, TriggerDestination};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::export::Names;
use super::{list_of, text_of};
use crate::cli::access::environment;
use crate::cli::failure::Failure;

/// What is to be done with events.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct PlannedEvents {
    pub(crate) enabled: bool,
    /// The names of those that are forwarded; empty for all.
    pub(crate) events: Vec<String>,
    pub(crate) destinations: Vec<PlannedDestination>,
    /// The newest first. Never in the clear in an export.
    #[serde(skip)]
    pub(crate) secrets: Vec<PlannedSecret>,
}

/// Where they go, by names: identifiers mean nothing elsewhere.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct PlannedDestination {
    pub(crate) project: String,
    /// One that the team made itself; production if neither this nor a branch is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
}

/// With what a provider signs.
pub(crate) struct PlannedSecret {
    value: SecretString,
    /// For how many milliseconds more it is good, if another has taken its place.
    good_for_ms: Option<u64>,
}

/// As it stands; nothing where the service sends no events that are verified here.
pub(super) async fn written(
    client: &Client,
    connector: &Connector,
    names: &Names,
) -> Result<Option<Value>, Failure> {
    if connector.rest.get("supportsTriggers") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let settings = client.trigger_settings(&connector.id.to_string()).await?;
    let rest = Value::Object(settings.rest);
    let destinations: Vec<PlannedDestination> = list_of(&rest, "destinations")
        .map(|one| {
            let text = |name: &str| text_of(one, name).map(str::to_owned);
            let project = text("projectId").unwrap_or_default();
            PlannedDestination {
                project: names.project(&project).unwrap_or(project),
                environment: text("customEnvironmentId").map(|id| names.place(&id)),
                branch: text("branch"),
                path: text("path"),
            }
        })
        .collect();
    Ok(Some(json!({
        "enabled": settings.enabled, "events": rest.get("events"), "destinations": destinations,
    })))
}

/// The secrets of one connector, from what the holder of the recovery key opened; `now` in milliseconds since 1970.
pub(super) fn opened(list: &Value, now: i64) -> Vec<PlannedSecret> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|one| {
        let until = one.get("until").and_then(Value::as_i64);
        let good_for_ms = until.map(|until| u64::try_from(until - now).unwrap_or(0));
        let value = SecretString::from(text_of(one, "value")?.to_owned());
        // One that has ended meanwhile is of no use.
        (good_for_ms != Some(0)).then_some(PlannedSecret { value, good_for_ms })
    })
    .collect()
}

/// Makes what nobody has said yet: whether events are received and which, and after that where they go. So one of which it
/// is said where they go is one of which all is said, and what a failure kept from being made is made the next time. What is
/// there stays; `notes` is told where events are received in the plan and not here.
pub(super) async fn make(
    client: &Client,
    uid: &str,
    planned: &PlannedEvents,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    if !planned.enabled && planned.events.is_empty() && planned.destinations.is_empty() {
        return Ok(());
    }
    let present = client.trigger_settings(uid).await?;
    let rest = Value::Object(present.rest);
    let said = |name: &str| list_of(&rest, name).next().is_some();
    let is_set = present.enabled || said("events") || said("destinations");
    if is_set && planned.enabled && !present.enabled {
        notes.push(format!("{uid} was there, and receives no events here; in the file it does"));
    }
    if !is_set {
        receive(client, uid, planned).await?;
    }
    if said("destinations") {
        return Ok(());
    }
    let mut destinations = Vec::with_capacity(planned.destinations.len());
    for one in &planned.destinations {
        let project = client.project(&one.project).await?;
        let custom = match &one.environment {
            Some(name) => Some(environment(client, &project, name).await?.to_string()),
            None => None,
        };
        destinations.push(TriggerDestination {
            project_id: Some(project.id.to_string()),
            path: one.path.clone(),
            branch: one.branch.clone(),
            custom_environment_id: custom,
        });
    }
    if !destinations.is_empty() {
        // The path of the API has the identifier.
        let id = client.connector_metadata(uid).await?.id.to_string();
        client.set_trigger_destinations(&id, &destinations).await?;
    }
    Ok(())
}

/// Whether events are received, which, and with what they are signed.
async fn receive(client: &Client, uid: &str, planned: &PlannedEvents) -> Result<(), Failure> {
    // The oldest first: each is kept beside the next one for as long as it is good. What stands in `data` is not.
    let mut keep = 0;
    for secret in planned.secrets.iter().rev() {
        let change = TriggerChange {
            signing_secret: Some(secret.value.expose().clone()),
            keep_previous_ms: Some(keep),
            ..TriggerChange::default()
        };
        client.change_triggers(uid, &change).await?;
        keep = secret.good_for_ms.unwrap_or(0);
    }
    if planned.enabled || !planned.events.is_empty() {
        let change = TriggerChange {
            enabled: Some(planned.enabled),
            events: Some(planned.events.clone()),
            ..TriggerChange::default()
        };
        client.change_triggers(uid, &change).await?;
    }
    Ok(())
}
