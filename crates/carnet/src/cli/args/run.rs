//! `run`: a command with fresh tokens in its environment.

use std::ffi::OsString;

use clap::Args;

use super::{AskArgs, TokenArgs};

/// `carnet run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A connector, by identifier or UID, several times for several; VARIABLE=CONNECTOR to choose the variable
    #[arg(short, long, value_name = "CONNECTOR", required = true)]
    pub(crate) connector: Vec<String>,
    /// As the linked project in this environment, instead of as you
    #[arg(short, long)]
    pub(crate) environment: Option<String>,
    /// What is asked for.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// Replace the tokens in what the command prints
    #[arg(long)]
    pub(crate) mask: bool,
    /// Open the browser for consent without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// The command, after --
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

impl From<TokenArgs> for RunArgs {
    /// `token CONNECTOR --exec CMD`
    fn from(args: TokenArgs) -> Self {
        let TokenArgs { connector, ask, yes, exec, .. } = args;
        Self { connector: vec![connector], environment: None, ask, mask: false, yes, command: exec }
    }
}
