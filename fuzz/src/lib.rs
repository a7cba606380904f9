//! What strangers send, mutated.
//!
//! Each [`Target`] is a plain function over bytes: it hands them to one of our parsers and panics where something does
//! not hold that must hold of any input. Beside it lies a small corpus of real and crafted input, in
//! `corpus/<target>`. The ordinary test run drives every target over its corpus and some thousands of mutations, always
//! the same ones; `CARNET_TEST_LONG=1` makes it a hundred times as many. `harness/` hands the same functions to
//! libFuzzer, which looks at coverage and finds more: `cargo xtask fuzz`.
//!
//! A finding becomes a file of the corpus, so that it is tried for ever.
//!
//! Nothing here is part of the product.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "whatever goes wrong in here is a finding"
)]

mod mutate;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

pub use mutate::Mutator;
pub use targets::{account, callback, envelope, jwks, jwt, metadata, reach, token_answer, url, webhook};

/// A parser, and what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The folder of its corpus, and its name in the harness.
    pub name: &'static str,
    /// Whether the input is accepted, or led to something; panics if something does not hold.
    pub run: fn(&[u8]) -> bool,
    /// Pieces of its language, for the mutator.
    pub words: &'static [&'static str],
    /// What only code can make, signed or sealed. `examples/corpus.rs` writes it into the corpus.
    pub made: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "jwt", run: jwt::run, words: jwt::WORDS, made: jwt::made },
    Target { name: "jwks", run: jwks::run, words: jwks::WORDS, made: jwks::made },
    Target { name: "metadata", run: metadata::run, words: metadata::WORDS, made: Vec::new },
    Target { name: "url", run: url::run, words: url::WORDS, made: Vec::new },
    Target { name: "token_answer", run: token_answer::run, words: token_answer::WORDS, made: Vec::new },
    Target { name: "callback", run: callback::run, words: callback::WORDS, made: Vec::new },
    Target { name: "reach", run: reach::run, words: reach::WORDS, made: Vec::new },
    Target { name: "account", run: account::run, words: account::WORDS, made: Vec::new },
    Target { name: "webhook", run: webhook::run, words: webhook::WORDS, made: webhook::made },
    Target { name: "envelope", run: envelope::run, words: envelope::WORDS, made: envelope::made },
];

impl Target {
    /// Where its corpus is.
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// Its corpus, in the order of the names.
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        let mut paths: Vec<_> =
            fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    /// Runs over the corpus and this many mutations of it; how many of them were accepted. What was tried last is
    /// printed if it was a finding.
    pub fn drive(&self, mutations: usize) -> usize {
        let corpus = self.corpus();
        assert!(corpus.len() >= 5, "{}: the corpus has {} files", self.name, corpus.len());
        let accepted = corpus.iter().filter(|input| self.accepts(input)).count();
        assert!(0 < accepted && accepted < corpus.len(), "{}: the corpus shows only one side", self.name);
        let mut mutator = Mutator::new(self.words);
        (0..mutations).filter(|_| self.accepts(&mutator.next(&corpus))).count()
    }

    fn accepts(&self, input: &[u8]) -> bool {
        let last = Last { target: self.name, input };
        let accepted = (self.run)(input);
        drop(last);
        accepted
    }
}

/// Says what was tried when it comes to an end by a panic.
struct Last<'a> {
    target: &'static str,
    input: &'a [u8],
}

impl Drop for Last<'_> {
    #[expect(clippy::print_stderr, reason = "a finding is of use only with its input")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: \"{}\"", self.target, self.input.escape_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_code_can_make_stands_in_the_corpus() {
        let mut made = 0;
        for target in TARGETS {
            let corpus = target.corpus();
            for seed in (target.made)() {
                assert!(corpus.contains(&seed), "{}: cargo run -p carnet-fuzz --example corpus", target.name);
                made += 1;
            }
        }
        assert!(made >= 5);
    }
}
