//! Projects, their custom environments, and the workload identity of a developer's machine.

use std::collections::BTreeMap;

use carnet_model::{Environment, Id, SecretString, Time, kind};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Project {
    /// `prj_…`
    pub id: Id<kind::Project>,
    /// Its name, unique in the team.
    pub name: String,
    /// The team.
    pub account_id: Id<kind::Team>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it was last changed.
    pub updated_at: Option<Time>,
}

/// A page of projects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectPage {
    /// The projects, by name.
    pub projects: Vec<Project>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// An environment that the team made itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CustomEnvironment {
    /// `env_…`
    pub id: Id<kind::CustomEnvironment>,
    /// Its short name, unique in the project.
    pub slug: String,
}

#[derive(Deserialize)]
struct Provisioning {
    environments: Vec<String>,
}

impl Client {
    /// A project, by identifier or name.
    pub async fn project(&self, project: &str) -> Result<Project, Error> {
        self.fetch(Call::get(&["v9", "projects", project])).await
    }

    /// The team's projects, the first of them by name; with `search` those with this text in it.
    pub async fn projects(&self, search: Option<&str>, limit: Option<u32>) -> Result<Vec<Project>, Error> {
        self.projects_after(search, limit, None).await.map(|page| page.projects)
    }

    /// A page of them: of at most `limit`, 1 to 100, those after the one that the page before ended with.
    pub async fn projects_after(
        &self,
        search: Option<&str>,
        limit: Option<u32>,
        next: Option<&str>,
    ) -> Result<ProjectPage, Error> {
        #[derive(Deserialize)]
        struct Page {
            projects: Vec<Project>,
            #[serde(default)]
            pagination: Pagination,
        }
        #[derive(Default, Deserialize)]
        struct Pagination {
            next: Option<String>,
        }
        let call = Call::get(&["v9", "projects"])
            .query_if("search", search.as_ref())
            .query_if("limit", limit.as_ref())
            .query_if("from", next.as_ref());
        let Page { projects, pagination } = self.fetch(call).await?;
        Ok(ProjectPage { projects, next: pagination.next })
    }

    /// All projects of the team: as many requests as there are hundreds of them.
    pub async fn every_project(&self) -> Result<Vec<Project>, Error> {
        let mut all = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let page = self.projects_after(None, Some(100), from.as_deref()).await?;
            all.extend(page.projects);
            match page.next {
                // A server that repeats itself is not asked for ever.
                Some(next) if from.as_ref() != Some(&next) => from = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// In which environments the workloads of a project may make connectors for themselves.
    pub async fn provisioning(&self, project: &str) -> Result<Vec<String>, Error> {
        let call = Call::get(&["v1", "projects", project, "provisioning"]);
        self.fetch::<Provisioning>(call).await.map(|answer| answer.environments)
    }

    /// Says in which environments they may; none for nowhere.
    pub async fn set_provisioning(
        &self,
        project: &str,
        environments: &[String],
    ) -> Result<Vec<String>, Error> {
        let call = Call::new(Method::PUT, &["v1", "projects", project, "provisioning"]);
        let call = call.json(&json!({ "environments": environments }));
        self.fetch::<Provisioning>(call).await.map(|answer| answer.environments)
    }

    /// Makes a project.
    pub async fn create_project(&self, name: &str) -> Result<Project, Error> {
        self.fetch(Call::post(&["v9", "projects"]).json(&json!({ "name": name }))).await
    }

    /// Removes a project, its links and what was kept for it.
    pub async fn delete_project(&self, project: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v9", "projects", project])).await.map(drop)
    }

    /// The environments that a project has besides the three built-in ones.
    pub async fn custom_environments(&self, project: &str) -> Result<Vec<CustomEnvironment>, Error> {
        #[derive(Deserialize)]
        struct Environments {
            environments: Vec<CustomEnvironment>,
        }
        let call = Call::get(&["v9", "projects", project, "custom-environments"]);
        self.fetch::<Environments>(call).await.map(|answer| answer.environments)
    }

    /// Gives a project a further environment.
    pub async fn create_custom_environment(
        &self,
        project: &str,
        slug: &str,
    ) -> Result<CustomEnvironment, Error> {
        let call = Call::post(&["v9", "projects", project, "custom-environments"]);
        self.fetch(call.json(&json!({ "slug": slug }))).await
    }

    /// Takes a custom environment away, by identifier or short name.
    pub async fn delete_custom_environment(&self, project: &str, environment: &str) -> Result<(), Error> {
        let call = Call::delete(&["v9", "projects", project, "custom-environments", environment]);
        self.send(call).await.map(drop)
    }

    /// A workload identity of the project. People are given one for `development` only.
    pub async fn identity_token(
        &self,
        project: &str,
        environment: Environment,
        audience: Option<&str>,
    ) -> Result<SecretString, Error> {
        #[derive(Deserialize)]
        struct Issued {
            token: SecretString,
        }
        let body = match audience {
            Some(audience) => json!({ "environment": environment, "audience": audience }),
            None => json!({ "environment": environment }),
        };
        let call = Call::post(&["v1", "projects", project, "token"]).json(&body);
        self.fetch::<Issued>(call).await.map(|answer| answer.token)
    }

    /// The variables that a program of this project needs in an environment.
    pub async fn variables(
        &self,
        project: &str,
        environment: &str,
    ) -> Result<BTreeMap<String, SecretString>, Error> {
        #[derive(Deserialize)]
        struct Pulled {
            env: BTreeMap<String, SecretString>,
        }
        let call = Call::get(&["v3", "env", "pull", project, environment]).query("source", &"carnet");
        self.fetch::<Pulled>(call).await.map(|answer| answer.env)
    }
}
