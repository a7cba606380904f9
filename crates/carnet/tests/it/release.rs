//! A release does not fail on purpose, and says so instead of ignoring that it was asked to. `cargo nextest run
//! --release -p carnet release`.

#![cfg(not(debug_assertions))]

use std::process::Command;

#[test]
fn a_release_refuses_to_be_asked_to_fail_and_does_not_know_where_it_could() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(["serve", "--url", "http://localhost:1", "--listen", "127.0.0.1:0"]);
    command.current_dir(home.path()).env("CARNET_FAIL_POINTS", home.path());
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("CARNET_FAIL_POINTS"), "{said}");
    let binary = std::fs::read(env!("CARGO_BIN_EXE_carnet")).unwrap();
    for point in carnet_model::failpoint::Point::ALL {
        let name = point.as_str().as_bytes();
        assert!(!binary.windows(name.len()).any(|window| window == name), "{}", point.as_str());
    }
}
