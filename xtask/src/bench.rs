//! Speed and size: builds the program as it is delivered and measures it with the one beside it.

use anyhow::Result;

use crate::needs::Need;
use crate::run::{cargo, command, root, say, succeed};

/// Prints one table; writes nothing but temporary folders. `--quick` only shows that everything runs.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    for need in [Need::Node, Need::VercelCli] {
        if let Err(error) = need.meet() {
            say(&format!("!! {error:#}: there will be no neighbour to compare with"));
        }
    }
    // Apart, so that what the measuring needs of a shared dependency is not built into the program.
    for package in ["carnet", "carnet-benches"] {
        succeed(cargo().args(["build", "--release", "--locked", "--package", package]))?;
    }
    succeed(command(root().join("target/release/carnet-benches")).args(words))
}
