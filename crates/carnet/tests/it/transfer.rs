//! `carnet export` and `carnet import` between two real servers, and from files of others.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::broker::{Broker, free_port};

/// A person at a machine where `carnet dev` runs.
struct Desk {
    home: tempfile::TempDir,
    broker: Broker,
}

impl Desk {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let broker = Broker::start(home.path(), free_port(), None).await;
        broker.dev().await;
        std::os::unix::fs::symlink("data", home.path().join(".carnet")).unwrap();
        Self { home, broker }
    }

    fn run(&self, line: &[&str]) -> Output {
        carnet(self.home.path(), line).output().unwrap()
    }

    #[track_caller]
    fn json(&self, line: &[&str]) -> Value {
        let done = self.run(&[line, &["--json"]].concat());
        assert!(done.status.success(), "{line:?}: {}", String::from_utf8_lossy(&done.stdout));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

fn carnet(home: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(line).current_dir(home).stdin(Stdio::null()).env("HOME", home);
    for name in ["CLAUDECODE", "AI_AGENT", "AGENT", "CARNET_URL", "CARNET_TOKEN", "CARNET_OIDC_TOKEN"] {
        command.env_remove(name);
    }
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_is_taken_over_and_keys_come_from_a_file_of_variables() {
    let here = Desk::start().await;
    std::fs::write(here.home.path().join(".env"), "OPENAI_API_KEY='sk-of-a-test'\nPORT=80\n").unwrap();
    let planned = here.json(&["import", "--from", "env", ".env", "--dry-run"]);
    assert_eq!(planned["connectors"][0]["uid"], "openai/openai-api-key");
    assert!(!planned.to_string().contains("sk-of-a-test"), "{planned}");
    let refused = here.run(&["import", "--from", "env", ".env"]);
    assert_eq!(refused.status.code(), Some(2), "nobody is there to ask");
    here.json(&["import", "--from", "env", ".env", "--yes"]);
    let again = here.json(&["import", "--from", "env", ".env", "--yes"]);
    assert_eq!(again["things"][0]["outcome"], "was there");
    let token = here.run(&["token", "openai/openai-api-key", "-s", "app"]);
    assert_eq!(String::from_utf8_lossy(&token.stdout), "sk-of-a-test\n");

    // With a project, an environment and an installation of its own.
    here.json(&["projects", "create", "second"]);
    here.json(&["attach", "openai/openai-api-key", "-p", "second", "-e", "preview"]);
    here.json(&["installations", "add", "openai/openai-api-key", "--external-id", "T1", "--name", "Acme"]);
    let back = "https://app.example/signed-in";
    here.json(&["redirect-uris", "demo/hello", "--add", back, "-e", "preview"]);
    let done = here.json(&["export", "-o", "team.json"]);
    assert_eq!(done["connectors"], 2);
    let file = std::fs::read_to_string(here.home.path().join("team.json")).unwrap();
    assert!(!file.contains("sk-of-a-test"), "no secret is in an export");
    let exported: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(exported["carnetExport"], 1);

    let there = Desk::start().await;
    std::fs::write(there.home.path().join("team.json"), &file).unwrap();
    // The key is a secret, and so it is missing: everything else is made, and the failure says what it lacks.
    let lacking = there.run(&["import", "--from", "carnet", "team.json", "--yes", "--json"]);
    assert_eq!(lacking.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&lacking.stdout).unwrap();
    assert_eq!(told["error"]["code"], "not_all_imported");
    let with = json!({"openai/openai-api-key": {"values": [{"value": "sk-of-a-test"}]}});
    std::fs::write(there.home.path().join("with.json"), with.to_string()).unwrap();
    there.json(&["import", "--from", "carnet", "team.json", "--with", "@with.json", "--yes"]);
    let shown = there.json(&["show", "openai/openai-api-key"]);
    let links: Vec<_> =
        shown["projects"].as_array().unwrap().iter().map(|link| &link["project"]["name"]).collect();
    assert!(links.contains(&&json!("second")), "{shown}");
    let installations = there.json(&["installations", "list", "openai/openai-api-key"]);
    assert_eq!(installations["installations"][0]["externalId"], "T1");
    let token = there.run(&["token", "openai/openai-api-key", "-s", "app"]);
    assert_eq!(String::from_utf8_lossy(&token.stdout), "sk-of-a-test\n");

    // Where people are sent back to who sign in, of the project with the same name.
    let uris = |desk: &Desk, project: &str| {
        desk.json(&["redirect-uris", "demo/hello", "-p", project])["redirectUris"].clone()
    };
    let named =
        exported["connectors"].as_array().unwrap().iter().find(|one| one["uid"] == "demo/hello").unwrap();
    let project = named["links"][0]["project"].as_str().unwrap();
    assert_eq!(uris(&there, project), json!([{"uri": back, "environment": "preview"}]), "{named}");

    // And the other commands, on the same server.
    assert_eq!(there.json(&["explain", "demo/hello", "-s", "app"])["allowed"], true);
    assert_eq!(there.json(&["status"])["ready"], true);
    assert_eq!(there.json(&["audit", "verify"])["gaps"], json!([]));
    let exported = there.json(&["audit", "export", "-o", "log.csv", "--format", "csv"]);
    assert!(exported["events"].as_u64().unwrap() > 5, "{exported}");
    here.broker.kill();
    there.broker.kill();
}
