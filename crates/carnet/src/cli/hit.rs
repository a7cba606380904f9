//! `--dry-run`: what a command would do, and what it would hit: projects, and the grants that live.
//!
//! Everything is asked of the server as it stands now; nothing is changed.

use carnet_sdk::{Client, GrantInfo, Link};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::explain::subject_in_words;
use super::failure::Failure;
use super::talk::plain;

/// What would be done, in a sentence, and what would be hit.
pub(crate) struct Would {
    what: String,
    facts: Map<String, Value>,
    projects: Option<Vec<Project>>,
    grants: Option<Vec<GrantInfo>>,
}

struct Project {
    id: String,
    name: String,
    environments: Vec<String>,
}

impl Would {
    /// `what` begins with a verb: remove slack/my-bot.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), facts: Map::new(), projects: None, grants: None }
    }

    /// A member of the document.
    #[must_use]
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// A project that would lose something in these environments.
    #[must_use]
    pub(crate) fn project(mut self, id: &str, name: &str, environments: Vec<String>) -> Self {
        let project = Project { id: id.to_owned(), name: name.to_owned(), environments };
        self.projects.get_or_insert_default().push(project);
        self
    }

    /// The projects of these links.
    #[must_use]
    pub(crate) fn links(mut self, links: &[Link]) -> Self {
        self.projects.get_or_insert_default();
        links.iter().fold(self, |would, link| {
            let id = link.project_id.to_string();
            let name = link.project.as_ref().map_or_else(|| id.clone(), |project| project.name.clone());
            would.project(&id, &name, link.environments.iter().map(ToString::to_string).collect())
        })
    }

    /// Grants that would end, or that nobody could use any more.
    #[must_use]
    pub(crate) fn grants(mut self, grants: Vec<GrantInfo>) -> Self {
        self.grants.get_or_insert_default().extend(grants);
        self
    }

    /// Says it, in place of doing it.
    pub(crate) fn tell(self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let live = self.grants.iter().flatten().filter(|grant| is_live(grant)).count();
        if cx.talk.wants_json() {
            let mut document = Map::from_iter([("dryRun".to_owned(), Value::from(true))]);
            document.extend(self.facts);
            if let Some(projects) = self.projects {
                let told =
                    |one: Project| json!({"id": one.id, "name": one.name, "environments": one.environments});
                document.insert("projects".to_owned(), projects.into_iter().map(told).collect());
            }
            if let Some(grants) = self.grants {
                document.insert("liveGrants".to_owned(), live.into());
                document.insert("grants".to_owned(), json!(grants));
            }
            return cx.talk.document(&document);
        }
        cx.talk.answer(&plain(&format!("Would {}", self.what)))?;
        if let Some(projects) = self.projects {
            let words = |one: &Project| match one.environments.as_slice() {
                [] => one.name.clone(),
                environments => format!("{} ({})", one.name, environments.join(", ")),
            };
            cx.talk.answer(&plain(&format!("  projects: {}", listed(projects.iter().map(words)))))?;
        }
        if let Some(grants) = self.grants {
            let whose =
                grants.iter().filter(|grant| is_live(grant)).map(|grant| subject_in_words(&grant.subject));
            let count = format!("  live grants: {live} of {}", grants.len());
            let line = if live > 0 { format!("{count}, of {}", listed(whose)) } else { count };
            cx.talk.answer(&plain(&line))?;
        }
        Ok(())
    }
}

/// The grants of a connector that fit.
pub(crate) async fn grants_of(
    client: &Client,
    connector: &str,
    fits: impl Fn(&GrantInfo) -> bool,
) -> Result<Vec<GrantInfo>, Failure> {
    Ok(client.grants(connector).await?.into_iter().filter(|grant| fits(grant)).collect())
}

/// A member of a grant that is text.
pub(crate) fn member<'a>(grant: &'a GrantInfo, name: &str) -> Option<&'a str> {
    grant.rest.get(name).and_then(Value::as_str)
}

fn is_live(grant: &GrantInfo) -> bool {
    grant.state == "active"
}

/// The first few, and how many there are besides.
fn listed(words: impl Iterator<Item = String>) -> String {
    const MOST: usize = 10;
    let all: Vec<String> = words.collect();
    let more = all.len().saturating_sub(MOST);
    let mut shown: Vec<String> = all.into_iter().take(MOST).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}
