//! Projects and their custom environments.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Slug, kind};
use carnet_store::projects::{self, CustomEnvironment, Project};
use carnet_store::{DbError, Write};

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The caller's team's projects by name, from the one after `after`.
    pub async fn projects(
        &self,
        caller: &Caller,
        search: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Project>, Fault> {
        let member = self.may(caller, Right::ProjectRead)?;
        let (search, after) = (search.unwrap_or_default(), after.unwrap_or_default());
        if search.chars().count() > 100 {
            return Err(Fault::new(Code::InvalidRequest, "search has at most 100 characters.")
                .with("field", "search"));
        }
        if let Some(only) = member.access.project {
            let found = projects::find(&self.inner.db, member.team, only).await.map_err(faults::store)?;
            let text = search.to_lowercase();
            let fits = |project: &Project| {
                project.name.as_str() > after && project.name.as_str().contains(text.as_str())
            };
            return Ok(found.into_iter().filter(fits).collect());
        }
        let limit = i64::from(limit.clamp(1, 100));
        let db = &self.inner.db;
        let found = if search.is_empty() {
            projects::list(db, member.team, after, limit).await
        } else {
            projects::search(db, member.team, search, after, limit).await
        };
        found.map_err(faults::store)
    }

    /// A project by identifier or name.
    pub async fn project(&self, caller: &Caller, name: &str) -> Result<Project, Fault> {
        self.may(caller, Right::ProjectRead)?;
        self.find_project(caller, name).await
    }

    /// A project of the caller's team, for a verb that has decided already. To a caller that is kept to one project
    /// there is no other.
    pub(crate) async fn find_project(&self, caller: &Caller, name: &str) -> Result<Project, Fault> {
        let db = &self.inner.db;
        let team = caller.team();
        let found = match (Id::parse(name), Slug::parse(name)) {
            (Ok(id), _) => projects::find(db, team, id).await,
            (_, Ok(slug)) => projects::by_name(db, team, &slug).await,
            _ => Ok(None),
        }
        .map_err(faults::store)?;
        let found = found.filter(|found| caller.kept_to().is_none_or(|only| only == found.id));
        found.ok_or_else(|| {
            faults::not_found("project", name).next("carnet projects list", "to see the projects of the team")
        })
    }

    /// Makes a project.
    pub async fn create_project(
        &self,
        caller: &Caller,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<Project, Fault> {
        let member = self.may(caller, Right::ProjectCreate)?;
        let name = Slug::parse(name)
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "name"))?;
        let now = self.inner.env.now();
        let project =
            Project { id: self.inner.env.id(), team: member.team, name, created_at: now, updated_at: now };
        let event = AuditEvent::of(caller, now, Action::ProjectCreate, Some(request))
            .on(project.id)
            .with("name", project.name.as_str());
        let write = Write::new().step(projects::insert(&project)).event(&self.inner.env, &event);
        match self.inner.db.write(write).await {
            Ok(_) => Ok(project),
            Err(DbError::Conflict) => Err(Fault::new(
                Code::Conflict,
                format!("There is a project {} in this team already.", project.name),
            )),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Removes a project: its links, its environments, and the grants that people gave it, at the providers too.
    pub async fn delete_project(
        &self,
        caller: &Caller,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::ProjectDelete)?;
        let project = self.find_project(caller, name).await?;
        let inner = &self.inner;
        let given = carnet_store::grants::of_project(&inner.db, member.team, project.id)
            .await
            .map_err(faults::store)?;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::ProjectDelete, Some(request))
            .on(project.id)
            .with("name", project.name.as_str())
            .with("grants", given.len());
        let write = Write::new()
            .step(carnet_store::grants::withdraw_of_project(member.team, project.id, now))
            .step(carnet_store::minted::delete_of_project(member.team, project.id))
            .step(carnet_store::access_tokens::revoke_of_project(member.team, project.id, now))
            .steps(projects::delete(member.team, project.id))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        self.tell_providers_later(given);
        Ok(())
    }

    /// The custom environments of a project.
    pub async fn custom_environments(
        &self,
        caller: &Caller,
        project: &str,
    ) -> Result<Vec<CustomEnvironment>, Fault> {
        let member = self.may(caller, Right::ProjectRead)?;
        let project = self.find_project(caller, project).await?;
        projects::environments(&self.inner.db, member.team, project.id).await.map_err(faults::store)
    }

    /// Makes a custom environment.
    pub async fn create_environment(
        &self,
        caller: &Caller,
        project: &str,
        slug: &str,
        request: Id<kind::Request>,
    ) -> Result<CustomEnvironment, Fault> {
        let member = self.may(caller, Right::EnvironmentUpdate)?;
        let project = self.find_project(caller, project).await?;
        let slug = Slug::parse(slug)
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "slug"))?;
        if Environment::parse(slug.as_str()).is_ok() {
            return Err(Fault::new(
                Code::Conflict,
                format!("Every project has the environment {slug} already."),
            ));
        }
        // Where an environment is named, this is how an identifier begins.
        if slug.as_str().starts_with("env_") {
            let why = "slug does not begin with env_, as an identifier does.";
            return Err(Fault::new(Code::InvalidRequest, why).with("field", "slug"));
        }
        let now = self.inner.env.now();
        let environment = CustomEnvironment { id: self.inner.env.id(), project: project.id, slug };
        let event = AuditEvent::of(caller, now, Action::EnvironmentCreate, Some(request))
            .on(environment.id)
            .with("project", project.id.to_string())
            .with("slug", environment.slug.as_str());
        let write = Write::new()
            .step(projects::insert_environment(member.team, &environment, now))
            .event(&self.inner.env, &event);
        match self.inner.db.write(write).await {
            Ok(_) => Ok(environment),
            Err(DbError::Conflict) => Err(Fault::new(
                Code::Conflict,
                format!("{} has an environment {} already.", project.name, environment.slug),
            )),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Removes a custom environment; links no longer name it, and what people gave it is withdrawn.
    pub async fn delete_environment(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::EnvironmentUpdate)?;
        let project = self.find_project(caller, project).await?;
        let found = projects::environments(&self.inner.db, member.team, project.id).await;
        let found = found.map_err(faults::store)?;
        let found = found.into_iter().find(|e| e.id.to_string() == name || e.slug.as_str() == name);
        let environment = found.ok_or_else(|| faults::not_found("environment", name))?;
        let inner = &self.inner;
        let now = inner.env.now();
        let gone = Environment::Custom(environment.id);
        let links = carnet_store::links::of_project(&inner.db, member.team, environment.project).await;
        let links =
            links.map_err(faults::store)?.into_iter().filter(|link| link.environments.contains(&gone));
        let given = carnet_store::grants::of_project(&inner.db, member.team, environment.project)
            .await
            .map_err(faults::store)?;
        let given: Vec<_> = given.into_iter().filter(|row| row.grant.place.environment == gone).collect();
        let event = AuditEvent::of(caller, now, Action::EnvironmentDelete, Some(request)).on(environment.id);
        let write = Write::new()
            .steps(links.map(|link| {
                let left: Vec<_> = link.environments.iter().copied().filter(|e| *e != gone).collect();
                if left.is_empty() {
                    carnet_store::links::delete(member.team, link.connector, link.project)
                } else {
                    carnet_store::links::put(member.team, link.connector, link.project, &left, now)
                }
            }))
            .steps(given.iter().map(|row| carnet_store::grants::withdraw(member.team, row.grant.id, now)))
            .step(carnet_store::minted::delete_of_environment(member.team, environment.project, gone))
            .step(carnet_store::redirect_uris::delete_of_environment(member.team, environment.project, gone))
            .step(carnet_store::gateway::delete_of_environment(member.team, environment.project, gone))
            .step(carnet_store::destinations::remove_of_environment(member.team, environment.project, gone))
            .step(carnet_store::project_urls::remove(member.team, environment.project, gone))
            .step(projects::delete_environment(member.team, environment.id))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        self.tell_providers_later(given);
        Ok(())
    }
}
