//! Which server, as whom, about which team and project.
//!
//! First the flags, then the variables, then the nearest `.carnet/project.json`, then the nearest `.carnet/dev.json`, then
//! the current context.
//! A file names a server in a folder that may have come from anywhere, so a credential goes only where it belongs:
//! one from `dev.json` to that server alone, one from a variable never to a server that only a file names, unless it
//! is on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carnet_model::SecretString;
use carnet_sdk::{Builder, Client, Credential, IdentityFile, TeamRef, is_loopback};
use url::{Origin, Url};

use super::args::Global;
use super::failure::{Exit, Failure};
use super::folder::{DevFile, ProjectFile, nearest};
use super::logins::{self, Known, Logins};
use super::surroundings::{Place, Variables};

/// A value and where it came from, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found<T> {
    /// The value.
    pub(crate) value: T,
    /// A flag, a variable or a file.
    pub(crate) source: String,
    in_file: bool,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The server.
    pub(crate) url: Option<Found<Url>>,
    /// Whether credentials may go without TLS to another machine.
    pub(crate) allow_http: bool,
    /// As whom.
    pub(crate) credential: Option<Found<Login>>,
    /// About which team.
    pub(crate) team: Option<Found<String>>,
    /// About which project, by identifier or name.
    pub(crate) project: Option<Found<String>>,
    /// The nearest project file.
    pub(crate) project_file: Option<PathBuf>,
    /// The nearest file of a development server.
    pub(crate) dev_file: Option<PathBuf>,
    /// The sign-in that the credential is of, if it is of one.
    pub(crate) kept_login: Option<logins::Login>,
    /// Why the project file cannot be used.
    pub(crate) project_problem: Option<Failure>,
    /// Why the development server's file cannot be used.
    pub(crate) dev_problem: Option<Failure>,
    /// Why the context that was named cannot be used.
    pub(crate) context_problem: Option<Failure>,
    /// Why the file of sign-ins cannot be used.
    pub(crate) login_problem: Option<Failure>,
}

/// What proves who calls.
#[derive(Debug)]
pub(crate) enum Login {
    /// A person's access token.
    AccessToken(SecretString),
    /// A workload identity.
    Identity(SecretString),
    /// A workload identity in a file that somebody keeps fresh, and what stands there now.
    IdentityFile(PathBuf, Arc<SecretString>),
}

impl Login {
    /// The workload identity, if it is one.
    pub(crate) fn identity(&self) -> Option<&SecretString> {
        match self {
            Self::AccessToken(_) => None,
            Self::Identity(token) => Some(token),
            Self::IdentityFile(_, token) => Some(token),
        }
    }
}

