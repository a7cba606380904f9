//! Commands and their flags. Names and flags of the connector commands are those of `vercel connect`.

mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use trust::{NewTrustArgs, TrustArgs, TrustVerb, TrustedRemoveArgs};

/// Short-lived tokens for agents and services; the long-lived secrets stay here.
#[derive(Debug, Parser)]
#[command(name = "carnet", version, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Answer with one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The same as --json
    #[arg(short = 'F', long, global = true, value_name = "FORMAT", value_parser = ["json"])]
    pub(crate) format: Option<String>,
    /// The team, by identifier or short name [env: CARNET_TEAM]
    #[arg(short = 'S', long, alias = "scope", global = true, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    /// Act as if started in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Never ask; say what is missing instead
    #[arg(long, alias = "no-input", global = true)]
    pub(crate) non_interactive: bool,
    /// No colour
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// The server, for this once
    #[arg(id = "url", long = "url", global = true, hide = true, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a complete development server in the foreground
    Dev(DevArgs),
    /// Start a production server in the foreground
    Serve(ServeArgs),
    /// Copy the data of a deployment while it runs, and see that the copy is whole
    Backup(BackupArgs),
    /// Make of a backup the data of a deployment, or only look through it
    Restore(RestoreArgs),
    /// Everything that asks a server.
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the version
    Version,
}

/// What to ask a server.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// The connector commands, also without the word `connect`
    #[command(flatten)]
    Verb(Verb),
    /// The connector commands under their other name
    #[command(subcommand_required = true)]
    Connect {
        /// Which.
        #[command(subcommand)]
        verb: ConnectVerb,
    },
    /// Make this folder a project's
    Link(LinkArgs),
    /// The variables that a program needs to ask for tokens
    Env {
        /// Which.
        #[command(subcommand)]
        verb: EnvVerb,
    },
    /// The team's projects
    Projects {
        /// Which.
        #[command(subcommand)]
        verb: Option<ProjectsVerb>,
    },
    /// The audit log
    Audit {
        /// Which.
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// The keys of the deployment: how they stand, and turning them
    Keys {
        /// Which.
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Say as whom, of which team and at which server commands act
    Whoami,
    /// Look for what is wrong, and name what mends it
    Doctor,
}

/// What to do with connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register a connector, attached to the linked project
    Create(CreateArgs),
    /// List connectors: the linked project's, or all
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a connector: what it is, who may ask it, whose grants it has
    Show(ConnectorArgs),
    /// Ask for a token and print it
    Token(TokenArgs),
    /// Let a project ask a connector for tokens
    Attach(AttachArgs),
    /// Stop a project from asking a connector for tokens
    Detach(DetachArgs),
    /// Compare what a connector's server says about itself with what is pinned
    Check(CheckArgs),
    /// Remove a connector and everything kept for it
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Revoke what a connector has given out
    RevokeTokens(RevokeArgs),
    /// Keep tokens that users gave somewhere else, as if they had consented here
    ImportTokens(ImportArgs),
}

/// What stands behind the word `connect`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectVerb {
    /// What also stands without it.
    #[command(flatten)]
    Verb(Verb),
    /// Show the public signing keys of a connector, or make a new one
    Keys(ConnectorKeysArgs),
}

/// `carnet connect keys`
#[derive(Debug, Args)]
pub(crate) struct ConnectorKeysArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Make a new key; it signs when every verifier can have seen it
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A connector by name.
#[derive(Debug, Args)]
pub(crate) struct ConnectorArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
}

/// `carnet dev`
#[derive(Debug, Default, Args)]
pub(crate) struct DevArgs {
    /// Where to keep everything
    #[arg(long, value_name = "DIR", default_value = ".carnet")]
    pub(crate) data: PathBuf,
    /// The port on the loopback interface
    #[arg(long, value_name = "N", default_value_t = 7070)]
    pub(crate) port: u16,
    /// Do not open the dashboard
    #[arg(long)]
    pub(crate) no_open: bool,
    /// Keep nothing after the end
    #[arg(long)]
    pub(crate) memory: bool,
    /// Keep everything in this PostgreSQL database instead: postgres://…
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    pub(crate) database_url: Option<String>,
    /// Send what would go to one origin to another: `https://slack.com=http://127.0.0.1:9411`
    #[arg(long, value_name = "A=B")]
    pub(crate) provider_origin: Vec<String>,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

/// `carnet serve`
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// The public address: https://…
    #[arg(id = "url", long = "url", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where to keep everything
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    pub(crate) data: Option<PathBuf>,
    /// The PostgreSQL database: postgres://…
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration in force, without its secrets, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

/// Where the data of a deployment is and what opens it, for the commands that work on files.
#[derive(Debug, Default, Args)]
pub(crate) struct KeptArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The PostgreSQL database: says which of its tools to use
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) database_url: Option<String>,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

