//! Installations of a connector.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_providers::{DriverError, Installed};
use carnet_store::installations::{self, Installation};
use carnet_store::{DbError, Write, connectors};

use crate::broker::Broker;
use crate::connectors::{read_time_cursor, time_cursor};
use crate::directory::Entry;
use crate::faults;

/// The connector has nothing to install.
pub(crate) fn nothing_to_install(connector: &Connector) -> Fault {
    Fault::new(
        Code::UnresolvedToken,
        format!(
            "{} has nothing to install: connectors of type {} give tokens of the application without it.",
            connector.uid,
            connector.r#type.as_str()
        ),
    )
    .with("supportsInstallation", false)
    .next(format!("carnet token {} --subject app", connector.uid), "to ask for a token at once")
}

/// A new installation.
#[derive(Clone, Debug, Default)]
pub struct NewInstallation {
    /// The provider's own name for it.
    pub external_id: Option<String>,
    /// The provider's account.
    pub tenant_id: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// Whether it is used when a request names none. Where nothing is said, the first one is of a connector that has to
    /// be installed. Elsewhere tokens are had without an installation, and a default would take them away.
    pub default: Option<bool>,
}

impl Broker {
    /// The installations of a connector, those that ended with the client before among them: the oldest first, from the
    /// one behind `cursor`, all or at most `limit`; and the cursor of the next page.
    pub async fn installations(
        &self,
        caller: &Caller,
        connector: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<(Vec<Installation>, Option<String>), Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorRead).await?;
        let after = cursor.map(read_time_cursor).transpose()?;
        let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        // One more than is shown tells whether there is a next page.
        let asked = limit.map_or(i64::MAX, |limit| i64::from(limit) + 1);
        let id = entry.row.connector.id;
        let found = installations::page(&self.inner.db, caller.team(), id, after, asked).await;
        let mut found = found.map_err(faults::store)?;
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|last| time_cursor(last.created_at, last.id));
        Ok((found, next))
    }

    /// Records an installation.
    pub async fn create_installation(
        &self,
        caller: &Caller,
        connector: &str,
        ask: &NewInstallation,
        request: Id<kind::Request>,
    ) -> Result<Installation, Fault> {
        let entry = self.managed(caller, connector, Right::InstallationUpdate).await?;
        let texts = [("externalId", &ask.external_id), ("tenantId", &ask.tenant_id), ("name", &ask.name)];
        for (field, text) in texts {
            let sound = |text: &String| {
                (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
            };
            if text.as_ref().is_some_and(|text| !sound(text)) {
                return Err(Fault::new(Code::InvalidRequest, format!("{field} has 1 to 200 characters."))
                    .with("field", field));
            }
        }
        let now = self.inner.env.now();
        let id = entry.row.connector.id;
        if entry.row.connector.managed && entry.abilities.installation {
            // The application knows the tenants of every team. Who installs it proves to be at one; a number proves
            // nothing.
            let uid = &entry.row.connector.uid;
            return Err(Fault::new(
                Code::Forbidden,
                format!("{uid} is managed: its application serves other teams too, so it is installed in a browser."),
            )
            .next(format!("carnet token {uid} --subject app --yes"), "to install it"));
        }
        if !entry.abilities.installation && ask.external_id.is_none() && ask.tenant_id.is_none() {
            return Err(nothing_to_install(&entry.row.connector));
        }
        let told = self.installation_at_provider(&entry, ask.external_id.as_deref()).await?;
        let Installed { tenant_id, name, .. } = told.unwrap_or_else(|| Installed {
            external_id: None,
            tenant_id: ask.tenant_id.clone(),
            name: ask.name.clone(),
        });
        let ended = ask
            .external_id
            .as_deref()
            .and_then(|name| entry.ended.iter().find(|one| one.external_id.as_deref() == Some(name)));
        let installation = Installation {
            id: ended.map_or_else(|| self.inner.env.id(), |one| one.id),
            connector: id,
            external_id: ask.external_id.clone(),
            tenant_id,
            name,
            created_at: ended.map_or(now, |one| one.created_at),
            updated_at: now,
            ended_at: None,
        };
        let event = AuditEvent::of(caller, now, Action::InstallationPut, Some(request))
            .on(id)
            .with("installationId", installation.id.to_string());
        let put = match ended {
            None => installations::insert(caller.team(), &installation),
            Some(_) => installations::renew(caller.team(), &installation),
        };
        let mut write = Write::new().step(put).event(&self.inner.env, &event).revises();
        let first = entry.abilities.installation && entry.row.connector.default_installation.is_none();
        if ask.default.unwrap_or(first) {
            write =
                write.step(connectors::set_default_installation(caller.team(), id, Some(installation.id)));
        }
        match self.inner.db.write(write).await {
            Ok(_) => Ok(installation),
            Err(DbError::Conflict) => {
                Err(Fault::new(Code::Conflict, "This installation is recorded already."))
            }
            Err(error) => Err(faults::store(error)),
        }
    }

    /// What the provider says about an installation, where there are any: what is recorded is what is there.
    async fn installation_at_provider(
        &self,
        entry: &Entry,
        external_id: Option<&str>,
    ) -> Result<Option<Installed>, Fault> {
        if !entry.abilities.installation {
            return Ok(None);
        }
        let uid = entry.row.connector.uid.as_str();
        let external_id = external_id.ok_or_else(|| {
            Fault::new(
                Code::InvalidRequest,
                format!("externalId is what the provider of {uid} calls the installation."),
            )
            .with("field", "externalId")
        })?;
        let secrets = self.inner.secrets(entry).map_err(faults::internal)?;
        let at = self.inner.at(entry, &secrets);
        match entry.driver().installation(&at, external_id).await {
            Ok(found) => Ok(found),
            Err(DriverError::NotInstalled { .. }) => Err(Fault::new(
                Code::InvalidRequest,
                format!("The provider of {uid} knows no installation {external_id:?} of this application."),
            )
            .with("field", "externalId")),
            Err(error) => Err(faults::driver(&error, uid)),
        }
    }

    /// Removes an installation, with the grants behind it.
    pub async fn delete_installation(
        &self,
        caller: &Caller,
        connector: &str,
        installation: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let entry = self.managed(caller, connector, Right::InstallationUpdate).await?;
        let found = entry
            .installation(installation)
            .or_else(|| entry.ended_installation(installation))
            .ok_or_else(|| faults::not_found("installation", installation))?;
        let id = entry.row.connector.id;
        let inner = &self.inner;
        let now = inner.env.now();
        let given: Vec<_> = self
            .every_grant(caller.team(), id)
            .await?
            .into_iter()
            .filter(|row| row.grant.place.installation == Some(found))
            .collect();
        let event = AuditEvent::of(caller, now, Action::InstallationDelete, Some(request))
            .on(id)
            .with("installationId", found.to_string())
            .with("grants", given.len());
        let write = Write::new()
            .step(carnet_store::grants::withdraw_of_connector(caller.team(), id, Some(found), now))
            .step(carnet_store::minted::delete_of_connector(caller.team(), id))
            .steps(installations::delete(caller.team(), id, found))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        self.tell_providers_later(given);
        Ok(())
    }
}
