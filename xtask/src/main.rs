//! Chores of the repository, run as `cargo xtask …`.
//!
//! [`test`](mod@test) runs everything that must hold, in order; [`check`] holds what the repository demands of itself;
//! [`arrows`] is the rule which crate may use which; [`mod@bench`] measures speed and size; [`mod@fuzz`]
//! looks for input that breaks a parser. Nothing here is part of the product.

mod arrows;
mod bench;
mod check;
mod fuzz;
mod needs;
mod page;
mod run;
mod test;
mod tree;

use std::process::ExitCode;

use crate::run::say;

const USAGE: &str = "\
cargo xtask test [--only STEP]... [--keep-going] [--long]
                        everything that must hold; installs what it needs
cargo xtask test --list the steps
cargo xtask bench [--quick]
                        speed and size, as one table
cargo xtask fuzz [--long] [TARGET]...
                        the fuzz targets, with libFuzzer
cargo xtask check       the repository's own checks
cargo xtask cli-page    writes docs/cli.md from the commands
cargo xtask arrows      the crate graph against its allowed arrows";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"test", rest)) => test::Asked::parse(rest).and_then(|asked| test::run(&asked)),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        Some((&"check", [])) => check::run(),
        Some((&"arrows", [])) => arrows::run(),
        Some((&"cli-page", [])) => page::write(),
        Some((&("help" | "--help" | "-h"), _)) => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\n{error:#}"));
            ExitCode::FAILURE
        }
    }
}
