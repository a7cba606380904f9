//! `carnet dev` as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub(crate) use carnet_testkit::free_port;
use serde_json::Value;

/// A running server. Ended by its own process id when dropped.
pub(crate) struct Broker {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// How long it took until it was ready.
    pub(crate) started_in: Duration,
    data: PathBuf,
}

impl Broker {
    /// Starts on the data in `home` and waits until it is ready.
    pub(crate) async fn start(home: &Path, port: u16, database: Option<&str>) -> Self {
        Self::start_with(home, port, database, None).await
    }

    /// The same, with a master key in a file of its own.
    pub(crate) async fn start_with(
        home: &Path,
        port: u16,
        database: Option<&str>,
        key: Option<&Path>,
    ) -> Self {
        Self::try_start(home, port, database, key, &[])
            .await
            .unwrap_or_else(|status| panic!("the server ended at its start: {status}"))
    }

    /// The same; how it ended if it ended at once. It fails on purpose as the folder `points` in `home` says.
    pub(crate) async fn try_start(
        home: &Path,
        port: u16,
        database: Option<&str>,
        key: Option<&Path>,
        flags: &[&str],
    ) -> Result<Self, ExitStatus> {
        let data = home.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
        command
            .args(["dev", "--no-open", "--port", &port.to_string(), "--data"])
            .arg(&data)
            .args(flags)
            .current_dir(home)
            .env("CARNET_FAIL_POINTS", home.join("points"));
        if let Some(url) = database {
            command.args(["--database-url", url]);
        }
        if let Some(key) = key {
            command.env("CARNET_MASTER_KEY_FILE", key);
        }
        let begun = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(status);
            }
            if reqwest::get(format!("{url}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "the server is not ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let started_in = begun.elapsed();
        Ok(Self { child, url, started_in, data })
    }

    /// What it left for programs: it is there, and of this start, before the server says that it is ready.
    pub(crate) async fn dev(&self) -> Value {
        let text = std::fs::read_to_string(self.data.join("dev.json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["url"], self.url.as_str());
        let demo = client()
            .get(format!("{}/v1/connect/connectors/demo%2Fhello", self.url))
            .bearer_auth(value["accessToken"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(demo.status(), 200);
        value
    }

    /// Waits until it has ended by itself.
    #[cfg(debug_assertions)]
    pub(crate) async fn until_gone(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        // Until somebody waits for it, its entry stays, as that of a zombie.
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it holds in memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}
