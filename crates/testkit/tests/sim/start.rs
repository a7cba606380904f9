//! What every world of a rotation class starts from: a team, a project that is told of what breaks and receives events, a
//! connector, and a grant of each user.
//!
//! It is set up through the product's own API, on a store in memory, while time stands still and with dice of its own. So
//! it is the same whoever makes it, and a seed means the same world in every process; only keys and the signatures of the
//! system's own random source differ, on which nothing depends that happens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use carnet_egress::{Egress, Policy};
use carnet_engine::{Broker, Catalog, FirstOwner, Location, Plans, Root, Settings, Shared};
use carnet_identity::KeySet;
use carnet_model::grant::Rotation;
use carnet_model::{Env, Time};
use carnet_testkit::Issuer;
use carnet_vault::{FileKey, Location as KeyPlace};
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use rusqlite::Connection;
use rusqlite::backup::Backup;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use url::Url;

use crate::dice::Dice;
use crate::node::Drifting;
use crate::{provider, receiver};

pub(crate) struct Start {
    pub(crate) rotation: Rotation,
    pub(crate) settings: Settings,
    /// The file with the root key.
    pub(crate) key: PathBuf,
    pub(crate) connector: String,
    /// The identity of a workload in production.
    pub(crate) workload: String,
    /// The owner's access token.
    pub(crate) owner: String,
    pub(crate) users: Vec<User>,
    pub(crate) at: Time,
    /// Who signs what is sent to the project.
    pub(crate) issuer: String,
    pub(crate) keys: KeySet,
    store: Mutex<Connection>,
    _folder: TempDir,
}

/// A user, with the tokens that the provider gave.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Start {
    pub(crate) fn prepare(rotation: Rotation) -> Arc<Self> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        Arc::new(runtime.block_on(Box::pin(Self::set_up(rotation))))
    }

    async fn set_up(rotation: Rotation) -> Self {
        let at = Time::from_secs(1_800_000_000);
        let env = Env::new(Arc::new(still(at)), Arc::new(Dice::new(u64::MAX)));
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        FileKey::create(&env, &key, KeyPlace::Anywhere).unwrap();
        let name = unlike("start");
        let store = Connection::open(format!("file:/{name}?vfs=memdb")).unwrap();
        let settings = settings();
        let root = Root::Key(Box::new(FileKey::open(&key, KeyPlace::Anywhere).unwrap()));
        let location = Location::Shared(Shared { name, clock: env.clone() });
        let egress = Egress::new(policy()).unwrap();
        let opened = Broker::open_through(settings.clone(), &location, root, egress, env);
        let broker = Box::pin(opened).await.unwrap();
        let owner = FirstOwner {
            team: "acme".to_owned(),
            name: "Owner".to_owned(),
            email: "owner@acme.example".to_owned(),
        };
        let made = broker.first_team(&owner, Vec::new(), Duration::from_hours(24)).await.unwrap();
        let owner = made.token.expose().to_owned();
        let issuer = format!("{}/{}", settings.base(), made.team.slug);
        let api = Api { routes: carnet_api::router(broker.clone()), bearer: format!("Bearer {owner}") };
        let (connector, project) = api.set_up(rotation).await;
        let users = api.give(&connector, at).await;
        let workload = api.trust(&project, &issuer, at).await;
        let keys = KeySet::parse(broker.jwks().to_string().as_bytes()).unwrap();
        broker.shut_down(Duration::from_secs(1)).await;
        Self {
            rotation,
            settings,
            key,
            connector,
            workload,
            owner,
            users,
            at,
            issuer,
            keys,
            store: Mutex::new(store),
            _folder: folder,
        }
    }

    /// A store of this name that begins like this one.
    pub(crate) fn copy(&self, name: &str) -> Connection {
        let mut copy = Connection::open(format!("file:/{name}?vfs=memdb")).unwrap();
        let store = self.store.lock().unwrap();
        let backup = Backup::new(&store, &mut copy).unwrap();
        backup.run_to_completion(10_000, Duration::ZERO, None).unwrap();
        drop(backup);
        copy
    }
}

/// The API, as the owner uses it.
struct Api {
    routes: Router,
    bearer: String,
}

