//! The client that a provider registered for a connector: told of changes, and taken back at the end.
//!
//! The change of the connector is durable before the provider hears of it. What the provider answers, a new secret
//! maybe, is a second change. If it does not hear, the connector works on, and the answer says what has to be done.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::{Fault, Id, kind};
use carnet_providers::{At, ConnectorSecrets, Synced};
use carnet_store::connectors::ConnectorRow;
use serde_json::{Map, Value};

use super::renewal::NotKept;
use crate::broker::Broker;
use crate::faults;

/// What became of the provider's own record of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSync {
    /// It has the new state.
    Done,
    /// Somebody has to see to it. Each sentence says why, or what to do.
    Required(Vec<String>),
}

impl Broker {
    /// Tells the provider that the connector changed from `before` to `row`, which is stored. The row as it is then.
    pub(super) async fn tell_of_change(
        &self,
        caller: &Caller,
        before: &Connector,
        row: ConnectorRow,
        request: Id<kind::Request>,
        renew: bool,
    ) -> Result<(ConnectorRow, Option<ServiceSync>), Fault> {
        let inner = &self.inner;
        let connector = &row.connector;
        if connector.managed {
            // What the provider has registered is the operator's.
            return Ok((row, None));
        }
        let secrets = inner.open_connector(connector, &row.secrets).map_err(faults::internal)?;
        let driver = carnet_providers::driver(connector.r#type);
        let (kept, told) = match driver.sync(&self.about(connector, &secrets), renew).await {
            Synced::Done(kept) => (kept, ServiceSync::Done),
            Synced::Required(why, Some(kept)) => (kept, ServiceSync::Required(vec![why])),
            Synced::Required(why, None) => return Ok((row, Some(ServiceSync::Required(vec![why])))),
            Synced::Nothing => {
                let told = by_hand(before, connector);
                return Ok((row, told));
            }
        };
        let event = |connector: &Connector| {
            AuditEvent::of(caller, connector.updated_at, Action::ConnectorUpdate, Some(request))
                .on(connector.id)
                .with("fields", vec!["data.clientRegistration"])
        };
        let update = |connector: &mut Connector| connector.updated_by = caller.principal();
        match self.keep_registered(&row, &secrets, &kept, update, event).await {
            Ok(row) => Ok((row, Some(told))),
            // The provider may have given a new secret, which is lost; saying so is all that is left.
            Err(NotKept::Changed) => {
                let why = "The connector was changed by somebody else meanwhile; change it again.".to_owned();
                Ok((row, Some(ServiceSync::Required(vec![why]))))
            }
            Err(NotKept::Store(error)) => Err(faults::store(error)),
        }
    }

    /// Takes back, as far as the provider lets us, a client that was registered for a connector that is not, or no
    /// longer, there.
    pub(super) async fn retire_client(&self, connector: &Connector, secrets: &ConnectorSecrets) {
        let driver = carnet_providers::driver(connector.r#type);
        driver.retire(&self.about(connector, secrets)).await;
    }

    fn about<'a>(&'a self, connector: &'a Connector, secrets: &'a ConnectorSecrets) -> At<'a> {
        self.inner.at_connector(connector, secrets)
    }

    /// The document by which a connector's client describes itself to servers that read one. It is public: its address
    /// is the client's identifier, and there is no secret in it.
    pub async fn client_document(&self, team: &str, connector: &str) -> Result<Map<String, Value>, Fault> {
        let unknown = || faults::no_connector(connector);
        let (Ok(team), Ok(id)) = (Id::parse(team), Id::parse(connector)) else { return Err(unknown()) };
        let reference = carnet_model::ConnectorRef::Id(id);
        let entry = self.inner.entry(team, &reference).await.map_err(faults::store)?.ok_or_else(unknown)?;
        entry.driver().client_document(&entry.row.connector).ok_or_else(unknown)
    }

    /// Where that document is.
    pub(crate) fn client_document_url(&self, team: Id<kind::Team>, connector: Id<kind::Connector>) -> String {
        format!("{}/clients/{team}/{connector}", self.inner.settings.base())
    }
}

/// What the owner of a client that was brought has to do at the provider.
fn by_hand(before: &Connector, now: &Connector) -> Option<ServiceSync> {
    let uri = now.redirect_uri.as_ref().filter(|_| before.redirect_uri != now.redirect_uri)?;
    Some(ServiceSync::Required(vec![format!("Add the redirect URI {uri} to the client at the provider.")]))
}