impl Settings {
    /// Looks everywhere. A file that cannot be used is a problem only for who needs it.
    pub(crate) fn find(global: &Global, place: &Place) -> Result<Self, Failure> {
        let mut settings = Self::default();
        let variables = &place.variables;
        settings.allow_http = variables.allow_http;
        settings.project_file = nearest(&place.folder, ProjectFile::NAME);
        settings.dev_file = nearest(&place.folder, DevFile::NAME);
        let project_file =
            keep(settings.project_file.as_deref(), ProjectFile::read, &mut settings.project_problem);
        let dev_file = keep(settings.dev_file.as_deref(), DevFile::read, &mut settings.dev_problem);

        let logins = match place.config.as_deref().map(Logins::read) {
            Some(Err(problem)) => {
                settings.login_problem = Some(problem);
                Logins::default()
            }
            Some(Ok(logins)) => logins,
            None => Logins::default(),
        };
        // Named on the line, or by the variable: both are the person's own words, a file is not.
        let by_flag = global.context.as_deref();
        let by_variable = variables.context.as_deref().filter(|_| by_flag.is_none());
        let mut named = |name: Option<&str>| {
            let expected = logins.expect(name?);
            let unreadable = settings.login_problem.clone();
            expected.map_err(|absent| settings.context_problem = Some(unreadable.unwrap_or(absent))).ok()
        };
        let (flagged, variable) = (named(by_flag), named(by_variable));
        let current = logins.current().and_then(|name| logins.named(name));
        let of_context = |known: &Known| format!("context {}", known.name);
        let server_of = |known: &Option<Known>, told: bool| match known {
            Some(known) => {
                let source = of_context(known);
                let value = address(&known.url, &source)?;
                Ok::<_, Failure>(Some(Found { value, source, in_file: !told }))
            }
            None => Ok(None),
        };

        settings.url = if let Some(url) = &global.url {
            Some(told(address(url, "--url")?, "--url"))
        } else if let Some(found) = server_of(&flagged, true)? {
            Some(found)
        } else if let Some(url) = &variables.url {
            Some(told(address(url, "CARNET_URL")?, "CARNET_URL"))
        } else if let Some(found) = server_of(&variable, true)? {
            Some(found)
        } else if let Some((url, path)) = project_file
            .as_ref()
            .map(|(file, path)| (&file.url, path))
            .or_else(|| dev_file.as_ref().map(|(file, path)| (&file.url, path)))
        {
            Some(read(address(url, path)?, path))
        } else {
            server_of(&current, false)?
        };
        let same_server = |url: &str| {
            let here = settings.url.as_ref().map(|url| url.value.origin());
            matches!((here, origin(url)), (Some(here), Some(there)) if here == there)
        };
        let project_file = project_file.filter(|(file, _)| same_server(&file.url));
        let dev_file = dev_file.filter(|(file, _)| same_server(&file.url));
        let flagged = flagged.filter(|known| same_server(&known.url));
        let variable = variable.filter(|known| same_server(&known.url));
        let usual = settings.url.as_ref().and_then(|url| logins.at(&url.value));

        let team_of = |known: &Option<Known>| {
            let known = known.as_ref()?;
            Some(told(known.team.clone()?, &of_context(known)))
        };
        let login_of = |known: &Option<Known>, told: bool| {
            let known = known.as_ref()?;
            let login = known.login.as_ref()?;
            let value = Login::AccessToken(login.access.duplicate());
            Some(Found { value, source: of_context(known), in_file: !told })
        };
        let of_variables = match login_of(&flagged, true) {
            Some(_) => None,
            None => variable_login(variables)?,
        };
        let (of_flag, of_context_variable) = (login_of(&flagged, true), login_of(&variable, true));
        let of_dev = dev_file
            .as_ref()
            .map(|(file, path)| read(Login::AccessToken(file.access_token.duplicate()), path));
        let of_usual = login_of(&usual, false);
        let kept = |known: Option<Known>| known.and_then(|known| known.login);
        let uses_usual =
            of_flag.is_none() && of_variables.is_none() && of_context_variable.is_none() && of_dev.is_none();

        settings.team = global
            .team
            .clone()
            .map(|team| told(team, "--team"))
            .or_else(|| team_of(&flagged))
            .or_else(|| variables.team.clone().map(|team| told(team, "CARNET_TEAM")))
            .or_else(|| team_of(&variable))
            .or_else(|| project_file.as_ref().map(|(file, path)| read(file.team_id.to_string(), path)))
            .or_else(|| dev_file.as_ref().map(|(file, path)| read(file.team_id.to_string(), path)))
            .or_else(|| team_of(&usual).filter(|_| uses_usual));
        settings.project = match (&variables.project, &project_file, &dev_file) {
            (Some(project), ..) => Some(told(project.clone(), "CARNET_PROJECT")),
            (None, Some((file, path)), _) => Some(read(file.project_id.to_string(), path)),
            // A project file that cannot be read may name another project than the development server's.
            (None, None, Some((file, path))) if settings.project_problem.is_none() => {
                Some(read(file.project_id.to_string(), path))
            }
            (None, None, _) => None,
        };
        settings.kept_login = if of_flag.is_some() {
            kept(flagged)
        } else if of_variables.is_none() && of_context_variable.is_some() {
            kept(variable)
        } else if uses_usual {
            kept(usual)
        } else {
            None
        };
        settings.credential = of_flag.or(of_variables).or(of_context_variable).or(of_dev).or(of_usual);
        Ok(settings)
    }

