//! `managed`: the applications that connectors of all teams are made from.

use clap::{Args, Subcommand};

use super::connect::parameter;
use super::people::Switch;

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum ManagedVerb {
    /// List them, with how many connectors each has
    #[command(visible_alias = "ls")]
    List,
    /// Show one, without secrets
    Show(ManagedShowArgs),
    /// Register one that you have at a provider, for all teams or for some
    Add(ManagedAddArgs),
    /// Change one, for all teams at once: another secret, other teams
    Update(ManagedUpdateArgs),
    /// Remove one
    Remove(ManagedRemoveArgs),
}

/// `carnet managed show`
#[derive(Debug, Args)]
pub(crate) struct ManagedShowArgs {
    /// The service: slack
    pub(crate) service: String,
}

/// `carnet managed add`
#[derive(Debug, Args)]
pub(crate) struct ManagedAddArgs {
    /// The service: slack
    pub(crate) service: String,
    /// What its connectors are configured with, client and secret among it, as JSON, @FILE or @-
    #[arg(long, value_name = "JSON")]
    pub(crate) data: String,
    /// The way of the catalog by which connectors are made from it
    #[arg(long, value_name = "METHOD")]
    pub(crate) connection_method: Option<String>,
    /// What the service's address needs, such as host=git.acme.example; no team says otherwise
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parameter)]
    pub(crate) params: Vec<(String, String)>,
    /// The type of its connectors, where no way of the catalog says it
    #[arg(long, value_name = "TYPE")]
    pub(crate) connector_type: Option<String>,
    /// A team that may use it, by identifier or short name; repeat for several, all if left out
    #[arg(long = "only", value_name = "TEAM")]
    pub(crate) only: Vec<String>,
    /// Let a team that ejects a connector take the application along
    #[arg(long)]
    pub(crate) goes_along: bool,
}

/// `carnet managed update`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct ManagedUpdateArgs {
    /// The service: slack
    pub(crate) service: String,
    /// Members of the configuration that change, as JSON, @FILE or @-; null takes one away
    #[arg(long, value_name = "JSON", group = "what")]
    pub(crate) data: Option<String>,
    /// What the service's address needs, in the place of all that was said; the secrets have to come along
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parameter, group = "what")]
    pub(crate) params: Vec<(String, String)>,
    /// Another client secret, from @FILE or @-
    #[arg(long, value_name = "@FILE", group = "what")]
    pub(crate) rotate_secret: Option<String>,
    /// A team that may use it from now on; repeat for several
    #[arg(long = "only", value_name = "TEAM", group = "what")]
    pub(crate) only: Vec<String>,
    /// All teams may use it from now on
    #[arg(long, group = "what", conflicts_with = "only")]
    pub(crate) all_teams: bool,
    /// Whether a team that ejects a connector takes the application along
    #[arg(long, value_name = "ON-OR-OFF", group = "what", value_enum)]
    pub(crate) goes_along: Option<Switch>,
    /// Even if connectors stop working by it
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `carnet managed remove`
#[derive(Debug, Args)]
pub(crate) struct ManagedRemoveArgs {
    /// The service: slack
    pub(crate) service: String,
    /// Even if connectors are made from it
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}
