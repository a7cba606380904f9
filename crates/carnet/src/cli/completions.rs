//! `completions`: a script that lets a shell complete commands and flags.

use clap::CommandFactory;
use serde_json::json;

use super::args::{Cli, CompletionsArgs};
use super::failure::Failure;
use super::talk::Talk;

/// Prints the script.
pub(crate) fn print(talk: &mut Talk, args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "carnet", &mut script);
    let script = String::from_utf8_lossy(&script);
    if talk.wants_json() {
        return talk.document(&json!({ "shell": args.shell.to_string(), "script": script }));
    }
    talk.raw(&script)
}