    /// A client with what was found, or what is missing and how to get it.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let (Some(problem), None) = (&self.project_problem, &self.project) {
            return Err(if self.url.is_none() { self.no_server() } else { problem.clone() });
        }
        self.client_without_project()
    }

    /// Begins a client of a server.
    pub(crate) fn builder(&self, url: Url) -> Builder {
        Client::builder(url).allow_plain_http(self.allow_http)
    }

    /// The same for a command that does not need the project file, or writes it.
    pub(crate) fn client_without_project(&self) -> Result<Client, Failure> {
        self.client_for(self.team.as_ref())
    }

    /// The same about the credential's own team.
    pub(crate) fn client_without_team(&self) -> Result<Client, Failure> {
        self.client_for(None)
    }

    /// The file of this folder that says which team is meant.
    pub(crate) fn team_file(&self) -> Option<&str> {
        self.team.as_ref().filter(|team| team.in_file).map(|team| team.source.as_str())
    }

    fn client_for(&self, team: Option<&Found<String>>) -> Result<Client, Failure> {
        if let Some(problem) = &self.context_problem {
            return Err(problem.clone());
        }
        let url = self.url.as_ref().ok_or_else(|| self.no_server())?;
        let login = self.credential.as_ref().ok_or_else(|| self.no_credential(&url.value))?;
        if url.in_file && !login.in_file && !is_loopback(&url.value) {
            let message = format!(
                "{} is set, but only {} says which server it is for: {}.",
                login.source, url.source, url.value
            );
            let command = format!("export CARNET_URL={}", url.value.origin().ascii_serialization());
            return Err(Failure::new("server_not_confirmed", message)
                .exit(Exit::SignIn)
                .next(command, "if that is your server"));
        }
        let credential = match &login.value {
            Login::AccessToken(token) => Credential::AccessToken(token.duplicate()),
            Login::Identity(token) => Credential::Identity(token.duplicate()),
            Login::IdentityFile(path, _) => Credential::IdentityFile(IdentityFile::new(path)),
        };
        let builder = self.builder(url.value.clone()).credential(credential);
        let builder = match team {
            Some(team) => builder.team(TeamRef::parse(&team.value)),
            None => builder,
        };
        builder.build().map_err(Failure::from)
    }

    fn no_server(&self) -> Failure {
        if let (Some(path), Some(problem)) = (&self.project_file, &self.project_problem) {
            // Nothing but the broken file said where the server is.
            return Failure { next: Vec::new(), ..problem.clone() }
                .next("carnet link PROJECT --url https://…", "to write it anew, with the server's address")
                .next(format!("rm '{}'", path.display()), "if the folder is no project's");
        }
        let problems = [&self.dev_problem, &self.login_problem];
        problems.into_iter().flatten().next().cloned().unwrap_or_else(|| {
            Failure::new(
                "no_server",
                "No server is named, and no development server was started in this folder.",
            )
            .exit(Exit::SignIn)
            .next("carnet dev", "to start a development server here")
            .next("carnet login https://…", "to use a server that runs elsewhere")
        })
    }

    fn no_credential(&self, url: &Url) -> Failure {
        self.dev_problem.clone().or_else(|| self.login_problem.clone()).unwrap_or_else(|| {
            let server = url.origin().ascii_serialization();
            let message = format!("There is no credential for {}.", url.origin().ascii_serialization());
            Failure::new("no_credential", message)
                .exit(Exit::SignIn)
                .next(format!("carnet login {server}"), "to sign in")
                .next("export CARNET_TOKEN=crn_…", "with an access token of that server")
                .next("carnet dev", "to start a development server here instead")
        })
    }
}

fn variable_login(variables: &Variables) -> Result<Option<Found<Login>>, Failure> {
    if let Some(token) = &variables.token {
        return Ok(Some(told(Login::AccessToken(trimmed(token)), "CARNET_TOKEN")));
    }
    if let Some(token) = &variables.oidc_token {
        return Ok(Some(told(Login::Identity(trimmed(token)), "CARNET_OIDC_TOKEN")));
    }
    let Some(path) = &variables.oidc_token_file else { return Ok(None) };
    let token = IdentityFile::new(path).read().map_err(|error| {
        Failure::new(
            "no_credential",
            format!("{}, named by CARNET_OIDC_TOKEN_FILE, cannot be read.", path.display()),
        )
        .because(&error)
        .exit(Exit::SignIn)
        .next("unset CARNET_OIDC_TOKEN_FILE", "if it is no longer meant")
    })?;
    Ok(Some(told(Login::IdentityFile(path.clone(), token), "CARNET_OIDC_TOKEN_FILE")))
}

/// Without what a file or a clipboard put around it: no credential ends with the end of a line.
fn trimmed(token: &SecretString) -> SecretString {
    SecretString::new(token.expose().trim().to_owned())
}

fn keep<T>(
    path: Option<&Path>,
    read: impl Fn(&Path) -> Result<T, Failure>,
    problem: &mut Option<Failure>,
) -> Option<(T, String)> {
    let path = path?;
    match read(path) {
        Ok(file) => Some((file, path.display().to_string())),
        Err(failure) => {
            *problem = Some(failure);
            None
        }
    }
}

pub(crate) fn address(text: &str, source: &str) -> Result<Url, Failure> {
    let refused = |why: &str| Failure::usage(format!("The address of the server in {source} {why}."));
    let next = ("export CARNET_URL=https://…", "with the address of the server");
    match Url::parse(text) {
        // They would be sent in the place of the credential that is meant.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(refused("has a user name or a password in it, which no server here takes")
                .next(next.0, next.1))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(refused("is not a URL that begins with https:// or http://").next(next.0, next.1)),
    }
}

fn origin(text: &str) -> Option<Origin> {
    Url::parse(text).ok().map(|url| url.origin()).filter(Origin::is_tuple)
}

fn told<T>(value: T, source: &str) -> Found<T> {
    Found { value, source: source.to_owned(), in_file: false }
}

fn read<T>(value: T, path: &str) -> Found<T> {
    Found { value, source: path.to_owned(), in_file: true }
}
