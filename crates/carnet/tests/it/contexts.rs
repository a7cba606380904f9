//! `carnet context` as many processes at once, on one file.

use std::process::{Command, Stdio};

use serde_json::Value;

/// How many at once.
const MANY: usize = 24;

#[test]
fn what_many_processes_write_into_the_file_of_sign_ins_is_all_there() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    let carnet = |line: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
        command.args(line).current_dir(home.path()).stdin(Stdio::null());
        command.env("HOME", home.path()).env("XDG_CONFIG_HOME", &config);
        for name in ["CARNET_URL", "CARNET_TOKEN", "CARNET_OIDC_TOKEN", "CARNET_CONTEXT"] {
            command.env_remove(name);
        }
        command
    };
    let started: Vec<_> = (0..MANY)
        .map(|n| {
            let (name, url) = (format!("c{n}"), format!("https://c{n}.example"));
            carnet(&["context", "add", &name, &url]).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut one in started {
        assert!(one.wait().unwrap().success());
    }
    // Half of them go again while the others are used.
    let started: Vec<_> = (0..MANY)
        .map(|n| {
            let name = format!("c{n}");
            let line = if n % 2 == 0 {
                ["context", "use", &name, "--json"]
            } else {
                ["context", "rm", &name, "--yes"]
            };
            carnet(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut one in started {
        assert!(one.wait().unwrap().success());
    }
    let told = carnet(&["context", "list", "--json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let mut names: Vec<_> = told["contexts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    let mut left: Vec<_> = (0..MANY).step_by(2).map(|n| format!("c{n}")).collect();
    left.sort();
    assert_eq!(names, left);
}