/// `carnet backup`
#[derive(Debug, Default, Args)]
pub(crate) struct BackupArgs {
    /// The folder to make; it must not exist
    #[arg(value_name = "BACKUP")]
    pub(crate) to: PathBuf,
    /// Of what.
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// Do not open what is sealed: the root key is not at hand here
    #[arg(long)]
    pub(crate) without_key: bool,
}

/// `carnet restore`
#[derive(Debug, Default, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    pub(crate) from: PathBuf,
    /// Into what: a folder that does not exist, or is empty.
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// Only look through the backup
    #[arg(long)]
    pub(crate) verify: bool,
}

/// `carnet create`
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// A service (slack), a host (mcp.linear.app) or a URL (`https://mcp.example.com/mcp`)
    pub(crate) service: String,
    /// What people will call it
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// service/name; made from the other two if left out
    #[arg(long)]
    pub(crate) uid: Option<String>,
    /// What the type needs, as JSON, @FILE or @- for stdin; empty to print what it may hold
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// The type, when the service does not decide it: oauth, api-key
    #[arg(long, value_name = "TYPE", requires = "data")]
    pub(crate) connector_type: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet list`
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Not only the linked project's
    #[arg(long)]
    pub(crate) all_projects: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Go on where the last list ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) next: Option<String>,
    /// Only with this text in the name or UID
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// Only of this service
    #[arg(long, value_delimiter = ',')]
    pub(crate) service: Vec<String>,
    /// Only of this type
    #[arg(long, value_delimiter = ',')]
    pub(crate) r#type: Vec<String>,
}

/// `carnet token`
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Who the token acts as; without it, you
    #[arg(short, long, value_enum)]
    pub(crate) subject: Option<SubjectArg>,
    /// The installation, where the connector has several
    #[arg(long, value_name = "ID")]
    pub(crate) installation_id: Option<String>,
    /// Exactly these scopes, separated by commas or spaces
    #[arg(long)]
    pub(crate) scopes: Option<String>,
    /// No scopes, instead of the connector's own
    #[arg(long)]
    pub(crate) no_default_scopes: bool,
    /// Print it even where a coding agent reads along
    #[arg(long)]
    pub(crate) print: bool,
    /// Open the browser for consent without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Who a token acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectArg {
    /// The application itself
    App,
    /// You
    User,
}

/// `carnet attach`
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The project; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// Where: production, preview, development or one of your own; all three if left out
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) environment: Vec<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet detach`
#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The project; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Pin what the server says now, and renew what it has registered for the connector
    #[arg(long)]
    pub(crate) accept: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Even if projects are attached
    #[arg(short = 'a', long)]
    pub(crate) disconnect_all: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet revoke-tokens`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true))]
pub(crate) struct RevokeArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Yours
    #[arg(long, group = "whose")]
    pub(crate) my_tokens: bool,
    /// Everybody's
    #[arg(long, group = "whose")]
    pub(crate) all_tokens: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet import-tokens`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// A JSON list of tokens: @FILE, or - for stdin
    #[arg(value_name = "@FILE")]
    pub(crate) tokens: String,
    /// Let them take the place of other accounts' grants that work
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `carnet link`
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Identifier or name; can be left out where there is only one
    pub(crate) project: Option<String>,
    /// Taken for compatibility; nothing is asked
    #[arg(short, long, hide = true)]
    pub(crate) yes: bool,
}

/// What to do with the variables.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvVerb {
    /// Write them into a file, leaving its other lines as they are
    Pull(PullArgs),
    /// Print them for eval "$(carnet env print)"
    Print(PrintArgs),
}

/// `carnet env pull`
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The file
    #[arg(default_value = ".env.local")]
    pub(crate) file: PathBuf,
    /// The environment that the program runs in
    #[arg(long, default_value = "development")]
    pub(crate) environment: String,
    /// Taken for compatibility; nothing is asked
    #[arg(short, long, hide = true)]
    pub(crate) yes: bool,
}

