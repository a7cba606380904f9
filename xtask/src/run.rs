//! Running other programs, and speaking.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "this is a command-line program")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Reads a variable of the environment; empty counts as absent.
#[expect(clippy::disallowed_methods, reason = "the chores have no configuration but the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The cargo that started us, so that both use one toolchain.
pub(crate) fn cargo() -> Command {
    command(variable("CARGO").as_deref().unwrap_or("cargo"))
}

/// A program, started in the root of the repository.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs to the end with the terminal attached; anything but success is an error that shows the command.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    say(&format!("$ {shown}"));
    let status = command.status().with_context(|| format!("`{shown}` does not start"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// What a program prints on its standard output, or nothing if it is not there or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where the first of these programs stands in the search path.
pub(crate) fn find(programs: &[&str]) -> Option<PathBuf> {
    let path = variable("PATH")?;
    programs
        .iter()
        .flat_map(|program| std::env::split_paths(&path).map(move |folder| folder.join(program)))
        .find(|candidate| candidate.is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
