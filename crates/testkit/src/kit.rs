//! A broker in a test, with everything around it.

mod around;
mod calls;
mod node;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use carnet_engine::{FirstOwner, Location, Recipient, Settings};
use carnet_model::Clock as _;
use carnet_vault::{FileKey, Location as KeyPlace};
use serde_json::{Map, Value, json};
use url::Url;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::http::Http;
use crate::issuer::Issuer;
use crate::listener::Listener;
use crate::pebble::Pebble;
use crate::provider::{Behaviour, Provider};
use around::{Around, Place};
pub use node::Node;
pub use plan::Plan;

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
            engine,
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