/// `carnet env print`
#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    /// The environment that the program runs in
    #[arg(long, default_value = "development")]
    pub(crate) environment: String,
}

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectsVerb {
    /// List them
    #[command(visible_alias = "ls")]
    List(ProjectsListArgs),
    /// Make one
    Create(ProjectNameArgs),
    /// Show one, with its environments
    Show(ProjectArgs),
    /// Remove one, its links and what is kept for it
    #[command(visible_alias = "rm")]
    Remove(ProjectRemoveArgs),
    /// Accept the identities of another issuer as this project's
    Trust(Box<TrustArgs>),
}

impl DevArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self { data: folder.join(self.data), folder: folder.to_owned(), json, ..self }
    }
}

impl ServeArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self {
            data: self.data.map(|path| folder.join(path)),
            config: self.config.map(|path| folder.join(path)),
            folder: folder.to_owned(),
            json,
            ..self
        }
    }
}

impl KeptArgs {
    fn at(self, folder: &Path, json: bool) -> Self {
        Self {
            data: self.data.map(|path| folder.join(path)),
            config: self.config.map(|path| folder.join(path)),
            folder: folder.to_owned(),
            json,
            ..self
        }
    }

    /// The flags by which `serve` would find the same data and key.
    pub(crate) fn as_served(&self) -> ServeArgs {
        ServeArgs {
            data: self.data.clone(),
            config: self.config.clone(),
            database_url: self.database_url.clone(),
            folder: self.folder.clone(),
            ..ServeArgs::default()
        }
    }
}

impl BackupArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self { to: folder.join(self.to), kept: self.kept.at(folder, json), ..self }
    }
}

impl RestoreArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self { from: folder.join(self.from), kept: self.kept.at(folder, json), ..self }
    }
}

impl Default for ProjectsVerb {
    fn default() -> Self {
        Self::List(ProjectsListArgs::default())
    }
}

/// `carnet projects list`
#[derive(Debug, Default, Args)]
pub(crate) struct ProjectsListArgs {
    /// Only with this text in the name
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

/// A project to be made.
#[derive(Debug, Args)]
pub(crate) struct ProjectNameArgs {
    /// Its name
    pub(crate) name: String,
}

/// A project by name.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// Identifier or name; the linked one if left out
    pub(crate) project: Option<String>,
}

/// `carnet projects remove`
#[derive(Debug, Args)]
pub(crate) struct ProjectRemoveArgs {
    /// Identifier or name
    pub(crate) project: String,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// The latest events, oldest first
    Tail(TailArgs),
}

/// `carnet audit tail`
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Go on as events come; with --json, one document a line
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Only this action: token.issue
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// Only about this connector
    #[arg(long)]
    pub(crate) connector: Option<String>,
    /// Only with this outcome
    #[arg(long, value_parser = ["success", "denied", "failed"])]
    pub(crate) outcome: Option<String>,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Which versions there are, how far each turn has come, and what stands in the way
    Status,
    /// Make a new version of a key and use it, without a pause
    Rotate(KeysRotateArgs),
    /// Open everything that is sealed, and count
    Verify,
}

/// `carnet keys rotate`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct KeysRotateArgs {
    /// The key
    #[arg(group = "what", value_enum)]
    pub(crate) kind: Option<KeyArg>,
    /// All of them, because they may be known to somebody; prints what must be done at the providers
    #[arg(long, group = "what")]
    pub(crate) compromised: bool,
    /// With kek: drop what the present root-key provider wrapped
    #[arg(long, conflicts_with_all = ["cancel", "compromised"])]
    pub(crate) finish: bool,
    /// With kek: drop what the next root-key provider wrapped
    #[arg(long, conflicts_with = "compromised")]
    pub(crate) cancel: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A key that can be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyArg {
    /// From the present root-key provider to next_root_key
    Kek,
    /// The root key, which wraps the others
    Root,
    /// Your team's key, which seals its secrets
    Team,
    /// By which access tokens are found
    Pepper,
    /// Carnet's own identity tokens
    Signing,
}

/// `carnet completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, action = ArgAction::Set)]
    pub(crate) shell: clap_complete::Shell,
}

/// Whether a command line that could not be read asks for JSON: its failure has to be JSON too.
pub(crate) fn asks_for_json(args: &[OsString]) -> bool {
    let words = args.iter().skip(1).take_while(|word| *word != "--").collect::<Vec<_>>();
    words.iter().any(|word| *word == "--json" || *word == "-Fjson" || *word == "--format=json")
        || words.windows(2).any(|pair| matches!(pair, [flag, value] if (*flag == "-F" || *flag == "--format") && *value == "json"))
}

/// The first paragraph of what clap says, as one line without its label.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests;
