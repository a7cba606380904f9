//! Taking a connector out of the operator's hands: from then on its client is the team's own business.

use carnet_model::audit::Action;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_providers::ConnectorSecrets;
use serde_json::{Map, Value};

use super::change::Told;
use super::{ConnectorChange, ConnectorUpdated};
use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::managed::App;

impl Broker {
    /// Makes a managed connector a manual one. With `data` it changes to a client of the team's own in the same step;
    /// without, it keeps the one it has, if the operator lets go of it.
    pub async fn eject_connector(
        &self,
        caller: &Caller,
        name: &str,
        data: Option<Map<String, Value>>,
        request: Id<kind::Request>,
    ) -> Result<ConnectorUpdated, Fault> {
        let entry = self.managed(caller, name, Right::ConnectorUpdate).await?;
        if !entry.row.connector.managed {
            return Err(Fault::new(
                Code::Conflict,
                format!("{} is not managed: its client is the team's own already.", entry.row.connector.uid),
            )
            .next(format!("carnet show {}", entry.row.connector.uid), "to see how it is configured"));
        }
        let change = ConnectorChange { data, own: true, ..ConnectorChange::default() };
        let told = Told { action: Action::ConnectorEject, members: Vec::new(), renew: false };
        self.change_connector(caller, name, change, request, told).await
    }

    /// The secrets with which a connector goes on that is ejected without a client of the team's own.
    pub(super) fn take_along(&self, entry: &Entry) -> Result<ConnectorSecrets, Fault> {
        self.is_offered(entry)?;
        let connector = &entry.row.connector;
        if !self.inner.app_behind(entry).is_some_and(App::goes_along) {
            return Err(Fault::new(
                Code::InvalidConnector,
                format!(
                    "The application behind {} is the operator's and stays so. Eject it with data of an application of \
                     your own.",
                    connector.uid
                ),
            )
            .with("field", "data")
            .next(format!("carnet catalog show {}", connector.service), "to see how one is registered"));
        }
        self.inner.secrets(entry).map_err(faults::internal)
    }
}
