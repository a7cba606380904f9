//! The configuration file, with what flags and variables say over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carnet_engine::Plan;
use serde::{Deserialize, Serialize};

use super::acme::{self, AcmeTable};
use super::egress::Egress;
use super::metrics::MetricsTable;
use super::written::{Written, line_at};
use super::{variable, wrong};
use crate::cli::args::ServeArgs;
use crate::cli::failure::Failure;
use crate::managed::ManagedSource;
use crate::root_key::{AwsKmsSource, GcpKmsSource, Root, RootKeySource, TransitSource};
use crate::sign_in::SignInSource;
use crate::tls::TlsTable;

/// The configuration file. An unknown key stops the start, with the line it stands on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConfigFile {
    /// The address under which people and programs reach the server: `https://connect.example.com`.
    pub(crate) url: Option<String>,
    /// The issuer that identity tokens name in place of `url`, where that name is owned too.
    pub(crate) issuer: Option<String>,
    /// The address to listen on; `127.0.0.1:7070`.
    pub(crate) listen: Option<String>,
    /// Whether a proxy that terminates TLS stands before the server, so that it may listen on other addresses than
    /// loopback ones.
    pub(crate) behind_proxy: bool,
    /// The folder of the embedded store; `carnet-data`.
    pub(crate) data: Option<PathBuf>,
    /// The PostgreSQL database, instead of the embedded store.
    pub(crate) database_url: Option<String>,
    /// The file with the key that wraps all others. For the embedded store, the data folder's name with `.key` behind
    /// it, made at the first start.
    pub(crate) master_key_file: Option<PathBuf>,
    /// A file whose first line is a passphrase, instead of a key file.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A key of AWS KMS, instead of a key file.
    pub(crate) aws_kms: Option<AwsKmsSource>,
    /// A key of Google Cloud KMS, instead of a key file.
    pub(crate) gcp_kms: Option<GcpKmsSource>,
    /// A key of the transit engine of Vault or OpenBao, instead of a key file.
    pub(crate) vault_transit: Option<TransitSource>,
    /// The root-key provider that takes over from the present one.
    pub(crate) next_root_key: Option<RootKeySource>,
    /// The folder in which refreshed tokens are kept, sealed, while the store does not take them; `spill` in the data
    /// folder, or `carnet-spill` with PostgreSQL.
    pub(crate) spill: Option<PathBuf>,
    /// How many refreshes of one connector this process begins in a second; 20.
    pub(crate) refreshes_per_second: Option<u32>,
    /// Whether people may enter device codes at `/device`; `true`. Connectors can be taken out of it one by one.
    pub(crate) device_codes: Option<bool>,
    /// A folder of descriptions of services, which take the place of those that are built in or stand beside them.
    pub(crate) catalog_dir: Option<PathBuf>,
    /// The public half of the operator's recovery key, `age1…`: secrets leave this server encrypted to it, or not at all.
    pub(crate) recovery_key: Option<String>,
    /// Which plan the teams have.
    pub(crate) usage: UsageTable,
    /// Plans besides the built-in ones, or in their place.
    pub(crate) plans: BTreeMap<String, Plan>,
    /// The issuers with whose accounts people may sign in.
    pub(crate) sign_in: Vec<SignInSource>,
    /// Applications that the operator registered at providers, from which teams make connectors.
    pub(crate) managed: Vec<ManagedSource>,
    /// What may be connected to besides the public Internet.
    pub(crate) egress: Egress,
    /// Who may read `/metrics`, and where.
    pub(crate) metrics: MetricsTable,
    /// The certificate with which the server speaks TLS itself, in files.
    pub(crate) tls: Option<TlsTable>,
    /// The authority that gives it one instead.
    pub(crate) acme: Option<AcmeTable>,
    /// The text that it was read from.
    #[serde(skip)]
    pub(super) written: Written,
}

/// Which plan the teams have.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UsageTable {
    /// Every team that is not named; `unlimited`.
    pub(crate) plan: Option<String>,
    /// Some of them, by their identifier.
    pub(crate) teams: BTreeMap<String, String>,
}

