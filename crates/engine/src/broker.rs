//! A running deployment: everything the verbs share.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carnet_egress::Egress;
use carnet_identity::{KeyDirectory, Remembered};
use carnet_model::caller::Caller;
use carnet_model::{Env, Id, kind};
use carnet_store::Db;
use carnet_vault::Keyring;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::breaker::Breakers;
use crate::cache::TokenCache;
use crate::consent::Brake;
use crate::directory::Directory;
use crate::issue::Mints;
use crate::own_issuer::OwnIssuer;
use crate::refresh::Flights;
use crate::spill::Spill;

/// A running deployment. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) settings: Settings,
    pub(crate) deployment: Id<kind::Deployment>,
    /// This process, as the holder of leases.
    pub(crate) node: [u8; 16],
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    pub(crate) egress: Egress,
    pub(crate) keys: KeyDirectory,
    pub(crate) callers: Remembered<(Arc<Caller>, Option<Id<kind::TrustedIssuer>>)>,
    pub(crate) directory: Directory,
    pub(crate) tokens: TokenCache,
    pub(crate) mints: Mints,
    pub(crate) flights: Flights,
    pub(crate) breakers: Breakers,
    pub(crate) codes: Brake,
    pub(crate) issuer: OwnIssuer,
    pub(crate) spill: Spill,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// How a deployment is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address under which people and programs reach it, without a final `/`.
    pub url: Url,
    /// On a developer's machine: plain http and loopback are allowed.
    pub development: bool,
    /// Where refreshed tokens are kept while the store does not take them.
    pub spill: Option<PathBuf>,
    /// Whether people may enter device codes. Connectors can be taken out of it one by one.
    pub device_codes: bool,
    /// Services for which the operator has registered a client: teams make connectors from them without seeing it.
    pub managed: BTreeMap<String, ManagedService>,
}

/// A client that the operator registered at a provider.
#[derive(Clone)]
pub struct ManagedService {
    /// The connector's `data`, secrets included.
    pub data: Map<String, Value>,
}

impl std::fmt::Debug for ManagedService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManagedService")
    }
}

impl Settings {
    /// The address without a final `/`.
    pub fn base(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

impl Broker {
    /// The clock and the random source.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// How it is set up.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The only way out.
    pub fn egress(&self) -> &Egress {
        &self.inner.egress
    }

    /// Whether the store answers. For `/readyz`.
    pub async fn is_ready(&self) -> bool {
        !self.inner.stop.is_cancelled() && self.inner.db.refresh_revision().await.is_ok()
    }

    /// Runs the server itself: not waited for by [`Broker::shut_down`], which comes after it.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "the caller waits for it before it shuts the broker down"
        )]
        tokio::spawn(work)
    }

    /// Runs `work` to its end, whatever becomes of the caller. Shutdown waits for it.
    pub(crate) fn track<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.tasks.spawn(work)
    }

    /// Takes no new background work, waits for what must finish (refreshes and code exchanges above all), then closes
    /// the store.
    pub async fn shut_down(&self, patience: Duration) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(patience, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.inner.tasks.len(),
                "stopping with work unfinished; it is recovered at the next start"
            );
        }
        self.inner.db.close().await;
    }
}
