//! The configuration of `carnet serve`: flags, then variables, then the file. Read once.

mod acme;
mod door;
mod egress;
mod metrics;
mod opening;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use carnet_egress::{Origin, Policy};
use carnet_engine::{
    BadPlans, Catalog, Location, ManagedService, Plan, Plans, Recipient, Settings, SignInIssuer,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::cli::args::ServeArgs;
use crate::cli::failure::{Exit, Failure};
use crate::managed::ManagedSource;
use crate::root_key::{AwsKmsSource, GcpKmsSource, Root, RootKeySource, TransitSource};
use crate::sign_in::SignInSource;
use crate::tls::TlsTable;

use acme::AcmeTable;
pub(crate) use door::Door;
use egress::{Egress, policy};
use metrics::{MetricsConfig, MetricsTable};
pub(crate) use opening::with_what_wraps;
use written::{Written, line_at};

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
    written: Written,
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

/// A configuration that can be started.
pub(crate) struct Config {
    pub(crate) url: Url,
    pub(crate) issuer: Option<Url>,
    pub(crate) listen: SocketAddr,
    pub(crate) location: Location,
    pub(crate) root: Root,
    pub(crate) next: Option<Root>,
    pub(crate) policy: Policy,
    pub(crate) spill: PathBuf,
    pub(crate) refreshes_per_second: u32,
    pub(crate) device_codes: bool,
    pub(crate) catalog: Catalog,
    pub(crate) recovery_key: Option<Recipient>,
    pub(crate) plans: Plans,
    pub(crate) sign_in: Vec<SignInIssuer>,
    pub(crate) managed: BTreeMap<String, ManagedService>,
    pub(crate) metrics: MetricsConfig,
    pub(crate) door: Door,
    pub(crate) behind_proxy: bool,
    /// As it is in force, to be printed. Holds no secret.
    pub(crate) shown: ConfigFile,
}

/// Where a deployment's data is and what opens it, for commands that are not the server.
pub(crate) struct Kept {
    pub(crate) location: Location,
    pub(crate) root: Root,
    pub(crate) next: Option<Root>,
    pub(crate) spill: PathBuf,
}

impl Kept {
    /// Reads it from where [`Config::read`] would.
    pub(crate) fn read(args: &ServeArgs) -> Result<Self, Failure> {
        let mut file = ConfigFile::gather(args)?;
        let policy = policy(&file)?;
        Self::of(&mut file, args, policy.extra_roots_pem.as_deref())
    }

    fn of(file: &mut ConfigFile, args: &ServeArgs, roots: Option<&[u8]>) -> Result<Self, Failure> {
        let (location, root) = keep(file, args, roots)?;
        // With PostgreSQL every process would make one of its own.
        let make = matches!(location, Location::Folder(_));
        let next = match &file.next_root_key {
            Some(next) => file.at("next_root_key", next.read(make, roots))?,
            None => None,
        };
        let spill = file.spill.clone().unwrap_or_else(|| match &location {
            Location::Folder(data) => data.join("spill"),
            Location::Memory | Location::Shared(_) | Location::Postgres(_) => {
                args.folder.join("carnet-spill")
            }
        });
        file.spill = Some(spill.clone());
        Ok(Self { location, root, next, spill })
    }
}

impl Config {
    /// Reads flags, variables and file, and refuses what would be unsafe.
    pub(crate) fn read(args: &ServeArgs) -> Result<Self, Failure> {
        let mut file = ConfigFile::gather(args)?;
        let url = file.at("url", url(file.public_address().as_deref()))?;
        let issuer = file.at("issuer", file.issuer.as_deref().map(issuer).transpose())?;
        let door = Door::of(&file, &url)?;
        let listen = file.at("listen", listen(file.listen.as_deref(), &door, file.behind_proxy, &url))?;
        let mut policy = policy(&file)?;
        policy.authorities.extend(door.acme().and_then(|acme| origin_of(&acme.directory)));
        let Kept { location, root, next, spill } =
            Kept::of(&mut file, args, policy.extra_roots_pem.as_deref())?;
        let refreshes_per_second = file.refreshes_per_second.unwrap_or(Settings::REFRESHES_PER_SECOND);
        if !(1..=MOST_PER_SECOND).contains(&refreshes_per_second) {
            let failure = wrong(format!(
                "refreshes_per_second is {refreshes_per_second}; it can be from 1 to {MOST_PER_SECOND}."
            ));
            return Err(file.written.told("refreshes_per_second", failure));
        }
        file.refreshes_per_second = Some(refreshes_per_second);
        let device_codes = *file.device_codes.get_or_insert(true);
        let catalog = file.at("catalog_dir", catalog(file.catalog_dir.as_deref(), "catalog_dir"))?;
        let recovery_key = file.at("recovery_key", recovery_key(file.recovery_key.as_deref()))?;
        let plans = plans(&file)?;
        let sign_in = crate::sign_in::read(&file.sign_in, false)
            .map_err(|unfit| file.written.told(&format!("sign_in.{}", unfit.member), unfit.failure))?;
        let managed = file.at("managed", crate::managed::read(&file.managed, &catalog))?;
        let metrics = metrics::read(&file, listen)?;
        let mut shown = file;
        shown.url = Some(url.to_string());
        shown.listen = Some(listen.to_string());
        shown.database_url = shown.database_url.map(|_| "(set)".to_owned());
        Ok(Self {
            url,
            issuer,
            listen,
            location,
            root,
            next,
            policy,
            spill,
            refreshes_per_second,
            device_codes,
            catalog,
            recovery_key,
            plans,
            sign_in,
            managed,
            metrics,
            door,
            behind_proxy: shown.behind_proxy,
            shown,
        })
    }
}

/// The public address, from where [`Config::read`] would take it.
pub(crate) fn address(args: &ServeArgs) -> Result<Url, Failure> {
    url(ConfigFile::gather(args)?.public_address().as_deref())
}

/// The recovery key, if one is named.
pub(crate) fn recovery_key(text: Option<&str>) -> Result<Option<Recipient>, Failure> {
    text.map(Recipient::parse).transpose().map_err(|error| {
        wrong(format!("recovery_key cannot be used: {error}."))
            .next("age-keygen -o recovery.key", "to make one; keep the file away from the server")
    })
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

/// The plans, with the operator's own.
fn plans(file: &ConfigFile) -> Result<Plans, Failure> {
    let made = Plans::new(file.plans.clone(), file.usage.plan.clone(), &file.usage.teams);
    made.map_err(|error| {
        let member = match &error {
            BadPlans::StopsNowhere(plan) => format!("plans.{plan}"),
            BadPlans::Team(team) => format!("usage.teams.{team}"),
            BadPlans::Unknown(plan, _) => match file.usage.teams.iter().find(|(_, has)| *has == plan) {
                Some((team, _)) if file.usage.plan.as_ref() != Some(plan) => format!("usage.teams.{team}"),
                _ => "usage.plan".to_owned(),
            },
        };
        file.written.told(&member, wrong(format!("[usage]: {error}.")))
    })
}

fn url(text: Option<&str>) -> Result<Url, Failure> {
    let text = text.ok_or_else(|| {
        wrong("The server's public address is missing.")
            .next("carnet serve --url https://connect.example.com", "with yours")
    })?;
    let url = Url::parse(text).map_err(|error| wrong(format!("--url {text:?} is no address: {error}.")))?;
    let loopback = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || url.path() != "/" {
        return Err(wrong("--url is an origin: scheme, host and port, and nothing behind them."));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(wrong("The public address must be https: tokens would cross the network in the clear.")
            .next(text.replacen("http://", "https://", 1), "with a proxy that terminates TLS in front")),
    }
}

/// An issuer's name: an https origin.
pub(crate) fn issuer(text: &str) -> Result<Url, Failure> {
    let bad =
        || wrong(format!("issuer {text:?} is an https origin: scheme and host, and nothing behind them."));
    let url = Url::parse(text).map_err(|_| bad())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    if plain && url.scheme() == "https" && url.host().is_some() { Ok(url) } else { Err(bad()) }
}

fn listen(text: Option<&str>, door: &Door, behind_proxy: bool, url: &Url) -> Result<SocketAddr, Failure> {
    let speaks_tls = !matches!(door, Door::Plain);
    let address: SocketAddr = match text {
        // Where the public address leads: whoever gives it a certificate wants it to be reached.
        None if speaks_tls => {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), url.port_or_known_default().unwrap_or(443))
        }
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070),
        Some(text) => text.parse().map_err(|_| wrong(format!("--listen {text:?} is not ADDRESS:PORT.")))?,
    };
    if !address.ip().is_loopback() && !behind_proxy && !speaks_tls {
        return Err(wrong(format!(
            "Listening on {address} would offer plain http to the network. Listen on loopback behind a proxy on this \
             machine, have a certificate got or give it one, or say in the configuration file that a proxy elsewhere \
             terminates TLS."
        ))
        .next(
            format!("carnet serve --acme {} --acme-accept-terms", url.host_str().unwrap_or("DOMAIN")),
            "to have a certificate got",
        )
        .next("[tls]", "in the file of --config, with certificate and private_key")
        .next("behind_proxy = true", "in the file of --config, if that is so"));
    }
    Ok(address)
}

