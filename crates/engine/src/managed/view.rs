//! An application as the operator sees it: everything but the members of its `data` in which a secret stands, of which it
//! has the names.

use std::collections::{BTreeMap, BTreeSet};

use carnet_model::caller::Principal;
use carnet_model::connector::ConnectorType;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_providers::data_schema;
use carnet_store::managed_apps::{self, ManagedAppRow};
use serde_json::{Map, Value};

use super::ManagedService;
use crate::broker::Broker;
use crate::faults;

/// Where an application was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedAppSource {
    /// In the configuration, which alone changes it.
    Configuration,
    /// At the server, while it ran.
    Server,
}

/// An application as the operator sees it.
#[derive(Clone, Debug)]
pub struct ManagedAppView {
    /// The service.
    pub service: String,
    /// Where it was registered.
    pub source: ManagedAppSource,
    /// The driver.
    pub r#type: ConnectorType,
    /// The way of the catalog.
    pub method: Option<String>,
    /// What the operator filled into the addresses of that way.
    pub params: BTreeMap<String, String>,
    /// The `data` of its connectors without the members that hold secrets.
    pub data: Map<String, Value>,
    /// The names of those members.
    pub secrets: Vec<String>,
    /// Which teams may use it; all, if nobody has said.
    pub teams: Option<BTreeSet<Id<kind::Team>>>,
    /// Whether it goes along with a connector that is ejected.
    pub goes_along: bool,
    /// Where people come back to, which is registered at the provider; none where each connector has an address of its
    /// own.
    pub redirect_uri: Option<String>,
    /// Whether another one for the same service stands in the configuration, and is offered in its place.
    pub overridden: bool,
    /// How many connectors of all teams are made from the application for this service.
    pub connectors: i64,
    /// When it was registered and last changed, and by whom; none in the configuration.
    pub history: Option<ManagedAppHistory>,
}

/// When an application was registered and last changed, and by whom.
#[derive(Clone, Debug)]
pub struct ManagedAppHistory {
    /// When it was registered here.
    pub created_at: Time,
    /// By whom.
    pub created_by: Principal,
    /// When it was last changed.
    pub updated_at: Time,
    /// By whom.
    pub updated_by: Principal,
}

impl Broker {
    pub(super) async fn configured_view(
        &self,
        service: &str,
        app: &ManagedService,
    ) -> Result<ManagedAppView, Fault> {
        // A member that its driver does not know may be anything; the driver refuses it when a connector is made.
        let hidden = holding_secrets(app.r#type);
        let known = members(app.r#type);
        let is_shown = |name: &str| known.contains(name) && !hidden.contains(name);
        let shown = app.data.iter().filter(|(name, _)| is_shown(name));
        Ok(ManagedAppView {
            service: service.to_owned(),
            source: ManagedAppSource::Configuration,
            r#type: app.r#type,
            method: app.method.clone(),
            params: app.params.clone(),
            data: shown.map(|(name, value)| (name.clone(), value.clone())).collect(),
            secrets: app.data.keys().filter(|name| !is_shown(name)).cloned().collect(),
            teams: app.teams.clone(),
            goes_along: app.goes_along,
            redirect_uri: app.one_callback.then(|| self.one_callback(service)),
            overridden: false,
            connectors: self.connectors_of_app(service).await?,
            history: None,
        })
    }

    pub(super) async fn stored_view(&self, row: ManagedAppRow) -> Result<ManagedAppView, Fault> {
        let secrets = self.inner.open_app(&row).map_err(faults::internal)?;
        Ok(ManagedAppView {
            source: ManagedAppSource::Server,
            secrets: secrets.keys().cloned().collect(),
            redirect_uri: Some(self.one_callback(&row.service)),
            overridden: self.inner.apps.configured.contains_key(&row.service),
            connectors: self.connectors_of_app(&row.service).await?,
            service: row.service,
            r#type: row.r#type,
            method: row.method,
            params: row.params,
            data: row.data,
            teams: row.teams,
            goes_along: row.goes_along,
            history: Some(ManagedAppHistory {
                created_at: row.created_at,
                created_by: row.created_by,
                updated_at: row.updated_at,
                updated_by: row.updated_by,
            }),
        })
    }

    async fn connectors_of_app(&self, service: &str) -> Result<i64, Fault> {
        managed_apps::connectors_of(&self.inner.db, service).await.map_err(faults::store)
    }
}

/// The members of `data` in which a secret stands, however deep: sealed whole.
fn holding_secrets(r#type: ConnectorType) -> BTreeSet<String> {
    let top = |path: &&str| path.split(['.', '[']).next().map(str::to_owned);
    data_schema(r#type).secrets.iter().filter_map(top).collect()
}

/// The members that a driver knows.
fn members(r#type: ConnectorType) -> BTreeSet<String> {
    let schema = data_schema(r#type).schema;
    let known = schema.get("properties").and_then(Value::as_object);
    known.into_iter().flat_map(Map::keys).cloned().collect()
}

type Members = Map<String, Value>;

/// The members that may be shown, and those that hold secrets. A member that the driver does not know could be one that
/// was meant to be a secret.
pub(super) fn split(r#type: ConnectorType, data: Members) -> Result<(Members, Members), Fault> {
    let known = members(r#type);
    if let Some(name) = data.keys().find(|name| !known.contains(name.as_str())) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        let why = format!("data.{name} is not known to connectors of the type {}.", r#type.as_str());
        return Err(Fault::new(Code::InvalidConnector, why).with("field", format!("data.{name}")));
    }
    let hidden = holding_secrets(r#type);
    Ok(data.into_iter().partition(|(name, _)| !hidden.contains(name)))
}
