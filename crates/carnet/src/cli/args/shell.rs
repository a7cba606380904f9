//! What a shell is told about the commands.

use clap::{ArgAction, Args};

/// `carnet completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, action = ArgAction::Set)]
    pub(crate) shell: clap_complete::Shell,
}
