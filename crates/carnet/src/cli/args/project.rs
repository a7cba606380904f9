//! The folder, its project, the variables of its programs, and the team's projects.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ProjectUrlArgs, TrustArgs};

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
    /// Say where its environments are reached: there its events are forwarded to
    Url(ProjectUrlArgs),
    /// Say where one is told that what it was granted breaks
    HealthWebhook(HealthWebhookArgs),
    /// Accept the identities of another issuer as this project's
    Trust(Box<TrustArgs>),
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
    /// At most so many, 1 to 100; all if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: Option<u32>,
    /// Go on where the last list ended
    #[arg(long, value_name = "NAME")]
    pub(crate) next: Option<String>,
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

/// `carnet projects health-webhook`
#[derive(Debug, Args)]
pub(crate) struct HealthWebhookArgs {
    /// Identifier or name; the linked one if left out
    pub(crate) project: Option<String>,
    /// The https address that is told from now on; without it, the present one is shown
    #[arg(long, value_name = "URL", conflicts_with = "remove")]
    pub(crate) to: Option<String>,
    /// Tell nobody any more
    #[arg(long)]
    pub(crate) remove: bool,
}

/// `carnet projects remove`
#[derive(Debug, Args)]
pub(crate) struct ProjectRemoveArgs {
    /// Identifier or name
    pub(crate) project: String,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}
