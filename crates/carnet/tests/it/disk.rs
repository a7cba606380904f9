//! A disk that takes nothing more, under a running server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::broker::{client, free_port};

/// Ended by its own process id.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// From now on it can write to no file, or to all of them again.
    fn may_write(&self, may: bool) {
        let usual = getrlimit(Resource::Fsize);
        let limit = Rlimit { current: if may { usual.current } else { Some(0) }, maximum: usual.maximum };
        prlimit(Some(Pid::from_child(&self.0)), Resource::Fsize, limit).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_is_said_and_when_it_does_again_the_server_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (data, port) = (home.path().join("data"), free_port());
    // What goes beyond the limit is a failed write, as on a full disk, and not a signal that ends the process.
    let server = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_carnet")])
        .args(["dev", "--no-open", "--port", &port.to_string(), "--data"])
        .arg(&data)
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(server);
    let http = client();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let ready = async || Some(http.get(url("/readyz")).send().await.ok()?.status().as_u16());
    let until = async |status: u16, longest: Duration| {
        let begun = Instant::now();
        while ready().await != Some(status) {
            assert!(begun.elapsed() < longest, "/readyz is not {status} after {longest:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    until(200, Duration::from_secs(30)).await;
    let dev: Value = serde_json::from_str(&std::fs::read_to_string(data.join("dev.json")).unwrap()).unwrap();
    let project = async |name: &str| {
        let body = serde_json::json!({"name": name});
        let request = http.post(url("/v9/projects")).bearer_auth(dev["accessToken"].as_str().unwrap());
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(project("before").await, 200);

    server.may_write(false);
    until(503, Duration::from_secs(2)).await;
    let told: Value = http.get(url("/readyz")).send().await.unwrap().json().await.unwrap();
    assert!(told["checks"]["store"].as_str().unwrap().starts_with("takes no write: "), "{told}");
    assert_eq!(project("meanwhile").await, 503);
    assert_eq!(http.get(url("/livez")).send().await.unwrap().status(), 200);

    server.may_write(true);
    until(200, Duration::from_secs(20)).await;
    assert_eq!(project("after").await, 200);
}
