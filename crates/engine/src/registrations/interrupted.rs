//! Registrations whose process is gone while it took the application over: whoever waits for one is told how it ended.
//!
//! Either the connector was made, and nobody was left to say so; or it was not, and the provider's code, which works once,
//! may have been spent. Then the application may be there without its secrets being here, so it is not tried again: the
//! person is told what to look for.

use std::time::Duration;

use carnet_model::{Code, ConnectorRef};
use carnet_store::registrations::{self, Registration};
use carnet_store::{DbError, Write, connectors};

use super::Wish;
use super::redeem::ended;
use crate::broker::Broker;

impl Broker {
    /// Ends those that were taken longer ago than `silence`.
    pub(crate) async fn end_interrupted_registrations(&self, silence: Duration) -> Result<(), DbError> {
        let before = self.inner.env.now().minus(silence);
        for registration in registrations::interrupted(&self.inner.db, before, BATCH).await? {
            match self.end_interrupted(&registration).await {
                // Somebody was at it after all.
                Ok(()) | Err(DbError::Unmet(_)) => {}
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => {
                    tracing::warn!(registration = %registration.id, %error, "a registration could not be ended; it is tried again");
                }
            }
        }
        Ok(())
    }

    async fn end_interrupted(&self, registration: &Registration) -> Result<(), DbError> {
        let inner = &self.inner;
        let made = match serde_json::from_value::<Wish>(registration.ask.clone()) {
            Ok(wish) => {
                let reference = ConnectorRef::Id(wish.connector);
                connectors::find(&inner.db, registration.team, &reference).await?
            }
            Err(_) => None,
        };
        let service = &registration.service;
        let why = format!(
            "The server was stopped while it took over the application from {service}. If the application is there, \
             its secrets were not kept here: bring them with --data, or delete it there and begin anew."
        );
        let end = match &made {
            Some(row) => Ok(row.connector.id),
            None => Err((Code::ProviderUnavailable.as_str(), why.as_str())),
        };
        let now = inner.env.now();
        let event = ended(registration, end.map_err(|(code, _)| code), now).with("interrupted", true);
        let step = registrations::finish_interrupted(registration, end, now);
        inner.db.write(Write::new().step(step).event(&inner.env, &event)).await.map(drop)
    }
}

const BATCH: i64 = 100;
