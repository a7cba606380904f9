//! `export` and `import`: everything that a team has set up.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `carnet export`
#[derive(Debug, Args)]
pub(crate) struct ExportAllArgs {
    /// Into this file, instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The secrets too, encrypted to the recovery key that the operator of the server has named: age1…
    #[arg(long, value_name = "AGE1")]
    pub(crate) recovery_key: Option<String>,
}

/// `carnet import`
#[derive(Debug, Args)]
pub(crate) struct ImportAllArgs {
    /// What the file is from
    #[arg(long, value_enum)]
    pub(crate) from: Source,
    /// The file, or - for stdin
    pub(crate) file: PathBuf,
    /// The project that gets the connectors, where the file names none; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// The environment of grants, where the file names none
    #[arg(short, long, default_value = "production")]
    pub(crate) environment: String,
    /// Of the variables of --from env only these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Further members of `data` by UID, secrets that the file lacks among them: a JSON object, @FILE or @-
    #[arg(long, value_name = "@FILE")]
    pub(crate) with: Option<String>,
    /// The secrets of --from carnet, opened: what age --decrypt made of `secrets` of the export
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Let what the file holds take the place of grants of other accounts that work
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only say what would be made
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Where connectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// `carnet export`
    Carnet,
    /// `vercel connect list --all-projects --json`, or an answer of its API: connectors without secrets, no grants
    VercelConnect,
    /// Integrations (`include=credentials`) and connections (`refresh_token=true`) as the API of Nango gives them:
    /// {"integrations":[…],"connections":[…]}
    Nango,
    /// A file of variables: each key or token becomes an api-key connector
    Env,
}
