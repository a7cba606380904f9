//! The binary as a process: started, loaded, abused, killed and started again.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests drive the process from outside, with clients of their own"
)]

mod abuse;
mod acme;
mod admin;
mod backup;
mod broker;
mod canaries;
mod consent;
mod contexts;
mod disk;
mod keys;
mod kill;
mod opening;
#[cfg(debug_assertions)]
mod points;
mod registration;
mod release;
mod run;
#[cfg(debug_assertions)]
mod scene;
mod seed;
mod serve;
mod tls;
mod transfer;
mod triggers;
mod two;
mod unread;
#[cfg(debug_assertions)]
mod window;
