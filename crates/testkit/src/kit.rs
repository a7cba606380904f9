//! A broker in a test, with everything around it.

mod node;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carnet_engine::{
    FirstOwner, Location, ManagedService, Plans, Recipient, Root, Settings, SignInIssuer, StartError,
};
use carnet_kms::TransitConfig;
use carnet_model::grant::Rotation;
use carnet_model::{Clock as _, Env};
use carnet_vault::{FileKey, Location as KeyPlace};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::browser::Browser;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::http::{Answer, Http};
use crate::issuer::Issuer;
use crate::key_service::KeyService;
use crate::listener::Listener;
use crate::pebble::Pebble;
use crate::provider::{Behaviour, Provider};
use crate::raw::Raw;
use crate::vault::{self, VaultServer};
pub use node::Node;

/// How the world around the broker is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the provider does with a used refresh token, and what the connector says about it.
    pub rotation: Rotation,
    /// How long its access tokens live.
    pub access_life: Duration,
    /// The connector's default scopes for people.
    pub scopes: Vec<&'static str>,
    /// The client's secret at the provider.
    pub client_secret: String,
    /// How many refreshes of one connector a node begins in a second.
    pub refreshes_per_second: u32,
    /// Within which time every token request is answered.
    pub answer_within: Duration,
    /// Issuers with whose accounts people may sign in.
    pub sign_in: Vec<SignInIssuer>,
    /// What would go to the first origin goes to the second.
    pub origins: Vec<(&'static str, String)>,
    /// The operator's recovery key.
    pub recovery_key: Option<String>,
    /// What token requests cost, where they end and how fast they may come.
    pub plans: Plans,
    /// The address by which the deployment is known, where it is not the one that the first node has.
    pub url: Option<&'static str>,
    /// The issuer that identity tokens name in place of the address.
    pub issuer: Option<String>,
    /// Applications that the operator registered at providers.
    pub managed: BTreeMap<String, ManagedService>,
    /// The authority that gives the deployment its certificate: nodes speak TLS too, at the port where it looks.
    pub authority: Option<Arc<Pebble>>,
}

impl Default for Plan {
    /// A strict provider, tokens of an hour, everything but writing.
    fn default() -> Self {
        Self {
            rotation: Rotation::Strict,
            access_life: Duration::from_hours(1),
            scopes: vec!["profile:read", "messages:read", "offline_access"],
            client_secret: "provider-client-secret-0123456789".to_owned(),
            refreshes_per_second: Settings::REFRESHES_PER_SECOND,
            answer_within: Settings::ANSWER_WITHIN,
            sign_in: Vec::new(),
            origins: Vec::new(),
            recovery_key: None,
            plans: Plans::default(),
            url: None,
            issuer: None,
            managed: BTreeMap::new(),
            authority: None,
        }
    }
}

/// A broker, its provider, its callers.
pub struct Kit {
    /// The clock of everybody in the test.
    pub clock: Arc<Clock>,
    /// The provider.
    pub provider: Provider,
    /// The platform on which workloads run.
    pub issuer: Issuer,
    /// The first node, at the address by which the deployment is known.
    pub node: Node,
    /// The team.
    pub tenant: Tenant,
    /// The connector's identifier; its UID is [`Kit::UID`].
    pub connector: String,
    /// How it was planned.
    pub plan: Plan,
    /// A client for whatever has no method here.
    pub http: Http,
    around: Around,
}

/// A team with its owner and a project.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// `team_…`
    pub team: String,
    /// The team's name.
    pub slug: String,
    /// `usr_…`
    pub user: String,
    /// The owner's access token.
    pub token: String,
    /// `prj_…`
    pub project: String,
}

/// What a node is opened with.
struct Around {
    env: Env,
    settings: Settings,
    origins: Vec<(carnet_egress::Place, carnet_egress::Place)>,
    authority: Option<Arc<Pebble>>,
    location: Location,
    key: Place,
    next_key: Option<Place>,
    // Held so that folder and database outlive the nodes.
    folder: TempDir,
    _engine: Engine,
}

/// What holds the root key.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Vault(Box<TransitConfig>),
    Service(KeyService),
}

impl Kit {
    /// The connector's UID.
    pub const UID: &str = "demo/hello";
    /// The client at the provider.
    pub const CLIENT: &str = "carnet-test";

