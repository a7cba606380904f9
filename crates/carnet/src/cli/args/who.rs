//! Who may ask, who has consented, and where a connector is installed.

use clap::{Args, Subcommand};

use super::AskArgs;

/// `carnet explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// A workload of this project; the linked one if left out
    #[arg(short, long, requires = "environment")]
    pub(crate) project: Option<String>,
    /// A workload in this environment; without it, you
    #[arg(short, long)]
    pub(crate) environment: Option<String>,
    /// What would be asked for.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// What to do with grants.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsVerb {
    /// List them: who has consented, where, and which need it again
    #[command(visible_alias = "ls")]
    List(GrantsListArgs),
    /// Show one
    Show(GrantArgs),
    /// Revoke one, here and at the provider
    #[command(visible_alias = "rm")]
    Revoke(GrantRevokeArgs),
}

/// `carnet grants list`
#[derive(Debug, Default, Args)]
pub(crate) struct GrantsListArgs {
    /// Only of this connector
    pub(crate) connector: Option<String>,
    /// Only of this user
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = ["active", "needs_consent"])]
    pub(crate) state: Option<String>,
    /// Only those that nobody has used for so many days
    #[arg(long, value_name = "DAYS")]
    pub(crate) unused: Option<u32>,
}

/// A grant by name.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// Identifier (grt_…)
    pub(crate) grant: String,
}

/// `carnet grants revoke`
#[derive(Debug, Args)]
pub(crate) struct GrantRevokeArgs {
    /// Identifier (grt_…)
    pub(crate) grant: String,
    /// Only say what would be revoked
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What to do with installations.
#[derive(Debug, Subcommand)]
pub(crate) enum InstallationsVerb {
    /// List them
    #[command(visible_alias = "ls")]
    List(super::ConnectorArgs),
    /// Record one that was made at the provider
    Add(InstallationAddArgs),
    /// Remove one, and revoke the grants behind it
    #[command(visible_alias = "rm")]
    Remove(InstallationRemoveArgs),
}

/// `carnet installations add`
#[derive(Debug, Args)]
pub(crate) struct InstallationAddArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The provider's own name for it
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// The provider's account: its workspace or organization
    #[arg(long, value_name = "ID")]
    pub(crate) tenant_id: Option<String>,
    /// What people will call it
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// Use it where a request names none
    #[arg(long)]
    pub(crate) default: bool,
}

/// `carnet installations remove`
#[derive(Debug, Args)]
pub(crate) struct InstallationRemoveArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Identifier (sci_…), or the provider's own name for it
    pub(crate) installation: String,
    /// Only say what would be revoked
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Default for GrantsVerb {
    fn default() -> Self {
        Self::List(GrantsListArgs::default())
    }
}
