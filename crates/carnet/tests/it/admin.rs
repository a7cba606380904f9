//! `carnet admin`: at a server that runs, at one that does not, and at a database that others work on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use carnet_testkit::Browser;
use carnet_testpg::Database;
use serde_json::Value;

use crate::broker::{Broker, free_port};

const NEW: &str = "four words nobody guesses";

fn admin(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    for name in ["CARNET_URL", "CARNET_DATA", "CARNET_DATABASE_URL"] {
        command.env_remove(name);
    }
    command
        .arg("admin")
        .args(args)
        .arg("--json")
        .current_dir(home)
        .env("CARNET_MASTER_KEY_FILE", home.join("carnet.key"))
        .output()
        .unwrap()
}

#[track_caller]
fn told(output: &Output, exit: i32) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said} {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Chooses a passphrase on the page of the link, and signs in with it.
async fn use_link(url: &str, base: &str, passphrase: &str) {
    let mut browser = Browser::default();
    let token = browser.get(url).await.hidden("form_token");
    let done = browser.post(url, &[("form_token", &token), ("passphrase", passphrase)]).await;
    assert!(done.status == 200 && done.text().contains("Your passphrase is changed"), "{}", done.text());
    let login = format!("{base}/login");
    let token = browser.get(&login).await.hidden("form_token");
    let fields = [("form_token", token.as_str()), ("email", "dev@localhost"), ("passphrase", passphrase)];
    assert_eq!(browser.post(&login, &fields).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_the_folder_makes_a_link_whether_the_server_runs_or_not() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    // Whoever opens the store besides the server needs its key, which is kept apart from it.
    let key = home.path().join("carnet.key");
    let broker = Broker::start_with(home.path(), port, None, Some(&key)).await;
    broker.dev().await;
    let socket = home.path().join("data/admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let line = ["reset-password", "dev@localhost", "--data", "data"];
    let made = told(&admin(home.path(), &line), 0);
    assert_eq!(made["email"], "dev@localhost");
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/reset/", broker.url)), "{url}");
    use_link(url, &broker.url, NEW).await;

    let unknown = told(&admin(home.path(), &["reset-password", "nobody@localhost", "--data", "data"]), 3);
    assert_eq!(unknown["error"]["code"], "not_found");
    let set_up = told(&admin(home.path(), &["bootstrap", "--data", "data"]), 7);
    assert_eq!(set_up["error"]["next"][0]["command"], "carnet admin reset-password EMAIL");
    let elsewhere = told(&admin(home.path(), &["bootstrap", "--data", "nothing"]), 3);
    assert_eq!(elsewhere["error"]["code"], "not_found");
    assert!(!home.path().join("nothing").exists(), "nothing is made where nothing was");

    // Killed, it leaves its socket behind, at which nobody answers.
    let base = broker.url.clone();
    broker.kill();
    assert!(socket.exists());
    let nowhere = told(&admin(home.path(), &line), 2);
    assert_eq!(nowhere["error"]["code"], "usage");
    let made = told(&admin(home.path(), &[&line[..], &["--url", &base]].concat()), 0);
    let url = made["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("{base}/reset/")), "{url}");
    let broker = Broker::start_with(home.path(), port, None, Some(&key)).await;
    use_link(&url, &broker.url, "five words that nobody guesses").await;
    told(&admin(home.path(), &line), 0);
    broker.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_opened_beside_the_servers_that_work_on_it() {
    let Some(database) = Database::create().await.unwrap() else { return };
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("carnet.key");
    let broker = Broker::start_with(home.path(), free_port(), Some(database.url()), Some(&key)).await;
    broker.dev().await;
    assert!(!home.path().join("data/admin.sock").exists());
    let line = ["reset-password", "dev@localhost", "--database-url", database.url(), "--url", &broker.url];
    let made = told(&admin(home.path(), &line), 0);
    use_link(made["url"].as_str().unwrap(), &broker.url, NEW).await;
    broker.kill();
}

/// Ended whatever happens.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_set_up_link_that_was_lost_is_made_anew_while_nobody_has_set_up() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let listen = format!("127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.args(["serve", "--json", "--url", &url, "--listen", &listen, "--data", "data"]);
    command.current_dir(home.path()).env("CARNET_MASTER_KEY_FILE", home.path().join("carnet.key"));
    command.env_remove("CARNET_URL").stdin(Stdio::null()).stderr(Stdio::null());
    let mut serving = Serving(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let out = serving.0.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    let first = serde_json::from_str::<Value>(&line).unwrap()["setupUrl"].as_str().unwrap().to_owned();
    let made = told(&admin(home.path(), &["bootstrap", "--data", "data"]), 0);
    let second = made["url"].as_str().unwrap();
    assert!(second.starts_with(&format!("{url}/setup/")) && second != first, "{second}");
    let mut browser = Browser::default();
    assert_eq!(browser.get(second).await.status, 200);
    assert_eq!(browser.get(&first).await.status, 410, "the earlier one is withdrawn");
}
