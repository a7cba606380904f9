//! Project links: who may ask.

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::{Code, Environment, Fault, Id, kind};
use carnet_store::links::{self, Link};
use carnet_store::{DbError, Write, projects};

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The links of a connector.
    pub async fn links(&self, caller: &Caller, connector: &str) -> Result<Vec<Link>, Fault> {
        let entry = self.managed(caller, connector).await?;
        links::of_connector(&self.inner.db, caller.team(), entry.row.connector.id)
            .await
            .map_err(faults::store)
    }

    /// The links of a project.
    pub async fn links_of_project(&self, caller: &Caller, project: &str) -> Result<Vec<Link>, Fault> {
        self.member_of(caller)?;
        let project = self.project(caller, project).await?;
        links::of_project(&self.inner.db, caller.team(), project.id).await.map_err(faults::store)
    }

    /// One link.
    pub async fn link(&self, caller: &Caller, connector: &str, project: &str) -> Result<Link, Fault> {
        let project = self.project(caller, project).await?;
        let found = self.links(caller, connector).await?.into_iter().find(|link| link.project == project.id);
        found.ok_or_else(|| {
            Fault::new(
                Code::NotFound,
                format!("The connector {connector} is not attached to {}.", project.name),
            )
            .next(format!("carnet attach {connector} -p {}", project.name), "to attach it")
        })
    }

    /// Makes a link or replaces its environments.
    pub async fn put_link(
        &self,
        caller: &Caller,
        connector: &str,
        project: &str,
        environments: &[String],
        request: Id<kind::Request>,
    ) -> Result<Link, Fault> {
        let entry = self.managed(caller, connector).await?;
        let project = self.project(caller, project).await?;
        let environments = self.environments_of(caller, project.id, environments).await?;
        let now = self.inner.env.now();
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, now, Action::LinkPut, Some(request))
            .on(id)
            .with("project", project.id.to_string())
            .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
        let write = Write::new()
            .step(links::put(caller.team(), id, project.id, &environments, now))
            .event(&self.inner.env, &event)
            .revises();
        self.inner.db.write(write).await.map_err(faults::store)?;
        self.link(caller, connector, &project.id.to_string()).await
    }

    /// Removes a link: from then on the project gets no token.
    pub async fn delete_link(
        &self,
        caller: &Caller,
        connector: &str,
        project: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let entry = self.managed(caller, connector).await?;
        let project = self.project(caller, project).await?;
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::LinkDelete, Some(request))
            .on(id)
            .with("project", project.id.to_string());
        let write = Write::new()
            .step(links::delete(caller.team(), id, project.id))
            .event(&self.inner.env, &event)
            .revises();
        match self.inner.db.write(write).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(Fault::new(
                Code::NotFound,
                format!("The connector {connector} is not attached to {}.", project.name),
            )),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// The connector, for a caller who may manage it.
    pub(crate) async fn managed(
        &self,
        caller: &Caller,
        connector: &str,
    ) -> Result<std::sync::Arc<crate::directory::Entry>, Fault> {
        self.member_of(caller)?;
        let entry = self.find_connector(caller, connector).await?;
        self.permit(caller, &entry, Ask::Manage).map_err(|(fault, _)| fault)?;
        Ok(entry)
    }

    /// Reads environments by name or identifier; a custom one must be the project's own. At least one, no repeats.
    pub(crate) async fn environments_of(
        &self,
        caller: &Caller,
        project: Id<kind::Project>,
        names: &[String],
    ) -> Result<Vec<Environment>, Fault> {
        let invalid = |why: String| Fault::new(Code::InvalidRequest, why).with("field", "environments");
        if names.is_empty() {
            return Err(invalid("A link names at least one environment.".to_owned()));
        }
        let custom =
            projects::environments(&self.inner.db, caller.team(), project).await.map_err(faults::store)?;
        let mut out = Vec::new();
        for name in names {
            let environment = match Environment::parse(name) {
                Ok(Environment::Custom(id)) => {
                    custom.iter().find(|e| e.id == id).map(|e| Environment::Custom(e.id))
                }
                Ok(built_in) => Some(built_in),
                Err(_) => custom.iter().find(|e| e.slug.as_str() == name).map(|e| Environment::Custom(e.id)),
            };
            let environment = environment.ok_or_else(|| {
                let name: String = name.chars().take(64).collect();
                invalid(format!(
                    "The project has no environment {name:?}. It has production, preview, development and: {}.",
                    custom.iter().map(|e| e.slug.as_str()).collect::<Vec<_>>().join(", ")
                ))
            })?;
            if !out.contains(&environment) {
                out.push(environment);
            }
        }
        Ok(out)
    }
}
