//! Finding connectors: by project, type, service and text, sorted, a page at a time.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_store::connectors::{self, Filter, Place};
use carnet_store::links;
use carnet_store::projects::{self, Project};

use super::{ConnectorView, view};
use crate::broker::Broker;
use crate::faults;

pub use carnet_store::connectors::Sort;

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
    /// In which order.
    pub sort: Sort,
    /// From the one after this: the `next` of the page before, which was sorted the same way.
    pub cursor: Option<String>,
    /// At most this many; 1 to 100.
    pub limit: Option<u32>,
    /// With the projects of each.
    pub with_projects: bool,
}

/// The projects of a connector, as far as a list shows them.
#[derive(Clone, Debug, Default)]
pub struct LinkedProjects {
    /// The first of them.
    pub items: Vec<Project>,
    /// Whether there are more, and where a page of the connector's links goes on.
    pub more: Option<String>,
}

impl Broker {
    /// The team's connectors in order, and the cursor of the next page.
    pub async fn connectors(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<(Vec<ConnectorView>, Option<String>), Fault> {
        let member = self.may(caller, Right::ConnectorRead)?;
        let db = &self.inner.db;
        let search = query.search.as_ref().filter(|text| !text.is_empty());
        if search.is_some_and(|text| text.chars().count() > 100) {
            return Err(Fault::new(Code::InvalidRequest, "search has at most 100 characters.")
                .with("field", "search"));
        }
        let project = match &query.project {
            Some(project) => Some(self.find_project(caller, project).await?.id),
            None => member.access.project,
        };
        let filter = Filter {
            project,
            types: query.types.clone(),
            services: query.services.clone(),
            search: search.cloned(),
        };
        let after = query.cursor.as_deref().map(|text| read_place(text, query.sort)).transpose()?;
        let limit = usize::try_from(query.limit.unwrap_or(20).clamp(1, MOST)).unwrap_or(20);
        let one_more = i64::try_from(limit + 1).unwrap_or(i64::from(MOST) + 1);
        let rows = connectors::list(db, member.team, &filter, query.sort, after, one_more).await;
        let mut rows = rows.map_err(faults::store)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next =
            rows.last().filter(|_| more).map(|row| write_place(&Place::of(&row.connector, query.sort)));
        let mut views: Vec<_> = rows.into_iter().map(|row| view(row.connector)).collect();
        for view in &mut views {
            view.moved = self.inner.redirect_moved(&view.connector);
        }
        self.add_triggers(&mut views).await?;
        if let (true, Some(only)) = (query.with_projects, member.access.project) {
            // Each is linked to it, or would not be in the list.
            let project = projects::find(db, member.team, only).await.map_err(faults::store)?;
            for view in &mut views {
                let items = project.iter().cloned().collect();
                view.projects = Some(LinkedProjects { items, ..LinkedProjects::default() });
            }
        } else if query.with_projects {
            let ids: Vec<_> = views.iter().map(|view| view.connector.id).collect();
            let mut linked = self.projects_of(member.team, &ids).await?;
            for view in &mut views {
                view.projects = Some(linked.remove(&view.connector.id).unwrap_or_default());
            }
        }
        Ok((views, next))
    }

    async fn projects_of(
        &self,
        team: Id<kind::Team>,
        connectors: &[Id<kind::Connector>],
    ) -> Result<HashMap<Id<kind::Connector>, LinkedProjects>, Fault> {
        let most = i64::try_from(SHOWN + 1).unwrap_or(i64::MAX);
        let rows =
            links::of_connectors(&self.inner.db, team, connectors, most).await.map_err(faults::store)?;
        let mut out: HashMap<_, LinkedProjects> = HashMap::new();
        let mut last = None;
        for row in rows {
            let linked = out.entry(row.link.connector).or_default();
            if linked.items.len() == SHOWN {
                linked.more = last;
            } else {
                linked.items.push(row.project);
            }
            last = Some(time_cursor(row.link.created_at, row.link.project));
        }
        Ok(out)
    }
}

/// A place in a list by time, as text that says nothing to who reads it.
pub(crate) fn time_cursor<K: carnet_model::Kind>(at: Time, id: Id<K>) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{id}", at.millis()))
}

/// Reads what [`time_cursor`] wrote.
pub(crate) fn read_time_cursor<K: carnet_model::Kind>(text: &str) -> Result<(Time, Id<K>), Fault> {
    let read = || {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = plain.split_once('.')?;
        Some((Time::from_millis(at.parse().ok()?), Id::parse(id).ok()?))
    };
    read().ok_or_else(no_cursor)
}

fn write_place(place: &Place) -> String {
    match place {
        Place::At(at, id) => time_cursor(*at, *id),
        // The identifier first: a name may hold anything.
        Place::Named(name, id) => URL_SAFE_NO_PAD.encode(format!("{id}.{name}")),
    }
}

fn read_place(text: &str, sort: Sort) -> Result<Place, Fault> {
    if sort != Sort::Name {
        let (at, id) = read_time_cursor(text)?;
        return Ok(Place::At(at, id));
    }
    let read = || {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (id, name) = plain.split_once('.')?;
        let sound = name.chars().count() <= 400 && !name.chars().any(char::is_control);
        Some(Place::Named(Some(name.to_owned()).filter(|_| sound)?, Id::parse(id).ok()?))
    };
    read().ok_or_else(no_cursor)
}

fn no_cursor() -> Fault {
    Fault::new(Code::InvalidRequest, "cursor is not one that this list gave.").with("field", "cursor")
}

const MOST: u32 = 100;
/// How many projects of a connector a list shows. The pages of a connector's links show all.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_in_the_list_that_gave_it_and_in_no_other() {
        let id = Id::from_bytes([7; 16]);
        let at = Place::At(Time::from_millis(1_795_342_110_000), id);
        let named = Place::Named("a.b c".to_owned(), id);
        for (place, good, bad) in [(&at, Sort::Created, Sort::Name), (&named, Sort::Name, Sort::Updated)] {
            let text = write_place(place);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
            assert_eq!(read_place(&text, good).unwrap(), *place);
            assert!(read_place(&text, bad).is_err());
        }
        for text in ["", "0", "scl_0", "MC4w", "====", "Li4u"] {
            assert!(
                read_place(text, Sort::Created).is_err() && read_place(text, Sort::Name).is_err(),
                "{text}"
            );
        }
    }
}
