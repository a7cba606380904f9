//! How consent is asked for: the rules of a connector, and where the people of a project may be sent back to.

use carnet_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// The rules of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentRules {
    /// Whether a person may enter a code on another device.
    pub device_codes: bool,
    /// Whether a consent holds only when the application has confirmed it.
    pub require_completion: bool,
}

/// Where browsers may be sent back to.
#[derive(Deserialize)]
struct Origins {
    origins: Vec<String>,
}

impl Client {
    /// The rules of a connector.
    pub async fn consent_rules(&self, connector: &str) -> Result<ConsentRules, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector, "consent-rules"])).await
    }

    /// Sets the rules of a connector.
    pub async fn set_consent_rules(
        &self,
        connector: &str,
        rules: ConsentRules,
    ) -> Result<ConsentRules, Error> {
        let path = ["v1", "connect", "connectors", connector, "consent-rules"];
        self.fetch(Call::new(reqwest::Method::PATCH, &path).json(&rules)).await
    }

    /// Where the people of a project may be sent back to; none for anywhere.
    pub async fn return_origins(&self, project: &str) -> Result<Vec<String>, Error> {
        let call = Call::get(&["v1", "projects", project, "return-origins"]);
        self.fetch::<Origins>(call).await.map(|answer| answer.origins)
    }

    /// Says where the people of a project may be sent back to.
    pub async fn set_return_origins(&self, project: &str, origins: &[String]) -> Result<Vec<String>, Error> {
        let call = Call::new(reqwest::Method::PUT, &["v1", "projects", project, "return-origins"]);
        self.fetch::<Origins>(call.json(&json!({ "origins": origins }))).await.map(|answer| answer.origins)
    }
}

/// Where a project is told that what it was granted breaks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HealthWebhook {
    /// The project.
    pub project_id: String,
    /// The address.
    pub url: String,
    /// When it was set.
    pub updated_at: Time,
}

#[derive(Deserialize)]
struct MaybeWebhook {
    webhook: Option<HealthWebhook>,
}

impl Client {
    /// Where a project is told that what it was granted breaks, if it has said.
    pub async fn health_webhook(&self, project: &str) -> Result<Option<HealthWebhook>, Error> {
        let call = Call::get(&["v1", "projects", project, "health-webhook"]);
        self.fetch::<MaybeWebhook>(call).await.map(|answer| answer.webhook)
    }

    /// Says where.
    pub async fn set_health_webhook(&self, project: &str, url: &str) -> Result<HealthWebhook, Error> {
        let call = Call::new(reqwest::Method::PUT, &["v1", "projects", project, "health-webhook"]);
        self.fetch(call.json(&json!({ "url": url }))).await
    }

    /// Says nowhere.
    pub async fn remove_health_webhook(&self, project: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v1", "projects", project, "health-webhook"])).await.map(drop)
    }
}
