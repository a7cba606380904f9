//! Removing a connector with everything that hangs on it.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Fault, Id, kind};
use carnet_store::{DbError, Write, connectors, grants};

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// Removes a connector with everything that hangs on it; what was granted is revoked at the provider first.
    pub async fn delete_connector(
        &self,
        caller: &Caller,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let entry = self.managed(caller, name, Right::ConnectorDelete).await?;
        let inner = &self.inner;
        let connector = &entry.row.connector;
        let given = self.every_grant(connector.team, connector.id).await?;
        let now = inner.env.now();
        if !given.is_empty() {
            let event = AuditEvent::of(caller, now, Action::TokenRevoke, Some(request))
                .on(connector.id)
                .with("subject", "*")
                .with("tokensFound", given.len());
            let write = Write::new()
                .step(grants::withdraw_of_connector(connector.team, connector.id, None, now))
                .event(&inner.env, &event)
                .revises();
            inner.db.write(write).await.map_err(faults::store)?;
        }
        let broker = self.clone();
        let event = AuditEvent::of(caller, now, Action::ConnectorDelete, Some(request))
            .on(connector.id)
            .with("uid", connector.uid.as_str());
        let work = self.track(async move {
            let connector = entry.row.connector.clone();
            broker.revoke_everywhere(&entry, given).await;
            let told = broker.completions_of_removed(&connector).await?;
            let secrets = broker.inner.secrets(&entry);
            let write = Write::new()
                .steps(connectors::delete(connector.team, connector.id))
                .steps(told)
                .event(&broker.inner.env, &event)
                .revises();
            match broker.inner.db.write(write).await {
                Ok(_) => {
                    broker.deliver_soon();
                    if let Ok(secrets) = secrets {
                        broker.retire_client(&connector, &secrets).await;
                    }
                    Ok(())
                }
                Err(DbError::Unmet(_)) => Err(faults::no_connector(connector.uid.as_str())),
                Err(error) => Err(faults::store(error)),
            }
        });
        work.await.map_err(faults::internal)?
    }
}
