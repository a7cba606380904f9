//! `admin`: for whoever has the data of the deployment in hand.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::ServeArgs;

/// `carnet admin`
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct AdminArgs {
    /// Which.
    #[command(subcommand)]
    pub(crate) verb: AdminVerb,
    /// Where everything is kept
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "database_url")]
    pub(crate) data: Option<PathBuf>,
    /// The PostgreSQL database: postgres://…
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The configuration file of the server
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The server's public address, where neither a variable nor the configuration says it.
    #[arg(skip)]
    pub(crate) address: Option<String>,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

/// What the operator does.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminVerb {
    /// Make a link by which somebody chooses another passphrase; it works once, for an hour
    #[command(visible_alias = "reset-passphrase")]
    ResetPassword(ResetPasswordArgs),
    /// Make a link that sets the deployment up, while nobody has; it works once, for 15 minutes
    Bootstrap,
}

/// `carnet admin reset-password`
#[derive(Debug, Args)]
pub(crate) struct ResetPasswordArgs {
    /// Whose: e-mail address or identifier (usr_…)
    pub(crate) account: String,
}

impl AdminArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool, address: Option<String>) -> Self {
        Self {
            data: self.data.map(|path| folder.join(path)),
            config: self.config.map(|path| folder.join(path)),
            address,
            folder: folder.to_owned(),
            json,
            ..self
        }
    }

    /// The flags by which `serve` would find the same data, key and address.
    pub(crate) fn as_served(&self) -> ServeArgs {
        ServeArgs {
            url: self.address.clone(),
            data: self.data.clone(),
            config: self.config.clone(),
            database_url: self.database_url.clone(),
            folder: self.folder.clone(),
            ..ServeArgs::default()
        }
    }
}
