//! `docs/dependencies.md` and what is really depended on are one list.

use std::collections::BTreeSet;

use super::at;
use crate::tree::File;

const PAGE: &str = "docs/dependencies.md";

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let Some(page) = at(files, PAGE) else { return vec![format!("{PAGE} is missing")] };
    let reasoned: BTreeSet<String> = page.lines().filter_map(|(_, line)| row(line)).collect();
    let used: BTreeSet<String> = rust(files).into_iter().chain(node(files)).chain(python(files)).collect();
    let missing = used.difference(&reasoned).map(|name| format!("{PAGE}: no row for `{name}`"));
    let stale = reasoned.difference(&used).map(|name| format!("{PAGE}: `{name}` is not used"));
    missing.chain(stale).collect()
}

/// The name in the first cell of a table row: `` | `name` | … ``.
fn row(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
    Some(name.to_owned())
}

fn rust(files: &[File]) -> Vec<String> {
    let manifest = at(files, "Cargo.toml").and_then(|file| file.text.parse::<toml::Table>().ok());
    let table =
        manifest.as_ref().and_then(|manifest| manifest.get("workspace")?.get("dependencies")?.as_table());
    let foreign = table.into_iter().flatten().filter(|(_, value)| value.get("path").is_none());
    foreign.map(|(name, _)| name.clone()).collect()
}

fn node(files: &[File]) -> Vec<String> {
    let manifests = ["e2e/package.json", "e2e/vercel-cli/package.json"].into_iter();
    let read = |file: &File| serde_json::from_str::<serde_json::Value>(&file.text).ok();
    let manifests = manifests.filter_map(|path| at(files, path).and_then(read));
    let names = |manifest: serde_json::Value| -> Vec<String> {
        let table = manifest.get("dependencies").and_then(serde_json::Value::as_object);
        table.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    manifests.flat_map(names).collect()
}

/// What was asked for; what that brings along is in `requirements.txt`.
fn python(files: &[File]) -> Vec<String> {
    let asked = at(files, "e2e/python/requirements.in");
    let names = asked.into_iter().flat_map(File::lines).filter_map(|(_, line)| line.split_once("=="));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_and_a_reason_without_a_dependency_are_told() {
        let files = [
            file("Cargo.toml", "[workspace.dependencies]\na = \"1\"\nours = { path = \"x\" }"),
            file("e2e/package.json", r#"{"dependencies": {"@v/b": "1"}}"#),
            file("e2e/vercel-cli/package.json", r#"{"dependencies": {"v": "1"}}"#),
            file("e2e/python/requirements.in", "c==1\n"),
            file(PAGE, "| crate | why |\n|---|---|\n| `a` | x |\n| `z` | y |\n"),
        ];
        let told = faults(&files);
        let want = ["no row for `@v/b`", "no row for `c`", "no row for `v`", "`z` is not used"]
            .map(|end| format!("{PAGE}: {end}"));
        assert_eq!(told, want);
    }
}
