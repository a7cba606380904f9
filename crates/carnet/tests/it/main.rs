//! The binary as a process: started, loaded, abused, killed and started again.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests drive the process from outside, with clients of their own"
)]

mod abuse;
mod broker;
mod consent;
mod kill;
mod serve;
mod two;
