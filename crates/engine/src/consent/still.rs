//! What was true when a consent was asked for, and has to be true still when the person says yes and when the person is
//! back: that the project may ask the connector, and that the connector is the client which asks.
//!
//! The rules are read anew. What they no longer allow ends the request: no code is redeemed, and the application is told.

use std::sync::Arc;

use carnet_model::connector::Connector;
use carnet_providers::{CallbackFault, DriverError, Kept};
use carnet_store::consents::Consent;

use super::ending::{ConsentEnd, explain};
use super::request::Stored;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::managed::client_of;

impl Broker {
    /// The connector as it is now, and not only as this process last saw it.
    pub(super) async fn entry_now(&self, consent: &Consent) -> Result<Arc<Entry>, ConsentEnd> {
        self.inner.db.refresh_revision().await?;
        self.entry_of(consent).await
    }
}

/// How a request ends that its project could not make any more: the link was taken away, or the environment from it.
/// People who ask for themselves need no link.
pub(super) fn withdrawn(consent: &Consent, entry: &Entry) -> Option<Stored> {
    let project = consent.project?;
    let linked = entry.linked(Some(project)).is_some_and(|linked| linked.contains(&consent.environment));
    (!linked).then(|| Stored::Error {
        code: "forbidden".to_owned(),
        message: format!(
            "The project may not ask {} in this environment any more: the link was taken away while the request was open.",
            entry.row.connector.uid
        ),
        vendor: None,
        reason: None,
    })
}

/// Remembers who sends the person away.
pub(super) fn signed(kept: Kept, connector: &Connector) -> Kept {
    Kept { client: client_of(&connector.data), ..kept }
}

/// Whether what comes back is for the client that the connector is. What was kept before this was remembered says nothing.
pub(super) fn is_for(kept: &Kept, connector: &Connector) -> Result<(), DriverError> {
    let is_other = kept.client.is_some() && kept.client != client_of(&connector.data);
    if is_other { Err(CallbackFault::ServerChanged.into()) } else { Ok(()) }
}

/// How a request ends whose person comes back to something else than what sent the person away.
pub(super) fn outdated(consent: &Consent, kept: &Kept, entry: &Entry) -> Option<Stored> {
    withdrawn(consent, entry)
        .or_else(|| is_for(kept, &entry.row.connector).err().map(|error| explain(&error, entry)))
}
