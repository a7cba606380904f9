//! The `carnet` binary: the command line, and the server that two of its commands start.

#![forbid(unsafe_code)]

mod admin;
mod backup;
mod cli;
mod config;
mod dev;
mod failpoints;
mod hygiene;
mod managed;
mod root_key;
mod secret_file;
mod seed;
mod serve;
mod server;
mod sign_in;
mod tls;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let servers = cli::Servers {
        dev: dev::run,
        serve: serve::run,
        backup: backup::run,
        restore: backup::restore,
        admin: admin::run,
    };
    cli::run(std::env::args_os(), cli::Surroundings::from_process(), servers)
}
