//! From what a provider said about an installation to the installation, and the grant that it left, if it left one.
//!
//! Installation, grant, result, webhook and events are one write. A tenant that installs once more keeps its installation
//! and gets the new grant in the place of the old.

use std::sync::Arc;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::failpoint::Point;
use carnet_model::{Scopes, Time};
use carnet_providers::{Granted, Installed};
use carnet_store::consents::{self, Consent};
use carnet_store::installations::{self, Installation};
use carnet_store::{DbError, Step, Write, connectors, grants, pass};

use super::ending::{ConsentEnd, EndingKind};
use super::page::event;
use super::record::{Given, RETRY, TRY_TO_RECORD};
use super::request::{Remembered, Stored};
use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::issue::installation_place;

impl Broker {
    /// Records what was installed.
    pub(super) async fn record_installation(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        mut granted: Granted,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let told = granted.installation.take().filter(|told| told.external_id.is_some());
        let told = told.ok_or_else(|| ConsentEnd::Fault(faults::internal(NoInstallation)))?;
        let given = Given::of(granted, asked, remembered, consent.id, inner);
        let is_elsewhere = |tenant: &String| told.tenant_id.as_ref() != Some(tenant);
        if remembered.tenant.as_ref().is_some_and(is_elsewhere) {
            self.tell_now(entry, &given.secret.held).await;
            let stored = Stored::Error {
                code: "authorization_failed".to_owned(),
                message: "It was installed at another tenant than the one that was asked for.".to_owned(),
                vendor: None,
                reason: None,
            };
            return self.finish(consent, entry, remembered, stored, Outcome::Failed).await;
        }
        let deadline = inner.env.now().plus(TRY_TO_RECORD);
        let mut present = entry.clone();
        loop {
            let now = inner.env.now();
            let prepared = self.prepare(consent, &present, remembered, &told, &given, now).await;
            let (write, result) = match prepared {
                Ok(prepared) => prepared,
                Err(Unprepared::Store(error)) if error.is_unavailable() && now < deadline => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(Unprepared::Store(error)) => return Err(error.into()),
                Err(Unprepared::Sealing(error)) => return Err(ConsentEnd::Fault(faults::internal(error))),
            };
            match inner.db.write(write).await {
                Ok(_) => {
                    // There is nothing left that could fail.
                    let _ = pass(&inner.env, Point::ConsentRecorded).await;
                    self.deliver_soon();
                    return Ok(result.into());
                }
                // What this server gave is kept only by a connector that would not take it to another one.
                Err(DbError::Unmet(0)) => match self.unmoved(consent, entry, deadline).await? {
                    Some(changed) => present = changed,
                    None => return self.another_server(consent, entry, remembered, given.secret).await,
                },
                // The request was ended by somebody else.
                Err(DbError::Unmet(1)) => return Err(ConsentEnd::Used),
                // Another installation, removal or refresh was faster; with the rows as they are now.
                Err(DbError::Unmet(_) | DbError::Conflict) if now < deadline => {}
                Err(error) if error.is_unavailable() && now < deadline => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is to be written, by the rows as they are.
    async fn prepare(
        &self,
        consent: &Consent,
        entry: &Entry,
        remembered: &Remembered,
        told: &Installed,
        given: &Given,
        now: Time,
    ) -> Result<(Write, Stored), Unprepared> {
        let inner = &self.inner;
        pass(&inner.env, Point::ConsentExchanged).await?;
        let (team, connector) = (consent.team, &entry.row.connector);
        let known = installations::all(&inner.db, team, connector.id).await?;
        let before = known.iter().find(|one| one.external_id == told.external_id);
        let installation = Installation {
            id: before.map_or_else(|| inner.env.id(), |one| one.id),
            connector: connector.id,
            external_id: told.external_id.clone(),
            tenant_id: told.tenant_id.clone(),
            name: told.name.clone(),
            created_at: before.map_or(now, |one| one.created_at),
            updated_at: now,
            ended_at: None,
        };
        let put = match before {
            None => installations::insert(team, &installation),
            Some(_) => installations::renew(team, &installation),
        };
        let is_first = known.iter().all(|one| Some(one.id) != connector.default_installation);
        let default =
            is_first.then(|| connectors::set_default_installation(team, connector.id, Some(installation.id)));
        let place = installation_place(team, connector.id, Some(installation.id));
        let grant: Vec<Step> = if given.secret.held.is_nothing() {
            Vec::new()
        } else {
            let before = grants::at(&inner.db, &place).await?;
            let ready =
                inner.ready(entry, &place, before.as_ref(), given, now).map_err(Unprepared::Sealing)?;
            ready.steps().into()
        };
        let result = Stored::Success { account: given.account(), installation: Some(installation.id) };
        let json = serde_json::to_value(&result).unwrap_or_default();
        let id = installation.id.to_string();
        let mut ended = event(consent, now, Action::AuthorizationComplete)
            .with("status", "success")
            .with("installationId", id.clone());
        if let Some(scopes) = &given.scopes {
            ended = ended.with("scopes", scopes.to_string());
        }
        let mut made = AuditEvent {
            actor: consent.requested_by,
            ..AuditEvent::of_system(now, Action::InstallationPut).in_team(team)
        }
        .on(connector.id)
        .with("installationId", id)
        .with("request", consent.id.to_string());
        for (name, text) in [("externalId", &told.external_id), ("tenantId", &told.tenant_id)] {
            if let Some(text) = text {
                made = made.with(name, text.clone());
            }
        }
        let write = Write::new()
            .step(connectors::still_at(team, connector.id, connector.version))
            .step(consents::finish(consent.id, &json, now))
            .step(put)
            .steps(default)
            .steps(grant)
            .steps(self.completion(consent, connector, remembered, &result, now))
            .event(&inner.env, &ended)
            .event(&inner.env, &made)
            .revises();
        Ok((write, result))
    }
}

enum Unprepared {
    Store(DbError),
    Sealing(crate::sealing::Unsealable),
}

impl From<DbError> for Unprepared {
    fn from(error: DbError) -> Self {
        Self::Store(error)
    }
}

/// A driver that installs says where.
#[derive(Debug, thiserror::Error)]
#[error("the driver does not say what was installed")]
struct NoInstallation;
