//! Fuzzing: the targets of `fuzz/`, with libFuzzer, which looks at what they reach.
//!
//! The harness is built here, as cargo-fuzz would: all our code and that of others with coverage counters, by the same
//! compiler. Without the sanitizers it needs no nightly one; our own code has no `unsafe` for them to look at.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, command, output, root, say, succeed};

/// For each target.
const SECONDS: u32 = 60;
const LONG: u32 = 1800;
/// What libFuzzer steers by: counters at every edge, and what is compared with what.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions";

/// Runs the targets that are named, or all.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let all = targets(&root().join("fuzz/corpus"))?;
    let (long, named): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word == "--long");
    if let Some(unknown) = named.iter().find(|name| !all.iter().any(|known| known == *name)) {
        bail!("cargo xtask fuzz takes --long and targets ({}), not {unknown}", all.join(", "));
    }
    let seconds = if long.is_empty() { SECONDS } else { LONG };
    let target = root().join("target/fuzz");
    let triple = build(&target)?;
    for name in all.iter().filter(|name| named.is_empty() || named.contains(&name.as_str())) {
        let (corpus, artifacts) = (target.join("corpus").join(name), target.join("artifacts").join(name));
        for folder in [&corpus, &artifacts] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut fuzz = command(target.join(&triple).join("release").join(name));
        // What is found goes into the first folder, what is known is read from the second.
        fuzz.args([corpus, root().join("fuzz/corpus").join(name)]);
        fuzz.args([
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-max_len=98304".to_owned(),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=512".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        let found = succeed(&mut fuzz);
        found.with_context(|| {
            format!(
                "{name}: what it found is in {}; mend it, and move it to fuzz/corpus/{name}",
                artifacts.display()
            )
        })?;
    }
    Ok(())
}

/// Builds the harness; for which machine.
fn build(target: &Path) -> Result<String> {
    let version = output(command("rustc").arg("-vV")).context("rustc does not say its version")?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    let triple = triple.context("rustc does not say for which machine it builds")?.to_owned();
    // The same versions as in the product, where both use a crate.
    let locked = root().join("fuzz/harness/Cargo.lock");
    if !locked.exists() {
        std::fs::copy(root().join("Cargo.lock"), &locked).context("cannot copy Cargo.lock")?;
    }
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/harness/Cargo.toml", "--target-dir"]);
    // Named, so that build scripts, which are not fuzzed, are built without counters.
    build.arg(target).args(["--target", &triple]).env("RUSTFLAGS", COVERAGE);
    say(&format!("RUSTFLAGS=\"{COVERAGE}\""));
    succeed(&mut build)?;
    Ok(triple)
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
        for words in [&["--short"][..], &["--long", "martian"]] {
            assert!(run(words).is_err(), "{words:?}");
        }
    }
}
