//! What a command finds around it: folder, variables, terminal, clock, browser. Read once, here, and handed in, so
//! that everything else can be run by a test in any surroundings.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use carnet_model::{Env, SecretString};
use url::Url;

use super::args::Global;
use super::browser;
use super::jq::Jq;
use super::talk::{Talk, Voice};

/// Everything.
pub(crate) struct Surroundings {
    /// Where output goes and input comes from.
    pub(crate) terminal: Terminal,
    /// The rest.
    pub(crate) place: Place,
}

/// Where output goes and input comes from.
pub(crate) struct Terminal {
    /// What a person types.
    pub(crate) stdin: Box<dyn BufRead>,
    /// The answer.
    pub(crate) stdout: Box<dyn Write>,
    /// The talk.
    pub(crate) stderr: Box<dyn Write>,
    /// Whether each is a terminal.
    pub(crate) stdin_tty: bool,
    /// Whether each is a terminal.
    pub(crate) stdout_tty: bool,
    /// Whether each is a terminal.
    pub(crate) stderr_tty: bool,
    /// Whether a terminal shows colour: neither `NO_COLOR` nor `TERM=dumb`.
    pub(crate) color: bool,
    /// Shows what is typed, or hides it.
    pub(crate) echo: fn(bool),
}

/// Everything but the terminal.
pub(crate) struct Place {
    /// Where the command was started.
    pub(crate) folder: PathBuf,
    /// The person's folder for settings, if there is one.
    pub(crate) config: Option<PathBuf>,
    /// Carnet's own variables.
    pub(crate) variables: Variables,
    /// The variable by which a coding agent says that it reads along.
    pub(crate) agent: Option<&'static str>,
    /// Clock and dice.
    pub(crate) env: Env,
    /// Opens a page.
    pub(crate) open: fn(&Url) -> io::Result<()>,
    /// Becomes another command, or says how it ended.
    pub(crate) become_command: fn(Command) -> io::Result<ExitCode>,
    /// How long to wait before looking again for something that a person does elsewhere.
    pub(crate) patience: Duration,
}

/// Carnet's own variables. An empty one counts as absent.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// `CARNET_URL`
    pub(crate) url: Option<String>,
    /// `CARNET_TOKEN`
    pub(crate) token: Option<SecretString>,
    /// `CARNET_OIDC_TOKEN`
    pub(crate) oidc_token: Option<SecretString>,
    /// `CARNET_OIDC_TOKEN_FILE`
    pub(crate) oidc_token_file: Option<PathBuf>,
    /// `CARNET_ALLOW_HTTP`: credentials may go without TLS to another machine.
    pub(crate) allow_http: bool,
    /// `CARNET_TEAM`
    pub(crate) team: Option<String>,
    /// `CARNET_PROJECT`
    pub(crate) project: Option<String>,
    /// `CARNET_CONTEXT`
    pub(crate) context: Option<String>,
    /// `CARNET_OUTPUT`
    pub(crate) output: Option<String>,
}

/// By these a coding agent says that it runs the shell.
const AGENTS: [&str; 8] = [
    "AI_AGENT",
    "AGENT",
    "CLAUDECODE",
    "CODEX_SANDBOX",
    "OPENCODE",
    "CLINE_ACTIVE",
    "CURSOR_AGENT",
    "GEMINI_CLI",
];

impl Surroundings {
    /// Those of this process.
    pub(crate) fn from_process() -> Self {
        let variables = Variables {
            url: variable("CARNET_URL"),
            token: variable("CARNET_TOKEN").map(SecretString::from),
            oidc_token: variable("CARNET_OIDC_TOKEN").map(SecretString::from),
            oidc_token_file: variable_as_is("CARNET_OIDC_TOKEN_FILE").map(PathBuf::from),
            allow_http: variable("CARNET_ALLOW_HTTP").as_deref() == Some("1"),
            team: variable("CARNET_TEAM"),
            project: variable("CARNET_PROJECT"),
            context: variable("CARNET_CONTEXT"),
            output: variable("CARNET_OUTPUT"),
        };
        let terminal = Terminal {
            // Not locked for good: a server may want to read, too.
            stdin: Box::new(io::BufReader::new(io::stdin())),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            stdin_tty: io::stdin().is_terminal(),
            stdout_tty: io::stdout().is_terminal(),
            stderr_tty: io::stderr().is_terminal(),
            color: variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb"),
            echo,
        };
        let says_yes = |value: String| !matches!(value.as_str(), "0" | "false" | "no");
        let place = Place {
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            // XDG Base Directory Specification: a relative path in the variable is to be ignored.
            config: variable_as_is("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute())
                .or_else(|| variable_as_is("HOME").map(|home| PathBuf::from(home).join(".config")))
                .map(|folder| folder.join("carnet")),
            variables,
            agent: AGENTS.into_iter().find(|name| variable(name).is_some_and(says_yes)),
            env: Env::system(),
            open: browser::open,
            become_command: |mut command| Err(command.exec()),
            patience: Duration::from_secs(2),
        };
        Self { terminal, place }
    }

    /// Parts them into who talks and the rest, as the flags say.
    pub(super) fn part(mut self, global: &Global) -> (Talk, Place) {
        if let Some(folder) = &global.cwd {
            self.place.folder = self.place.folder.join(folder);
        }
        let asked = global.asks_for_json() || self.place.variables.output.as_deref() == Some("json");
        let voice = Voice {
            json: asked,
            // Found sound when the flags were read.
            jq: global.jq.as_deref().and_then(|expression| Jq::read(expression).ok()),
            ask: !global.non_interactive && self.place.agent.is_none(),
            color: !global.no_color,
        };
        (Talk::new(self.terminal, voice), self.place)
    }
}

/// Of the terminal that stdin is, if it is one.
fn echo(shown: bool) {
    let stdin = io::stdin();
    if let Ok(mut terminal) = rustix::termios::tcgetattr(&stdin) {
        terminal.local_modes.set(rustix::termios::LocalModes::ECHO, shown);
        // If it cannot be hidden, it is typed in sight: the person sees that.
        let _ = rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Flush, &terminal);
    }
}

/// A variable as text. One that is none is not taken for absent: what else would be asked, and as whom? With a sign in the
/// place of what cannot be read it is refused by whoever needs it.
fn variable(name: &str) -> Option<String> {
    variable_as_is(name).map(|value| value.to_string_lossy().into_owned())
}

fn variable_as_is(name: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the command line reads the environment"
    )]
    let value = std::env::var_os(name);
    value.filter(|value| !value.is_empty())
}
