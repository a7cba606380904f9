//! A server as a process, a provider that outlives it, and people who consented: for what happens when it dies.

use std::path::PathBuf;
use std::time::Duration;

use carnet_model::Env;
use carnet_model::failpoint::Point;
use carnet_model::grant::Rotation;
use carnet_testkit::{Behaviour, Browser, Provider, Raw};
use carnet_testpg::Database;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker::{Broker, client, free_port};

pub(crate) struct Scene {
    pub(crate) provider: Provider,
    pub(crate) http: reqwest::Client,
    pub(crate) dev: Value,
    home: TempDir,
    port: u16,
    database: Option<Database>,
    broker: Option<Broker>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Scene {
    /// On PostgreSQL if there is a database. Access tokens live two seconds, so every request is a refresh.
    pub(crate) async fn start(database: Option<Database>, rotation: Rotation) -> Self {
        let port = free_port();
        let behaviour = Behaviour {
            rotation,
            access_life: Duration::from_secs(2),
            refresh_life: Duration::from_hours(24),
            client: ("scene".to_owned(), "a-secret-for-the-scene".to_owned()),
            redirect_uri: format!("http://127.0.0.1:{port}/callback"),
        };
        let provider = Provider::start(Env::system(), behaviour).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("points")).unwrap();
        let mut scene =
            Self { provider, http: client(), dev: Value::Null, home, port, database, broker: None };
        scene.open().await.unwrap();
        let data = json!({
            "serverUrl": scene.provider.issuer(), "clientId": "scene", "clientSecret": "a-secret-for-the-scene",
            "rotation": serde_json::to_value(rotation).unwrap(),
            "userAuthorization": {"enabled": true, "scopes": ["profile:read", "offline_access"]},
            "clientCredentials": {"enabled": true, "scopes": ["profile:read"]},
        });
        let body = json!({"service": "demo", "name": "scene", "type": "oauth", "data": data,
            "projectId": scene.dev["projectId"]});
        let made = scene.manage("POST", "/v1/connect/connectors", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        scene
    }

    /// Starts the server; how it ended if it ended at once.
    pub(crate) async fn open(&mut self) -> Result<(), std::process::ExitStatus> {
        let url = self.database.as_ref().map(Database::url);
        let mut broker = Broker::try_start(self.home.path(), self.port, url, None, &[]).await?;
        let dev = tokio::select! {
            dev = broker.dev() => Some(dev),
            () = broker.until_gone() => None,
        };
        let Some(dev) = dev else { return Err(broker.child.wait().unwrap()) };
        self.dev = dev;
        self.broker = Some(broker);
        Ok(())
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.broker.take().unwrap().kill();
    }

    /// Waits for a process that dies by itself.
    pub(crate) async fn until_dead(&mut self) {
        let mut broker = self.broker.take().unwrap();
        let begun = Instant::now();
        while broker.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Says what is to happen at a point, once.
    pub(crate) fn arm(&self, point: Point, what: &str) {
        let draft = self.home.path().join("draft");
        std::fs::write(&draft, what).unwrap();
        std::fs::rename(draft, self.file(point)).unwrap();
    }

    /// Waits until it has happened.
    pub(crate) async fn until_reached(&self, point: Point) {
        let begun = Instant::now();
        while self.file(point).exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody came to {}", point.as_str());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn file(&self, point: Point) -> PathBuf {
        self.home.path().join("points").join(point.as_str())
    }

    /// Files of spilled tokens.
    pub(crate) fn spilled(&self) -> usize {
        let Ok(files) = std::fs::read_dir(self.home.path().join("data/spill")) else { return 0 };
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "tokens")).count()
    }

    /// The store from behind.
    pub(crate) async fn raw(&self) -> Raw {
        match &self.database {
            Some(database) => Raw::postgres(database.url()).await,
            None => Raw::Sqlite(self.home.path().join("data")),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A call by the person of the server; status 0 if there was no answer.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &Value) -> Said {
        self.call(method, path, "accessToken", body).await
    }

    /// A request for a token by the workload of the project.
    pub(crate) async fn ask(&self, subject: &Value) -> Said {
        self.call("POST", "/v1/connect/token/demo%2Fscene", "oidcToken", &json!({"subject": subject})).await
    }

    /// The workload gives back what it was given.
    pub(crate) async fn revoke(&self, subject: &Value) -> Said {
        let path = "/v1/connect/connectors/demo%2Fscene/tokens";
        self.call("DELETE", path, "oidcToken", &json!({"subject": subject})).await
    }

    async fn call(&self, method: &str, path: &str, credential: &str, body: &Value) -> Said {
        let request = self
            .http
            .request(method.parse().unwrap(), self.url(path))
            .bearer_auth(self.dev[credential].as_str().unwrap())
            .json(body);
        let Ok(answer) = request.send().await else { return Said { status: 0, body: Value::Null } };
        let status = answer.status().as_u16();
        Said { status, body: answer.json().await.unwrap_or_default() }
    }

    /// Where the consent of this user begins.
    pub(crate) async fn authorize(&self, user: &str) -> String {
        let body = json!({"subject": person(user)});
        let started = self.call("POST", "/v1/connect/authorize/demo%2Fscene", "oidcToken", &body).await;
        assert_eq!(started.status, 200, "{}", started.body);
        started.body["url"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn consent(&self, user: &str) {
        let done = Browser::default().consent(&self.authorize(user).await, "ada").await;
        assert!(done.text().contains("is connected to"), "{}", done.text());
    }

    /// What the owner sees of this user's grant: state and cause.
    pub(crate) async fn grant(&self, user: &str) -> Option<(String, String)> {
        let path = "/v1/connect/connectors/demo%2Fscene/grants?limit=100";
        let said = self.manage("GET", path, &Value::Null).await;
        let grants = said.body["grants"].as_array()?.clone();
        let grant = grants.into_iter().find(|grant| grant["subject"] == person(user))?;
        let text = |name: &str| grant[name].as_str().unwrap_or_default().to_owned();
        Some((text("state"), text("cause")))
    }

    /// Whether the provider takes this token of the user, or the next where it was in its last second.
    pub(crate) async fn works(&self, user: &str, mut said: Said) -> bool {
        loop {
            let token = said.token().unwrap_or_else(|| panic!("{said:?}"));
            if self.provider.me(token).await.is_some() {
                return true;
            }
            let ends = said.body["expiresAt"].as_i64().unwrap();
            if Env::system().now().millis() + 1000 < ends {
                return false;
            }
            said = self.settled(user).await;
        }
    }

    /// Asks until the answer is not to come back later.
    pub(crate) async fn settled(&self, user: &str) -> Said {
        let begun = Instant::now();
        loop {
            let said = self.ask(&person(user)).await;
            if !matches!(said.status, 0 | 503) || begun.elapsed() > Duration::from_secs(20) {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Said {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.body["token"].as_str()
    }
}

pub(crate) fn person(user: &str) -> Value {
    json!({"type": "user", "id": user})
}
