//! Installations: the tenants at the provider at which a connector is installed.

use carnet_model::{Id, Time, kind};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// An installation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InstallationInfo {
    /// `sci_…`
    pub id: Id<kind::Installation>,
    /// The provider's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The provider's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was recorded.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Since when it is one of a client that the connector is no more, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// An installation to be recorded.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewInstallation {
    /// The provider's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The provider's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is used when a request names none; the first one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

impl Client {
    /// The installations of a connector.
    pub async fn installations(&self, connector: &str) -> Result<Vec<InstallationInfo>, Error> {
        #[derive(Deserialize)]
        struct Installations {
            installations: Vec<InstallationInfo>,
        }
        let call = Call::get(&["v1", "connect", "connectors", connector, "installations"]);
        self.fetch::<Installations>(call).await.map(|answer| answer.installations)
    }

    /// Records an installation.
    pub async fn create_installation(
        &self,
        connector: &str,
        new: &NewInstallation,
    ) -> Result<InstallationInfo, Error> {
        let call = Call::post(&["v1", "connect", "connectors", connector, "installations"]);
        self.fetch(call.json(new)).await
    }

    /// Removes an installation and revokes the grants behind it; named by our identifier or the provider's.
    pub async fn delete_installation(&self, connector: &str, installation: &str) -> Result<(), Error> {
        let path = ["v1", "connect", "connectors", connector, "installations", installation];
        self.send(Call::delete(&path)).await.map(drop)
    }
}
