//! Which crate may use which. Every arrow goes down a floor; a new one is a decision, made by changing this list.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, say};

/// From the ground up. A crate that is not in the list may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("testpg", &[]),
    ("egress", &["model"]),
    ("vault", &["model"]),
    ("catalog", &["model"]),
    ("kms", &["model", "egress", "vault"]),
    ("identity", &["model", "egress"]),
    ("store", &["model"]),
    ("providers", &["model", "egress"]),
    ("sdk", &["model"]),
    ("demo", &["model"]),
    ("engine", &["model", "egress", "vault", "catalog", "identity", "store", "providers"]),
    ("api", &["model", "engine"]),
    ("dashboard", &["model", "engine"]),
    ("testkit", PRODUCT),
    ("carnet", PRODUCT),
    ("benches", PRODUCT),
    ("fuzz", &["model", "egress", "vault", "identity", "providers"]),
    ("xtask", &["model", "testpg"]),
];

/// Everything below the binary.
const PRODUCT: &[&str] = &[
    "model",
    "egress",
    "vault",
    "catalog",
    "kms",
    "identity",
    "store",
    "providers",
    "sdk",
    "demo",
    "engine",
    "api",
    "dashboard",
];

/// What tests may use besides, and nothing that is shipped.
const FOR_TESTS: &[(&str, &[&str])] = &[
    ("sdk", &["testkit"]),
    ("store", &["testpg"]),
    ("providers", &["catalog"]),
    ("engine", &["testpg"]),
    ("testkit", &["testpg"]),
    ("benches", &["testpg", "testkit"]),
    ("carnet", &["testpg", "testkit"]),
];

/// For these, what tests may use is an ordinary dependency.
const NOT_SHIPPED: &[&str] = &["testkit", "benches"];

/// A crate and what it uses of ours.
type Graph = BTreeMap<String, Vec<Arrow>>;

struct Arrow {
    to: String,
    for_tests: bool,
}

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
            let arrow = |one: &Value| {
                let for_tests = one.get("kind").and_then(Value::as_str) == Some("dev");
                name(one).map(|to| Arrow { to, for_tests })
            };
            Ok((name(package).context("a package without a name")?, ours.filter_map(arrow).collect()))
        })
        .collect()
}

fn short(package: &str) -> String {
    package.strip_prefix("carnet-").unwrap_or(package).to_owned()
}

fn faults(graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, arrows) in graph {
        let Some(always) = row(ALLOWED, from) else {
            wrong.push(format!("{from} is not in the list of crates"));
            continue;
        };
        let in_tests = row(FOR_TESTS, from).unwrap_or_default();
        let refused = arrows.iter().filter(|arrow| {
            let listed = |list: &[&str]| list.contains(&arrow.to.as_str());
            let tests = arrow.for_tests || NOT_SHIPPED.contains(&from.as_str());
            !(listed(always) || tests && listed(in_tests))
        });
        wrong.extend(refused.map(|arrow| format!("{from} → {} is not allowed", arrow.to)));
    }
    wrong
}

fn row(list: &[(&str, &'static [&'static str])], from: &str) -> Option<&'static [&'static str]> {
    list.iter().find(|(name, _)| *name == from).map(|(_, to)| *to)
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
                {"name": "carnet-engine", "path": "/x", "kind": "dev"}, {"name": "serde", "path": null},
                {"name": "carnet-testpg", "path": "/x", "kind": "dev"}]},
            {"name": "carnet-engine", "dependencies": [{"name": "carnet-testpg", "path": "/x", "kind": null}]},
            {"name": "carnet-helpers", "dependencies": []},
        ]});
        let told = faults(&parse(&metadata).unwrap());
        assert_eq!(
            told,
            [
                "engine → testpg is not allowed",
                "helpers is not in the list of crates",
                "store → engine is not allowed"
            ]
        );
    }
}
