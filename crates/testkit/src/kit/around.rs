//! What nodes are opened with: one store for all of them, its root key, and what is known of the world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use carnet_engine::{Location, ManagedService, Root, Settings, StartError};
use carnet_kms::TransitConfig;
use carnet_model::Env;
use carnet_vault::{FileKey, Location as KeyPlace};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Kit, Node, eventually};
use crate::engine::Engine;
use crate::key_service::KeyService;
use crate::listener::Listener;
use crate::pebble::Pebble;
use crate::raw::Raw;
use crate::vault::{self, VaultServer};

/// What a node is opened with.
pub(super) struct Around {
    pub(super) env: Env,
    pub(super) settings: Settings,
    pub(super) origins: Vec<(carnet_egress::Place, carnet_egress::Place)>,
    pub(super) authority: Option<Arc<Pebble>>,
    pub(super) location: Location,
    pub(super) key: Place,
    pub(super) next_key: Option<Place>,
    // Held so that folder and database outlive the nodes.
    pub(super) folder: TempDir,
    pub(super) engine: Engine,
}

/// What holds the root key.
#[derive(Clone)]
pub(super) enum Place {
    File(PathBuf),
    Vault(Box<TransitConfig>),
    Service(KeyService),
}

impl Around {
    pub(super) async fn node(&self, socket: TcpListener) -> Node {
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

impl Kit {
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

    /// Has nodes that are opened from now on use another database; the one before it.
    pub fn change_database(&mut self, to: Engine) -> Engine {
        let Engine::Postgres(database) = &to else { panic!("that is PostgreSQL's") };
        self.around.location = Location::Postgres(database.url().to_owned());
        std::mem::replace(&mut self.around.engine, to)
    }

    /// The folder in which everything of this test lies.
    pub fn folder(&self) -> &std::path::Path {
        self.around.folder.path()
    }

    /// Has nodes that are opened from now on know these applications of the operator.
    pub fn set_managed(&mut self, managed: BTreeMap<String, ManagedService>) {
        self.around.settings.managed = managed;
    }

    /// Gives nodes that are opened from now on another public address.
    pub fn move_to(&mut self, url: &str) {
        self.around.settings.url = url.parse().unwrap();
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