impl Api {
    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// The connector and the project, and where the project is told of things.
    async fn set_up(&self, rotation: Rotation) -> (String, String) {
        let project = self.call("POST", "/v9/projects", json!({"name": PROJECT})).await["id"].clone();
        let provider = format!("http://127.0.0.1:{}", provider::PORT);
        let body = json!({
            "service": "slack", "name": "bot", "type": "oauth", "projectId": project,
            "data": {
                "serverConfig": {
                    "authorization_endpoint": format!("{provider}/authorize"),
                    "token_endpoint": format!("{provider}/token"),
                    "revocation_endpoint": format!("{provider}/revoke"),
                },
                "clientId": "carnet", "clientSecret": "provider-client-secret-0123456789",
                "rotation": serde_json::to_value(rotation).unwrap(),
                "userAuthorization": {"enabled": true, "scopes": ["profile:read", "offline_access"]},
            },
            "triggers": {"enabled": true, "signingSecret": provider::SIGNS_WITH},
        });
        let connector = self.call("POST", "/v1/connect/connectors", body).await;
        let (connector, project) = (text(&connector["id"]), text(&project));
        let of = format!("/v1/projects/{project}");
        let health = json!({"url": receiver::url(receiver::HEALTH)});
        self.call("PUT", &format!("{of}/health-webhook"), health).await;
        let urls = json!({"urls": [
            {"environment": "production", "url": format!("http://127.0.0.1:{}", receiver::EVENTS)},
        ]});
        self.call("PUT", &format!("{of}/urls"), urls).await;
        let destinations = json!({"destinations": [{"projectId": project, "path": receiver::PATH}]});
        let path = format!("/v1/connect/connectors/{connector}/trigger-destinations");
        self.call("PATCH", &path, destinations).await;
        (connector, project)
    }

    /// A grant of each user, whose access token is about to end.
    async fn give(&self, connector: &str, at: Time) -> Vec<User> {
        let users: Vec<User> = (0..USERS)
            .map(|n| User {
                name: format!("user-{n}"),
                access: format!("access-0-of-user-{n}"),
                refresh: format!("refresh-0-of-user-{n}"),
            })
            .collect();
        let tokens: Vec<Value> = users
            .iter()
            .map(|user| {
                json!({
                    "accessToken": user.access, "refreshToken": user.refresh,
                    "expiresAt": at.plus(Duration::from_secs(2)), "environment": "production",
                    "subject": {"type": "user", "id": user.name},
                })
            })
            .collect();
        let path = format!("/v1/connect/token/{connector}/import");
        let done = self.call("POST", &path, json!({"tokens": tokens})).await;
        assert_eq!(done["imported"], json!(USERS), "{done}");
        users
    }

    /// Trusts a platform; an identity of its workload in production.
    async fn trust(&self, project: &str, audience: &str, at: Time) -> String {
        let platform = Issuer::start().await;
        let claims = json!({"workload_project": project, "environment": "production"});
        let rules = json!([{"project": project, "environment": "production", "claims": claims,
            "subjects": ["user"]}]);
        let mut config = platform.trusted_for(audience, &rules);
        config["jwks"] = platform.jwks();
        self.call("POST", "/v1/trusted-issuers", config).await;
        platform.sign(&platform.claims(at, audience, project, "production"))
    }
}

/// What connections are allowed, and that there is no other way to the two hosts.
pub(crate) fn policy() -> Policy {
    Policy { loopback: true, ..Policy::default() }
}

fn settings() -> Settings {
    Settings {
        url: Url::parse("http://127.0.0.1:7070").unwrap(),
        issuer: None,
        development: true,
        spill: None,
        refreshes_per_second: PER_SECOND,
        answer_within: ANSWER_WITHIN,
        device_codes: true,
        plans: Plans::default(),
        sign_in: Vec::new(),
        managed: BTreeMap::new(),
        catalog: Catalog::default(),
        recovery_key: None,
        acme: None,
    }
}

/// A clock that stands, outside of any world.
fn still(at: Time) -> Drifting {
    Drifting { base: at, off: 0, drift: 0, skipped: Arc::new(AtomicI64::new(0)) }
}

/// A name of a store that no other in this process has.
pub(crate) fn unlike(what: &str) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}", MADE.fetch_add(1, Ordering::Relaxed))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// More than there are calls at once, so that some have to wait.
pub(crate) const USERS: u64 = 12;
/// Few enough that a rush is felt.
const PER_SECOND: u32 = 10;
/// Less than a provider takes that has fallen silent, and than a lease of a node that died, so that it is felt.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
pub(crate) const PROJECT: &str = "acme-app";
