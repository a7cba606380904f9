//! `keys`: those of the deployment.

use clap::{Args, Subcommand, ValueEnum};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Which versions there are, how far each turn has come, and what stands in the way
    Status,
    /// Make a new version of a key and use it, without a pause
    Rotate(KeysRotateArgs),
    /// Open everything that is sealed, and count
    Verify,
}

/// `carnet keys rotate`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct KeysRotateArgs {
    /// The key
    #[arg(group = "what", value_enum)]
    pub(crate) kind: Option<KeyArg>,
    /// All of them, because they may be known to somebody; prints what must be done at the providers
    #[arg(long, group = "what")]
    pub(crate) compromised: bool,
    /// With kek: drop what the present root-key provider wrapped
    #[arg(long, conflicts_with_all = ["cancel", "compromised"])]
    pub(crate) finish: bool,
    /// With kek: drop what the next root-key provider wrapped
    #[arg(long, conflicts_with = "compromised")]
    pub(crate) cancel: bool,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A key that can be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyArg {
    /// From the present root-key provider to next_root_key
    Kek,
    /// The root key, which wraps the others
    Root,
    /// Your team's key, which seals its secrets
    Team,
    /// By which access tokens are found
    Pepper,
    /// Carnet's own identity tokens
    Signing,
}
