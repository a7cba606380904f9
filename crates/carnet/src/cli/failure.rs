//! Why a command failed: a stable code, a sentence, what mends it, and the exit code that follows.

use std::error::Error as StdError;
use std::io;
use std::process::ExitCode;

use carnet_model::{Code, Next};
use carnet_sdk::{Error, Refusal, is_loopback};
use serde_json::{Map, Value, json};
use url::Url;

/// A failed command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The stable code: the server's, or one of the command line's own.
    pub(crate) code: String,
    /// The thing and the cause.
    pub(crate) message: String,
    /// What mends it.
    pub(crate) next: Vec<Next>,
    /// The exit code.
    pub(crate) exit: Exit,
    /// Further members of the error object.
    pub(crate) extra: Map<String, Value>,
}

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line is wrong or lacks something.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Sign in first.
    SignIn = 4,
    /// A person must act: consent, install, register.
    Person = 5,
    /// A rule says no.
    Denied = 6,
    /// It exists already, or is in use.
    Conflict = 7,
    /// Try again later.
    Later = 8,
    /// No server answers.
    Unreachable = 9,
}

/// The exit codes and what they mean, for docs/cli.md.
pub(crate) const CODES: &[(Exit, &str)] = &[
    (Exit::Done, "done"),
    (Exit::Failed, "failed"),
    (Exit::Usage, "the command line is wrong or lacks something, as the server sees it too"),
    (Exit::NotFound, "there is no such thing"),
    (Exit::SignIn, "sign in first, or the credential has ended"),
    (Exit::Person, "a person must act: consent, install, register; `next` names the page"),
    (Exit::Denied, "a rule says no"),
    (Exit::Conflict, "it exists already, is in use, or was changed meanwhile"),
    (Exit::Later, "the provider or the server asks to wait; `retryAfter` says how many seconds"),
    (Exit::Unreachable, "no server answers"),
];

impl Failure {
    /// With a code of the command line's own; exits with 1 unless told otherwise.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            next: Vec::new(),
            exit: Exit::Failed,
            extra: Map::new(),
        }
    }

    /// The command line is wrong or lacks something.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message).exit(Exit::Usage)
    }

    /// Whoever read the answer has stopped reading. There is nobody to tell.
    pub(crate) fn unheard() -> Self {
        Self::new(UNHEARD, "Nobody reads the answer.")
    }

    /// Whether there is nobody to tell.
    pub(crate) fn is_unheard(&self) -> bool {
        self.code == UNHEARD
    }

    /// Exits with this code.
    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds a step that mends it.
    #[must_use]
    pub(crate) fn next(mut self, command: impl Into<String>, when: impl Into<String>) -> Self {
        self.next.push(Next { command: command.into(), when: when.into() });
        self
    }

    /// Adds what happened at the bottom of an error: the layers between are a library's own words.
    #[must_use]
    pub(crate) fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        let mut root = error;
        while let Some(source) = root.source() {
            root = source;
        }
        self.message = format!("{} ({root})", self.message.trim_end_matches('.'));
        self
    }

    /// The JSON document.
    pub(crate) fn document(&self) -> Value {
        let mut error = self.extra.clone();
        error.insert("code".to_owned(), self.code.clone().into());
        error.insert("message".to_owned(), self.message.clone().into());
        error.insert("next".to_owned(), json!(self.next));
        json!({ "error": error })
    }

    fn refused(refusal: &Refusal) -> Self {
        let mut failure = Self::new(&refusal.code, &refusal.message).exit(exit_of(refusal));
        if failure.code.is_empty() {
            "unexpected_answer".clone_into(&mut failure.code);
        }
        failure.extra.clone_from(&refusal.extra);
        failure.extra.insert("status".to_owned(), refusal.status.into());
        if let Some(id) = &refusal.request_id {
            failure.extra.insert("requestId".to_owned(), id.clone().into());
        }
        if let Some(seconds) = refusal.retry_after {
            failure.extra.insert("retryAfter".to_owned(), seconds.into());
        }
        for name in ["authorizationUrl", "installationUrl", "registerUrl"] {
            if let Some(url) = refusal.text(name) {
                failure = failure.next(url, "to open in a browser");
            }
        }
        for step in &refusal.next {
            if !failure.next.iter().any(|known| known.command == step.command) {
                failure = failure.next(&step.command, &step.when);
            }
        }
        if failure.next.is_empty() && refusal.code.is_empty() {
            return failure.next(OTHER_SERVER.0, OTHER_SERVER.1);
        }
        // What was asked for cannot be: what the command takes says more than a look at the machine.
        let was_asked_wrongly =
            matches!(failure.exit, Exit::Failed | Exit::Usage) && (400..500).contains(&refusal.status);
        if failure.next.is_empty() && !was_asked_wrongly {
            let (command, when) = match failure.exit {
                Exit::NotFound => ("carnet list --all-projects", "to see the connectors there are"),
                Exit::Denied => ("carnet whoami", "to see as whom you ask"),
                _ => ("carnet doctor", "to see what is wrong"),
            };
            failure = failure.next(command, when);
        }
        failure
    }
}

