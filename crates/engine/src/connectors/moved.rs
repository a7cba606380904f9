//! A server that has got another public address: moved, or restored elsewhere.
//!
//! Where a connector's people are sent back to is registered at its provider, and stored as it was then. A person who was
//! sent to that address would bring the code to whoever is there now, and the browser's cookie would not come along. So
//! people are always sent back to the present address; a provider that does not know it yet refuses on its own page. What is
//! stored says what the provider knows: it moves with the next change of the connector, by which a registration is renewed
//! (RFC 7592) or its owner told what to add. That is not done at the start, because a copy that was restored to look into it
//! would take the registrations away from the deployment that it was made of.

use std::collections::BTreeMap;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::connector::Connector;
use carnet_model::{Id, kind};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::{DbError, Write};

use crate::broker::{Broker, Inner};

impl Inner {
    /// Where people are sent back to: the path that the connector was registered with, at the present address.
    pub(crate) fn redirect_now(&self, connector: &Connector) -> Option<String> {
        let stored = connector.redirect_uri.as_deref()?;
        // Nothing in a host or a port looks like this.
        let path = stored.find(CALLBACK).map_or("", |at| &stored[at..]);
        Some(format!("{}{path}", self.settings.base()))
    }

    /// The same, where the provider was told another address.
    pub(crate) fn redirect_moved(&self, connector: &Connector) -> Option<String> {
        self.redirect_now(connector).filter(|now| connector.redirect_uri.as_ref() != Some(now))
    }
}

impl Broker {
    /// Says at the start which connectors are registered with another address of this server's, in the log and, once for
    /// each team, in the audit log. A developer's server changes its port as it likes, and says so in the second alone.
    pub(crate) async fn tell_of_moved(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        let here = format!("{}{CALLBACK}", inner.settings.base());
        let mut teams: BTreeMap<Id<kind::Team>, Vec<ConnectorRow>> = BTreeMap::new();
        for row in connectors::called_back_elsewhere(&inner.db, &here, MOST).await? {
            teams.entry(row.connector.team).or_default().push(row);
        }
        for (team, rows) in teams {
            let uids: Vec<_> = rows.iter().map(|row| row.connector.uid.to_string()).collect();
            if !inner.settings.development {
                tracing::warn!(
                    %team,
                    connectors = uids.join(", "),
                    address = inner.settings.base(),
                    "these connectors are registered at their providers with another address of this server; people are \
                     sent back to this one, which a provider refuses until it knows it: carnet doctor says what mends each"
                );
            }
            let event = AuditEvent::of_system(inner.env.now(), Action::ConnectorsMoved)
                .in_team(team)
                .with("address", inner.settings.base())
                .with("connectors", uids);
            inner.db.write(Write::new().event(&inner.env, &event)).await?;
        }
        Ok(())
    }
}

const CALLBACK: &str = "/callback";
/// Connectors of which the start tells. `carnet doctor` tells of all.
const MOST: i64 = 1000;
