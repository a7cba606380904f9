//! What the steps need of the machine, and how it gets there. Rust, Node, Python and PostgreSQL must be present; the
//! rest is installed: cargo tools into cargo's home, npm packages and a Python environment inside the repository,
//! Chromium and Pebble by apt-get where that is possible.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carnet_testpg::Server;

use crate::run::{cargo, command, find, output, root, say, succeed, variable};

/// One thing a step cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The test runner.
    Nextest,
    /// The licence and source check.
    Deny,
    /// `initdb` and `postgres`, for the store's tests on the second engine.
    Postgres,
    /// Node and the pinned packages of `e2e/`.
    Node,
    /// The official CLI, which is large and has a folder of its own.
    VercelCli,
    /// Python and the pinned packages of `e2e/python/`.
    Python,
    /// A browser for the pages.
    Chromium,
    /// An ACME server, for the tests of the server's certificate.
    Pebble,
}

/// Says "run without PostgreSQL, I know". For a laptop; refused where `CI` is set.
pub(crate) const SKIP_POSTGRES: &str = "CARNET_TEST_SKIP_POSTGRES";

impl Need {
    /// Makes it so, or says what to install.
    pub(crate) fn meet(self) -> Result<()> {
        match self {
            Self::Nextest => cargo_tool("cargo-nextest", "nextest"),
            Self::Deny => cargo_tool("cargo-deny", "deny"),
            Self::Postgres => postgres(),
            Self::Node => node(),
            Self::VercelCli => packages("e2e/vercel-cli", OFFICIAL_CLI),
            Self::Python => python().map(drop),
            Self::Chromium => chromium().map(drop),
            Self::Pebble => pebble(),
        }
    }
}

fn cargo_tool(package: &str, verb: &str) -> Result<()> {
    if output(cargo().args([verb, "--version"])).is_some() {
        return Ok(());
    }
    succeed(cargo().args(["install", "--locked", package]))
}

/// Whether the tests on PostgreSQL are left out.
pub(crate) fn without_postgres() -> bool {
    variable(SKIP_POSTGRES).is_some() && variable("CI").is_none()
}

fn postgres() -> Result<()> {
    if without_postgres() {
        say(&format!("!! {SKIP_POSTGRES} is set: NOTHING IS TESTED ON POSTGRESQL"));
        return Ok(());
    }
    // Started and ended once: that the binaries are there does not say that they run.
    postgres_server().map(drop)
}

/// One server for every test of a run; it ends when dropped.
pub(crate) fn postgres_server() -> Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Server::start()).with_context(|| {
        format!(
            "half of the store cannot be tested without PostgreSQL. On Debian: apt-get install postgresql-15. \
             On a laptop, and nowhere else: {SKIP_POSTGRES}=1"
        )
    })
}

fn node() -> Result<()> {
    let version = output(command("node").arg("--version")).context("Node 20 or newer is missing")?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        bail!("Node {version} is too old; 20 or newer is needed");
    }
    packages("e2e", &["ci"])
}

/// Its binaries for other platforms are optional, larger than the rest, and not used; no registry has all of them, which
/// `npm ci` demands.
const OFFICIAL_CLI: &[&str] = &["install", "--no-save", "--omit=optional"];

/// The packages of this folder, as its lock file pins them.
fn packages(folder: &str, how: &[&str]) -> Result<()> {
    let folder = root().join(folder);
    unless_stamped(&folder.join("package-lock.json"), &folder.join("node_modules/.installed-lock"), || {
        succeed(
            command("npm")
                .args(how)
                .args(["--ignore-scripts", "--no-fund", "--no-audit"])
                .current_dir(&folder),
        )
    })
}

/// The interpreter of the environment in which the official Python client is installed.
pub(crate) fn python() -> Result<PathBuf> {
    let version = output(command("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]));
    let version = version.context("Python 3.11 or newer is missing")?;
    let (major, minor) = version.split_once(' ').unwrap_or((&version, "0"));
    if (major.parse::<u32>()?, minor.parse::<u32>()?) < (3, 11) {
        bail!("Python {major}.{minor} is too old; 3.11 or newer is needed");
    }
    let home = root().join("target/e2e-python");
    let interpreter = home.join("bin/python");
    let asked = root().join("e2e/python/requirements.txt");
    unless_stamped(&asked, &home.join("installed-requirements"), || {
        succeed(command("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let pip = ["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r"];
        succeed(command(&interpreter).args(pip).arg(&asked))
    })?;
    Ok(interpreter)
}

/// The browser: `CARNET_TEST_CHROMIUM`, else the first found, else one that apt-get brings.
pub(crate) fn chromium() -> Result<PathBuf> {
    const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    if let Some(chosen) = variable("CARNET_TEST_CHROMIUM") {
        return Ok(chosen.into());
    }
    if let Some(found) = find(NAMES) {
        return Ok(found);
    }
    if !has_apt() {
        bail!(
            "Chromium is missing. Install the package `chromium`, or name a browser in CARNET_TEST_CHROMIUM"
        );
    }
    apt("chromium")?;
    find(NAMES).context("apt-get installed chromium, and yet it is not in the search path")
}

/// Let's Encrypt's own ACME server for tests. Where it cannot be had, the tests against it do nothing and say so; a run
/// that must be whole fails.
fn pebble() -> Result<()> {
    let found = || variable("CARNET_TEST_PEBBLE").is_some() || find(&["pebble"]).is_some();
    if !found() && has_apt() {
        // Tests that need it are few: not to get it is no reason to test nothing.
        if let Err(error) = apt("pebble") {
            say(&format!("{error:#}"));
        }
    }
    if found() {
        return Ok(());
    }
    if variable("CI").is_some() {
        bail!("Pebble is missing. Install the package `pebble`, or name it in CARNET_TEST_PEBBLE");
    }
    say("!! pebble is missing (the package `pebble`): NOTHING IS TESTED AGAINST AN ACME SERVER");
    Ok(())
}

fn has_apt() -> bool {
    let superuser = output(command("id").arg("-u")).is_some_and(|id| id == "0");
    superuser && find(&["apt-get"]).is_some()
}

fn apt(package: &str) -> Result<()> {
    succeed(command("apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends", package];
    succeed(command("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Runs `install` unless it ran for this very text before.
fn unless_stamped(asked: &Path, stamp: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let text = fs::read(asked).with_context(|| format!("cannot read {}", asked.display()))?;
    if fs::read(stamp).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    install()?;
    fs::write(stamp, text).with_context(|| format!("cannot write {}", stamp.display()))
}