/// An error and what is behind it, the innermost last.
fn layers<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// Whether what came back begins like no answer of a server that speaks TLS (RFC 8446 §5.1: the type of a record).
fn speaks_no_tls(error: &(dyn StdError + 'static)) -> bool {
    layers(error).last().is_some_and(|root| root.to_string().contains("InvalidContentType"))
}

/// Whether nobody listens there.
fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    layers(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

const UNHEARD: &str = "unheard";

/// What mends an address at which something else answers.
const OTHER_SERVER: (&str, &str) = ("export CARNET_URL=https://…", "with the address of a Carnet server");

/// The code decides; the status only where a code is unknown or something other than Carnet answered.
fn exit_of(refusal: &Refusal) -> Exit {
    if refusal.text("registerUrl").is_some() {
        return Exit::Person;
    }
    match refusal.known_code() {
        Some(code) => exit_of_known(code),
        None if refusal.code == "connector_installation_required" => Exit::Person,
        None => match refusal.status {
            401 => Exit::SignIn,
            403 => Exit::Denied,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            429 | 502..=504 => Exit::Later,
            _ => Exit::Failed,
        },
    }
}

/// The exit code of a refusal with this code.
pub(crate) fn exit_of_code(code: &str) -> Exit {
    Code::parse(code).map_or(Exit::Failed, exit_of_known)
}

fn exit_of_known(code: Code) -> Exit {
    match code {
        Code::InvalidRequest => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unauthorized => Exit::SignIn,
        Code::UserAuthorizationRequired | Code::InstallationRequired | Code::RegistrationRequired => {
            Exit::Person
        }
        Code::Forbidden | Code::EnvironmentNotLinked => Exit::Denied,
        Code::Conflict => Exit::Conflict,
        Code::RateLimited
        | Code::QuotaExceeded
        | Code::ProviderAnswerInvalid
        | Code::ProviderUnavailable
        | Code::StoreUnavailable
        | Code::Unavailable => Exit::Later,
        _ => Exit::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused(refusal) => Self::refused(refusal),
            Error::Unreachable { origin, source, .. } => {
                if let (Some(rest), true) = (origin.strip_prefix("https://"), speaks_no_tls(source)) {
                    let message = format!("{origin} cannot be used: the server there speaks no TLS.");
                    return Self::new("unreachable", message)
                        .exit(Exit::Unreachable)
                        .next(format!("export CARNET_URL=http://{rest}"), "if it is meant to speak none");
                }
                let failure =
                    Self::new("unreachable", error.to_string()).because(source).exit(Exit::Unreachable);
                if Url::parse(origin).is_ok_and(|url| is_loopback(&url)) && is_refused(source) {
                    failure.next("carnet dev", "to start a development server")
                } else {
                    failure.next("carnet doctor", "to see what is in the way")
                }
            }
            Error::PlainHttp { .. } => Self::new("insecure_address", format!("{error}."))
                .exit(Exit::SignIn)
                .next(OTHER_SERVER.0, "if the server has an https address")
                .next("export CARNET_ALLOW_HTTP=1", "if nobody else is on the way there"),
            Error::InvalidArgument(_) => {
                Self::usage(error.to_string()).next("carnet --help", "to see what there is")
            }
            _ => Self::new("unexpected_answer", error.to_string())
                .next(OTHER_SERVER.0, OTHER_SERVER.1)
                .next("carnet doctor", "to see whether this is a Carnet server of the same version"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new("failed", format!("{error:#}")),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl StdError for Failure {}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
