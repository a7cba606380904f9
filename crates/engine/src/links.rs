//! Project links: who may ask.

use std::collections::HashMap;

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, kind};
use carnet_store::links::{self, Link, LinkedProject};
use carnet_store::projects::Project;
use carnet_store::{DbError, Step, Write, connectors, destinations, gateway, projects, redirect_uris};

use crate::broker::Broker;
use crate::connectors::{ConnectorView, read_time_cursor, time_cursor};
use crate::faults;

impl Broker {
    /// The links of a connector with their projects, the oldest first, and the cursor of the next page.
    pub async fn links(
        &self,
        caller: &Caller,
        connector: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<(Vec<LinkedProject>, Option<String>), Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorRead).await?;
        if let Some(only) = caller.kept_to() {
            let (db, team) = (&self.inner.db, caller.team());
            let link = links::find(db, team, entry.row.connector.id, only).await.map_err(faults::store)?;
            let project = projects::find(db, team, only).await.map_err(faults::store)?;
            let found = link.zip(project).map(|(link, project)| LinkedProject { link, project });
            return Ok((found.into_iter().collect(), None));
        }
        let after = cursor.map(read_time_cursor).transpose()?;
        let limit = page(limit);
        let id = entry.row.connector.id;
        let found = links::page_of_connector(&self.inner.db, caller.team(), id, after, one_more(limit)).await;
        let mut found = found.map_err(faults::store)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| time_cursor(last.link.created_at, last.link.project));
        Ok((found, next))
    }

    /// The links of a project with their connectors, the oldest first, and the cursor of the next page.
    pub async fn links_of_project(
        &self,
        caller: &Caller,
        project: &Project,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<(Vec<(Link, ConnectorView)>, Option<String>), Fault> {
        let (member, db) = (self.may(caller, Right::ConnectorRead)?, &self.inner.db);
        let after = cursor.map(read_time_cursor).transpose()?;
        let limit = page(limit);
        let found = links::page_of_project(db, member.team, project.id, after, one_more(limit)).await;
        let mut found = found.map_err(faults::store)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| time_cursor(last.created_at, last.connector));
        let ids: Vec<_> = found.iter().map(|link| link.connector).collect();
        let rows = connectors::some(db, member.team, &ids).await.map_err(faults::store)?;
        let mut views: Vec<_> = rows.into_iter().map(|row| ConnectorView::from(row.connector)).collect();
        self.add_triggers(&mut views).await?;
        let mut views: HashMap<_, _> = views.into_iter().map(|view| (view.connector.id, view)).collect();
        // One that was removed in between has no link any more either.
        let pairs =
            found.into_iter().filter_map(|link| views.remove(&link.connector).map(|view| (link, view)));
        Ok((pairs.collect(), next))
    }

    /// One link.
    pub async fn link(&self, caller: &Caller, connector: &str, project: &str) -> Result<Link, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorRead).await?;
        let project = self.find_project(caller, project).await?;
        let found = links::find(&self.inner.db, caller.team(), entry.row.connector.id, project.id).await;
        found.map_err(faults::store)?.ok_or_else(|| {
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
        let entry = self.managed(caller, connector, Right::LinkUpdate).await?;
        // The answer tells about both.
        self.may(caller, Right::ProjectRead)?;
        self.may(caller, Right::ConnectorRead)?;
        let project = self.find_project(caller, project).await?;
        let environments = self.environments_of(caller, project.id, environments).await?;
        let now = self.inner.env.now();
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, now, Action::LinkPut, Some(request))
            .on(id)
            .with("project", project.id.to_string())
            .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
        // Where the project may not ask, nothing is forwarded either.
        let cut = entry
            .triggers
            .destinations
            .iter()
            .filter(|one| one.project == project.id && !environments.contains(&one.environment));
        let write = Write::new()
            .step(links::put(caller.team(), id, project.id, &environments, now))
            .steps(cut.map(destinations::remove))
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
        let entry = self.managed(caller, connector, Right::LinkUpdate).await?;
        let project = self.find_project(caller, project).await?;
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::LinkDelete, Some(request))
            .on(id)
            .with("project", project.id.to_string());
        let write =
            Write::new().steps(ended(caller.team(), id, project.id)).event(&self.inner.env, &event).revises();
        match self.inner.db.write(write).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(Fault::new(
                Code::NotFound,
                format!("The connector {connector} is not attached to {}.", project.name),
            )),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Takes one environment out of a link, and what is forwarded there; the last one takes the link with it. Where the
    /// project may not ask, there is nothing to do.
    pub async fn cut_link(
        &self,
        caller: &Caller,
        connector: &str,
        project: &str,
        environment: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let entry = self.managed(caller, connector, Right::LinkUpdate).await?;
        let project = self.find_project(caller, project).await?;
        let named = self.environments_of(caller, project.id, &[environment.to_owned()]).await;
        let named = named.map_err(|fault| match fault.code {
            Code::InvalidRequest => faults::not_found("environment", environment),
            _ => fault,
        })?;
        let (team, db, id) = (caller.team(), &self.inner.db, entry.row.connector.id);
        for _ in 0..TRIES {
            let link = links::find(db, team, id, project.id).await.map_err(faults::store)?;
            let there = |link: &Link| link.environments.iter().any(|one| named.contains(one));
            let Some(link) = link.filter(there) else { return Ok(()) };
            let left: Vec<_> = link.environments.iter().copied().filter(|one| !named.contains(one)).collect();
            let now = self.inner.env.now();
            let action = if left.is_empty() { Action::LinkDelete } else { Action::LinkPut };
            let mut event = AuditEvent::of(caller, now, action, Some(request))
                .on(id)
                .with("project", project.id.to_string());
            // Two who each take another one out do not put back what the other took.
            let mut write = Write::new().step(links::is_still(team, &link));
            if left.is_empty() {
                write = write.steps(ended(team, id, project.id));
            } else {
                event = event.with("environments", left.iter().map(ToString::to_string).collect::<Vec<_>>());
                let forwarded = entry.triggers.destinations.iter();
                let cut =
                    forwarded.filter(|one| one.project == project.id && named.contains(&one.environment));
                write = write
                    .step(links::put(team, id, project.id, &left, now))
                    .steps(cut.map(destinations::remove));
            }
            match db.write(write.event(&self.inner.env, &event).revises()).await {
                Ok(_) => return Ok(()),
                Err(DbError::Unmet(_)) => {}
                Err(error) => return Err(faults::store(error)),
            }
        }
        Err(Fault::new(Code::Conflict, "The link is being changed by others at the same moment; try again."))
    }

    /// The connector, for a person who may use this right about it. Who may not use it learns that before anything about
    /// the connector.
    pub(crate) async fn managed(
        &self,
        caller: &Caller,
        connector: &str,
        right: Right,
    ) -> Result<std::sync::Arc<crate::directory::Entry>, Fault> {
        self.may(caller, right)?;
        let entry = self.find_connector(caller, connector).await?;
        self.permit(caller, &entry, Ask::Manage(right)).map_err(|(fault, _)| fault)?;
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
                let own = custom.iter().map(|e| e.slug.as_str());
                let all: Vec<_> = ["production", "preview", "development"].into_iter().chain(own).collect();
                invalid(format!("The project has no environment {name:?}. It has {}.", all.join(", ")))
            })?;
            if !out.contains(&environment) {
                out.push(environment);
            }
        }
        Ok(out)
    }
}

/// What a link that ends takes with it.
fn ended(team: Id<kind::Team>, connector: Id<kind::Connector>, project: Id<kind::Project>) -> [Step; 4] {
    [
        redirect_uris::delete_of_link(team, connector, project),
        gateway::delete_of_link(team, connector, project),
        destinations::remove_of_link(team, connector, project),
        links::delete(team, connector, project),
    ]
}

/// How often a link is read anew that others change at the same moment.
const TRIES: usize = 5;

/// As many links as a page has: 1 to 100, and 50 where nobody says.
fn page(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(50).clamp(1, 100)).unwrap_or(50)
}

/// One more than is shown tells whether there is a next page.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit + 1).unwrap_or(101)
}
