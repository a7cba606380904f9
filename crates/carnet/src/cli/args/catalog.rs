//! The words of `carnet catalog`.

use clap::{Args, Subcommand};

/// What to do with the catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogVerb {
    /// Services in which all these words stand; all of them without any
    #[command(visible_alias = "list")]
    Search(CatalogSearchArgs),
    /// How a service is connected, and what its scopes allow
    Show(CatalogShowArgs),
}

/// `carnet catalog search`
#[derive(Debug, Args)]
pub(crate) struct CatalogSearchArgs {
    /// Words of the name or the description
    pub(crate) words: Vec<String>,
    /// Only of this category
    #[arg(long, value_name = "CATEGORY")]
    pub(crate) category: Option<String>,
}

/// `carnet catalog show`
#[derive(Debug, Args)]
pub(crate) struct CatalogShowArgs {
    /// The service's short name
    pub(crate) service: String,
}
