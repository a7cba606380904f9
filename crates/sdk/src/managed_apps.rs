//! Applications that the operator registered for all teams.

use std::collections::BTreeMap;
use std::fmt;

use carnet_model::{Id, Time, kind};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// An application from which teams make connectors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManagedApp {
    /// The service.
    pub service: String,
    /// `configuration`, where it can be changed there alone, or `server`.
    pub source: String,
    /// The driver of its connectors.
    pub r#type: String,
    /// The way of the catalog by which they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_method: Option<String>,
    /// What is filled into the addresses of that way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Their `data` without the members that hold secrets.
    pub data: Map<String, Value>,
    /// The names of those members.
    pub encrypted_fields: Vec<String>,
    /// The teams that may use it; all if there are none.
    pub teams: Option<Vec<Id<kind::Team>>>,
    /// Whether a team that ejects a connector without a client of its own takes it along.
    pub goes_along: bool,
    /// What is registered at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Whether the configuration has another one for the service, which is offered in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// How many connectors of all teams are made from it.
    pub connectors: u64,
    /// When it was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// An application to register.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewManagedApp {
    /// The service, by its name in the catalog.
    pub service: String,
    /// The driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The way of the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_method: Option<String>,
    /// What is filled into the addresses of that way, and said by no team.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The `data` of its connectors, secrets included.
    pub data: Map<String, Value>,
    /// The teams that may use it, by identifier or short name; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<String>>,
    /// Whether it goes along with a connector that is ejected.
    pub goes_along: bool,
}

/// Which teams may use an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OfferedTo {
    /// All of them.
    All,
    /// These, by identifier or short name.
    Only(Vec<String>),
}

/// A change of one; what is left out stays.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedAppChange {
    /// Members of `data` that change, secrets included; `null` takes one away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// What is filled into the addresses, in the place of all that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<String, String>>,
    /// Who may use it from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<OfferedTo>,
    /// Whether it goes along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goes_along: Option<bool>,
    /// Even if connectors stop working by it.
    pub force: bool,
}

/// An application that was removed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct RemovedApp {
    /// The service.
    pub service: String,
    /// How many connectors were made from it.
    pub connectors: u64,
}

// Both hold secrets.
impl fmt::Debug for NewManagedApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewManagedApp").field("service", &self.service).finish_non_exhaustive()
    }
}

impl fmt::Debug for ManagedAppChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedAppChange").field("teams", &self.teams).finish_non_exhaustive()
    }
}

impl Client {
    /// Every application that teams can make connectors from.
    pub async fn managed_apps(&self) -> Result<Vec<ManagedApp>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Apps {
            managed_apps: Vec<ManagedApp>,
        }
        self.fetch::<Apps>(Call::get(&["v1", "managed-apps"])).await.map(|answer| answer.managed_apps)
    }

    /// The one that is offered for a service.
    pub async fn managed_app(&self, service: &str) -> Result<ManagedApp, Error> {
        self.fetch(Call::get(&["v1", "managed-apps", service])).await
    }

    /// Registers one.
    pub async fn register_managed_app(&self, new: &NewManagedApp) -> Result<ManagedApp, Error> {
        self.fetch(Call::post(&["v1", "managed-apps"]).json(new)).await
    }

    /// Changes one.
    pub async fn update_managed_app(
        &self,
        service: &str,
        change: &ManagedAppChange,
    ) -> Result<ManagedApp, Error> {
        let call = Call::new(Method::PATCH, &["v1", "managed-apps", service]);
        self.fetch(call.json(change)).await
    }

    /// Removes one; with `force` even if connectors are made from it.
    pub async fn remove_managed_app(&self, service: &str, force: bool) -> Result<RemovedApp, Error> {
        self.fetch(Call::delete(&["v1", "managed-apps", service]).query("force", &force)).await
    }
}
