//! What a connector does with its provider's events, and what became of them.

use carnet_model::Time;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::connectors::Connector;
use crate::error::Error;
use crate::transport::Call;

/// Whether a new connector receives events.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTriggers {
    /// Whether it does.
    pub enabled: bool,
    /// With what they are signed, where its configuration does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
}

/// Where events are forwarded to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerDestination {
    /// The project; of a new connector, its own if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Where at the environment's address; `/` and the service's name if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A branch, whose previews get them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A custom environment; production if neither is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_environment_id: Option<String>,
}

/// A change of what a connector does with events. What is left out stays as it is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerChange {
    /// Whether it receives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The names of those that are forwarded; empty for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// With what the provider signs from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// For how long the secret before is good beside it, in milliseconds; a day if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_previous_ms: Option<u64>,
}

/// What a connector does with events.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TriggerSettings {
    /// Whether it receives them.
    pub enabled: bool,
    /// Where the provider sends them.
    pub url: String,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One event on its way to one destination.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// `dlv_…`
    pub id: String,
    /// The event, without what was in it.
    pub event: DeliveredEvent,
    /// `waiting`, `taken` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempt_count: u64,
    /// When it came.
    pub created_at: Time,
    /// What the destination last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// Why it was not taken last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Each try, where one delivery was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<DeliveryAttempt>>,
    /// Every other member: the destination, when it is tried next.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An event of a provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeliveredEvent {
    /// `evt_…`
    pub id: String,
    /// What the provider calls it.
    pub name: String,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One HTTP try.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttempt {
    /// Counted from one.
    pub number: u64,
    /// When.
    pub at: Time,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What the destination answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A page of deliveries.
#[derive(Clone, Debug, Deserialize)]
pub struct DeliveryPage {
    /// The newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins.
    pub pagination: NextPage,
}

/// Where the next page begins, if there is one.
#[derive(Clone, Debug, Deserialize)]
pub struct NextPage {
    /// The cursor.
    pub next: Option<String>,
}

/// Where an environment of a project is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ProjectUrl {
    /// `production`, `preview`, or a custom environment's identifier or name.
    pub environment: String,
    /// Its address; for previews with `{branch}` where the branch stands.
    pub url: String,
}

#[derive(Deserialize)]
struct ProjectUrls {
    urls: Vec<ProjectUrl>,
}

impl Client {
    /// What a connector does with its provider's events.
    pub async fn trigger_settings(&self, connector: &str) -> Result<TriggerSettings, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector, "triggers"])).await
    }

    /// Changes what a connector does with its provider's events.
    pub async fn change_triggers(
        &self,
        connector: &str,
        change: &TriggerChange,
    ) -> Result<TriggerSettings, Error> {
        let call = Call::new(Method::PATCH, &["v1", "connect", "connectors", connector, "triggers"]);
        self.fetch(call.json(change)).await
    }

    /// Replaces where a connector's events are forwarded to: at most three destinations.
    pub async fn set_trigger_destinations(
        &self,
        connector: &str,
        destinations: &[TriggerDestination],
    ) -> Result<Connector, Error> {
        let path = ["v1", "connect", "connectors", connector, "trigger-destinations"];
        let call = Call::new(Method::PATCH, &path);
        self.fetch(call.json(&json!({ "destinations": destinations }))).await
    }

    /// A page of what was forwarded of a connector's events.
    pub async fn deliveries(
        &self,
        connector: &str,
        state: Option<&str>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<DeliveryPage, Error> {
        let call = Call::get(&["v1", "connect", "connectors", connector, "deliveries"])
            .query_if("state", state.as_ref())
            .query_if("limit", limit.as_ref())
            .query_if("cursor", cursor.as_ref());
        self.fetch(call).await
    }

    /// One delivery with its attempts.
    pub async fn delivery(&self, connector: &str, delivery: &str) -> Result<Delivery, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector, "deliveries", delivery])).await
    }

    /// Forwards one that has ended once more.
    pub async fn replay_delivery(&self, connector: &str, delivery: &str) -> Result<Delivery, Error> {
        let path = ["v1", "connect", "connectors", connector, "deliveries", delivery, "replay"];
        self.fetch(Call::post(&path).json(&Map::new())).await
    }

    /// Where a project's environments are reached.
    pub async fn project_urls(&self, project: &str) -> Result<Vec<ProjectUrl>, Error> {
        self.fetch::<ProjectUrls>(Call::get(&["v1", "projects", project, "urls"])).await.map(|all| all.urls)
    }

    /// Replaces where a project's environments are reached.
    pub async fn set_project_urls(
        &self,
        project: &str,
        urls: &[ProjectUrl],
    ) -> Result<Vec<ProjectUrl>, Error> {
        let call = Call::new(Method::PUT, &["v1", "projects", project, "urls"]);
        self.fetch::<ProjectUrls>(call.json(&json!({ "urls": urls }))).await.map(|all| all.urls)
    }
}
