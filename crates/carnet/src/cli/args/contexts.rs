//! `context`: the servers that this person works with.

use clap::{Args, Subcommand};

use crate::cli::logins::context_name;

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    /// List them, and say which one commands here use
    #[command(visible_alias = "ls")]
    List,
    /// Use this one from now on, where nothing else names a server
    Use(ContextArgs),
    /// Make one: a server, and what is meant there; `login --context NAME` signs in to it
    Add(ContextAddArgs),
    /// Forget one, and sign out of it
    #[command(visible_alias = "rm")]
    Remove(ContextRemoveArgs),
}

/// A context by name.
#[derive(Debug, Args)]
pub(crate) struct ContextArgs {
    /// Its name
    #[arg(value_name = "CONTEXT")]
    pub(crate) name: String,
}

/// `carnet context add`
#[derive(Debug, Args)]
pub(crate) struct ContextAddArgs {
    /// What to call it
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,
    /// The server: https://…
    #[arg(value_name = "URL")]
    pub(crate) server: String,
    /// An access token of that server: @FILE, or @- for stdin
    #[arg(long, value_name = "@FILE")]
    pub(crate) token: Option<String>,
}

/// `carnet context remove`
#[derive(Debug, Args)]
pub(crate) struct ContextRemoveArgs {
    /// Its name
    #[arg(value_name = "CONTEXT")]
    pub(crate) name: String,
    /// Only say what would be forgotten
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}
