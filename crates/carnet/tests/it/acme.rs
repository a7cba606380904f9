//! `carnet serve --acme`: one command, and a real authority gives it a certificate; also if it is killed meanwhile.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use carnet_testkit::{Pebble, eventually};

/// Ended by its own process id.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(home: &Path, pebble: &Pebble) -> Server {
    std::fs::write(home.join("root.pem"), pebble.own_root()).unwrap();
    std::fs::write(home.join("carnet.toml"), "[egress]\nroots_file = \"root.pem\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command
        .args(["serve", "--config", "carnet.toml", "--acme", Pebble::NAME, "--acme-accept-terms"])
        .args(["--acme-directory", &pebble.directory(), "--listen", &pebble.at().to_string()])
        .current_dir(home)
        .env_remove("CARNET_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Server(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_of_an_order_has_its_certificate_at_the_next_start() {
    let Some(pebble) = Pebble::start().await else { return };
    let home = tempfile::tempdir().unwrap();
    pebble.leave_door();
    // The authority looks for the name, and nobody answers it: the order stands in its middle.
    pebble.hush(true);
    let server = serve(home.path(), &pebble);
    eventually("the authority looks for the name", async || (pebble.names_asked() > 0).then_some(())).await;
    let client = pebble.client().await;
    let url = format!("https://{}/livez", Pebble::NAME);
    assert!(client.get(&url).send().await.is_err(), "there is no certificate yet");
    drop(server);

    pebble.hush(false);
    let first = serve(home.path(), &pebble);
    let got = async || client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200).then_some(());
    eventually("the next start has a certificate", got).await;
    drop(first);
    // And the one after that has it from the start, without the authority.
    pebble.stop();
    let _second = serve(home.path(), &pebble);
    eventually("the certificate is kept", got).await;
}
