//! `dev`, `serve`, and what is done with the files of a deployment: `backup`, `restore`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

/// `carnet dev`
#[derive(Debug, Default, Args)]
pub(crate) struct DevArgs {
    /// Where to keep everything
    #[arg(long, value_name = "DIR", default_value = ".carnet")]
    pub(crate) data: PathBuf,
    /// The port on the loopback interface
    #[arg(long, value_name = "N", default_value_t = 7070)]
    pub(crate) port: u16,
    /// Do not open the dashboard
    #[arg(long)]
    pub(crate) no_open: bool,
    /// Keep nothing after the end
    #[arg(long)]
    pub(crate) memory: bool,
    /// Keep everything in this PostgreSQL database instead: postgres://…
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    pub(crate) database_url: Option<String>,
    /// The public half of the operator's recovery key: age1…
    #[arg(long, value_name = "AGE1")]
    pub(crate) recovery_key: Option<String>,
    /// The issuer that identity tokens name in place of the server's address, where that name is owned too
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) issuer: Option<String>,
    /// Send what would go to one origin, or to what is below a path, elsewhere: `https://slack.com=http://127.0.0.1:9411`;
    /// the longest that fits decides
    #[arg(long, value_name = "A=B")]
    pub(crate) provider_origin: Vec<String>,
    /// A file with `[[sign_in]]`, as in the configuration of serve: issuers to sign in with
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_in: Option<PathBuf>,
    /// A file with `[[managed]]`, as in the configuration of serve: applications to make connectors from
    #[arg(long, value_name = "FILE")]
    pub(crate) managed: Option<PathBuf>,
    /// A folder with files of the catalog, as `catalog_dir` in the configuration of serve
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog_dir: Option<PathBuf>,
    /// What is there from the start, in TOML or JSON: projects, connectors, grants; an export is one. Several are one seed
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: Vec<PathBuf>,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

impl DevArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        let sign_in = self.sign_in.map(|file| folder.join(file));
        let managed = self.managed.map(|file| folder.join(file));
        let catalog_dir = self.catalog_dir.map(|path| folder.join(path));
        let seed = self.seed.iter().map(|file| folder.join(file)).collect();
        Self {
            data: folder.join(self.data),
            sign_in,
            managed,
            catalog_dir,
            seed,
            folder: folder.to_owned(),
            json,
            ..self
        }
    }
}

/// `carnet serve`
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// The public address: https://…
    #[arg(id = "url", long = "url", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where to keep everything
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    pub(crate) data: Option<PathBuf>,
    /// The PostgreSQL database: postgres://…
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The public half of the operator's recovery key: age1…
    #[arg(long, value_name = "AGE1")]
    pub(crate) recovery_key: Option<String>,
    /// Speak TLS itself, with a certificate for these names that an authority is asked for by ACME
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    pub(crate) acme: Vec<String>,
    /// Accept the terms of that authority
    #[arg(long)]
    pub(crate) acme_accept_terms: bool,
    /// An address that the authority may write to
    #[arg(long, value_name = "EMAIL", value_delimiter = ',')]
    pub(crate) acme_contact: Vec<String>,
    /// The directory of another authority than Let's Encrypt
    #[arg(long, value_name = "URL")]
    pub(crate) acme_directory: Option<String>,
    /// Print the configuration in force, without its secrets, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

impl ServeArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self {
            data: self.data.map(|path| folder.join(path)),
            config: self.config.map(|path| folder.join(path)),
            folder: folder.to_owned(),
            json,
            ..self
        }
    }
}

/// Where the data of a deployment is and what opens it, for the commands that work on files.
#[derive(Debug, Default, Args)]
pub(crate) struct KeptArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The PostgreSQL database: says which of its tools to use
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) database_url: Option<String>,
    /// Where the command was started, or what --cwd says. The paths here begin with it.
    #[arg(skip)]
    pub(crate) folder: PathBuf,
    /// Whether the answer is one JSON document.
    #[arg(skip)]
    pub(crate) json: bool,
}

impl KeptArgs {
    fn at(self, folder: &Path, json: bool) -> Self {
        Self {
            data: self.data.map(|path| folder.join(path)),
            config: self.config.map(|path| folder.join(path)),
            folder: folder.to_owned(),
            json,
            ..self
        }
    }

    /// The flags by which `serve` would find the same data and key.
    pub(crate) fn as_served(&self) -> ServeArgs {
        ServeArgs {
            data: self.data.clone(),
            config: self.config.clone(),
            database_url: self.database_url.clone(),
            folder: self.folder.clone(),
            ..ServeArgs::default()
        }
    }
}

/// `carnet backup`: what is done with backups; a folder alone is `create`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupCommand {
    /// Which.
    #[command(subcommand)]
    pub(crate) verb: Option<BackupVerb>,
    /// The folder to make; it must not exist
    #[arg(value_name = "BACKUP", required = true)]
    pub(crate) to: Option<PathBuf>,
    /// Of what.
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// Do not open what is sealed: the root key is not at hand here
    #[arg(long)]
    pub(crate) without_key: bool,
}

impl BackupCommand {
    /// What is to be done; a folder alone is one to make.
    pub(crate) fn verb(self) -> BackupVerb {
        let Self { verb, to, kept, without_key } = self;
        verb.unwrap_or_else(|| {
            BackupVerb::Create(BackupArgs { to: to.unwrap_or_default(), kept, without_key })
        })
    }
}

/// What to do with a backup.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupVerb {
    /// Copy the data of a deployment while it runs, and see that the copy is whole: the same as the folder alone
    Create(BackupArgs),
    /// Make of a backup the data of a deployment: the same as `carnet restore`
    Restore(RestoreArgs),
    /// Only look through a backup: the same as `carnet restore --verify`
    Verify(RestoreArgs),
}

/// `carnet backup create`
#[derive(Debug, Default, Args)]
pub(crate) struct BackupArgs {
    /// The folder to make; it must not exist
    #[arg(value_name = "BACKUP")]
    pub(crate) to: PathBuf,
    /// Of what.
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// Do not open what is sealed: the root key is not at hand here
    #[arg(long)]
    pub(crate) without_key: bool,
}

impl BackupArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self { to: folder.join(self.to), kept: self.kept.at(folder, json), ..self }
    }
}

/// `carnet restore`
#[derive(Debug, Default, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    pub(crate) from: PathBuf,
    /// Into what: a folder that does not exist, or is empty.
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// Only look through the backup
    #[arg(long)]
    pub(crate) verify: bool,
}

impl RestoreArgs {
    /// As the command line means it in this folder.
    pub(crate) fn at(self, folder: &Path, json: bool) -> Self {
        Self { from: folder.join(self.from), kept: self.kept.at(folder, json), ..self }
    }
}
