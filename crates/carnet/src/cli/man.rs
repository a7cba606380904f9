//! `man`: a manual page for each command, in a folder.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use serde_json::json;

use super::args::ManArgs;
use super::failure::Failure;
use super::talk::Talk;
use super::tree::{root, subcommands};

/// Writes them.
pub(crate) fn write(talk: &mut Talk, folder: &Path, args: &ManArgs) -> Result<(), Failure> {
    let folder = folder.join(&args.folder);
    let mut written = Vec::new();
    let done = fs::create_dir_all(&folder).and_then(|()| pages(&folder, &root(), "carnet", &mut written));
    done.map_err(|error| {
        Failure::new("file_failed", format!("Manual pages cannot be written into {}.", folder.display()))
            .because(&error)
            .next("carnet man DIR", "with a folder in which you may write")
    })?;
    if talk.wants_json() {
        return talk.document(&json!({ "folder": folder.to_string_lossy(), "pages": written }));
    }
    talk.success(&format!("{} manual pages written into {}", written.len(), folder.display()));
    talk.say(&format!("  Read one: man {}/carnet-token.1", folder.display()));
    Ok(())
}

fn pages(folder: &Path, command: &Command, name: &str, written: &mut Vec<String>) -> io::Result<()> {
    // Built, a command knows what it is called in full.
    let page = clap_mangen::Man::new(command.clone()).title(name.to_uppercase());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let file = format!("{name}.1");
    fs::write(folder.join(&file), text)?;
    written.push(file);
    // The commands below `connect` are those without the word, and have their pages there.
    for below in subcommands(command).filter(|below| name != "carnet-connect" || below.get_name() == "keys") {
        pages(folder, below, &format!("{name}-{}", below.get_name()), written)?;
    }
    Ok(())
}
