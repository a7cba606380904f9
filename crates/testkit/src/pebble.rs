//! Pebble, the ACME server with which Let's Encrypt tries clients: a real authority on loopback, with a root of its own, a
//! name service that sends every name here, and one port at which it looks whether a name is ours.
//!
//! The program comes from the machine (the package `pebble`), which the test command installs. Where it is missing the
//! tests that need it say so and do nothing, but for a run that must be whole (`CI`), which fails.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use carnet_egress::Origin;
use carnet_engine::Acme;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::kit::eventually;
use crate::ports::free_port;

/// The authority. Ended by its own process id when it is dropped.
pub struct Pebble {
    folder: TempDir,
    own_root: String,
    ports: Ports,
    child: Mutex<Option<Child>>,
    door: Mutex<Option<std::net::TcpListener>>,
    names: Arc<Names>,
}

#[derive(Debug)]
struct Ports {
    directory: u16,
    management: u16,
    door: u16,
}

/// The name service.
#[derive(Default)]
struct Names {
    asked: AtomicUsize,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

impl std::fmt::Debug for Pebble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pebble").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Pebble {
    /// A name that is here.
    pub const NAME: &str = "connect.example.test";

    /// Starts one, if the machine has the program.
    pub async fn start() -> Option<Arc<Self>> {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let [directory, management, http] = [(); 3].map(|()| free_port());
        let ports = Ports { directory, management, door: door.local_addr().unwrap().port() };
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.path().join("cert.pem"),
            "privateKey": folder.path().join("key.pem"),
            "httpPort": http,
            "tlsPort": ports.door,
            "certificateValidityPeriod": Self::LIFE.as_secs(),
        }});
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let names = Arc::new(Names::default());
        let dns = serve_names(names.clone());
        std::fs::write(folder.path().join("dns"), dns.to_string()).unwrap();
        let pebble = Self {
            own_root: cert.pem(),
            folder,
            ports,
            child: Mutex::default(),
            door: Mutex::new(Some(door)),
            names,
        };
        pebble.run().await.then(|| Arc::new(pebble))
    }

    /// How long its certificates hold.
    pub const LIFE: Duration = Duration::from_hours(90 * 24);

    /// Starts it again with a root of its own, knowing nobody.
    pub async fn run(&self) -> bool {
        let path = |name: &str| self.folder.path().join(name);
        let dns = std::fs::read_to_string(path("dns")).unwrap();
        let log = File::create(path("log")).unwrap();
        let mut command = Command::new(program());
        command
            .args(["-strict", "-dnsserver", &dns, "-config"])
            .arg(path("config.json"))
            // It looks at once, and anew for every order.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        match command.spawn() {
            Ok(child) => *self.child.lock().unwrap() = Some(child),
            Err(error) => {
                assert!(!must_be_whole(), "pebble, which the tests of certificates need: {error}");
                tell_of_the_gap(&error);
                return false;
            }
        }
        eventually(&format!("pebble answers: {}", self.log()), async || self.root().await).await;
        true
    }

    /// Ends it.
    pub fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What a deployment asks of it.
    pub fn acme(&self, names: &[&str]) -> Acme {
        Acme {
            directory: self.directory().parse().unwrap(),
            domains: names.iter().map(|&name| name.to_owned()).collect(),
            contact: vec!["ops@example.test".to_owned()],
        }
    }

    /// The address of its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.directory)
    }

    pub(crate) fn origin(&self) -> Origin {
        format!("https://localhost:{}", self.ports.directory).parse().unwrap()
    }

    /// What its own address is trusted by, PEM.
    pub fn own_root(&self) -> &str {
        &self.own_root
    }

    /// Where it looks.
    pub fn at(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.door))
    }

    /// The port at which it looks, if nobody has it.
    pub fn door(&self) -> Option<TcpListener> {
        let kept = self.door.lock().unwrap().take();
        let door = kept.or_else(|| std::net::TcpListener::bind(self.at()).ok())?;
        door.set_nonblocking(true).unwrap();
        Some(TcpListener::from_std(door).unwrap())
    }

    /// Leaves the port at which it looks to others.
    pub fn leave_door(&self) {
        self.door.lock().unwrap().take();
    }

    /// The root of the certificates that it gives, PEM.
    pub async fn root(&self) -> Option<String> {
        let own = reqwest::Certificate::from_pem(self.own_root.as_bytes()).unwrap();
        let url = format!("https://localhost:{}/roots/0", self.ports.management);
        trusting(own, None).get(url).send().await.ok()?.text().await.ok()
    }

    /// A client that trusts what it gives, and finds every name at its door.
    pub async fn client(&self) -> reqwest::Client {
        let root = self.root().await.unwrap();
        trusting(reqwest::Certificate::from_pem(root.as_bytes()).unwrap(), Some(self.at()))
    }

    /// No name is found from now on, or names are found again.
    pub fn hush(&self, is_silent: bool) {
        self.names.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// How often a name was asked for.
    pub fn names_asked(&self) -> usize {
        self.names.asked.load(Ordering::SeqCst)
    }

    fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
        self.names.is_over.store(true, Ordering::SeqCst);
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a client of the test's own")]
fn trusting(root: reqwest::Certificate, door: Option<SocketAddr>) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]).tls_info(true);
    let builder = builder.timeout(Duration::from_secs(20));
    let builder = match door {
        Some(door) => builder.resolve(Pebble::NAME, door),
        None => builder,
    };
    builder.build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tests are told where to find programs by the environment")]
fn program() -> String {
    std::env::var("CARNET_TEST_PEBBLE").unwrap_or_else(|_| "pebble".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "whether a run must be whole is said from outside")]
fn must_be_whole() -> bool {
    std::env::var_os("CI").is_some()
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests must see it")]
fn tell_of_the_gap(error: &std::io::Error) {
    println!("!! {error}: NOTHING IS TESTED AGAINST AN ACME SERVER (install the package `pebble`)");
}

/// Answers every question for an IPv4 address with this machine (RFC 1035 §4.1); every other with nothing.
fn serve_names(names: Arc<Names>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 1500];
        while !names.is_over.load(Ordering::SeqCst) {
            let Ok((length, peer)) = socket.recv_from(&mut packet) else { continue };
            names.asked.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) =
                answer(&packet[..length]).filter(|_| !names.is_silent.load(Ordering::SeqCst))
            {
                let _ = socket.send_to(&answer, peer);
            }
        }
    });
    address
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let labels = query.get(12..)?;
    let question = labels.iter().position(|&byte| byte == 0)? + 5;
    let question = labels.get(..question)?;
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let mut out = query.get(..2)?.to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    out.extend(question);
    if is_a {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(out)
}
