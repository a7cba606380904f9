//! What every client command works with.

use carnet_model::{Code, Id, Next, Time, kind};
use carnet_sdk::{Client, Connector, ConnectorFilter, Error, Project};

use super::args::Global;
use super::envfile;
use super::failure::{Exit, Failure};
use super::settings::{Login, Settings};
use super::surroundings::Place;
use super::talk::{Talk, plain};

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

    /// What mends a failure by what was found here: which server was asked, as whom and about which team.
    pub(crate) fn with_way_back(&self, mut failure: Failure) -> Failure {
        let below = self.settings.url.as_ref().filter(|url| url.value.path() != "/");
        let team = self.settings.team.as_ref().map(|team| team.source.as_str());
        let own_team = "to ask for the credential's own team";
        let is_not_there = failure.message == NOTHING_HERE;
        let is_elsewhere = is_not_there || failure.code == "unexpected_answer";
        let first = match (failure.code.as_str(), below, team) {
            (_, Some(url), _) if is_elsewhere => {
                let origin = url.value.origin().ascii_serialization();
                Some((format!("export CARNET_URL={origin}"), "if the server is there, and not below it"))
            }
            ("forbidden", _, Some("CARNET_TEAM")) if failure.message == OTHER_TEAM => {
                Some(("unset CARNET_TEAM".to_owned(), own_team))
            }
            ("forbidden", _, Some("--team")) if failure.message == OTHER_TEAM => {
                Some(("the same command without --team".to_owned(), own_team))
            }
            ("forbidden", _, Some(_))
                if failure.message == OTHER_TEAM && self.settings.team_file().is_some() =>
            {
                Some((LINK.to_owned(), "to link this folder to a project of the credential's own team"))
            }
            _ => None,
        };
        if let Some((command, when)) = first {
            // Whatever else would be asked of that address is not there either.
            failure.next.retain(|next| !is_not_there && next.command != "carnet whoami");
            failure.next.insert(0, Next { command, when: when.to_owned() });
        }
        self.with_way_to_sign_in(failure)
    }

    /// What mends a credential that the server does not take follows from where it came from.
    fn with_way_to_sign_in(&self, mut failure: Failure) -> Failure {
        let found = self.settings.credential.as_ref().map(|found| (found.source.as_str(), &found.value));
        let Some((source, login)) = found else { return failure };
        if failure.message == NO_HEADER {
            let message =
                format!("What {source} holds is no credential: no header can carry all of its characters.");
            failure = Failure::new("unauthorized", message).exit(Exit::SignIn);
        }
        if failure.code != "unauthorized" {
            return failure;
        }
        failure.message = self.with_place(failure.message, source, login);
        let server = self.settings.url.as_ref();
        let server = server.map(|found| found.value.origin().ascii_serialization()).unwrap_or_default();
        let (command, when) = match (source, login.identity(), source.strip_prefix("context ")) {
            (_, Some(_), _) => (new_identity(source), "for a new identity, for development"),
            (_, _, Some(name)) => (format!("carnet login {server} --context {name}"), "to sign in again"),
            ("CARNET_TOKEN", ..) => {
                (format!("unset CARNET_TOKEN; carnet login {server}"), "to sign in instead")
            }
            _ => ("carnet dev".to_owned(), "to start the development server, which writes a new one"),
        };
        failure.next.retain(|next| next.command != "carnet doctor");
        failure.next.insert(0, Next { command, when: when.to_owned() });
        failure
    }

    /// The sentence with the variable that holds the credential, and with the file that the variable was taken from, if one
    /// here has the same: which of the many places is wrong.
    fn with_place(&self, message: String, source: &str, login: &Login) -> String {
        let held = match login {
            _ if !source.starts_with("CARNET_") => return message,
            Login::AccessToken(token) | Login::Identity(token) => Some(token),
            Login::IdentityFile(..) => None,
        };
        let has_it = |name: &&str| {
            let text = std::fs::read_to_string(self.place.folder.join(name));
            held.is_some_and(|held| text.is_ok_and(|text| envfile::has(&text, source, held)))
        };
        let place = match (message.contains(source), ENV_FILES.into_iter().find(has_it)) {
            (true, None) => return message,
            (true, Some(file)) => format!("as in {file}"),
            (false, None) => source.to_owned(),
            (false, Some(file)) => format!("{source}, as in {file}"),
        };
        format!("{} ({place})", message.trim_end_matches('.'))
    }

    /// The context that was named by a flag or a variable.
    pub(crate) fn asked_context(&self) -> Option<&str> {
        self.global.context.as_deref().or(self.place.variables.context.as_deref())
    }

    /// The team that was named by a flag.
    pub(crate) fn asked_team(&self) -> Option<&str> {
        self.global.team.as_deref()
    }

    /// Whether the flags of this very line ask for JSON.
    pub(crate) fn asks_for_json(&self) -> bool {
        self.global.asks_for_json()
    }

    /// The connector of this identifier or UID. A person may begin a UID and leave its end to us; a script may not, because
    /// a connector that is made tomorrow would change what it means.
    pub(crate) async fn connector(&mut self, client: &Client, name: &str) -> Result<Connector, Failure> {
        match client.connector_metadata(name).await {
            Err(error) => match self.begun(client, name, &error).await? {
                Some(found) => Ok(client.connector_metadata(&found.id.to_string()).await?),
                None => Err(error.into()),
            },
            found => Ok(found?),
        }
    }

    /// The only connector whose UID begins so, for a person whose request was refused because none has exactly this one.
    pub(crate) async fn begun(
        &mut self,
        client: &Client,
        name: &str,
        refused: &Error,
    ) -> Result<Option<Connector>, Failure> {
        if !refused.is(Code::NotFound) || !self.talk.may_ask() || !client.is_member() {
            return Ok(None);
        }
        let filter =
            ConnectorFilter { search: Some(name.to_owned()), limit: Some(100), ..ConnectorFilter::default() };
        let page = client.connectors(&filter).await?;
        let mut found: Vec<_> = page.connectors.into_iter().filter(|one| one.uid.starts_with(name)).collect();
        match found.len() {
            0 => Ok(None),
            1 if page.cursor.is_none() => {
                let found = found.remove(0);
                self.talk.say(&format!("{} it is", found.uid));
                Ok(Some(found))
            }
            _ => {
                let message = format!("Several connectors begin with {}.", plain(name));
                let failure = Failure::new("not_found", message).exit(Exit::NotFound);
                Err(found
                    .iter()
                    .take(5)
                    .fold(failure, |failure, one| failure.next(&one.uid, "if that was meant")))
            }
        }
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

    /// A client about the team that is meant. Where a file of this folder means a team that the credential is not for: one
    /// about the credential's own, for what says so and for what writes the file anew, and what is wrong.
    pub(crate) async fn client_of_a_team(&self) -> Result<(Client, Option<Failure>), Failure> {
        let client = self.settings.client_without_project()?;
        let Some(file) = self.settings.team_file() else { return Ok((client, None)) };
        match client.user().await {
            Err(error) if error.is(Code::Forbidden) && error.to_string() == OTHER_TEAM => {
                let message = format!("{file} is of a team that the credential is not for.");
                let failure = Failure::new("forbidden", message).exit(Exit::Denied);
                let failure =
                    failure.next(LINK, "to link this folder to a project of the credential's own team");
                Ok((self.settings.client_without_team()?, Some(failure)))
            }
            _ => Ok((client, None)),
        }
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

/// The command that gets an identity, which only a person can: the one that is not taken is set aside first.
fn new_identity(source: &str) -> String {
    match source {
        "CARNET_OIDC_TOKEN" | "CARNET_OIDC_TOKEN_FILE" => format!("unset {source}; carnet env pull"),
        _ => "carnet env pull".to_owned(),
    }
}

/// What the client says of a credential that cannot be sent.
const NO_HEADER: &str = "the credential holds a character that no header can carry";

/// From where shells and programs take variables.
const ENV_FILES: [&str; 2] = [".env.local", ".env"];

/// What the server says of a path at which it has nothing: the address that it was asked at is not its own.
const NOTHING_HERE: &str = "There is nothing at this path. The API is at the root of this address.";

/// What the server says where a request names a team that its credential is not for. `carnet whoami` names the same.
pub(crate) const OTHER_TEAM: &str = "The credential is not for the team that the request names.";

/// What writes the project file anew.
pub(crate) const LINK: &str = "carnet link PROJECT";

/// A command needs a project, and none is named.
pub(crate) fn no_project() -> Failure {
    Failure::usage("This folder is not linked to a project.")
        .next(LINK, "to link it")
        .next("carnet projects", "to see the projects there are")
}
