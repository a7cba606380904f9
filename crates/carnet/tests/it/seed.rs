//! `carnet dev --seed`: projects, connectors and people who have consented, before the first request.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::broker::{client, free_port};

/// A seeded server. Ended by its own process id.
struct Server {
    child: Child,
    /// What it said when it was ready.
    said: Value,
    dev: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn dev(home: &Path, port: u16, seeds: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(["dev", "--json", "--no-open", "--port", &port.to_string()]).current_dir(home);
    for seed in seeds {
        command.args(["--seed", seed]);
    }
    command.env_remove("CARNET_MASTER_KEY_FILE").stdin(Stdio::null());
    command
}

impl Server {
    fn start(home: &Path, port: u16, seeds: &[&str]) -> Self {
        let mut child = dev(home, port, seeds).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it did not start: {line}"));
        let dev = std::fs::read_to_string(home.join(".carnet/dev.json")).unwrap();
        Self { child, said, dev: serde_json::from_str(&dev).unwrap() }
    }

    async fn call(&self, method: &str, path: &str, credential: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.dev["url"].as_str().unwrap());
        let request = client().request(method.parse().unwrap(), url);
        let request = request.bearer_auth(self.dev[credential].as_str().unwrap());
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What the workload of the folder's project is given for this user.
    async fn token(&self, connector: &str, user: &str) -> (u16, Value) {
        let path = format!("/v1/connect/token/{}", connector.replace('/', "%2F"));
        self.call("POST", &path, "oidcToken", &json!({"subject": {"type": "user", "id": user}})).await
    }

    /// Whose token it is at the demo provider.
    async fn whose(&self, token: &Value) -> Value {
        let url = format!("{}/demo/api/me", self.dev["url"].as_str().unwrap());
        let answer = client().get(url).bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["sub"].clone()
    }

    async fn grants(&self, connector: &str) -> Vec<Value> {
        let path = format!("/v1/connect/connectors/{}/grants", connector.replace('/', "%2F"));
        self.call("GET", &path, "accessToken", &Value::Null).await.1["grants"].as_array().unwrap().clone()
    }

