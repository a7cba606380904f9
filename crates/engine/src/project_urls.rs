//! Where a project's environments are reached: what is forwarded to a project goes there.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, kind};
use carnet_store::Write;
use carnet_store::project_urls::{self, ProjectUrl};

use crate::broker::Broker;
use crate::faults;
use crate::triggers::{BRANCH, has_branches};

impl Broker {
    /// The addresses of a project.
    pub async fn project_urls(&self, caller: &Caller, project: &str) -> Result<Vec<ProjectUrl>, Fault> {
        let project = self.project(caller, project).await?;
        project_urls::of_project(&self.inner.db, caller.team(), project.id).await.map_err(faults::store)
    }

    /// Replaces the addresses of a project: pairs of an environment, by name or identifier, and an address.
    pub async fn set_project_urls(
        &self,
        caller: &Caller,
        project: &str,
        asked: &[(String, String)],
        request: Id<kind::Request>,
    ) -> Result<Vec<ProjectUrl>, Fault> {
        self.may(caller, Right::ProjectUrlsUpdate)?;
        let project = self.project(caller, project).await?;
        let now = self.inner.env.now();
        let mut urls: Vec<ProjectUrl> = Vec::with_capacity(asked.len());
        for (name, text) in asked {
            let environments = self.environments_of(caller, project.id, std::slice::from_ref(name)).await?;
            let environment = environments.first().copied().unwrap_or(Environment::Production);
            if urls.iter().any(|one| one.environment == environment) {
                return Err(bad(format!("The environment {name:?} is there twice.")));
            }
            let url = self.base_url(environment, text)?;
            urls.push(ProjectUrl { environment, url, updated_at: now });
        }
        urls.sort_unstable_by_key(|one| one.environment.to_string());
        let told: Vec<String> = urls.iter().map(|one| format!("{} {}", one.environment, one.url)).collect();
        let event = AuditEvent::of(caller, now, Action::ProjectUrlsPut, Some(request))
            .on(project.id)
            .with("urls", told);
        let write = Write::new()
            .steps(project_urls::replace(caller.team(), project.id, &urls))
            .event(&self.inner.env, &event);
        self.inner.db.write(write).await.map_err(faults::store)?;
        Ok(urls)
    }

    /// An address that paths are put behind.
    fn base_url(&self, environment: Environment, text: &str) -> Result<String, Fault> {
        let text = text.trim().trim_end_matches('/');
        if text.len() > 2048 {
            return Err(bad("An address has at most 2048 characters.".to_owned()));
        }
        if text.contains(BRANCH) && !has_branches(environment) {
            return Err(bad(format!("{BRANCH} stands in the address of previews alone.")));
        }
        let url = self.destination_url(&text.replace(BRANCH, "branch")).map_err(|why| {
            let mut letters = why.chars();
            let begun: String =
                letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
            bad(format!("{begun}."))
        })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("An address has no query and no fragment: paths are put behind it.".to_owned()));
        }
        Ok(text.to_owned())
    }
}

fn bad(why: String) -> Fault {
    Fault::new(Code::InvalidRequest, why).with("field", "urls")
}
