//! `cargo xtask test`: everything that must hold, cheapest first.
//!
//! Every step is an ordinary command that can be run by hand; it is printed before it runs. The first failure ends the
//! run, and the table at the end says what was not looked at. The steps install what they need, see [`Need`].

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carnet_testpg::Server;

use crate::needs::{self, Need};
use crate::run::{cargo, command, root, say, succeed, variable};
use crate::{check, tree};

/// What was asked on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    only: Vec<String>,
    keep_going: bool,
    long: bool,
    list: bool,
}

/// One thing that must hold.
struct Step {
    name: &'static str,
    what: &'static str,
    needs: &'static [Need],
    run: fn(&Asked) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", what: "formatting", needs: &[], run: fmt },
    Step { name: "check", what: "the repository's own checks", needs: &[], run: |_| check::run() },
    Step {
        name: "deny",
        what: "licences, bans and sources of dependencies",
        needs: &[Need::Deny],
        run: deny,
    },
    Step { name: "clippy", what: "lints, denied", needs: &[], run: clippy },
    Step { name: "doc", what: "documentation builds without a warning", needs: &[], run: doc },
    Step {
        name: "unit",
        what: "tests of the crates",
        needs: &[Need::Nextest, Need::Postgres, Need::Pebble],
        run: unit,
    },
    Step { name: "doctest", what: "examples in the documentation", needs: &[], run: doctest },
    Step { name: "build", what: "the debug binary that the next steps drive", needs: &[], run: build },
    Step {
        name: "e2e-node",
        what: "official TypeScript client and CLI, browser, peers, wire",
        needs: NODE,
        run: e2e_node,
    },
    Step { name: "e2e-python", what: "official Python client", needs: &[Need::Python], run: e2e_python },
];

/// The quickstart of the README is run too, and part of it is Python; the wire cases are run on both databases.
const NODE: &[Need] = &[Need::Node, Need::VercelCli, Need::Chromium, Need::Python, Need::Postgres];

enum Ending {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

impl Asked {
    /// Reads the words after `test`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut asked = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--keep-going" => asked.keep_going = true,
                "--long" => asked.long = true,
                "--list" => asked.list = true,
                "--only" => {
                    let name = words.next().context("--only needs the name of a step")?;
                    if !STEPS.iter().any(|step| step.name == *name) {
                        bail!("there is no step `{name}`; see cargo xtask test --list");
                    }
                    asked.only.push((*name).to_owned());
                }
                other => bail!("`{other}` is not understood; see cargo xtask --help"),
            }
        }
        Ok(asked)
    }

    fn wants(&self, step: &Step) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step.name)
    }
}

/// Runs the steps and prints the table.
pub(crate) fn run(asked: &Asked) -> Result<()> {
    if asked.list {
        for step in STEPS {
            say(&format!("{:<11} {}", step.name, step.what));
        }
        return Ok(());
    }
    let wanted: Vec<&Step> = STEPS.iter().filter(|step| asked.wants(step)).collect();
    meet_all(&wanted)?;
    let mut failure = None;
    let mut table = Vec::new();
    for step in wanted {
        if failure.is_some() && !asked.keep_going {
            table.push((step, Ending::NotRun));
            continue;
        }
        say(&format!("\n=== {}: {}", step.name, step.what));
        let start = Instant::now();
        let ending = match (step.run)(asked) {
            Ok(()) => Ending::Passed(start.elapsed()),
            Err(error) => {
                say(&format!("{error:#}"));
                failure = failure.or(Some(step.name));
                Ending::Failed(start.elapsed())
            }
        };
        table.push((step, ending));
    }
    summary(&table);
    match failure {
        None => Ok(()),
        Some(name) => bail!("{name} failed; alone it runs with: cargo xtask test --only {name}"),
    }
}

/// Everything the steps need is there before the first one runs: a missing program is told in seconds, not at the end.
fn meet_all(steps: &[&Step]) -> Result<()> {
    let mut met = Vec::new();
    for need in steps.iter().flat_map(|step| step.needs) {
        if !met.contains(need) {
            need.meet()?;
            met.push(*need);
        }
    }
    Ok(())
}

