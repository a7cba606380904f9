//! The configuration of `carnet serve`: flags, then variables, then the file. Read once.

mod acme;
mod addresses;
mod door;
mod egress;
mod file;
mod metrics;
mod opening;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carnet_egress::{Origin, Policy};
use carnet_engine::{BadPlans, Catalog, Location, ManagedService, Plans, Recipient, Settings, SignInIssuer};
use url::Url;

use crate::cli::args::ServeArgs;
use crate::cli::failure::{Exit, Failure};
use crate::root_key::Root;

pub(crate) use addresses::issuer;
use addresses::{listen, url};
pub(crate) use door::Door;
use egress::policy;
pub(crate) use file::ConfigFile;
use metrics::MetricsConfig;
pub(crate) use opening::with_what_wraps;

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

/// Whether the data are in PostgreSQL, from where [`Config::read`] would take it.
pub(crate) fn is_in_postgres(args: &ServeArgs) -> Result<bool, Failure> {
    Ok(ConfigFile::gather(args)?.database_url.is_some())
}

/// The recovery key, if one is named.
pub(crate) fn recovery_key(text: Option<&str>) -> Result<Option<Recipient>, Failure> {
    text.map(Recipient::parse).transpose().map_err(|error| {
        wrong(format!("recovery_key cannot be used: {error}."))
            .next("age-keygen -o recovery.key", "to make one; keep the file away from the server")
    })
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
