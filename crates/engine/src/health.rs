//! Whether what was granted still holds: found out, told, mended.
//!
//! A grant that breaks, or an installation that its provider has suspended or removed, is [told](notice) to the project
//! that used it: a webhook that the project sets here, written in the same write as what broke, so that it is told once
//! whatever happens to the process; sent [from its row](deliver) until it is taken. What can be mended by a person comes
//! with the [link](mend) that does it. Who wants to know without waiting [asks the provider](check); so does
//! this server where an event of the provider [says](signal) that something is lost. What was made for an
//! installation that is not in use any more is [forgotten](forget).
//!
//! Nothing here gives a grant up by itself: only a refresh that the provider refuses does, or a provider that no longer
//! knows what was held and cannot be renewed.

mod check;
mod deliver;
mod forget;
mod mend;
mod notice;
mod places;
mod signal;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Fault, Id, kind};
use carnet_store::Write;
use carnet_store::health::{self, HealthWebhook};

use crate::broker::Broker;
use crate::faults;

pub use check::{CheckedApplication, CheckedGrant, CheckedInstallation, Health, Verdict};
pub(crate) use notice::Ending;
pub(crate) use places::Places;
pub(crate) use signal::Signals;

impl Broker {
    /// Where a project is told that what it was granted breaks, if it has said.
    pub async fn health_webhook(
        &self,
        caller: &Caller,
        project: &str,
    ) -> Result<Option<HealthWebhook>, Fault> {
        let member = self.may(caller, Right::ProjectRead)?;
        let project = self.find_project(caller, project).await?;
        health::webhook(&self.inner.db, member.team, project.id).await.map_err(faults::store)
    }

    /// Says where. What was not sent yet goes there too.
    pub async fn set_health_webhook(
        &self,
        caller: &Caller,
        project: &str,
        url: &str,
        request: Id<kind::Request>,
    ) -> Result<HealthWebhook, Fault> {
        let member = self.may(caller, Right::HealthWebhookUpdate)?;
        let project = self.find_project(caller, project).await?;
        // The field is named after this route's own member.
        let url = self.receiver(url).map_err(|fault| fault.with("field", "url"))?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::HealthWebhookPut, Some(request))
            .on(project.id)
            .with("url", url.as_str());
        let write = Write::new()
            .steps(health::set_webhook(member.team, project.id, url.as_str(), now))
            .event(&self.inner.env, &event);
        self.inner.db.write(write).await.map_err(faults::store)?;
        Ok(HealthWebhook { project: project.id, url: url.into(), updated_at: now })
    }

    /// Says nowhere, and drops what was not sent yet.
    pub async fn remove_health_webhook(
        &self,
        caller: &Caller,
        project: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::HealthWebhookUpdate)?;
        let project = self.find_project(caller, project).await?;
        let db = &self.inner.db;
        let found = health::webhook(db, member.team, project.id).await.map_err(faults::store)?;
        found.ok_or_else(|| faults::not_found("health webhook of project", project.name.as_str()))?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::HealthWebhookDelete, Some(request)).on(project.id);
        let write = Write::new()
            .steps(health::remove_webhook(member.team, project.id))
            .event(&self.inner.env, &event);
        db.write(write).await.map(drop).map_err(faults::store)
    }
}
