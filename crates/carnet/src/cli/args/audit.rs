//! `audit`: the log of the team.

use clap::{Args, Subcommand};

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
