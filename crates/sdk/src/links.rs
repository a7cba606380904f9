//! Project links: which project, in which environments, may ask a connector for tokens.

use carnet_model::{Code, Environment, Id, Time, kind};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Link {
    /// The project.
    pub project_id: Id<kind::Project>,
    /// Where it may ask.
    pub environments: Vec<Environment>,
    /// The project in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<LinkedProject>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// A project in words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LinkedProject {
    /// `prj_…`
    pub id: Id<kind::Project>,
    /// Its name.
    pub name: String,
}

/// An address to which people are sent back who sign in with a connector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct RedirectUri {
    /// The address; without a port if it is on the person's own machine, where any will do.
    pub uri: String,
    /// In which environment the app runs that is there: a name, or the identifier of one that the team made.
    pub environment: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RedirectUris {
    redirect_uris: Vec<RedirectUri>,
}

impl Client {
    /// Where the people of a project are sent back to who sign in with a connector.
    pub async fn redirect_uris(
        &self,
        connector: &str,
        project: Id<kind::Project>,
    ) -> Result<Vec<RedirectUri>, Error> {
        let project = project.to_string();
        let path = ["v1", "connect", "connectors", connector, "projects", &project, "redirect-uris"];
        self.fetch::<RedirectUris>(Call::get(&path)).await.map(|answer| answer.redirect_uris)
    }

    /// Puts these in the place of those that there are.
    pub async fn set_redirect_uris(
        &self,
        connector: &str,
        project: Id<kind::Project>,
        uris: Vec<RedirectUri>,
    ) -> Result<Vec<RedirectUri>, Error> {
        let project = project.to_string();
        let path = ["v1", "connect", "connectors", connector, "projects", &project, "redirect-uris"];
        let call = Call::new(reqwest::Method::PUT, &path).json(&RedirectUris { redirect_uris: uris });
        self.fetch::<RedirectUris>(call).await.map(|answer| answer.redirect_uris)
    }

    /// The links of a connector.
    pub async fn links(&self, connector: &str) -> Result<Vec<Link>, Error> {
        #[derive(Deserialize)]
        struct Links {
            projects: Vec<Link>,
            pagination: Option<Pagination>,
        }
        #[derive(Deserialize)]
        struct Pagination {
            next: Option<String>,
        }
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut call =
                Call::get(&["v1", "connect", "connectors", connector, "projects"]).query("limit", &100);
            if let Some(cursor) = &cursor {
                call = call.query("cursor", cursor);
            }
            let Links { projects, pagination } = self.fetch::<Links>(call).await?;
            found.extend(projects);
            match pagination.and_then(|page| page.next) {
                // A server that repeats itself is not asked for ever.
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(found),
            }
        }
    }

    /// The link of a connector to a project; `None` if there is none.
    pub async fn link(&self, connector: &str, project: Id<kind::Project>) -> Result<Option<Link>, Error> {
        let project = project.to_string();
        match self.fetch(Call::get(&["v1", "connect", "connectors", connector, "projects", &project])).await {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a project ask in exactly these environments.
    pub async fn put_link(
        &self,
        connector: &str,
        project: Id<kind::Project>,
        environments: &[Environment],
    ) -> Result<Link, Error> {
        let project = project.to_string();
        let call = Call::post(&["v1", "connect", "connectors", connector, "projects", &project]);
        self.fetch(call.json(&json!({ "environments": environments }))).await
    }

    /// Ends a link. `false` if there was none.
    pub async fn delete_link(&self, connector: &str, project: Id<kind::Project>) -> Result<bool, Error> {
        let project = project.to_string();
        let call = Call::delete(&["v1", "connect", "connectors", connector, "projects", &project]);
        match self.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(Code::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a project from asking in one environment; the last one takes the link with it.
    pub async fn cut_link(
        &self,
        connector: &str,
        project: Id<kind::Project>,
        environment: Environment,
    ) -> Result<(), Error> {
        let (project, environment) = (project.to_string(), environment.to_string());
        let path =
            ["v1", "connect", "connectors", connector, "projects", &project, "environments", &environment];
        self.send(Call::delete(&path)).await.map(drop)
    }
}
