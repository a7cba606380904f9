//! Fuzzing: the targets of `fuzz/` with libFuzzer, if cargo-fuzz is there; otherwise over their mutations, many times
//! as long as in the ordinary run of the tests.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, find, root, say, succeed};

/// For each target.
const SECONDS: u32 = 60;
const LONG: u32 = 1800;

/// Runs every target.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let seconds = match words {
        [] => SECONDS,
        ["--long"] => LONG,
        _ => bail!("cargo xtask fuzz takes --long and nothing else"),
    };
    if find(&["cargo-fuzz"]).is_none() {
        say("!! cargo-fuzz is not there (cargo install cargo-fuzz): mutations without a look at coverage");
        let test = ["test", "--locked", "--release", "--package", "carnet-fuzz", "--test", "corpus"];
        return succeed(cargo().args(test).env("CARNET_TEST_LONG", "1"));
    }
    let target = root().join("target/fuzz");
    let found = target.join("corpus");
    for name in targets(&root().join("fuzz/corpus"))? {
        let found = found.join(&name);
        std::fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        // What is found goes into the first folder, what is known is read from the second.
        let folders = [found, root().join("fuzz/corpus").join(&name)];
        let mut fuzz = cargo();
        fuzz.args(["fuzz", "run", "--fuzz-dir", "fuzz/harness", "--target-dir"]).arg(&target);
        fuzz.arg(&name).args(folders).args(["--", &format!("-max_total_time={seconds}"), "-max_len=98304"]);
        // The sanitizers are a nightly feature of a stable compiler.
        succeed(fuzz.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

fn targets(corpus: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_has_every_target_and_no_other() {
        let harness = std::fs::read_to_string(root().join("fuzz/harness/Cargo.toml")).unwrap();
        let manifest: toml::Table = harness.parse().unwrap();
        let binaries = manifest["bin"].as_array().unwrap();
        let mut built: Vec<_> = binaries.iter().map(|bin| bin["name"].as_str().unwrap().to_owned()).collect();
        built.sort();
        assert_eq!(built, targets(&root().join("fuzz/corpus")).unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(run(&["--short"]).is_err());
    }
}
