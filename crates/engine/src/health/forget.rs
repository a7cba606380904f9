//! What was made for an installation that its provider has suspended or removed is dead, and is served no more.
//!
//! The tokens that are kept go, and the rules are new, so that no process serves one from its memory. The installation
//! itself stays on record: a suspension can end, and another installation at the same tenant takes its place.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::Time;
use carnet_model::audit::{Action, AuditEvent};
use carnet_providers::Standing;
use carnet_store::installations::Installation;
use carnet_store::{DbError, Write, minted};

use crate::broker::Broker;
use crate::directory::Entry;

impl Broker {
    /// Asks the provider about an installation of which it has just refused a token, and has what follows done. Whoever
    /// asks does not wait long for it; it is finished all the same.
    pub(crate) async fn look_after(&self, entry: &Arc<Entry>, installation: &Installation) -> Standing {
        let (broker, entry, installation) = (self.clone(), entry.clone(), installation.clone());
        let work = self.track(async move {
            let standing = broker.standing_of(&entry, &installation).await.unwrap_or(Standing::Unsaid);
            if let Err(error) = broker.learned(&entry, &installation, standing).await {
                tracing::warn!(installation = %installation.id, %error, "what became of an installation could not be noted");
            }
            standing
        });
        tokio::time::timeout(PATIENCE, work)
            .await
            .map_or(Standing::Unsaid, |done| done.unwrap_or(Standing::Unsaid))
    }

    /// The projects are told, and what is dead is forgotten, if something is there: whoever asks again and again for a
    /// token that cannot be had does not make every process read its rules anew each time.
    async fn learned(
        &self,
        entry: &Entry,
        installation: &Installation,
        standing: Standing,
    ) -> Result<(), DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        let mut write = Write::new().steps(self.tell_installation(entry, installation, standing, now));
        if is_dead(standing) {
            if minted::is_there(&inner.db, entry.row.connector.team, installation.id).await? {
                write = self.forget_installation(write, entry, installation, standing, now);
            }
            inner.db.write(write).await?;
        }
        Ok(())
    }

    /// Adds to a write that nothing which was made for this installation is served any more.
    pub(crate) fn forget_installation(
        &self,
        write: Write,
        entry: &Entry,
        installation: &Installation,
        standing: Standing,
        now: Time,
    ) -> Write {
        let connector = &entry.row.connector;
        let cause = if standing == Standing::Suspended { "suspended" } else { "uninstalled" };
        let event = AuditEvent::of_system(now, Action::TokenRevoke)
            .in_team(connector.team)
            .on(connector.id)
            .with("installationId", installation.id.to_string())
            .with("cause", cause);
        write
            .step(minted::delete_of_installation(connector.team, installation.id))
            .event(&self.inner.env, &event)
            .revises()
    }
}

/// Whether no token of it works.
pub(crate) const fn is_dead(standing: Standing) -> bool {
    matches!(standing, Standing::Suspended | Standing::Gone)
}

/// How long a refusal waits for its cause.
const PATIENCE: Duration = Duration::from_secs(3);
