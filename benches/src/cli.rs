//! The command line: how long the commands take that people wait for, beside the official one where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::Extent;
use crate::binary::{add, times};
use crate::process::{Server, dev_file, free_port};
use crate::table::{Beside, Table, Unit, say};

pub(crate) fn measure(carnet: &Path, extent: Extent, table: &mut Table) -> Result<()> {
    say("the command line:");
    let help = times(extent.starts, || run(Command::new(carnet).arg("--help")))?;
    add(table, "carnet --help", &help, 20.0);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join(".carnet");
    let server = Server::carnet_dev(carnet, &data, free_port()?)?;
    let list = times(extent.starts, || {
        run(Command::new(carnet)
            .args(["connect", "list"])
            .current_dir(folder.path())
            .env("HOME", folder.path()))
    })?;
    add(table, "carnet connect list", &list, 60.0);
    if let Some(vercel) = official() {
        let dev = dev_file(&data)?;
        let text = |name: &str| dev.get(name).and_then(serde_json::Value::as_str).context("dev.json");
        let (url, token, team) = (text("url")?, text("accessToken")?, text("teamSlug")?);
        // A few: one takes longer than all of ours together.
        let theirs = times(5, || {
            run(Command::new(&vercel)
                .args(["connect", "list", "--all-projects", "--api", url, "--token", token, "--scope", team])
                .current_dir(folder.path())
                .env("HOME", folder.path()))
        })?;
        let [ours, theirs] = [&list, &theirs].map(|millis| millis.get(millis.len() / 2).copied());
        let beside = Beside::Measured("vercel connect list", theirs);
        table.add("carnet connect list: median", ours.unwrap_or_default(), Unit::Millis, [beside]);
    } else {
        say("!! the npm package vercel is not installed: NOTHING IS COMPARED WITH IT");
    }
    server.stop()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The official command line, where the end-to-end suites have it installed.
fn official() -> Option<PathBuf> {
    let e2e = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e");
    let places = [
        "vercel/node_modules/.bin/vercel",
        "vercel-cli/node_modules/.bin/vercel",
        "node_modules/.bin/vercel",
    ];
    places.iter().map(|place| e2e.join(place)).find(|path| path.is_file())
}
