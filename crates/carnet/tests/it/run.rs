//! `carnet run` as a process: it becomes the command, so signals and exit codes are the command's own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::broker::{Broker, free_port};

fn carnet(home: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(line).current_dir(home).stdin(Stdio::null()).env("HOME", home);
    for name in ["CLAUDECODE", "AI_AGENT", "AGENT", "CARNET_URL", "CARNET_TOKEN", "CARNET_OIDC_TOKEN"] {
        command.env_remove(name);
    }
    command
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_in_the_place_of_carnet_with_a_real_token() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    broker.dev().await;
    // Commands look for a folder called .carnet.
    std::os::unix::fs::symlink("data", home.path().join(".carnet")).unwrap();

    let ask = ["run", "-c", "demo/hello", "-s", "app", "--"];
    let line = |rest: &[&'static str]| [&ask[..], rest].concat();
    let shown =
        carnet(home.path(), &line(&["sh", "-c", "printf %s \"$CARNET_TOKEN_DEMO_HELLO$DEMO_TOKEN\""]));
    let shown = { shown }.output().unwrap();
    let token = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && !token.is_empty(), "{}", String::from_utf8_lossy(&shown.stderr));

    let masked = [
        "run",
        "--mask",
        "-c",
        "T=demo/hello",
        "-s",
        "app",
        "--",
        "sh",
        "-c",
        "echo $T; echo x$T >&2; exit 9",
    ];
    let masked = carnet(home.path(), &masked).output().unwrap();
    assert_eq!(
        (masked.status.code(), masked.stdout, masked.stderr),
        (Some(9), b"***\n".to_vec(), b"x***\n".to_vec())
    );

    // A service of the catalog has a variable of its own.
    let data = r#"{"values":[{"value":"ghp_of_a_test"}]}"#;
    let create = ["create", "github", "-n", "mine", "--connector-type", "api-key", "--data", data];
    let made = carnet(home.path(), &create).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let own = ["run", "-c", "github/mine", "-s", "app", "--", "sh", "-c", "printf %s $GITHUB_TOKEN"];
    assert_eq!(carnet(home.path(), &own).output().unwrap().stdout, b"ghp_of_a_test");

    // The process that was started is the command: a signal to it is a signal to the command, and so is its end.
    let mut child = carnet(home.path(), &line(&["sh", "-c", "echo $$; exec sleep 600"]))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first.trim(), child.id().to_string());
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));

    // With --mask Carnet stays, and hands the signal on.
    let line = [
        "run",
        "--mask",
        "-c",
        "demo/hello",
        "-s",
        "app",
        "--",
        "sh",
        "-c",
        "trap 'echo stopped; exit 5' TERM; echo up; while :; do sleep 0.05; done",
    ];
    let mut child = carnet(home.path(), &line).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    signal(&child, Signal::TERM);
    assert_eq!(lines.next().unwrap().unwrap(), "stopped");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    broker.kill();
}
