//! What a shell and a reader are told about the commands.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// `carnet completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, action = ArgAction::Set)]
    pub(crate) shell: clap_complete::Shell,
}

/// `carnet complete`
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The words of the line, the one that is being written last
    #[arg(last = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

/// `carnet man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
