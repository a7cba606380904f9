//! Finding connectors: by project, type, service and text, a page at a time.

use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_store::connectors::{self, Filter};
use carnet_store::links::{self, Link};
use carnet_store::projects::Project;

use super::{ConnectorView, view};
use crate::broker::Broker;
use crate::faults;

/// Which connectors to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Linked to this project.
    pub project: Option<String>,
    /// One of these types.
    pub types: Vec<String>,
    /// One of these services.
    pub services: Vec<String>,
    /// Name, UID or service contains this.
    pub search: Option<String>,
    /// From the one after this: the `next` of the page before.
    pub cursor: Option<String>,
    /// At most this many; 1 to 100.
    pub limit: Option<u32>,
    /// With the projects of each.
    pub with_projects: bool,
}

impl Broker {
    /// The team's connectors, newest first, and the cursor of the next page.
    pub async fn connectors(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<(Vec<ConnectorView>, Option<String>), Fault> {
        let member = self.member_of(caller)?;
        let db = &self.inner.db;
        let search = query.search.as_ref().filter(|text| !text.is_empty());
        if search.is_some_and(|text| text.chars().count() > 100) {
            return Err(Fault::new(Code::InvalidRequest, "search has at most 100 characters.")
                .with("field", "search"));
        }
        let project = match &query.project {
            Some(project) => Some(self.project(caller, project).await?.id),
            None => None,
        };
        let filter = Filter {
            project,
            types: query.types.clone(),
            services: query.services.clone(),
            search: search.cloned(),
        };
        let before = query.cursor.as_deref().map(read_cursor).transpose()?;
        let limit = usize::try_from(query.limit.unwrap_or(20).clamp(1, 100)).unwrap_or(20);
        let rows =
            connectors::list(db, member.team, &filter, before, i64::try_from(limit + 1).unwrap_or(101)).await;
        let mut rows = rows.map_err(faults::store)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| cursor(&row.connector));
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let mut seen = view(row.connector);
            if query.with_projects {
                seen.projects = Some(self.projects_of(member.team, seen.connector.id).await?);
            }
            views.push(seen);
        }
        Ok((views, next))
    }

    async fn projects_of(
        &self,
        team: Id<kind::Team>,
        connector: Id<kind::Connector>,
    ) -> Result<Vec<Project>, Fault> {
        let mut found = Vec::new();
        for Link { project, .. } in
            links::of_connector(&self.inner.db, team, connector).await.map_err(faults::store)?
        {
            found.extend(
                carnet_store::projects::find(&self.inner.db, team, project).await.map_err(faults::store)?,
            );
        }
        Ok(found)
    }
}

fn cursor(connector: &Connector) -> String {
    format!("{}.{}", connector.created_at.millis(), connector.id)
}

fn read_cursor(text: &str) -> Result<(Time, Id<kind::Connector>), Fault> {
    let read = || {
        let (at, id) = text.split_once('.')?;
        Some((Time::from_millis(at.parse().ok()?), Id::parse(id).ok()?))
    };
    read().ok_or_else(|| {
        Fault::new(Code::InvalidRequest, "cursor is not one that a list gave.").with("field", "cursor")
    })
}
