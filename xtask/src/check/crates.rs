//! Crates take lints and versions from the workspace, and the workspace forbids `unsafe`.

use toml::{Table, Value};

use crate::tree::File;

/// Where a manifest may name what it depends on.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml")) {
        let path = &file.path;
        let Ok(manifest) = file.text.parse::<Table>() else {
            wrong.push(format!("{path}: not TOML"));
            continue;
        };
        if path == "Cargo.toml" {
            let level =
                manifest.get("workspace").and_then(|w| w.get("lints")?.get("rust")?.get("unsafe_code"));
            if level.and_then(Value::as_str) != Some("forbid") {
                wrong.push(format!("{path}: [workspace.lints.rust] unsafe_code must be \"forbid\""));
            }
            continue;
        }
        if !from_workspace(manifest.get("lints")) {
            wrong.push(format!("{path}: needs [lints] workspace = true"));
        }
        for (table, name, value) in TABLES.iter().flat_map(|table| entries(&manifest, table)) {
            if !from_workspace(Some(value)) {
                wrong.push(format!("{path}: [{table}] {name} must be `{name}.workspace = true`"));
            }
        }
    }
    wrong
}

fn entries<'a>(
    manifest: &'a Table,
    table: &'a str,
) -> impl Iterator<Item = (&'a str, &'a String, &'a Value)> {
    let found = manifest.get(table).and_then(Value::as_table);
    found.into_iter().flatten().map(move |(name, value)| (table, name, value))
}

fn from_workspace(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_crate_with_its_own_lints_or_versions_is_told() {
        let root = file("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"deny\"");
        let own = file("crates/a/Cargo.toml", "[dependencies]\nhttp = \"1\"");
        let good =
            file("crates/b/Cargo.toml", "[lints]\nworkspace = true\n[dependencies]\nhttp.workspace = true");
        let told = faults(&[root, own, good]);
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
