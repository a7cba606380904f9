//! Where a connector's events go: at most three destinations, replaced as a whole.
//!
//! A destination that stays keeps its identifier, also with another path: what is on its way to it goes to the new path.
//! Registering one enables its environment on the project's link; what is forwarded is nothing that the project could
//! not have asked for. Whoever detaches the project removes its destinations.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Time, kind};
use carnet_store::destinations::{self as stored, Destination};
use carnet_store::{Write, links};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::receives;
use crate::broker::Broker;
use crate::connectors::ConnectorView;
use crate::faults;

/// A destination, as it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewDestination {
    /// The project, by identifier or name.
    pub project: String,
    /// Where at its address; `/` and the service's name if left out.
    pub path: Option<String>,
    /// A branch, whose previews get it.
    pub branch: Option<String>,
    /// A custom environment, by identifier or name.
    pub custom_environment: Option<String>,
}

/// A destination that was looked up.
struct Wanted {
    project: Id<kind::Project>,
    environment: Environment,
    branch: Option<String>,
    path: Option<String>,
}

impl Broker {
    /// Replaces the destinations of a connector.
    pub async fn replace_destinations(
        &self,
        caller: &Caller,
        connector: &str,
        asked: Vec<NewDestination>,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let entry = self.managed(caller, connector, Right::TriggerUpdate).await?;
        let of = &entry.row.connector;
        if asked.len() > MOST {
            return Err(bad("A connector has at most three destinations."));
        }
        let mut wanted: Vec<Wanted> = Vec::with_capacity(asked.len());
        for one in asked {
            let one = self.looked_up(caller, one).await?;
            let same = |other: &Wanted| {
                other.is(one.project, one.environment, one.branch.as_deref()) && other.path == one.path
            };
            if wanted.iter().any(same) {
                return Err(bad("The same destination is there twice."));
            }
            wanted.push(one);
        }
        if !wanted.is_empty() {
            receives(of, "destinations")?;
        }
        let inner = &self.inner;
        let now = inner.env.now();
        let mut left = entry.triggers.destinations.clone();
        // First those that stay as they are, then those with another path: so that no two change places.
        let mut taken: Vec<Option<Destination>> = Vec::with_capacity(wanted.len());
        for one in &wanted {
            taken.push(take(&mut left, |known| one.is_of(known) && known.path == one.path));
        }
        for (one, taken) in wanted.iter().zip(&mut taken).filter(|(_, taken)| taken.is_none()) {
            *taken = take(&mut left, |known| one.is_of(known));
        }
        let mut position = 0;
        let new: Vec<Destination> = wanted
            .iter()
            .zip(taken)
            .map(|(one, taken)| {
                position += 1;
                one.destination(of, taken, position, inner.env.id(), now)
            })
            .collect();
        let event = AuditEvent::of(caller, now, Action::TriggerDestinationsPut, Some(request))
            .on(of.id)
            .with("destinations", new.iter().map(told).collect::<Vec<_>>());
        let mut write = Write::new()
            .steps(left.iter().map(stored::remove))
            .step(stored::make_room(of.team, of.id))
            .steps(new.iter().map(stored::put))
            .event(&inner.env, &event)
            .revises();
        for (project, environments) in self.enabled_by(of, &new).await? {
            self.may(caller, Right::LinkUpdate)?;
            let event = link_event(caller, of, project, &environments, now, request);
            write =
                write.step(links::put(of.team, of.id, project, &environments, now)).event(&inner.env, &event);
        }
        inner.db.write(write).await.map_err(faults::store)?;
        self.with_triggers(ConnectorView::from(of.clone())).await
    }

    /// The one destination of a connector that is being made. Production, at the usual path, of the project that the
    /// connector is linked to is what the new link is for; whoever says more than that decides where events go, and, with
    /// another project, who may ask.
    pub(crate) async fn first_destination(
        &self,
        caller: &Caller,
        connector: &Connector,
        asked: NewDestination,
        linked: Option<Id<kind::Project>>,
        now: Time,
    ) -> Result<Destination, Fault> {
        let says_more = asked.path.is_some() || asked.branch.is_some() || asked.custom_environment.is_some();
        receives(connector, "triggerDestination")?;
        let wanted = self.looked_up(caller, asked).await?;
        let is_elsewhere = linked != Some(wanted.project);
        if says_more || is_elsewhere {
            self.may(caller, Right::TriggerUpdate)?;
        }
        if is_elsewhere {
            self.may(caller, Right::LinkUpdate)?;
        }
        Ok(wanted.destination(connector, None, 1, self.inner.env.id(), now))
    }

