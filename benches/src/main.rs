//! Measures speed and size, and prints one table: `cargo xtask bench`.
//!
//! Every server that is measured is a process of its own and runs as it is delivered; the requests come from this
//! process, over loopback. What is compared is measured in the same run, one after the other. A number says what this
//! machine did this time, not more; [`table`] puts beside it what it is to be held against.

mod authority;
mod binary;
mod cli;
mod client;
mod echo;
mod grants;
mod lists;
mod load;
mod mints;
mod neighbour;
mod process;
mod recovery;
mod store;
mod table;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::table::{Table, say};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// How long each load lasts.
    pub(crate) load: Duration,
    /// How many grants the large store has.
    pub(crate) grants: u32,
    /// How often a process is started.
    pub(crate) starts: u32,
    /// How often each store of grants is opened anew and asked for each of a thousand people.
    pub(crate) rounds: u32,
    /// The team whose lists are asked for.
    pub(crate) lists: lists::Size,
}

const WHOLE: Extent =
    Extent { load: Duration::from_secs(20), grants: 1_000_000, starts: 50, rounds: 10, lists: lists::WHOLE };
/// To see that everything runs; its numbers are not worth keeping.
const QUICK: Extent =
    Extent { load: Duration::from_secs(3), grants: 20_000, starts: 10, rounds: 3, lists: lists::QUICK };

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["echo", port] => echo::serve(port),
        ["authority", port] => authority::serve(port),
        ["mints"] => alone(|carnet, table| mints::measure(carnet, QUICK, table)),
        ["load", data, seconds] => tokens::load(Path::new(data), seconds, None),
        ["load", data, seconds, rate] => tokens::load(Path::new(data), seconds, Some(rate)),
        [] => measure(WHOLE),
        ["--quick"] => measure(QUICK),
        ["grants"] => alone(|carnet, table| grants::measure(carnet, WHOLE, table)),
        ["recovery"] => alone(recovery::measure),
        ["cli"] => alone(|carnet, table| cli::measure(carnet, WHOLE, table)),
        ["lists"] => alone(|carnet, table| lists::measure(carnet, lists::WHOLE, table)),
        ["lists", "--quick"] => alone(|carnet, table| lists::measure(carnet, lists::QUICK, table)),
        _ => {
            say("carnet-benches [--quick]             what cargo xtask bench starts");
            say("carnet-benches mints                 only tokens made anew, shortly");
            say("carnet-benches grants                a thousand grants against a million alone");
            say("carnet-benches cli                   the command line alone, beside vercel's");
            say("carnet-benches recovery              the part about refreshes in doubt alone");
            say("carnet-benches lists [--quick]       the lists of a large team alone");
            say(
                "carnet-benches load FOLDER SECONDS   asks the carnet dev of this folder for tokens, under a profiler",
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\n{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(extent: Extent) -> Result<()> {
    let carnet = binary()?;
    let mut table = Table::new();
    say(&format!("load average at the start: {}", process::load_average()?));
    tokens::measure(&carnet, extent, &mut table).context("token requests")?;
    mints::measure(&carnet, extent, &mut table).context("tokens made anew")?;
    grants::measure(&carnet, extent, &mut table).context("many grants")?;
    recovery::measure(&carnet, &mut table).context("recovery")?;
    lists::measure(&carnet, extent.lists, &mut table).context("lists")?;
    binary::measure(&carnet, extent, &mut table).context("the binary")?;
    cli::measure(&carnet, extent, &mut table).context("the command line")?;
    store::measure(extent, &mut table).context("the store")?;
    say(&format!("load average at the end: {}\n", process::load_average()?));
    say(&table.to_string());
    Ok(())
}

/// One part, and nothing else.
fn alone(measure: impl FnOnce(&Path, &mut Table) -> Result<()>) -> Result<()> {
    let mut table = Table::new();
    say(&format!("load average at the start: {}", process::load_average()?));
    measure(&binary()?, &mut table)?;
    say(&table.to_string());
    Ok(())
}

/// The release binary, which is built beside this program.
fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let carnet = here.parent().unwrap_or(Path::new(".")).join("carnet");
    anyhow::ensure!(carnet.is_file(), "{} is missing; start this by: cargo xtask bench", carnet.display());
    Ok(carnet)
}