    fn outcomes(&self) -> Vec<(String, String)> {
        let things = self.said["seed"]["things"].as_array().unwrap();
        let text = |thing: &Value, name: &str| thing[name].as_str().unwrap().to_owned();
        let what = |thing: &Value| format!("{} {}", text(thing, "kind"), text(thing, "name"));
        things.iter().map(|thing| (what(thing), text(thing, "outcome"))).collect()
    }
}

const SEED: &str = r#"
[[projects]]
name = "support"
environments = ["qa"]

[[connectors]]
uid = "demo/board"
grants = [
  { subject = { type = "user", id = "alice" } },
  { subject = { type = "user", id = "bob" }, externalSubject = "grace", scopes = ["profile:read"] },
  { subject = { type = "user", id = "carol" }, project = "support", environment = "qa" },
]
[[connectors.links]]
[[connectors.links]]
project = "support"
environments = ["qa", "preview"]

[[connectors]]
uid = "openai/key"
type = "api-key"
data = { values = [{ value = "sk-of-a-test" }] }

[[trustedIssuers]]
issuer = "https://token.actions.example"
jwks = { keys = [{ kty = "EC", crv = "P-256", kid = "1", alg = "ES256", use = "sig", x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }] }
rules = [{ environment = "development", claims = { repository = "acme/support" }, subjects = ["user"] }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_seed_says_is_there_from_the_first_request_on_and_is_made_once() {
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    std::fs::write(home.path().join("agent.toml"), SEED).unwrap();
    let server = Server::start(home.path(), port, &["agent.toml"]);
    let made = |what: &str| (what.to_owned(), "made".to_owned());
    let imported = |what: &str| (what.to_owned(), "imported".to_owned());
    assert_eq!(
        server.outcomes(),
        [
            made("project support"),
            made("trusted issuer https://token.actions.example"),
            made("connector demo/board"),
            made("connector openai/key"),
            imported("grant demo/board of alice"),
            imported("grant demo/board of bob"),
            imported("grant demo/board of carol"),
        ]
    );
    for (user, person) in [("alice", "ada"), ("bob", "grace")] {
        let (status, token) = server.token("demo/board", user).await;
        assert_eq!((status, server.whose(&token).await), (200, json!(person)), "{token}");
    }
    assert_eq!(server.token("demo/board", "carol").await.0, 422, "she is another project's user");
    let (status, key) = server
        .call("POST", "/v1/connect/token/openai%2Fkey", "oidcToken", &json!({"subject": {"type": "app"}}))
        .await;
    assert_eq!((status, &key["token"]), (200, &json!("sk-of-a-test")));
    let before = server.grants("demo/board").await;
    assert_eq!(before.len(), 3);
    drop(server);

    // The next start finds everything there, and the people's tokens still work.
    let server = Server::start(home.path(), port, &["agent.toml"]);
    let outcomes = server.outcomes();
    assert!(outcomes.len() == 7 && outcomes.iter().all(|(_, how)| how == "was there"), "{outcomes:?}");
    let ids = |grants: &[Value]| {
        let mut ids: Vec<_> = grants.iter().map(|grant| grant["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&server.grants("demo/board").await), ids(&before));
    // What was given is a grant like any other: it is renewed.
    let anew = json!({"subject": {"type": "user", "id": "alice"}, "validityBufferMs": 86_400_000});
    let (status, token) = server.call("POST", "/v1/connect/token/demo%2Fboard", "oidcToken", &anew).await;
    assert_eq!((status, server.whose(&token).await), (200, json!("ada")), "{token}");
}

/// Who copies the example of the documentation has what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_documentation_is_a_seed() {
    let page = include_str!("../../../../docs/seed.md");
    let (_, example) = page.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    std::fs::write(home.path().join("agent.seed.toml"), example).unwrap();
    let server = Server::start(home.path(), port, &["agent.seed.toml"]);
    let outcomes = server.outcomes();
    assert!(
        outcomes.contains(&("trusted issuer github-actions".to_owned(), "made".to_owned())),
        "{outcomes:?}"
    );
    for (user, person) in [("alice", "ada"), ("bob", "grace")] {
        let (status, token) = server.token("demo/board", user).await;
        assert_eq!((status, server.whose(&token).await), (200, json!(person)), "{token}");
    }
    drop(server);
    // An issuer that is named by its family alone is found again too.
    let again = Server::start(home.path(), port, &["agent.seed.toml"]).outcomes();
    assert!(again.iter().all(|(_, how)| how == "was there"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_a_seed_and_a_second_file_has_what_it_lacks() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(here.path().join("agent.toml"), SEED).unwrap();
    let server = Server::start(here.path(), free_port(), &["agent.toml"]);
    let export = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["export", "-o", "team.json"])
        .current_dir(here.path())
        .env("HOME", here.path())
        .env_remove("CARNET_URL")
        .env_remove("CARNET_TOKEN")
        .output()
        .unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    drop(server);
    std::fs::copy(here.path().join("team.json"), there.path().join("team.json")).unwrap();
    let Output { status, stderr, stdout, .. } =
        dev(there.path(), free_port(), &["team.json"]).output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!status.success() && said.contains("connector openai/key"), "its key is a secret: {said}");
    assert!(said.contains("carnet dev --seed FILE --seed MORE") && !said.contains("--with"), "{said}");

    let secrets =
        r#"{"connectors": [{"uid": "openai/key", "data": {"values": [{"value": "sk-of-a-test"}]}}]}"#;
    std::fs::write(there.path().join("secrets.json"), secrets).unwrap();
    let server = Server::start(there.path(), free_port(), &["team.json", "secrets.json"]);
    let board = server.grants("demo/board").await;
    assert_eq!(board.len(), 3, "{board:?}");
    assert!(board.iter().any(|grant| grant["externalSubject"] == "grace"), "{board:?}");
}

#[test]
fn what_is_wrong_in_a_seed_stops_the_start_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    for (name, text, exit, says) in [
        (
            "a.toml",
            "[[connectors]]\nuid = \"demo/a\"\n\nlink = []\n",
            2,
            "a.toml line 4: unknown field `link`",
        ),
        ("b.toml", "[[projects]]\nname = \"p\"\n[[projects]\n", 2, "b.toml line 3"),
        ("c.json", "{\"projects\": [\n {\"nam\": \"p\"}]}", 2, "c.json line 2: unknown field `nam`"),
        ("d.toml", "\n[[connectors]]\nuid = \"demo\"\n", 2, "d.toml line 3: \"demo\" is no UID"),
        ("e.json", "{\"carnetExport\": 2}", 2, "e.json line 1: This is an export of a later version"),
        (
            "f.toml",
            "[[connectors]]\nuid = \"demo/f\"\n[[connectors.links]]\nproject = \"nobody\"\n",
            1,
            "f.toml line 1: link demo/f: ",
        ),
        (
            "g.json",
            "{\"connectors\": [\n{\"uid\": \"demo/g\",\n\"grants\": [\n\n{\"subject\": {\"type\": \"user\", \"id\": \"a\"},\n\
             \"externalSubject\": \"mallory\"}]}]}",
            1,
            "g.json line 5: grant of a to demo/g: there is nobody called \"mallory\"",
        ),
        (
            "h.toml",
            "[[connectors]]\nuid = \"nothing-of-the-kind/h\"\n",
            1,
            "h.toml line 1: connector nothing",
        ),
    ] {
        std::fs::write(home.path().join(name), text).unwrap();
        let Output { status, stdout, stderr, .. } = dev(home.path(), free_port(), &[name]).output().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned();
        let error: Value = serde_json::from_str(&said)
            .unwrap_or_else(|_| panic!("{name}: {said}{}", String::from_utf8_lossy(&stderr)));
        let message = error["error"]["message"].as_str().unwrap();
        assert!(status.code() == Some(exit) && message.contains(says), "{name} → {status}: {error}");
        assert_eq!(error["error"]["code"], "invalid_seed");
    }
    let missing = dev(home.path(), free_port(), &["missing.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}
