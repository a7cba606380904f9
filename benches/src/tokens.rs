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

    let many = format!("{CONNECTIONS} connections");
    let what = |what: &str| format!("token from memory: {what}");
    table.add(
        what(&format!("requests, {many}")),
        ours.per_second,
        Unit::PerSecond,
        against(&limit, |m| m.per_second),
    );
    if let Some(neighbour) = &neighbour {
        let beside = Beside::Measured(NEIGHBOUR, neighbour.per_second);
        table.add(what(&format!("requests, {many}")), ours.per_second, Unit::PerSecond, beside);
        let times = ours.per_second / neighbour.per_second;
        table.add(what("requests, times oidc-provider's"), times, Unit::Times, Beside::AtLeast(4.0));
    }
    table.add(what(&format!("processor per request, {many}")), ours.cpu, Unit::Millis, Beside::AtMost(0.06));
    table.add(
        what(&format!("processor per request, {many}")),
        ours.cpu,
        Unit::Millis,
        against(&limit, |m| m.cpu),
    );
    if let Some(neighbour) = &neighbour {
        let beside = Beside::Measured(NEIGHBOUR, neighbour.cpu);
        table.add(what(&format!("processor per request, {many}")), ours.cpu, Unit::Millis, beside);
    }
    table.add(what("median at half load"), ours.median, Unit::Millis, against(&limit, |m| m.median));
    table.add(what("p99 at half load"), ours.p99, Unit::Millis, Beside::AtMost(5.0));
    table.add(what("p99 at half load"), ours.p99, Unit::Millis, against(&limit, |m| m.p99));
    if let Some(neighbour) = &neighbour {
        table.add(
            what("p99 at half load"),
            ours.p99,
            Unit::Millis,
            Beside::Measured(NEIGHBOUR, neighbour.p99),
        );
    }
    table.add(
        what("median at full load"),
        ours.busy_median,
        Unit::Millis,
        against(&limit, |m| m.busy_median),
    );
    table.add(what("p99 at full load"), ours.busy_p99, Unit::Millis, against(&limit, |m| m.busy_p99));
    table.add("memory after 100,000 requests and more", resident, Unit::Megabytes, Beside::AtMost(50.0));
    Ok(())
}

fn against(limit: &Measured, of: impl Fn(&Measured) -> f64) -> Beside {
    Beside::Measured("bare echo", of(limit))
}

fn all(server: &Server, target: &Target, extent: Extent) -> Result<Measured> {
    let warm = closed(target, CONNECTIONS, Until::After(extent.load / 10))?;
    let before = server.cpu_millis()?;
    let full = closed(target, CONNECTIONS, Until::After(extent.load))?;
    let cpu = (server.cpu_millis()? - before) / f64::from(full.requests());
    let half = paced(target, CONNECTIONS, Until::After(extent.load), full.per_second() / 2.0)?;
    say(&format!(
        "  {}: {:.0} /s, processor {cpu:.4} ms, at half load median {:.3} ms, p99 {:.3} ms",
        server.address,
        full.per_second(),
        half.permille(500),
        half.permille(990)
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

/// Asks a server that runs already for the application's token, as fast as it answers.
pub(crate) fn load(data: &Path, seconds: &str) -> Result<()> {
    let dev = dev_file(data)?;
    let url = dev.get("url").and_then(serde_json::Value::as_str).context("dev.json has no url")?;
    let address = url.trim_start_matches("http://").parse()?;
    let target = Target::same(address, request(address, &dev, r#"{"type":"app"}"#)?);
    let taken = closed(&target, CONNECTIONS, Until::After(Duration::from_secs(seconds.parse()?)))?;
    let (rate, requests) = (taken.per_second(), taken.requests());
    say(&format!("{requests} requests, {rate:.0} /s, p99 {:.2} ms", taken.permille(990)));
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
const NEIGHBOUR: &str = "oidc-provider";
/// After so many requests the memory is looked at.
const LARGE: u32 = 100_000;