    /// The links that have to change so that each destination's environment is enabled.
    async fn enabled_by(
        &self,
        of: &Connector,
        destinations: &[Destination],
    ) -> Result<Vec<(Id<kind::Project>, Vec<Environment>)>, Fault> {
        let mut changed: Vec<(Id<kind::Project>, Vec<Environment>)> = Vec::new();
        for one in destinations {
            if let Some((_, environments)) = changed.iter_mut().find(|(project, _)| *project == one.project) {
                if !environments.contains(&one.environment) {
                    environments.push(one.environment);
                }
                continue;
            }
            let link = links::find(&self.inner.db, of.team, of.id, one.project).await;
            let link = link.map_err(faults::store)?;
            let mut environments = link.map(|link| link.environments).unwrap_or_default();
            if !environments.contains(&one.environment) {
                environments.push(one.environment);
            }
            changed.push((one.project, environments));
        }
        let mut out = Vec::with_capacity(changed.len());
        for (project, environments) in changed {
            let link = links::find(&self.inner.db, of.team, of.id, project).await.map_err(faults::store)?;
            if link.is_none_or(|link| link.environments != environments) {
                out.push((project, environments));
            }
        }
        Ok(out)
    }

    async fn looked_up(&self, caller: &Caller, asked: NewDestination) -> Result<Wanted, Fault> {
        let NewDestination { project, path, branch, custom_environment } = asked;
        if path.as_ref().is_some_and(|path| {
            !(1..=2048).contains(&path.chars().count()) || path.chars().any(char::is_control)
        }) {
            return Err(bad("The path of a destination has 1 to 2048 characters."));
        }
        if branch.as_ref().is_some_and(|branch| {
            !(1..=255).contains(&branch.chars().count()) || branch.chars().any(char::is_control)
        }) {
            return Err(bad("The branch of a destination has 1 to 255 characters."));
        }
        let project = self.project(caller, &project).await?;
        let environment = match (&branch, custom_environment) {
            (Some(_), Some(_)) => {
                return Err(bad("A destination names a branch or a custom environment, not both."));
            }
            (Some(_), None) => Environment::Preview,
            (None, None) => Environment::Production,
            (None, Some(name)) => match self.known_environment(caller, &project, &name).await? {
                Environment::Custom(id) => {
                    self.is_of_project(caller, project.id, id).await?;
                    Environment::Custom(id)
                }
                _ => return Err(bad("customEnvironmentId names an environment that the team made.")),
            },
        };
        Ok(Wanted { project: project.id, environment, branch, path })
    }

    async fn is_of_project(
        &self,
        caller: &Caller,
        project: Id<kind::Project>,
        environment: Id<kind::CustomEnvironment>,
    ) -> Result<(), Fault> {
        let found = carnet_store::projects::environments(&self.inner.db, caller.team(), project).await;
        let found = found.map_err(faults::store)?;
        if found.iter().any(|one| one.id == environment) {
            return Ok(());
        }
        Err(faults::not_found("environment", &environment.to_string()))
    }
}

impl Wanted {
    fn is(&self, project: Id<kind::Project>, environment: Environment, branch: Option<&str>) -> bool {
        self.project == project && self.environment == environment && self.branch.as_deref() == branch
    }

    fn is_of(&self, known: &Destination) -> bool {
        self.is(known.project, known.environment, known.branch.as_deref())
    }

    fn destination(
        &self,
        of: &Connector,
        before: Option<Destination>,
        position: i64,
        fresh: Id<kind::Destination>,
        now: Time,
    ) -> Destination {
        Destination {
            id: before.as_ref().map_or(fresh, |before| before.id),
            team: of.team,
            connector: of.id,
            project: self.project,
            environment: self.environment,
            branch: self.branch.clone(),
            path: self.path.clone(),
            position,
            disabled_at: None,
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
        }
    }
}

pub(crate) fn link_event(
    caller: &Caller,
    of: &Connector,
    project: Id<kind::Project>,
    environments: &[Environment],
    now: Time,
    request: Id<kind::Request>,
) -> AuditEvent {
    AuditEvent::of(caller, now, Action::LinkPut, Some(request))
        .on(of.id)
        .with("project", project.to_string())
        .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn take(from: &mut Vec<Destination>, fits: impl Fn(&Destination) -> bool) -> Option<Destination> {
    let at = from.iter().position(fits)?;
    Some(from.remove(at))
}

pub(super) fn told(destination: &Destination) -> Value {
    json!({
        "project": destination.project,
        "environment": destination.environment,
        "branch": destination.branch,
        "path": destination.path,
    })
}

fn bad(why: &str) -> Fault {
    Fault::new(Code::InvalidRequest, why).with("field", "destinations")
}

/// As many as the clients of the contract know.
const MOST: usize = 3;
