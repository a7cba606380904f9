//! `usage`: how many token requests the team has had.

use clap::Args;

/// `carnet usage`
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// Tell it apart by this
    #[arg(long, default_value = "connector", value_parser = ["connector", "project", "user"])]
    pub(crate) by: String,
    /// From this month on, 2026-09; the present one if left out
    #[arg(long, value_name = "MONTH")]
    pub(crate) since: Option<String>,
}
