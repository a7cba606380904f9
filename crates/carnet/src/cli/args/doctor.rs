//! What is asked about this machine.

use std::path::PathBuf;

use clap::Args;

/// `carnet doctor`
#[derive(Debug, Default, Args)]
pub(crate) struct DoctorArgs {
    /// Mend first what can be mended without a choice to make
    #[arg(long)]
    pub(crate) fix: bool,
    /// Examine nothing; write the configuration with which the official Vercel CLI talks to this server
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        default_missing_value = ".carnet/vercel-cli"
    )]
    pub(crate) vercel_cli: Option<PathBuf>,
}