    /// Everything, with one node.
    pub async fn start(engine: Engine, plan: Plan) -> Self {
        Box::pin(Self::start_all(engine, plan)).await
    }

    async fn start_all(engine: Engine, plan: Plan) -> Self {
        let clock = Arc::new(Clock::default());
        let env = clock.env();
        let socket = Listener::bind().await;
        let here = format!("http://{}", socket.local_addr().unwrap());
        let url = plan.url.map_or(here, str::to_owned);
        let behaviour = Behaviour {
            rotation: plan.rotation,
            access_life: plan.access_life,
            refresh_life: Duration::from_hours(30 * 24),
            client: (Self::CLIENT.to_owned(), plan.client_secret.clone()),
            redirect_uri: format!("{url}/callback"),
        };
        let provider = Provider::start(env.clone(), behaviour).await;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("master.key");
        FileKey::create(&env, &key, KeyPlace::Anywhere).unwrap();
        let location = match &engine {
            Engine::Sqlite => Location::Folder(folder.path().join("data")),
            Engine::Postgres(database) => Location::Postgres(database.url().to_owned()),
        };
        let settings = Settings {
            url: Url::parse(&url).unwrap(),
            issuer: plan.issuer.as_deref().map(|issuer| Url::parse(issuer).unwrap()),
            development: true,
            spill: None,
            refreshes_per_second: plan.refreshes_per_second,
            answer_within: plan.answer_within,
            device_codes: true,
            plans: plan.plans.clone(),
            sign_in: plan.sign_in.clone(),
            managed: plan.managed.clone(),
            catalog: carnet_engine::Catalog::default(),
            acme: plan.authority.as_ref().map(|authority| authority.acme(&[Pebble::NAME])),
            recovery_key: plan.recovery_key.as_deref().map(|key| Recipient::parse(key).unwrap()),
        };
        let origins =
            plan.origins.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect();
        let around = Around {
            env,
            settings,
            origins,
            authority: plan.authority.clone(),
            location,
            key: Place::File(key),
            next_key: None,
            folder,
            _engine: engine,
        };
        let node = around.node(socket).await;
        let http = Http::default();
        let tenant = tenant(&node, "acme").await;
        let mut kit = Self {
            clock,
            provider,
            issuer: Issuer::start().await,
            node,
            tenant,
            connector: String::new(),
            plan,
            http,
            around,
        };
        kit.connector = kit.connect("hello", Value::Null).await;
        kit.trust(&kit.tenant).await;
        kit
    }

