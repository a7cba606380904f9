//! A provider that ends too many grants at once is not believed; what is recorded of that, and of its end.

use carnet_model::Code;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_store::refreshes::{self, OpenRefresh};
use carnet_store::{Write, grants};

use super::Presented;
use super::outcome::RenewFailure;
use crate::brake::Word;
use crate::broker::Broker;
use crate::directory::Entry;

impl Broker {
    /// The provider says that the grant is dead, as it says of too many: it stays as it is.
    pub(super) async fn not_believed(
        &self,
        entry: &Entry,
        operation: &OpenRefresh,
        word: Word,
    ) -> Result<Presented, RenewFailure> {
        let inner = &self.inner;
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::GrantRefresh)
            .in_team(operation.team)
            .on(operation.grant)
            .ended(Outcome::Failed)
            .with("operation", operation.id.to_string())
            .with("code", Code::ProviderRefused.as_str())
            .with("reason", "many_grants_refused");
        let mut write = Write::new()
            .step(grants::release(operation.team, operation.grant, operation.fence))
            .step(refreshes::cancel(operation.id))
            .event(&inner.env, &event);
        if word == Word::Pulls {
            let connector = &entry.row.connector;
            tracing::warn!(
                connector = %connector.id, uid = %connector.uid,
                "the provider refuses many grants at once; no further one is asked to consent again until a refresh works"
            );
            let event = AuditEvent::of_system(now, Action::GrantBrakePull)
                .in_team(connector.team)
                .on(connector.id)
                .with("connector", connector.uid.as_str());
            write = write.event(&inner.env, &event);
        }
        inner.db.write(write).await?;
        let wait = inner.brakes.wait(entry.line(), operation.grant, now).unwrap_or_default();
        Err(RenewFailure::ManyRefused { wait })
    }

    /// What the provider says of grants is believed again.
    pub(crate) async fn brake_ended(&self, entry: &Entry, why: &str) {
        let connector = &entry.row.connector;
        tracing::warn!(connector = %connector.id, uid = %connector.uid, why, "the provider accepts grants again");
        let event = AuditEvent::of_system(self.inner.env.now(), Action::GrantBrakeRelease)
            .in_team(connector.team)
            .on(connector.id)
            .with("connector", connector.uid.as_str())
            .with("why", why);
        if let Err(error) = self.inner.db.write(Write::new().event(&self.inner.env, &event)).await {
            tracing::warn!(connector = %connector.id, %error, "the end of a brake could not be recorded");
        }
    }
}
