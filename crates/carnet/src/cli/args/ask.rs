//! What a token is asked with; the same flags wherever one is.

use clap::{Args, ValueEnum};

/// Who the token acts as, and what it may do.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AskArgs {
    /// Who the token acts as; without it, you
    #[arg(short, long, value_enum)]
    pub(crate) subject: Option<SubjectArg>,
    /// As this user of the project: for workloads
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// The installation, where the connector has several
    #[arg(long, value_name = "ID")]
    pub(crate) installation_id: Option<String>,
    /// Exactly these scopes, separated by commas or spaces
    #[arg(long)]
    pub(crate) scopes: Option<String>,
    /// No scopes, instead of the connector's own
    #[arg(long)]
    pub(crate) no_default_scopes: bool,
}

/// Who a token acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectArg {
    /// The application itself
    App,
    /// You
    User,
}