    /// Another connector to the provider in the first team, linked in the three environments. `changes` are made to its
    /// `data`.
    pub async fn connect(&self, name: &str, changes: Value) -> String {
        let mut data = self.data();
        if let Value::Object(changes) = changes {
            data.extend(changes);
        }
        let body = json!({
            "service": "demo", "name": name, "type": "oauth", "data": data,
            "projectId": self.tenant.project,
        });
        let made = self.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// A connector of type `api-key` in the first team, linked in the three environments.
    pub async fn keep_keys(&self, name: &str, data: &Value) -> String {
        let body = json!({
            "service": "keys", "name": name, "type": "api-key", "data": data, "projectId": self.tenant.project,
        });
        let made = self.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// The `data` of a connector to the provider, secrets included.
    pub fn data(&self) -> Map<String, Value> {
        let data = json!({
            "serverUrl": self.provider.issuer(),
            "clientId": Self::CLIENT,
            "clientSecret": self.plan.client_secret,
            "rotation": serde_json::to_value(self.plan.rotation).unwrap(),
            "userAuthorization": {"enabled": true, "scopes": self.plan.scopes},
            "clientCredentials": {"enabled": true, "scopes": ["profile:read", "messages:read"]},
        });
        data.as_object().unwrap().clone()
    }

    /// Makes the tenant's team trust the platform for its project, in the three environments.
    pub async fn trust(&self, tenant: &Tenant) {
        let rules: Vec<Value> = ["production", "preview", "development"]
            .iter()
            .map(|environment| {
                let claims = json!({"workload_project": tenant.project, "environment": environment});
                json!({"project": tenant.project, "environment": environment, "claims": claims,
                    "subjects": ["app", "user", "jwt-bearer", "token"]})
            })
            .collect();
        let mut config = self.issuer.trusted_for(&self.audience(tenant), &Value::Array(rules));
        config["jwks"] = self.issuer.jwks();
        let bearer = Some(tenant.token.as_str());
        self.node.call("POST", "/v1/trusted-issuers", bearer, Some(&config)).await.ok();
    }

    /// What workloads of the tenant name as audience.
    pub fn audience(&self, tenant: &Tenant) -> String {
        format!("{}/{}", self.url(), tenant.slug)
    }

    /// Another team with its owner, a project and trust in the same platform.
    pub async fn another_tenant(&self, name: &str) -> Tenant {
        let other = tenant(&self.node, name).await;
        self.trust(&other).await;
        other
    }

    /// The address of the deployment.
    pub fn url(&self) -> &str {
        self.around.settings.base()
    }

    /// The identity of a workload of the first project.
    pub fn workload(&self, environment: &str) -> String {
        self.workload_of(&self.tenant, environment)
    }

    /// The identity of a workload.
    pub fn workload_of(&self, tenant: &Tenant, environment: &str) -> String {
        let claims =
            self.issuer.claims(self.clock.now(), &self.audience(tenant), &tenant.project, environment);
        self.issuer.sign(&claims)
    }

    /// A call by the first team's owner.
    pub async fn manage(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.node.call(method, path, Some(&self.tenant.token), body).await
    }

    /// A token request at the first connector, by a workload in production.
    pub async fn ask(&self, body: &Value) -> Answer {
        self.node.token(&self.workload("production"), &self.connector, body).await
    }

    /// The same as a request of its own, which goes on, or can be cut off, while the test does something else.
    pub fn asking(&self, body: &Value) -> JoinHandle<Answer> {
        let path = format!("{}/v1/connect/token/{}", self.url(), self.connector);
        let (http, bearer, body) = (Http::default(), self.workload("production"), body.clone());
        let work = async move { http.json("POST", &path, Some(&bearer), Some(&body)).await };
        self.node.broker().spawn(work)
    }

    /// A token of this user, by a workload in production.
    pub async fn user_token(&self, user: &str) -> Answer {
        self.ask(&json!({"subject": user_subject(user)})).await
    }

    /// Starts a consent of this user, by a workload in production; `more` are further members of the request.
    pub async fn authorize(&self, user: &str, more: Value) -> Value {
        let mut body = json!({"subject": user_subject(user)});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let path = format!("/v1/connect/authorize/{}", self.connector);
        let bearer = self.workload("production");
        self.node.call("POST", &path, Some(&bearer), Some(&body)).await.ok()
    }

    /// The whole consent of this user, as Ada at the provider.
    pub async fn consent(&self, user: &str) {
        self.consent_to(user, Value::Null).await;
    }

    /// The same, to what `more` of a request to authorize says besides.
    pub async fn consent_to(&self, user: &str, more: Value) {
        let started = self.authorize(user, more).await;
        let url = started["url"].as_str().unwrap();
        let done = Browser::default().consent(url, "ada").await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert!(done.text().contains("is connected to"), "{}", done.text());
    }

    /// The grants of the first connector, as its owner sees them.
    pub async fn grants(&self) -> Vec<Value> {
        let path = format!("/v1/connect/connectors/{}/grants", self.connector);
        self.manage("GET", &path, None).await.ok()["grants"].as_array().unwrap().clone()
    }

    /// The team's audit events, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.manage("GET", &format!("/v1/audit?after={after}&limit=1000"), None).await.ok();
            all.extend(page["events"].as_array().unwrap().clone());
            match page["next"].as_i64() {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    /// The events of this action.
    pub async fn events_of(&self, action: &str) -> Vec<Value> {
        self.events().await.into_iter().filter(|event| event["action"] == action).collect()
    }

    /// Another node on the same store; it needs PostgreSQL.
    pub async fn second_node(&self) -> Node {
        self.around.node(Listener::bind().await).await
    }

    /// Ends the first node, does `meanwhile`, and opens a node at the same address again.
    pub async fn restart(&mut self, meanwhile: impl AsyncFnOnce(&Self)) {
        let address = self.node.stop().await;
        meanwhile(self).await;
        let socket = eventually("the port is free", async || TcpListener::bind(address).await.ok()).await;
        self.node = self.around.node(socket).await;
    }

    /// Gives nodes that are opened from now on the key file behind a service that can fall silent or say no.
    pub fn keep_root_key_at_a_service(&mut self) -> KeyService {
        let Place::File(key) = &self.around.key else { panic!("it is kept at one") };
        let service = KeyService::new(FileKey::open(key, KeyPlace::Anywhere).unwrap());
        self.around.key = Place::Service(service.clone());
        service
    }

    /// Gives nodes that are opened from now on a second key file, which is to take over from what holds the root key.
    pub fn add_next_key(&mut self) {
        let next = self.around.folder.path().join("next.key");
        FileKey::create(&self.around.env, &next, KeyPlace::Anywhere).unwrap();
        self.around.next_key = Some(Place::File(next));
    }

    /// The same with a key of a transit engine.
    pub fn add_next_vault(&mut self, vault: &VaultServer) {
        self.around.next_key = Some(Place::Vault(Box::new(vault.config())));
    }

    /// Gives nodes that are opened from now on the second one alone.
    pub fn drop_first_key(&mut self) {
        self.around.key = self.around.next_key.take().expect("there is a second one");
    }

    /// Another node on the same store that was not told of the second one.
    pub async fn second_node_without_next_key(&mut self) -> Node {
        let next = self.around.next_key.take();
        let node = self.second_node().await;
        self.around.next_key = next;
        node
    }

    /// Ends the first node and tries to open one at the same address; says why it does not start.
    pub async fn fails_to_restart(&mut self) -> StartError {
        let address = self.node.stop().await;
        let socket = eventually("the port is free", async || TcpListener::bind(address).await.ok()).await;
        match self.around.try_node(socket).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    /// The folder in which everything of this test lies.
    pub fn folder(&self) -> &std::path::Path {
        self.around.folder.path()
    }

    /// Has nodes that are opened from now on know these applications of the operator.
    pub fn set_managed(&mut self, managed: BTreeMap<String, ManagedService>) {
        self.around.settings.managed = managed;
    }

    /// The store from behind.
    pub async fn raw(&self) -> Raw {
        match &self.around.location {
            Location::Postgres(url) => Raw::postgres(url).await,
            _ => Raw::Sqlite(self.around.folder.path().join("data")),
        }
    }

    /// Whether several nodes can share the store.
    pub const fn is_shared(&self) -> bool {
        matches!(self.around.location, Location::Postgres(_))
    }
}

impl Around {
    async fn node(&self, socket: TcpListener) -> Node {
        self.try_node(socket).await.unwrap()
    }

    async fn try_node(&self, socket: TcpListener) -> Result<Node, StartError> {
        let root = |place: &Place| match place {
            Place::File(path) => Root::Key(Box::new(FileKey::open(path, KeyPlace::Anywhere).unwrap())),
            Place::Vault(config) => Root::Key(Box::new(vault::provider(config, self.env.clone()))),
            Place::Service(service) => Root::Key(Box::new(service.clone())),
        };
        let present = root(&self.key);
        let root = match &self.next_key {
            None => present,
            Some(next) => Root::Turning { present: Box::new(present), next: Box::new(root(next)) },
        };
        let opened = Node::open(
            self.settings.clone(),
            (self.origins.clone(), self.authority.as_deref()),
            &self.location,
            root,
            self.env.clone(),
            socket,
        );
        Box::pin(opened).await
    }
}

/// A team, its owner and a project.
async fn tenant(node: &Node, name: &str) -> Tenant {
    let owner = FirstOwner {
        team: name.to_owned(),
        name: format!("Owner of {name}"),
        email: format!("owner@{name}.example"),
    };
    let made = node.broker().first_team(&owner, Vec::new(), Duration::from_hours(24 * 365)).await.unwrap();
    let token = made.token.expose().to_owned();
    let body = json!({"name": format!("{name}-app")});
    let project = node.call("POST", "/v9/projects", Some(&token), Some(&body)).await.ok();
    Tenant {
        team: made.team.id.to_string(),
        slug: made.team.slug.to_string(),
        user: made.user.id.to_string(),
        token,
        project: project["id"].as_str().unwrap().to_owned(),
    }
}

fn user_subject(user: &str) -> Value {
    json!({"type": "user", "id": user})
}

/// Waits until there is something, for 20 seconds at most.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..800 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 20 seconds: {what}");
}
