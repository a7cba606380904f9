//! The files of the repository that people wrote.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// What tools make, or what is not text.
const OTHERS: &[&str] = &["target", "node_modules", "__pycache__"];
const HIDDEN: &[&str] = &[".ci", ".config", ".cargo"];
const TEXT: &[&str] = &[
    "rs", "md", "toml", "mjs", "js", "ts", "py", "html", "css", "sql", "sh", "json", "txt", "yml", "yaml",
    "service", "in",
];

impl File {
    /// The ending of the name.
    pub(crate) fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    /// Its lines, counted from one.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every text file below `root` except lock files and what tools make, in order of path.
pub(crate) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    descend(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn descend(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let skip =
                OTHERS.contains(&name.as_str()) || name.starts_with('.') && !HIDDEN.contains(&name.as_str());
            if !skip {
                descend(root, &path, files)?;
            }
        } else if is_text(&path, &name) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn is_text(path: &Path, name: &str) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    name != "package-lock.json" && (TEXT.contains(&ending.as_str()) || path.ends_with(".ci/run"))
}
