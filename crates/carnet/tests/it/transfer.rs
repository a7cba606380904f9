//! `carnet export` and `carnet import` between two real servers, and from files of others.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

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

/// Everything that a project and a connector can have, set up through the API and the command line.
async fn set_up(here: &Desk) {
    let dev = here.broker.dev().await;
    let api = async |method: &str, path: &str, body: Value| {
        let token = dev["accessToken"].as_str().unwrap();
        let url = format!("{}{path}", dev["url"].as_str().unwrap());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let sent = client().request(method, url).bearer_auth(token).json(&body).send().await.unwrap();
        let (status, text) = (sent.status(), sent.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
    };
    api("POST", "/v9/projects", json!({"name": "shop"})).await;
    api("POST", "/v9/projects/shop/custom-environments", json!({"slug": "qa"})).await;
    let origins = json!({"origins": ["https://shop.example"]});
    api("PUT", "/v1/projects/shop/return-origins", origins).await;
    let urls = json!({"urls": [
        {"environment": "production", "url": "https://shop.example"},
        {"environment": "qa", "url": "https://qa.shop.example"},
    ]});
    api("PUT", "/v1/projects/shop/urls", urls).await;
    api("PUT", "/v1/projects/shop/health-webhook", json!({"url": "https://shop.example/health"})).await;
    api("PUT", "/v1/projects/shop/provisioning", json!({"environments": ["preview", "qa"]})).await;
    let bot = json!({
        "service": "linear", "type": "api-key", "name": "bot", "projectId": "shop", "environments": ["production", "qa"],
        "data": {"subjectType": "app", "values": [{"value": "sk-of-a-test"}], "webhookSecret": SIGNING},
        "backgroundColor": "#102030", "accentColor": "#a0b0c0",
        "triggers": true, "events": ["Issue"], "triggerDestination": {"path": "/linear", "customEnvironmentId": "qa"},
    });
    api("POST", "/v1/connect/connectors", bot).await;
    let rules = json!({"deviceCodes": false, "requireCompletion": true});
    api("PATCH", "/v1/connect/connectors/linear%2Fbot/consent-rules", rules).await;
    let budget = json!({
        "requests": 4000, "webhook": {"url": "https://shop.example/budget", "projectId": "shop", "environment": "qa"},
    });
    api("PUT", "/v1/usage/budget", budget).await;
    api("PATCH", "/v1/teams/dev", json!({"strictConnectors": true})).await;
    std::fs::write(here.home.path().join("icon.png"), PNG).unwrap();
    here.json(&["update", "linear/bot", "--icon", "icon.png"]);
    here.json(&["installations", "add", "linear/bot", "--external-id", "T1", "--name", "Acme"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_what_was_imported_is_the_export_that_was_imported() {
    let here = Desk::start().await;
    set_up(&here).await;
    let exported = |desk: &Desk| {
        let mut all = desk.json(&["export"]);
        // What every development server has of its own: the project of its folder, and the demo provider.
        let own = |list: &mut Value, name: &str, is: &str| {
            list.as_array_mut().unwrap().retain(|one| one[name] == is);
        };
        own(&mut all["projects"], "name", "shop");
        own(&mut all["connectors"], "uid", "linear/bot");
        for of_its_own in ["exportedAt", "server"] {
            all.as_object_mut().unwrap().remove(of_its_own).unwrap();
        }
        all
    };
    let before = exported(&here);
    let text = before.to_string();
    assert!(!text.contains("sk-of-a-test") && !text.contains(SIGNING), "no secret is in an export");
    let (project, connector) = (&before["projects"][0], &before["connectors"][0]);
    assert_eq!(project["urls"][1], json!({"environment": "qa", "url": "https://qa.shop.example"}));
    assert_eq!(project["healthWebhook"], "https://shop.example/health");
    assert_eq!(project["provisioning"], json!(["preview", "qa"]));
    assert_eq!(
        connector["triggers"],
        json!({
            "enabled": true, "events": ["Issue"],
            "destinations": [{"project": "shop", "environment": "qa", "path": "/linear"}],
        })
    );
    assert!(connector["icon"].as_str().unwrap().starts_with("data:image/png;base64,"), "{connector}");
    assert_eq!(before["team"]["budget"]["webhook"]["project"], "shop");
    assert_eq!(before["team"]["members"][0]["role"], "owner");

    let there = Desk::start().await;
    let mut file = before.clone();
    file["carnetExport"] = json!(1);
    file["team"]["members"]
        .as_array_mut()
        .unwrap()
        .push(json!({"email": "ada@acme.example", "role": "viewer"}));
    std::fs::write(there.home.path().join("team.json"), file.to_string()).unwrap();
    let with = json!({"linear/bot": {"values": [{"value": "sk-of-a-test"}], "webhookSecret": SIGNING}});
    std::fs::write(there.home.path().join("with.json"), with.to_string()).unwrap();
    let line = ["import", "--from", "carnet", "team.json", "--with", "@with.json", "--yes"];
    let done = there.json(&line);
    // Nobody is made a member, or anything else.
    let invite = "carnet members invite --role viewer --email ada@acme.example";
    assert!(
        done["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().ends_with(invite)),
        "{done}"
    );
    assert_eq!(exported(&there), before);
    // And once more: nothing is left to do.
    let again = there.json(&line);
    let outcomes = again["things"].as_array().unwrap();
    assert!(outcomes.iter().all(|one| one["outcome"] == "was there"), "{again}");
    assert_eq!(exported(&there), before);
    here.broker.kill();
    there.broker.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_import_could_not_make_the_next_one_makes_and_nothing_is_wider_meanwhile() {
    let here = Desk::start().await;
    let dev = here.broker.dev().await;
    let get = async |path: &str| -> Value {
        let token = dev["accessToken"].as_str().unwrap();
        let url = format!("{}{path}", dev["url"].as_str().unwrap());
        client().get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap()
    };
    let mut file = json!({
        "carnetExport": 1,
        "projects": [{"name": "tight", "provisioning": [], "returnOrigins": ["no origin"]}],
        "connectors": [{
            "uid": "linear/bot", "service": "linear", "name": "bot", "type": "api-key",
            "data": {"subjectType": "app", "values": [{"value": "sk-of-a-test"}]},
            "links": [{"project": "tight"}],
            "triggers": {"enabled": true, "events": ["Issue"], "destinations": [{"project": "tight"}]},
        }],
        "team": {"members": [{"email": "a@b.example; touch x", "role": "viewer"}]},
    });
    let write = |file: &Value| std::fs::write(here.home.path().join("team.json"), file.to_string()).unwrap();
    write(&file);
    let line = ["import", "--from", "carnet", "team.json", "--yes", "--secrets", "secrets.json"];
    let first = here.run(&[&line[..5], &["--json"]].concat());
    assert_eq!(first.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&first.stdout).unwrap();
    let failed = told["error"]["things"].as_array().unwrap().iter().filter(|one| one["outcome"] == "failed");
    let failed: Vec<_> = failed.map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(failed, ["project", "triggers"], "{told}");
    assert_eq!(get("/v1/projects/tight/provisioning").await["environments"], json!([]));

    file["projects"][0]["returnOrigins"] = json!(["https://app.example"]);
    write(&file);
    let secrets = json!({"carnetSecrets": 1, "triggers": {"linear/bot": [{"value": SIGNING}]}});
    std::fs::write(here.home.path().join("secrets.json"), secrets.to_string()).unwrap();
    let done = here.json(&line);
    let invite = "carnet members invite --role viewer --email 'a@b.example; touch x'";
    assert!(done["notes"].to_string().contains(invite), "another's words are one word of a shell: {done}");
    assert_eq!(get("/v1/projects/tight/provisioning").await["environments"], json!([]));
    let origins = "/v1/projects/tight/return-origins";
    assert_eq!(get(origins).await["origins"], json!(["https://app.example"]));
    let triggers = get("/v1/connect/connectors/linear%2Fbot/triggers").await;
    assert_eq!((&triggers["enabled"], &triggers["events"]), (&json!(true), &json!(["Issue"])), "{triggers}");
    assert_eq!(triggers["signingSecrets"].as_array().unwrap().len(), 1, "{triggers}");
    assert_eq!(triggers["destinations"].as_array().unwrap().len(), 1, "{triggers}");

    // What is there and is otherwise stays, and is told.
    file["projects"][0] = json!({
        "name": "tight", "provisioning": ["production"], "returnOrigins": ["https://other.example"],
    });
    write(&file);
    let notes = here.json(&line)["notes"].to_string();
    for differs in [
        "returnOrigins stays: https://app.example here, https://other.example in the file",
        "provisioning stays: nothing here, production in the file",
    ] {
        assert!(notes.contains(differs), "{notes}");
    }
    assert_eq!(get(origins).await["origins"], json!(["https://app.example"]));
    assert_eq!(get("/v1/projects/tight/provisioning").await["environments"], json!([]));
    here.broker.kill();
}

const SIGNING: &str = "what-linear-signs-with-0123456789";
/// The beginning of a picture, which is all that is looked at.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x02\x80\x08\0\0\0\0....\
        \0\0\0\x01IDATx....\0\0\0\0IEND....";
