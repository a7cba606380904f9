//! Tokens that are made anew for every request: assertions signed by the connector's key, and exchanges.
//!
//! Each request is for another identity or another inbound token, so nothing comes from memory: read, decided, signed,
//! sent to a server on this machine, kept, recorded durably, answered. What counts is our own processor time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Extent;
use crate::load::{Target, Until, closed};
use crate::process::{Server, dev_file, free_port};
use crate::table::{Beside, Table, Unit, say};
use crate::tokens::CONNECTIONS;

pub(crate) fn measure(carnet: &Path, extent: Extent, table: &mut Table) -> Result<()> {
    say("tokens made anew for every request, on SQLite:");
    let port = free_port()?;
    let mut authority =
        Server::start(Command::new(std::env::current_exe()?).args(["authority", &port.to_string()]), port)?;
    authority.ready("/readyz")?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::carnet_dev(carnet, &data, free_port()?)?;
    let dev = dev_file(&data)?;
    for (what, name, algorithm, subject) in [
        ("jwt-bearer mint, RS256", "rs", "RS256", jwt_bearer as Subject),
        ("jwt-bearer mint, ES256", "es", "ES256", jwt_bearer as Subject),
        ("token exchange", "exchange", "ES256", token as Subject),
    ] {
        connect(&server, &dev, authority.address, name, algorithm)?;
        let target = target(&server, &dev, name, subject)?;
        closed(&target, CONNECTIONS, Until::After(extent.load / 10))?;
        // The numbers begin anew with every load: what was made so far must not be asked for again.
        let target = Target { request: after_warm_up(&target), ..target };
        let before = server.cpu_millis()?;
        let taken = closed(&target, CONNECTIONS, Until::After(extent.load))?;
        let cpu = (server.cpu_millis()? - before) / f64::from(taken.requests());
        table.add(&format!("{what}: requests"), taken.per_second(), Unit::PerSecond, []);
        let per_core = 1000.0 / cpu;
        let what = format!("{what}: per second and core of our own");
        table.add(&what, per_core, Unit::PerSecond, [Beside::AtLeast(1000.0)]);
    }
    server.stop()
}

/// The subject object of this name.
type Subject = fn(&str) -> Value;

fn jwt_bearer(name: &str) -> Value {
    json!({"type": "jwt-bearer", "sub": name})
}

fn token(name: &str) -> Value {
    json!({"type": "token", "token": name})
}

/// Names of one length, so that only they differ between requests.
fn name(number: u32) -> String {
    format!("subject-{number:08}")
}

/// The same requests, for subjects that no warm-up can have reached.
fn after_warm_up(target: &Target) -> Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync> {
    let request = target.request.clone();
    Arc::new(move |number| request(number + 50_000_000))
}

fn target(server: &Server, dev: &Value, connector: &str, subject: Subject) -> Result<Target> {
    let identity = dev.get("oidcToken").and_then(Value::as_str).context("dev.json has no oidcToken")?;
    let body = json!({"subject": subject(&name(0))}).to_string();
    let at = body.find(&name(0)).context("the subject has its name")?;
    let path = format!("/v1/connect/token/bench%2F{connector}");
    let head = head(server.address, &path, identity, body.len());
    let at = head.len() + at;
    let template = (head + &body).into_bytes();
    let request = Arc::new(move |number: u32| {
        let mut request = template.clone();
        let name = name(number);
        if let Some(place) = request.get_mut(at..at + name.len()) {
            place.copy_from_slice(name.as_bytes());
        }
        request
    });
    Ok(Target { address: server.address, request })
}

/// Makes a connector to the authority, linked to the project of the folder.
fn connect(server: &Server, dev: &Value, authority: SocketAddr, name: &str, algorithm: &str) -> Result<()> {
    let text = |member: &str| dev.get(member).and_then(Value::as_str).context("dev.json is not whole");
    let body = json!({
        "service": "bench", "name": name, "type": "oauth", "projectId": text("projectId")?,
        "data": {
            "clientId": "bench", "clientSecret": "bench-client-secret", "signingAlgorithm": algorithm,
            "serverConfig": {
                "issuer": format!("http://{authority}"), "token_endpoint": format!("http://{authority}/token"),
            },
            "jwtBearer": {}, "tokenExchange": {},
        },
    })
    .to_string();
    let mut stream = TcpStream::connect(server.address)?;
    let head = head(server.address, "/v1/connect/connectors", text("accessToken")?, body.len());
    stream.write_all((head + &body).as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    ensure!(status.ends_with(b"201"), "the connector: {}", String::from_utf8_lossy(&status));
    Ok(())
}

fn head(address: SocketAddr, path: &str, bearer: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {bearer}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}
