//! The main job, with the token in memory: decided, recorded durably, answered. Beside it a bare echo and a neighbour.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{Target, Until, closed, paced};
use crate::process::{Server, dev_file, free_port};
use crate::table::{Beside, Table, Unit, say};
use crate::{Extent, neighbour};

/// What was measured of one server.
struct Measured {
    per_second: f64,
    /// At half of that rate, in milliseconds.
    median: f64,
    p99: f64,
    /// At the greatest rate.
    busy_median: f64,
    busy_p99: f64,
    cpu: f64,
    requests: u32,
}

pub(crate) fn measure(carnet: &Path, extent: Extent, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let port = free_port()?;
    say("token requests, the token in memory, on SQLite:");
    let server = Server::carnet_dev(carnet, &data, port)?;
    let target =
        Target::same(server.address, request(server.address, &dev_file(&data)?, r#"{"type":"app"}"#)?);
    let ours = all(&server, &target, extent)?;
    let short = LARGE.saturating_sub(ours.requests);
    closed(&target, CONNECTIONS, Until::Requests(short))?;
    let resident = server.resident()?;
    server.stop()?;

    let port = free_port()?;
    let mut echo =
        Server::start(Command::new(std::env::current_exe()?).args(["echo", &port.to_string()]), port)?;
    echo.ready("/readyz")?;
    let limit = all(&echo, &Target { address: echo.address, ..target }, extent).context("the echo")?;
    drop(echo);
    let neighbour = match neighbour::start()? {
        Some(server) => Some(all(&server, &neighbour::target(&server), extent).context("the neighbour")?),
        None => None,
    };

    let echo = |of: fn(&Measured) -> f64| Beside::Measured("bare echo", Some(of(&limit)));
    let peer = |of: fn(&Measured) -> f64| Beside::Measured("oidc-provider", neighbour.as_ref().map(of));
    let mut add = |what: &str, of: fn(&Measured) -> f64, unit, aim: Option<Beside>| {
        let what = format!("token from memory: {what}");
        if let Some(aim) = aim {
            table.add(&what, of(&ours), unit, [aim, echo(of), peer(of)]);
        } else {
            table.add(&what, of(&ours), unit, [echo(of), peer(of)]);
        }
    };
    add(
        "requests",
        |m| m.per_second,
        Unit::PerSecond,
        neighbour.as_ref().map(|m| Beside::AtLeast(m.per_second * 4.0)),
    );
    add("processor per request", |m| m.cpu, Unit::Millis, Some(Beside::AtMost(0.06)));
    add("median at half load", |m| m.median, Unit::Millis, None);
    add("p99 at half load", |m| m.p99, Unit::Millis, Some(Beside::AtMost(5.0)));
    add("median at full load", |m| m.busy_median, Unit::Millis, None);
    add("p99 at full load", |m| m.busy_p99, Unit::Millis, None);
    let what = "memory after 100,000 requests and more";
    table.add(what, resident, Unit::Megabytes, [Beside::AtMost(50.0)]);
    Ok(())
}

fn all(server: &Server, target: &Target, extent: Extent) -> Result<Measured> {
    let warm = closed(target, CONNECTIONS, Until::After(extent.load / 10))?;
    let before = server.cpu_millis()?;
    let full = closed(target, CONNECTIONS, Until::After(extent.load))?;
    let cpu = (server.cpu_millis()? - before) / f64::from(full.requests());
    let before = server.cpu_millis()?;
    let half = paced(target, CONNECTIONS, Until::After(extent.load), full.per_second() / 2.0)?;
    let cpu_of_half = (server.cpu_millis()? - before) / f64::from(half.requests());
    say(&format!(
        "  {}: {:.0} /s, processor {cpu:.4} ms, at half load {cpu_of_half:.4} ms, median {:.3} ms, p99 {:.3} ms, \
         of which the generator was late by {:.3} ms and {:.3} ms",
        server.address,
        full.per_second(),
        half.permille(500),
        half.permille(990),
        half.late_permille(500),
        half.late_permille(990)
    ));
    Ok(Measured {
        per_second: full.per_second(),
        median: half.permille(500),
        p99: half.permille(990),
        busy_median: full.permille(500),
        busy_p99: full.permille(990),
        cpu,
        requests: warm.requests() + full.requests() + half.requests(),
    })
}

/// Asks a server that runs already for the application's token, at this rate or as fast as it answers.
pub(crate) fn load(data: &Path, seconds: &str, rate: Option<&str>) -> Result<()> {
    let dev = dev_file(data)?;
    let url = dev.get("url").and_then(serde_json::Value::as_str).context("dev.json has no url")?;
    let address = url.trim_start_matches("http://").parse()?;
    let target = Target::same(address, request(address, &dev, r#"{"type":"app"}"#)?);
    let until = Until::After(Duration::from_secs(seconds.parse()?));
    let taken = match rate {
        None => closed(&target, CONNECTIONS, until)?,
        Some(rate) => paced(&target, CONNECTIONS, until, rate.parse()?)?,
    };
    let times = [500, 900, 990, 999].map(|share| format!("{:.2}", taken.permille(share))).join(" ");
    say(&format!(
        "{} requests, {:.0} /s; p50 p90 p99 p99.9 ms: {times}; the generator was late by p99 {:.2} ms",
        taken.requests(),
        taken.per_second(),
        taken.late_permille(990)
    ));
    Ok(())
}

/// A token request for this subject, from the workload that `carnet dev` made an identity for.
pub(crate) fn request(address: SocketAddr, dev: &serde_json::Value, subject: &str) -> Result<Vec<u8>> {
    let identity =
        dev.get("oidcToken").and_then(serde_json::Value::as_str).context("dev.json has no oidcToken")?;
    let body = format!(r#"{{"subject":{subject}}}"#);
    let mut request = format!("POST /v1/connect/token/demo%2Fhello HTTP/1.1\r\nhost: {address}\r\n");
    write!(request, "authorization: Bearer {identity}\r\ncontent-type: application/json\r\n")?;
    write!(request, "content-length: {}\r\n\r\n{body}", body.len())?;
    Ok(request.into_bytes())
}

pub(crate) const CONNECTIONS: usize = 64;
/// After so many requests the memory is looked at.
const LARGE: u32 = 100_000;
