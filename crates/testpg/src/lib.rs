//! A private PostgreSQL for tests, made from the machine's own binaries.
//!
//! [`Database::create`] gives an empty database. If `CARNET_TEST_POSTGRES` holds the address of a server (the test
//! command starts one for all tests), the database is made there; otherwise a server is started for this process and
//! ended with the last database. Where there are no binaries the caller is told, loudly; a test run that must be whole
//! fails, and `CARNET_TEST_SKIP_POSTGRES=1` lets a developer go on without.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A running server. Ended when dropped.
pub struct Server {
    // Before the folder: fields are dropped in this order.
    child: Running,
    port: u16,
    _data: tempfile::TempDir,
}

/// The process of a server. Ended when dropped.
struct Running(Child);

/// An empty database.
pub struct Database {
    url: String,
    _server: Option<Arc<Server>>,
}

static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Database {
    /// Makes an empty database; `None` if the developer chose to go without PostgreSQL.
    pub async fn create() -> anyhow::Result<Option<Self>> {
        #[expect(clippy::disallowed_methods, reason = "tests are told where to go by the environment")]
        let (given, skip) =
            (std::env::var("CARNET_TEST_POSTGRES"), std::env::var("CARNET_TEST_SKIP_POSTGRES"));
        if skip.is_ok_and(|value| value == "1") {
            return Ok(None);
        }
        let (base, server) = if let Ok(url) = given {
            (url, None)
        } else {
            let server = running().await?;
            (server.url(), Some(server))
        };
        let (client, connection) =
            tokio_postgres::connect(&format!("{base}/postgres"), tokio_postgres::NoTls)
                .await
                .context("the test server does not answer")?;
        #[expect(clippy::disallowed_methods, reason = "ends with the client below")]
        let connection = tokio::spawn(connection);
        // The name of a temporary folder is unique among the processes that run now.
        let unique = tempfile::TempDir::new()?;
        let unique = unique.path().file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
        let hex = unique.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let name = format!("t_{}_{hex}", std::process::id());
        client.batch_execute(&format!("create database {name}")).await?;
        drop(client);
        connection.abort();
        Ok(Some(Self { url: format!("{base}/{name}"), _server: server }))
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn running() -> anyhow::Result<Arc<Server>> {
    let known = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(server) = known {
        return Ok(server);
    }
    let server = Arc::new(Server::start().await?);
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(other) = running.upgrade() {
        return Ok(other);
    }
    *running = Arc::downgrade(&server);
    Ok(server)
}

impl Server {
    /// Makes a cluster in a temporary folder and starts it on a free loopback port.
    pub async fn start() -> anyhow::Result<Self> {
        let bin = binaries().context(
            "no PostgreSQL server binaries found (initdb, postgres); install the package postgresql, \
             or set CARNET_TEST_SKIP_POSTGRES=1 to test without it",
        )?;
        let data = tempfile::Builder::new().prefix("carnet-pg").tempdir()?;
        let owner = owner();
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(data.path(), Some(user), Some(group))?;
        }
        let cluster = data.path().join("cluster");
        let made = as_owner(&mut Command::new(bin.join("initdb")), owner)
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&cluster)
            .current_dir(data.path())
            .output()?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let log = data.path().join("log");
        for _ in 0..TRIES {
            // Somebody else may take it before the server does: then the server ends, and there is another.
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let child = as_owner(&mut Command::new(bin.join("postgres")), owner)
                .arg("-D")
                .arg(&cluster)
                .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "max_connections=400"])
                .arg("-k")
                .arg(data.path())
                .current_dir(data.path())
                .stdout(Stdio::null())
                // What the last one said of its end is told.
                .stderr(File::create(&log)?)
                .spawn()?;
            let mut child = Running(child);
            if child.is_ready(port, &cluster).await? {
                return Ok(Self { child, port, _data: data });
            }
        }
        let said = std::fs::read(&log).unwrap_or_default();
        bail!("the test server ended at its start: {}", String::from_utf8_lossy(&said))
    }

    /// Its address, without a database.
    pub fn url(&self) -> String {
        address(self.port)
    }

    /// The server's process, for tests that stop or kill it.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

impl Running {
    /// Waits until it answers; `false` if it ended before.
    async fn is_ready(&mut self, port: u16, cluster: &Path) -> anyhow::Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.0.try_wait()?.is_some() {
                return Ok(false);
            }
            if is_at(port, cluster).await {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the test server did not start within {} s", PATIENCE.as_secs())
    }
}

/// Whether the server of this cluster answers at this port, and not that of another process.
async fn is_at(port: u16, cluster: &Path) -> bool {
    let address = format!("{}/postgres", address(port));
    let Ok((client, connection)) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await else {
        return false;
    };
    let asked = async {
        let row = client.query_one("select current_setting('data_directory')", &[]).await.ok()?;
        row.try_get::<_, String>(0).ok()
    };
    let found = tokio::select! {
        found = asked => found,
        _ = connection => None,
    };
    found.is_some_and(|found| Path::new(&found) == cluster)
}

fn address(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}")
}

/// How many ports are tried.
const TRIES: usize = 5;

/// How long a server may take to start on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_mins(1);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGQUIT: immediate shutdown; the folder goes away anyway.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        let _ = self.0.wait();
    }
}

/// Where the programs of PostgreSQL are: of the newest installed version, or whatever is on the path.
pub fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    #[expect(clippy::disallowed_methods, reason = "where programs are is for the environment to say")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.pop().or_else(|| std::env::split_paths(&path).find(|dir| dir.join("initdb").exists()))
}

/// PostgreSQL refuses to run as root; as root, its own user or `nobody` runs it.
fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when somebody else got the port first. That the own one is known, its start shows.
    #[tokio::test]
    async fn the_postgres_of_another_cluster_is_not_taken_for_ones_own() {
        if Database::create().await.unwrap().is_none() {
            return;
        }
        let server = Server::start().await.unwrap();
        assert!(!is_at(server.port, Path::new("/somewhere/cluster")).await);
        let mut ended = Running(Command::new("true").spawn().unwrap());
        assert!(!ended.is_ready(server.port, Path::new("/somewhere/cluster")).await.unwrap());
    }
}
