//! Keeping files out of the repository.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The repository that a folder is in.
pub(crate) fn repository(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}

/// Whether the `.gitignore` files from the folder up to its repository keep an entry of the folder out.
///
/// Only rules without folders in them are understood, which are those that people write for such entries. A rule that
/// is not understood counts as absent, so the worst is one line too many.
pub(crate) fn ignores(folder: &Path, name: &str) -> bool {
    let Some(root) = repository(folder) else { return false };
    let inside = folder.ancestors().take_while(|above| above.starts_with(root));
    for above in inside {
        let rules = fs::read_to_string(above.join(".gitignore")).unwrap_or_default();
        // The last rule that fits decides; a nearer file beats one above (gitignore(5), PATTERN FORMAT).
        let decision = rules.lines().rev().find_map(|rule| decides(rule, name, above == folder));
        if let Some(ignored) = decision {
            return ignored;
        }
    }
    false
}

/// Adds a rule to the folder's `.gitignore` and returns that file.
pub(crate) fn ignore(folder: &Path, rule: &str) -> io::Result<PathBuf> {
    let path = folder.join(".gitignore");
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(format!("{gap}{rule}\n").as_bytes())?;
    Ok(path)
}

fn decides(rule: &str, name: &str, here: bool) -> Option<bool> {
    let rule = rule.trim_end();
    let (rule, ignored) = rule.strip_prefix('!').map_or((rule, true), |rule| (rule, false));
    let rule = rule.strip_suffix('/').unwrap_or(rule);
    let rule = match rule.strip_prefix('/') {
        Some(anchored) if here => anchored,
        Some(_) => return None,
        None => rule.strip_prefix("**/").unwrap_or(rule),
    };
    let understood = !rule.is_empty() && !rule.starts_with('#') && !rule.contains(['/', '[', '?', '\\']);
    (understood && fits(rule, name)).then_some(ignored)
}

/// Whether a name fits a pattern with any number of `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|tail| fits(after, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_git_reads_them() {
        for (rules, name, ignored) in [
            (".carnet", ".carnet", true),
            ("/.carnet/", ".carnet", true),
            ("**/.carnet", ".carnet", true),
            ("# .carnet", ".carnet", false),
            ("carnet", ".carnet", false),
            (".env*", ".env.local", true),
            (".env*.local", ".env.local", true),
            ("*.local", ".env.local", true),
            (".env", ".env.local", false),
            (".env*\n!.env.local", ".env.local", false),
            ("!.env.local\n.env*", ".env.local", true),
            ("a/.carnet", ".carnet", false),
            ("", ".carnet", false),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join(".git")).unwrap();
            fs::write(root.path().join(".gitignore"), rules).unwrap();
            assert_eq!(ignores(root.path(), name), ignored, "{rules:?} {name}");
        }
    }

    #[test]
    fn a_rule_above_counts_unless_it_is_anchored_there() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(root.path().join(".git")).unwrap();
        fs::write(root.path().join(".gitignore"), "/.carnet\n").unwrap();
        assert!(!ignores(&inner, ".carnet"));
        fs::write(root.path().join(".gitignore"), ".carnet\n").unwrap();
        assert!(ignores(&inner, ".carnet"));
        fs::write(inner.join(".gitignore"), "!.carnet\n").unwrap();
        assert!(!ignores(&inner, ".carnet"));
    }

    #[test]
    fn a_file_inside_of_the_folder_keeps_all_of_it_out() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join(".carnet");
        fs::create_dir(root.path().join(".git")).unwrap();
        fs::create_dir(&inside).unwrap();
        assert!(!ignores(&inside, "project.json"));
        fs::write(inside.join(".gitignore"), "*\n").unwrap();
        assert!(ignores(&inside, "project.json"));
    }

    #[test]
    fn a_rule_is_added_on_a_line_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let path = ignore(root.path(), ".carnet").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), ".carnet\n");
        fs::write(&path, "target").unwrap();
        ignore(root.path(), ".carnet").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "target\n.carnet\n");
    }
}
