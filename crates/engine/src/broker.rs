//! A running deployment: everything the verbs share.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carnet_catalog::Catalog;
use carnet_egress::Egress;
use carnet_identity::{KeyDirectory, Remembered};
use carnet_model::{Env, Id, Time, kind};
use carnet_store::Db;
use carnet_vault::Keyring;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::brake::Brakes;
use crate::breaker::Breakers;
use crate::cache::TokenCache;
use crate::callers::Known;
use crate::certificates::{Acme, CertificateState, Served};
use crate::connector_keys::OpenKeys;
use crate::device_login::Asks;
use crate::directory::Directory;
use crate::health::Signals;
use crate::issue::{Mints, Unnarrowed};
use crate::keys::{ProviderState, Turning};
use crate::managed::{Apps, ManagedService};
use crate::own_issuer::OwnIssuer;
use crate::pace::Paces;
use crate::pulse::Pulse;
use crate::rates::{OfTeam, Rates};
use crate::refresh::Flights;
use crate::rejections::Rejections;
use crate::seat::Seat;
use crate::sign_in::{SignInIssuer, Stretching};
use crate::spill::Spill;
use crate::triggers::{Addresses, Lines};
use crate::usage::Plans;

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
    pub(crate) seat: Seat,
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    pub(crate) turning: Turning,
    pub(crate) egress: Egress,
    pub(crate) keys: KeyDirectory,
    pub(crate) callers: Remembered<Known>,
    pub(crate) rejections: Rejections,
    pub(crate) directory: Directory,
    pub(crate) apps: Apps,
    pub(crate) connector_keys: OpenKeys,
    pub(crate) tokens: TokenCache,
    pub(crate) mints: Mints,
    pub(crate) flights: Flights,
    pub(crate) breakers: Breakers,
    pub(crate) brakes: Brakes,
    pub(crate) signals: Signals,
    pub(crate) notice_places: crate::health::Places,
    pub(crate) paces: Paces,
    pub(crate) rates: Rates<OfTeam>,
    pub(crate) wishes: Rates<Id<kind::Grant>>,
    pub(crate) unnarrowed: Unnarrowed,
    pub(crate) trigger_rates: Rates<Id<kind::Connector>>,
    pub(crate) trigger_addresses: Addresses,
    pub(crate) trigger_lines: Lines,
    pub(crate) gateway_rates: Rates<crate::gateway::Asker>,
    pub(crate) pulse: Pulse,
    pub(crate) served: Served,
    pub(crate) device_asks: Asks,
    pub(crate) stretching: Stretching,
    pub(crate) issuer: OwnIssuer,
    pub(crate) spill: Spill,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) preparing: AtomicBool,
}

/// How a deployment is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address under which people and programs reach it, without a final `/`.
    pub url: Url,
    /// The issuer that identity tokens name in place of the address, where that name is owned too: the official verifiers
    /// of forwarded events take no other than their vendor's.
    pub issuer: Option<Url>,
    /// On a developer's machine: plain http and loopback are allowed.
    pub development: bool,
    /// Where refreshed tokens are kept while the store does not take them.
    pub spill: Option<PathBuf>,
    /// How many refreshes of one connector this process begins in a second; [`Settings::REFRESHES_PER_SECOND`].
    pub refreshes_per_second: u32,
    /// Within which time every token request is answered; [`Settings::ANSWER_WITHIN`].
    pub answer_within: Duration,
    /// Whether people may enter device codes. Connectors can be taken out of it one by one.
    pub device_codes: bool,
    /// What token requests cost, where they end and how fast they may come.
    pub plans: Plans,
    /// The issuers with whose accounts people may sign in.
    pub sign_in: Vec<SignInIssuer>,
    /// Services for which the operator has registered an application: teams make connectors from it without seeing it.
    /// Taken out of here at the start; further ones can be registered while the server runs.
    pub managed: BTreeMap<String, ManagedService>,
    /// What is known about services.
    pub catalog: Catalog,
    /// The only one for whom secrets leave this server, encrypted.
    pub recovery_key: Option<carnet_vault::Recipient>,
    /// The authority that gives the server its certificate, if one is asked.
    pub acme: Option<Acme>,
}

impl Settings {
    /// Ten thousand grants whose tokens live an hour and were made together are renewed in the twelve minutes over which
    /// that is spread, and the token endpoints of common providers take as much from one application.
    pub const REFRESHES_PER_SECOND: u32 = 20;

    /// Longer than a provider may take and a takeover from a node that died on the way; shorter than the patience of
    /// common clients and proxies, which is half a minute or more.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

    /// The address without a final `/`.
    pub fn base(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

/// Whether a deployment can do its work, and if not, what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// It was asked to stop.
    pub stopping: bool,
    /// It is still being set up by whoever started it.
    pub preparing: bool,
    /// Why the store takes no write, if it takes none.
    pub store: Result<(), String>,
    /// What the root-key provider last said.
    pub provider: ProviderState,
    /// Why a key that is in use does not open here, if one does not.
    pub unopened: Option<&'static str>,
    /// With which certificate it speaks TLS, if it does itself.
    pub certificate: Option<CertificateState>,
    /// When this was seen.
    pub at: Time,
}

impl Readiness {
    /// Whether requests should come here.
    pub fn is_ready(&self) -> bool {
        !self.stopping
            && !self.preparing
            && self.store.is_ok()
            && !matches!(self.provider, ProviderState::Refused(_))
            && self.unopened.is_none()
            && self.certificate.as_ref().is_none_or(|certificate| certificate.holds(self.at))
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

    /// Whether it can do its work.
    pub async fn is_ready(&self) -> bool {
        self.readiness().await.is_ready()
    }

    /// The same with what is missing. For `/readyz`.
    pub async fn readiness(&self) -> Readiness {
        Readiness {
            stopping: self.inner.stop.is_cancelled(),
            preparing: self.inner.preparing.load(Ordering::Acquire),
            store: self.feel_pulse().await,
            provider: self.inner.turning.provider(),
            unopened: self.inner.turning.unopened(),
            certificate: self.certificate_state(),
            at: self.inner.env.now(),
        }
    }

    /// Says that it is being set up, or that it is ready: whoever waits for it to be ready finds everything there.
    pub fn hold_back(&self, preparing: bool) {
        self.inner.preparing.store(preparing, Ordering::Release);
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
        self.leave().await;
        self.inner.db.close().await;
    }
}
