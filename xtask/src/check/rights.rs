//! Roles are looked at in one place, and every right is decided by somewhere.

use super::at;
use crate::tree::File;

const TABLE: &str = "crates/model/src/rights.rs";

/// Where a role may be named: where the table is, where roles are read and written, and where teams get their owners and
/// keep one.
const NAMES_ROLES: &[&str] = &[
    TABLE,
    "crates/model/src/caller.rs",
    "crates/engine/src/setup.rs",
    "crates/engine/src/teams.rs",
    "crates/store/src/people.rs",
];

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let Some(table) = at(files, TABLE) else { return vec![format!("{TABLE} is missing")] };
    let mut wrong = Vec::new();
    let product: Vec<(&File, &str)> =
        files.iter().filter(|file| is_product(file)).map(|file| (file, without_tests(&file.text))).collect();
    for (file, text) in &product {
        if NAMES_ROLES.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if names_a_role(line) {
                wrong.push(format!("{}:{}: a role is decided by; ask for a right", file.path, number + 1));
            }
        }
    }
    for right in rights(&table.text) {
        let named = format!("Right::{right}");
        let used = product.iter().any(|(file, text)| file.path != TABLE && mentions(text, &named));
        if !used {
            wrong.push(format!("{TABLE}: nothing is decided by {named}"));
        }
    }
    wrong
}

/// What is shipped, and no test.
fn is_product(file: &File) -> bool {
    let path = &file.path;
    let shipped = ["model", "store", "engine", "api", "dashboard"];
    file.extension() == "rs"
        && shipped.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")))
        && !path.ends_with("/tests.rs")
        && !path.contains("/tests/")
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn names_a_role(line: &str) -> bool {
    ["Owner", "Member", "ConnectorManager", "Viewer"].iter().any(|role| {
        let name = format!("Role::{role}");
        line.match_indices(&name).any(|(start, _)| {
            let before = line.get(..start).and_then(|text| text.chars().next_back());
            // `KeyRole` is another thing.
            !before.is_some_and(char::is_alphanumeric)
        })
    })
}

fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let after = text.get(start + name.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(char::is_alphanumeric)
    })
}

/// The names in the table: `Name = "text" [`.
fn rights(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.contains("\" [") && line.trim_end().ends_with(';'));
    rows.filter_map(|line| line.trim().split_once(" = ").map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_role_that_is_compared_and_a_right_that_decides_nothing_are_told() {
        let table = file(
            TABLE,
            "rights! {\n    A = \"a\" [Yes No No No] Looks Team Any;\n    AB = \"ab\" [Yes No No No] Looks Team Any;\n}\n",
        );
        let good = file("crates/engine/src/a.rs", "fn a() { may(Right::AB); KeyRole::Owner }\n");
        let bad = file(
            "crates/engine/src/b.rs",
            "fn b() {\n    role == Role::Owner\n}\n#[cfg(test)]\nRole::Viewer\n",
        );
        let test = file("crates/engine/src/b/tests.rs", "Role::Viewer");
        assert_eq!(
            faults(&[table, good, bad, test]),
            [
                "crates/engine/src/b.rs:2: a role is decided by; ask for a right".to_owned(),
                format!("{TABLE}: nothing is decided by Right::A"),
            ]
        );
    }
}
