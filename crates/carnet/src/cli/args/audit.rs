//! `audit`: the log of the team.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// The latest events, oldest first
    #[command(visible_alias = "list")]
    Tail(TailArgs),
    /// See whether events are missing from it, or their details are not what they were; who, what, when and how it ended
    /// are not looked at
    Verify,
    /// Write it out, for other programs to read
    Export(ExportArgs),
}

/// `carnet audit export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// As JSON lines, as a table for spreadsheets, or as events of OCSF 1.6, one object a line
    #[arg(id = "format", long = "format", value_name = "FORMAT", default_value = "jsonl", value_parser = ["jsonl", "csv", "ocsf"])]
    pub(crate) format: String,
    /// Into this file, instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only since: 2026-11-30, a time in RFC 3339, or so long ago as 12h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
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