fn keep(file: &mut ConfigFile, args: &ServeArgs, roots: Option<&[u8]>) -> Result<(Location, Root), Failure> {
    if let Some(database) = &file.database_url {
        let location = Location::Postgres(database.clone());
        let root = file.root_key(false, roots)?.ok_or_else(|| {
            let missing = wrong(
                "With PostgreSQL every node needs the same master key, or the key service that the others name.",
            )
            .next(
                "(umask 077; openssl rand -base64 32 > carnet.key); export CARNET_MASTER_KEY_FILE=carnet.key",
                "to make one where nothing is kept yet; give the same file to every node",
            );
            file.told("database_url", missing)
        })?;
        return Ok((location, root));
    }
    let data = file.data.clone().unwrap_or_else(|| args.folder.join("carnet-data"));
    let fresh = !data.join("carnet.db").exists();
    let root = if let Some(root) = file.root_key(fresh, roots)? {
        root
    } else {
        let mut name = data.clone().into_os_string();
        name.push(".key");
        file.master_key_file = Some(PathBuf::from(&name));
        Root::File { path: PathBuf::from(name), make: fresh }
    };
    file.data = Some(data.clone());
    Ok((Location::Folder(data), root))
}

impl ConfigFile {
    /// Flags, then variables, then the file.
    fn gather(args: &ServeArgs) -> Result<Self, Failure> {
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
    fn root_key(&self, make: bool, roots: Option<&[u8]>) -> Result<Option<Root>, Failure> {
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
    fn public_address(&self) -> Option<String> {
        let first = self.acme.as_ref().and_then(|acme| acme.domains.first());
        self.url.clone().or_else(|| first.map(|name| format!("https://{name}")))
    }

    /// What came of a member, with its line where it failed.
    fn at<T>(&self, member: &str, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| self.written.told(member, failure))
    }
}

/// The catalog with the files of this folder in it, which is called so where it was named.
pub(crate) fn catalog(folder: Option<&Path>, called: &str) -> Result<Catalog, Failure> {
    let Some(folder) = folder else { return Ok(Catalog::default()) };
    Catalog::overlaid(folder).map_err(|error| wrong(format!("{called}: {error}.")))
}

fn origin_of(url: &Url) -> Option<Origin> {
    url.origin().ascii_serialization().parse().ok()
}

/// A variable of the environment, if it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the configuration of the servers is read here and nowhere else"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Far more than any provider takes from one application.
const MOST_PER_SECOND: u32 = 1000;

pub(crate) fn wrong(sentence: impl Into<String>) -> Failure {
    Failure { exit: Exit::Usage, ..Failure::new("invalid_configuration", sentence) }
}
