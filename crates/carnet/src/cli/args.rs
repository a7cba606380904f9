//! Commands and their flags, a file for each family. This one has the tree and what every command takes.

mod admin;
mod ask;
mod audit;
mod catalog;
mod connect;
mod contexts;
mod doctor;
mod keys;
mod login;
mod managed;
mod people;
mod project;
mod run;
mod servers;
mod shell;
mod transfer;
mod triggers;
mod trust;
mod usage;
mod who;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

pub(crate) use admin::{AdminArgs, AdminVerb};
pub(crate) use ask::{AskArgs, SubjectArg};
pub(crate) use audit::{AuditVerb, ExportArgs, TailArgs};
pub(crate) use catalog::{CatalogSearchArgs, CatalogShowArgs, CatalogVerb};
pub(crate) use connect::{
    AttachArgs, CheckArgs, ConnectVerb, ConnectorArgs, ConnectorKeysArgs, ContactArgs, ContactsVerb,
    CreateArgs, DetachArgs, EjectArgs, ImportArgs, ListArgs, OpenArgs, RedirectUrisArgs, RemoveArgs,
    RevokeArgs, TokenArgs, UpdateArgs, Verb,
};
pub(crate) use contexts::{ContextAddArgs, ContextArgs, ContextRemoveArgs, ContextVerb};
pub(crate) use doctor::DoctorArgs;
pub(crate) use keys::{KeyArg, KeysRotateArgs, KeysVerb};
pub(crate) use login::{LoginArgs, LogoutArgs};
pub(crate) use managed::{
    ManagedAddArgs, ManagedRemoveArgs, ManagedShowArgs, ManagedUpdateArgs, ManagedVerb,
};
pub(crate) use people::{
    InviteArgs, MemberRemoveArgs, MemberResetArgs, MemberUpdateArgs, MembersVerb, RoleArg, Switch,
    TeamCreateArgs, TeamJoinArgs, TeamUpdateArgs, TeamsVerb, TokenCreateArgs, TokenRevokeArgs,
    TokensListArgs, TokensVerb, WithdrawArgs,
};
pub(crate) use project::{
    EnvVerb, HealthWebhookArgs, LinkArgs, PrintArgs, ProjectArgs, ProjectNameArgs, ProjectRemoveArgs,
    ProjectsListArgs, ProjectsVerb, PullArgs,
};
pub(crate) use run::RunArgs;
pub(crate) use servers::{BackupArgs, BackupCommand, BackupVerb, DevArgs, RestoreArgs, ServeArgs};
pub(crate) use shell::{CompleteArgs, CompletionsArgs, ManArgs};
pub(crate) use transfer::{ExportAllArgs, ImportAllArgs, Source};
pub(crate) use triggers::{
    DeliveriesListArgs, DeliveriesVerb, DeliveryArgs, NewTriggerArgs, ProjectUrlArgs, TriggerArgs,
    TriggerChangeArgs,
};
pub(crate) use trust::{NewTrustArgs, TrustArgs, TrustVerb, TrustedRemoveArgs};
pub(crate) use usage::UsageArgs;
pub(crate) use who::{
    ExplainArgs, GrantArgs, GrantRevokeArgs, GrantsListArgs, GrantsVerb, InstallationAddArgs,
    InstallationRemoveArgs, InstallationsVerb,
};

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
    /// Answer with one JSON document on stdout [env: CARNET_OUTPUT=json]
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The same as --json
    #[arg(short = 'F', long, global = true, value_name = "FORMAT", value_parser = ["json"])]
    pub(crate) format: Option<String>,
    /// Of the JSON answer only what this expression of the jq language picks, a line for each result
    #[arg(long, global = true, value_name = "EXPR", value_parser = crate::cli::jq::expression)]
    pub(crate) jq: Option<String>,
    /// The server and sign-in of this context, for this once [env: CARNET_CONTEXT]
    #[arg(long, global = true, value_name = "CONTEXT", value_parser = crate::cli::logins::context_name)]
    pub(crate) context: Option<String>,
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
    Backup(BackupCommand),
    /// Make of a backup the data of a deployment, or only look through it
    Restore(RestoreArgs),
    /// What only whoever has the data of the deployment may do, while it runs or not
    Admin(AdminArgs),
    /// Run a command with fresh tokens in its environment, and nowhere else
    Run(Box<RunArgs>),
    /// Everything that asks a server.
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write a manual page for each command into a folder
    Man(ManArgs),
    /// Print docs/cli.md
    #[command(hide = true)]
    CliPage,
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
    /// The services that are known, and how each is connected
    Catalog {
        /// Which.
        #[command(subcommand)]
        verb: CatalogVerb,
    },
    /// Print what could complete a line
    #[command(hide = true)]
    Complete(CompleteArgs),
    /// Say why a caller may or may not get a token, rule by rule
    Explain(ExplainArgs),
    /// Who has consented, and where
    Grants {
        /// Which.
        #[command(subcommand)]
        verb: Option<GrantsVerb>,
    },
    /// What was forwarded of connectors' events, and whether it arrived
    Deliveries {
        /// Which.
        #[command(subcommand)]
        verb: DeliveriesVerb,
    },
    /// Where connectors are installed at their providers
    Installations {
        /// Which.
        #[command(subcommand)]
        verb: InstallationsVerb,
    },
    /// The team: its settings, making another, joining one
    Teams {
        /// Which.
        #[command(subcommand)]
        verb: Option<TeamsVerb>,
    },
    /// Who is in the team, and as what
    Members {
        /// Which.
        #[command(subcommand)]
        verb: Option<MembersVerb>,
    },
    /// Access tokens of Carnet itself; `token` is for those of connectors
    Tokens {
        /// Which.
        #[command(subcommand)]
        verb: Option<TokensVerb>,
    },
    /// The audit log
    Audit {
        /// Which.
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// How many token requests the team has had, and what they cost by its plan
    Usage(UsageArgs),
    /// The keys of the deployment: how they stand, and turning them
    Keys {
        /// Which.
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// The applications that connectors of all teams are made from, as an owner of the deployment's first team
    Managed {
        /// Which.
        #[command(subcommand)]
        verb: Option<ManagedVerb>,
    },
    /// Write down everything that the team has set up, without secrets
    Export(ExportAllArgs),
    /// Take over connectors, and where possible grants, from somewhere else
    Import(ImportAllArgs),
    /// How the server and what it keeps for you stand, what needs somebody first
    Status,
    /// The servers that you work with, each under a name, with the sign-in there
    Context {
        /// Which.
        #[command(subcommand)]
        verb: Option<ContextVerb>,
    },
    /// Sign in to a server
    Login(LoginArgs),
    /// Sign out of a server
    Logout(LogoutArgs),
    /// Say as whom, of which team and at which server commands act
    Whoami,
    /// Look for what is wrong, and name what mends it
    Doctor(DoctorArgs),
}

impl Global {
    /// Whether the flags ask for a JSON document.
    pub(crate) fn asks_for_json(&self) -> bool {
        self.json || self.format.as_deref() == Some("json")
    }
}

/// The jq expression of a command line that could not be read, or asks for help.
pub(crate) fn asked_jq(args: &[OsString]) -> Option<String> {
    let words = args.iter().skip(1).take_while(|word| *word != "--").collect::<Vec<_>>();
    let joined = words.iter().find_map(|word| word.to_str()?.strip_prefix("--jq=").map(str::to_owned));
    let apart = || words.windows(2).find(|pair| matches!(pair, [flag, _] if *flag == "--jq"));
    joined.or_else(|| apart()?.last()?.to_str().map(str::to_owned))
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

/// What clap thinks was meant.
pub(crate) fn suggested(error: &clap::Error) -> Option<String> {
    error.context().find_map(|(kind, value)| match (kind, value) {
        (
            ContextKind::SuggestedArg | ContextKind::SuggestedSubcommand | ContextKind::SuggestedValue,
            value,
        ) => match value {
            ContextValue::String(one) => Some(one.clone()),
            // The likeliest stands last.
            ContextValue::Strings(some) => some.last().cloned(),
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests;
