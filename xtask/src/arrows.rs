//! Which crate may use which. Every arrow goes down a floor; a new one is a decision, made by changing this list.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, say};

/// From the ground up. A crate that is not in the list may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("egress", &["model"]),
    ("vault", &["model"]),
    ("identity", &["model", "egress"]),
    ("store", &["model"]),
    ("providers", &["model", "egress"]),
    ("sdk", &["model"]),
    ("demo", &["model"]),
    ("engine", &["model", "egress", "vault", "identity", "store", "providers"]),
    ("api", &["model", "engine"]),
    ("dashboard", &["model", "engine"]),
    (
        "testkit",
        &[
            "model",
            "egress",
            "vault",
            "identity",
            "store",
            "providers",
            "sdk",
            "demo",
            "engine",
            "api",
            "dashboard",
        ],
    ),
    (
        "carnet",
        &[
            "model",
            "egress",
            "vault",
            "identity",
            "store",
            "providers",
            "sdk",
            "demo",
            "engine",
            "api",
            "dashboard",
            "testkit",
        ],
    ),
    ("xtask", &["model"]),
];

/// A crate and what it uses of ours, development dependencies included.
type Graph = BTreeMap<String, Vec<String>>;

/// Reads the present graph and refuses what is not allowed.
pub(crate) fn run() -> Result<()> {
    let wrong = faults(&present()?);
    if !wrong.is_empty() {
        bail!("the crate graph:\n  {}", wrong.join("\n  "));
    }
    say("crate graph: every arrow is in the list");
    Ok(())
}

fn present() -> Result<Graph> {
    let answer = cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
    if !answer.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&answer.stderr));
    }
    parse(&serde_json::from_slice(&answer.stdout)?)
}

fn parse(metadata: &Value) -> Result<Graph> {
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(short);
    list(metadata, "packages")
        .iter()
        .map(|package| {
            let ours = list(package, "dependencies");
            let ours = ours.iter().filter(|one| one.get("path").is_some_and(Value::is_string));
            Ok((name(package).context("a package without a name")?, ours.filter_map(name).collect()))
        })
        .collect()
}

fn short(package: &str) -> String {
    package.strip_prefix("carnet-").unwrap_or(package).to_owned()
}

fn faults(graph: &Graph) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (from, uses) in graph {
        let Some(may) = allowed.get(from.as_str()) else {
            wrong.push(format!("{from} is not in the list of crates"));
            continue;
        };
        wrong.extend(
            uses.iter()
                .filter(|to| !may.contains(&to.as_str()))
                .map(|to| format!("{from} → {to} is not allowed")),
        );
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_no_arrow_outside_the_list() {
        assert_eq!(faults(&present().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn the_list_itself_only_goes_down() {
        let mut below = Vec::new();
        for (from, uses) in ALLOWED {
            for to in *uses {
                assert!(below.contains(to), "{from} → {to} goes up");
            }
            below.push(from);
        }
    }

    #[test]
    fn an_upward_arrow_and_an_unknown_crate_are_told() {
        let metadata = serde_json::json!({"packages": [
            {"name": "carnet-store", "dependencies": [
                {"name": "carnet-engine", "path": "/x", "kind": "dev"}, {"name": "serde", "path": null}]},
            {"name": "carnet-helpers", "dependencies": []},
        ]});
        let told = faults(&parse(&metadata).unwrap());
        assert_eq!(told, ["helpers is not in the list of crates", "store → engine is not allowed"]);
    }
}
