//! What every client command works with.

use carnet_model::{Id, Time, kind};
use carnet_sdk::{Client, Project};

use super::args::Global;
use super::failure::{Exit, Failure};
use super::settings::Settings;
use super::surroundings::Place;
use super::talk::Talk;

/// Who speaks, where, and with which settings. The client is made when it is first wanted.
pub(crate) struct Context<'a> {
    /// Who speaks.
    pub(crate) talk: &'a mut Talk,
    /// Where.
    pub(crate) place: &'a Place,
    /// With which settings.
    pub(crate) settings: Settings,
    global: &'a Global,
}

impl<'a> Context<'a> {
    /// With what flags, variables and files say.
    pub(crate) fn new(talk: &'a mut Talk, place: &'a Place, global: &'a Global) -> Result<Self, Failure> {
        Ok(Self { talk, place, settings: Settings::find(global, place)?, global })
    }

    /// Looks at flags, variables and files again, after one of them was changed.
    pub(crate) fn reread(&mut self) -> Result<(), Failure> {
        self.settings = Settings::find(self.global, self.place)?;
        Ok(())
    }

    /// Now.
    pub(crate) fn now(&self) -> Time {
        self.place.env.now()
    }

    /// The client.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.settings.client()
    }

    /// Goes on only where a token may be printed: not where a coding agent reads along, unless that was asked for.
    pub(crate) fn may_print_token(&self, print: bool, command: &str) -> Result<(), Failure> {
        let (Some(agent), false) = (self.place.agent, print) else { return Ok(()) };
        let message = format!(
            "A coding agent reads along ({agent} is set), and would put the token into its model's context."
        );
        Err(Failure::new("agent_reads_along", message)
            .exit(Exit::Denied)
            .next(format!("{command} --print"), "if it may know the token"))
    }

    /// The project named by a flag or, without one, the linked one.
    pub(crate) async fn project(&self, client: &Client, flag: Option<&str>) -> Result<Project, Failure> {
        let name = match (flag, &self.settings.project) {
            (Some(name), _) => name,
            (None, Some(found)) => found.value.as_str(),
            (None, None) => return Err(no_project()),
        };
        client.project(name).await.map_err(|error| {
            let mut failure = Failure::from(error);
            if failure.code == "not_found" {
                failure.next.clear();
                failure = failure.next("carnet projects", "to see the projects there are");
            }
            failure
        })
    }

    /// The linked project's identifier, if there is a linked project. The server is asked only if a name stands there.
    pub(crate) async fn linked_project(&self, client: &Client) -> Result<Option<Id<kind::Project>>, Failure> {
        let Some(found) = &self.settings.project else { return Ok(None) };
        if let Ok(id) = Id::parse(&found.value) {
            return Ok(Some(id));
        }
        self.project(client, None).await.map(|project| Some(project.id))
    }
}

/// A command needs a project, and none is named.
pub(crate) fn no_project() -> Failure {
    Failure::usage("This folder is not linked to a project.")
        .next("carnet link PROJECT", "to link it")
        .next("carnet projects", "to see the projects there are")
}
