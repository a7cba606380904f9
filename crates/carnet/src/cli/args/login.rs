//! The flags of `login` and `logout`.

use clap::Args;

/// `carnet login`
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The server
    #[arg(value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Open no browser here: show a code to be entered on any device
    #[arg(long)]
    pub(crate) device: bool,
}

/// `carnet logout`
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The server
    #[arg(value_name = "URL")]
    pub(crate) server: Option<String>,
}
