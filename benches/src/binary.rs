//! The binary itself: its size, and how long it takes to be there.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::Extent;
use crate::process::{Server, free_port};
use crate::table::{Beside, Table, Unit, say};

pub(crate) fn measure(carnet: &Path, extent: Extent, table: &mut Table) -> Result<()> {
    say("the binary:");
    let bytes = u32::try_from(std::fs::metadata(carnet)?.len())?;
    table.add("release binary", f64::from(bytes) / 1e6, Unit::Megabytes, [Beside::AtMost(40.0)]);
    let start = cold_starts(carnet, extent)?;
    add(table, "carnet serve, an existing store, until /readyz", &start, 150.0);
    Ok(())
}

/// From before the process exists until it says that it is ready, on a store that it made before.
fn cold_starts(carnet: &Path, extent: Extent) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let start = || -> Result<Server> {
        let mut command = Command::new(carnet);
        command.args(["serve", "--data", "data", "--url", &format!("http://localhost:{port}")]);
        command.args(["--listen", &format!("127.0.0.1:{port}")]).current_dir(folder.path());
        let mut server = Server::start(command.env("CARNET_LOG", "error"), port)?;
        server.ready("/readyz")?;
        Ok(server)
    };
    start()?.stop()?;
    let mut millis = Vec::new();
    for _ in 0..extent.starts {
        let begun = Instant::now();
        let server = start()?;
        millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        server.stop()?;
    }
    millis.sort_unstable_by(f64::total_cmp);
    Ok(millis)
}

/// How long something takes, in milliseconds, the shortest first.
pub(crate) fn times(count: u32, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut millis = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        run()?;
        millis.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    millis.sort_unstable_by(f64::total_cmp);
    Ok(millis)
}

pub(crate) fn add(table: &mut Table, what: &str, millis: &[f64], aim: f64) {
    let at =
        |share: usize| millis.get(millis.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    table.add(&format!("{what}: median"), at(50), Unit::Millis, [Beside::AtMost(aim)]);
    table.add(&format!("{what}: p99"), at(99), Unit::Millis, [Beside::AtMost(aim)]);
}
