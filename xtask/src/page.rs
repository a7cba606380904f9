//! docs/cli.md, written anew by the binary that it is about.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::run::{root, say};

const PAGE: &str = "docs/cli.md";

/// Writes the page. That it is the present one is compared by a test of the binary.
pub(crate) fn write() -> Result<()> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "-p", "carnet", "--", "cli-page"])
        .current_dir(root())
        .output()
        .context("cargo run -p carnet")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(root().join(PAGE), &output.stdout).with_context(|| PAGE)?;
    say(&format!("wrote {PAGE}"));
    Ok(())
}