impl ConfigFile {
    /// Flags, then variables, then the file.
    pub(super) fn gather(args: &ServeArgs) -> Result<Self, Failure> {
        let mut file = match &args.config {
            Some(path) => read_file(path)?,
            None => ConfigFile::default(),
        };
        let database = args.database_url.clone().or_else(|| variable("CARNET_DATABASE_URL"));
        let data = args.data.clone().or_else(|| variable("CARNET_DATA").map(|data| args.folder.join(data)));
        if file.data.is_some() && file.database_url.is_some() && database.is_none() && data.is_none() {
            let both = wrong(
                "data and database_url name two stores, and everything is kept in one: leave one of them out.",
            );
            return Err(file.written.told("database_url", both));
        }
        let overruled_data = ("data", data.is_some());
        let overruled_database = ("database_url", database.is_some());
        file.url = args.url.clone().or_else(|| variable("CARNET_URL")).or(file.url);
        file.listen = args.listen.clone().or_else(|| variable("CARNET_LISTEN")).or(file.listen);
        file.recovery_key =
            args.recovery_key.clone().or_else(|| variable("CARNET_RECOVERY_KEY")).or(file.recovery_key);
        file.database_url = database.or(file.database_url);
        file.data = data.or(file.data);
        file.master_key_file =
            variable("CARNET_MASTER_KEY_FILE").map(|path| args.folder.join(path)).or(file.master_key_file);
        acme::overrule(&mut file, args);
        if args.data.is_some() {
            file.database_url = None;
        }
        let overruled = [
            ("url", args.url.is_some() || variable("CARNET_URL").is_some()),
            ("listen", args.listen.is_some() || variable("CARNET_LISTEN").is_some()),
            ("recovery_key", args.recovery_key.is_some() || variable("CARNET_RECOVERY_KEY").is_some()),
            ("master_key_file", variable("CARNET_MASTER_KEY_FILE").is_some()),
            overruled_data,
            overruled_database,
        ];
        for (member, _) in overruled.into_iter().filter(|(_, overruled)| *overruled) {
            file.written.overrule(member);
        }
        Ok(file)
    }

    /// The present root-key provider, if one is named.
    pub(super) fn root_key(&self, make: bool, roots: Option<&[u8]>) -> Result<Option<Root>, Failure> {
        let source = RootKeySource {
            master_key_file: self.master_key_file.clone(),
            passphrase_file: self.passphrase_file.clone(),
            aws_kms: self.aws_kms.clone(),
            gcp_kms: self.gcp_kms.clone(),
            vault_transit: self.vault_transit.clone(),
        };
        let named = [
            ("passphrase_file", self.passphrase_file.is_some()),
            ("aws_kms", self.aws_kms.is_some()),
            ("gcp_kms", self.gcp_kms.is_some()),
            ("vault_transit", self.vault_transit.is_some()),
        ];
        let member = named.into_iter().find(|(_, named)| *named).map_or("master_key_file", |(name, _)| name);
        self.at(member, source.read(make, roots))
    }

    /// The public address; with an authority that of its first name, if nothing else is said.
    pub(super) fn public_address(&self) -> Option<String> {
        let first = self.acme.as_ref().and_then(|acme| acme.domains.first());
        self.url.clone().or_else(|| first.map(|name| format!("https://{name}")))
    }

    /// What came of a member, with its line where it failed.
    pub(super) fn at<T>(&self, member: &str, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| self.written.told(member, failure))
    }
}

fn read_file(path: &Path) -> Result<ConfigFile, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| wrong(format!("Cannot read the configuration file {}: {error}.", path.display())))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = sound.split(|byte| *byte == b'\n').count();
        wrong(format!("{} line {line}: this is not UTF-8.", path.display()))
    })?;
    let mut file: ConfigFile = toml::from_str(&text).map_err(|error| {
        let line = line_at(&text, error.span().map_or(0, |span| span.start));
        wrong(format!("{} line {line}: {}.", path.display(), error.message().trim_end_matches('.')))
    })?;
    file.written = Written::new(path, text);
    Ok(file)
}
