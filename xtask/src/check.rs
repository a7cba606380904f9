//! What the repository demands of itself. Each check reads files and tells what is wrong; none changes anything.

mod crates;
mod dependencies;
mod errors;
mod links;
mod proofs;
mod rights;
mod routes;
mod words;

use anyhow::{Result, bail};

use crate::run::{root, say};
use crate::tree::{self, File};

type Check = fn(&[File]) -> Vec<String>;

const CHECKS: &[(&str, Check)] = &[
    ("every crate takes the workspace's lints and versions", crates::faults),
    ("every error code has its page", errors::faults),
    ("every dependency has its reason", dependencies::faults),
    ("every failure mode names the tests that prove it", proofs::faults),
    ("every path that is served is told, and no other", routes::faults),
    ("roles are looked at in one place, and every right decides something", rights::faults),
    ("every link inside the repository leads somewhere", links::faults),
    ("no marks of unfinished work, no paths of one machine", words::faults),
];

/// Past this a file is asked which second idea crept in. Listed, not refused.
const LONG: usize = 600;
const WRITTEN: &[&str] = &["rs", "mjs", "py", "html", "css", "sql", "md"];

/// Runs all of them.
pub(crate) fn run() -> Result<()> {
    let files = tree::read(root())?;
    let mut failed = false;
    for (name, check) in CHECKS {
        let wrong = check(&files);
        say(&format!("{} {name}", if wrong.is_empty() { "ok  " } else { "FAIL" }));
        for line in &wrong {
            say(&format!("       {line}"));
        }
        failed |= !wrong.is_empty();
    }
    for file in files.iter().filter(|file| WRITTEN.contains(&file.extension())) {
        let lines = file.text.lines().count();
        if lines > LONG {
            say(&format!("note {} has {lines} lines; does it still tell one story?", file.path));
        }
    }
    if failed {
        bail!("the repository's own checks failed");
    }
    crate::arrows::run()
}

/// The file at this path, if it is there.
fn at<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_passes_its_own_checks() {
        let files = tree::read(root()).unwrap();
        for (name, check) in CHECKS {
            assert_eq!(check(&files), Vec::<String>::new(), "{name}");
        }
    }

    pub(super) fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }
}