fn summary(table: &[(&Step, Ending)]) {
    say("");
    for (step, ending) in table {
        let (word, took) = match ending {
            Ending::Passed(took) => ("ok", Some(took)),
            Ending::Failed(took) => ("FAILED", Some(took)),
            Ending::NotRun => ("not run", None),
        };
        let took = took.map_or_else(|| "-".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        say(&format!("{:<11} {word:<8} {took:>9}   {}", step.name, step.what));
    }
    if needs::without_postgres() {
        say("!! nothing was tested on PostgreSQL");
    }
}

fn fmt(_: &Asked) -> Result<()> {
    succeed(cargo().args(["fmt", "--all", "--check"]))
}

fn deny(_: &Asked) -> Result<()> {
    succeed(cargo().args(["deny", "--all-features", "check", "bans", "licenses", "sources"]))
}

fn clippy(_: &Asked) -> Result<()> {
    succeed(cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn doc(_: &Asked) -> Result<()> {
    let flags = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    // Comments on flags are what `--help` prints, where a URL stands without brackets.
    succeed(cargo().args(flags).env("RUSTDOCFLAGS", "-D warnings -A rustdoc::bare-urls"))
}

fn unit(asked: &Asked) -> Result<()> {
    let mut nextest = cargo();
    nextest.args(["nextest", "run", "--locked", "--workspace"]);
    if asked.long {
        // The ordinary profile ends a test that takes minutes.
        nextest.env("CARNET_TEST_LONG", "1").args(["--profile", "long"]);
    }
    // Every test is a process of its own; without this each would start a server of its own.
    succeed(Postgres::start()?.beside(&mut nextest))
}

/// A PostgreSQL server for the time of a step, if there is to be one.
struct Postgres(Option<Server>);

impl Postgres {
    fn start() -> Result<Self> {
        Ok(Self(if needs::without_postgres() { None } else { Some(needs::postgres_server()?) }))
    }

    /// The command with the word where it is, or that there is none.
    fn beside<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match &self.0 {
            Some(server) => {
                command.env_remove(needs::SKIP_POSTGRES).env("CARNET_TEST_POSTGRES", server.url())
            }
            None => command.env(needs::SKIP_POSTGRES, "1"),
        }
    }
}

fn doctest(_: &Asked) -> Result<()> {
    succeed(cargo().args(["test", "--locked", "--workspace", "--doc"]))
}

fn build(_: &Asked) -> Result<()> {
    succeed(cargo().args(["build", "--locked", "--package", "carnet", "--bin", "carnet"]))?;
    // The program of the README, which the suite of the README runs.
    succeed(cargo().args(["build", "--locked", "--package", "carnet-sdk", "--example", "first_token"]))
}

fn e2e_node(asked: &Asked) -> Result<()> {
    let files = tree::read(&root().join("e2e"))?;
    let suites = files.into_iter().map(|file| file.path).filter(|path| path.ends_with(".test.mjs"));
    let (chromium, python) = (needs::chromium()?, needs::python()?);
    // One file after the other: each starts a broker, and the timings of some would not survive the neighbours.
    let run = |suite: &String, postgres: &Postgres| {
        let mut node = command("node");
        node.args(["--test", "--test-timeout=600000", "--test-reporter=spec", suite.as_str()]);
        node.current_dir(root().join("e2e"));
        node.env("CARNET_TEST_CHROMIUM", &chromium).env("CARNET_TEST_PYTHON", &python);
        succeed(postgres.beside(against_the_binary(&mut node, asked)))
    };
    let postgres = Postgres::start()?;
    let failed: Vec<_> = suites.filter(|suite| run(suite, &postgres).is_err()).collect();
    drop(postgres);
    // As with the tests of the crates: what passes when it is run again is a fault to be mended, and stops nobody. It
    // finds nothing of the first time.
    for suite in &failed {
        say(&format!("\n{suite} failed, and is run once more"));
        run(suite, &Postgres::start()?)?;
    }
    if !failed.is_empty() {
        say(&format!("\n!! flaky, failed once and passed once: {}", failed.join(", ")));
    }
    Ok(())
}

fn e2e_python(asked: &Asked) -> Result<()> {
    let mut python = command(needs::python()?);
    python.args(["-m", "unittest", "discover", "-v", "-s", "."]).current_dir(root().join("e2e/python"));
    succeed(against_the_binary(&mut python, asked))
}

/// `CARNET_BIN` names another binary than the debug one.
fn against_the_binary<'a>(
    command: &'a mut std::process::Command,
    asked: &Asked,
) -> &'a mut std::process::Command {
    let built = root().join("target/debug/carnet");
    command.env("CARNET_BIN", variable("CARNET_BIN").map_or(built, Into::into));
    if asked.long {
        command.env("CARNET_TEST_LONG", "1");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_nonsense_is_refused() {
        let asked = Asked::parse(&["--only", "fmt", "--only", "deny", "--long"]).unwrap();
        let chosen: Vec<_> = STEPS.iter().filter(|step| asked.wants(step)).map(|step| step.name).collect();
        assert_eq!(chosen, ["fmt", "deny"]);
        assert!(asked.long);
        for words in [&["--only"][..], &["--only", "martian"], &["fmt"]] {
            assert!(Asked::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn without_a_choice_every_step_is_run() {
        let asked = Asked::parse(&[]).unwrap();
        assert!(STEPS.iter().all(|step| asked.wants(step)));
    }
}
