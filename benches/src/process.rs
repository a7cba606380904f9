//! The processes that are measured: started, watched through `/proc`, ended.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::{Read as _, Write as _};

/// A server on loopback. Ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// A port nobody listens on at the moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Server {
    /// Starts a server that will listen on this port.
    pub(crate) fn start(command: &mut Command, port: u16) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
        Ok(Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
    }

    /// `carnet dev` on this folder, ready to be asked.
    pub(crate) fn carnet_dev(carnet: &Path, data: &Path, port: u16) -> Result<Self> {
        Self::carnet_dev_on(carnet, data, port, None)
    }

    /// The same with its data in this database, if one is named.
    pub(crate) fn carnet_dev_on(
        carnet: &Path,
        data: &Path,
        port: u16,
        database: Option<&str>,
    ) -> Result<Self> {
        let written = data.join("dev.json");
        let before = fs::metadata(&written).and_then(|file| file.modified()).ok();
        let mut command = Command::new(carnet);
        command.args(["dev", "--no-open", "--json", "--port", &port.to_string(), "--data"]).arg(data);
        if let Some(database) = database {
            command.args(["--database-url", database]);
        }
        let mut server = Self::start(command.current_dir(data.parent().unwrap_or(data)), port)?;
        server.wait(|_| fs::metadata(&written).and_then(|file| file.modified()).ok() != before)?;
        Ok(server)
    }

    /// Waits until this path answers with 200.
    pub(crate) fn ready(&mut self, path: &str) -> Result<()> {
        self.wait(|server| server.answers(path).unwrap_or(false))
    }

    fn wait(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !done(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("the server is not ready after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn answers(&self, path: &str) -> Result<bool> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut line = [0; 13];
        stream.read_exact(&mut line)?;
        Ok(line.starts_with(b"HTTP/1.1 200 "))
    }

    /// The processor time it has used so far, its own and the kernel's on its behalf, in milliseconds.
    pub(crate) fn cpu_millis(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may hold anything; fields are counted after it (proc(5)).
        let (_, fields) = text.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let field = |number: usize| fields.split_whitespace().nth(number).and_then(|text| text.parse().ok());
        let (user, kernel): (u32, u32) = field(11).zip(field(12)).context("/proc/PID/stat has no times")?;
        let ticks = u32::try_from(rustix::param::clock_ticks_per_second())?;
        Ok(f64::from(user + kernel) * 1000.0 / f64::from(ticks))
    }

    /// What it holds in memory, in megabytes of a million bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        kib.map(|kib: u32| f64::from(kib) * 1024.0 / 1e6).context("/proc/PID/status has no VmRSS")
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(rustix::process::Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// What `carnet dev` wrote about itself.
pub(crate) fn dev_file(data: &Path) -> Result<Value> {
    let path = data.join("dev.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// How busy the machine was in the last minute, in processes.
pub(crate) fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

const PATIENCE: Duration = Duration::from_mins(1);
