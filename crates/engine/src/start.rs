//! Starting: the store, the deployment's identity, its keys, and what the last process left open.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use carnet_egress::{Egress, Policy, SetupError};
use carnet_identity::{KeyDirectory, Remembered};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::failpoint::Point;
use carnet_model::{Env, Fault, Id, kind};
use carnet_store::keys::KeyRow;
use carnet_store::{Db, DbError, Location, OpenError, Write, deployment, keys, pass};
use carnet_vault::{CreateError, KeyId, KeyRole, Keyring, PassphraseError, UnlockError, WrappedKey};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::brake::Brakes;
use crate::breaker::Breakers;
use crate::broker::{Broker, Inner, Settings};
use crate::cache::TokenCache;
use crate::certificates::Served;
use crate::device_login::Asks;
use crate::directory::Directory;
use crate::health::Signals;
use crate::issue::{Mints, Unnarrowed};
use crate::keks::{Keks, Root};
use crate::keys::{Turning, wrapped_keys};
use crate::managed::Apps;
use crate::own_issuer::OwnIssuer;
use crate::pace::Paces;
use crate::pulse::Pulse;
use crate::rates::Rates;
use crate::refresh::Flights;
use crate::rejections::Rejections;
use crate::seat::Seat;
use crate::sign_in::Stretching;
use crate::spill::Spill;
use crate::triggers::{Addresses, Lines};

/// Why a deployment does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store fails.
    #[error("the store fails at the start")]
    Store(#[from] DbError),
    /// The keys of a new deployment cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The keys do not open with this root-key provider.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The passphrase makes no key.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A stored key row is damaged.
    #[error("a row of the table keys is damaged; restore a backup")]
    Damaged,
    /// The cryptographic library gives no cipher.
    #[error("the cryptographic library fails")]
    Cipher,
    /// The rules for outgoing connections cannot work.
    #[error(transparent)]
    Egress(#[from] SetupError),
    /// The signing keys cannot be used.
    #[error("{0}")]
    Signing(Box<Fault>),
}

impl Broker {
    /// Opens a deployment, or makes one in an empty store, and starts its background work.
    pub async fn open(
        settings: Settings,
        location: &Location,
        root: Root,
        policy: Policy,
        env: Env,
    ) -> Result<Self, StartError> {
        Self::open_through(settings, location, root, Egress::new(policy)?, env).await
    }

    /// The same, with a way out of the caller's choice.
    pub async fn open_through(
        settings: Settings,
        location: &Location,
        root: Root,
        egress: Egress,
        env: Env,
    ) -> Result<Self, StartError> {
        let seat = Seat::take(settings.spill.as_deref(), &env);
        let broker = Self::assemble(settings, location, root, egress, seat, env).await?;
        broker.inner.turn_signing_keys().await.map_err(|fault| StartError::Signing(Box::new(fault)))?;
        broker.inner.spill.replay(&broker.inner.db, &broker.inner.env).await?;
        broker.take_over().await?;
        broker.end_interrupted_consents(broker.exchange_silence()).await?;
        broker.end_interrupted_registrations(broker.exchange_silence()).await?;
        broker.await_again().await?;
        broker.tell_of_moved().await?;
        broker.start_housekeeping();
        pass(&broker.inner.env, Point::StartReady).await?;
        Ok(broker)
    }

    /// Opens the store and the keys, and does nothing by itself: no provider is called, nothing is turned.
    pub(crate) async fn assemble(
        mut settings: Settings,
        location: &Location,
        root: Root,
        egress: Egress,
        seat: Seat,
        env: Env,
    ) -> Result<Self, StartError> {
        let db = Db::open(location, &env).await?;
        pass(&env, Point::StartOpened).await?;
        let (deployment, keyring, keks) = unlock(&db, root, &env).await?;
        let inner = Inner {
            seat,
            keys: KeyDirectory::new(egress.clone(), env.clone()),
            callers: Remembered::new(CALLERS),
            rejections: Rejections::default(),
            directory: Directory::new(),
            apps: Apps::new(std::mem::take(&mut settings.managed)),
            connector_keys: crate::connector_keys::none_open(),
            tokens: TokenCache::new(&env).map_err(|_| StartError::Cipher)?,
            mints: Mints::default(),
            flights: Flights::default(),
            breakers: Breakers::new(),
            brakes: Brakes::default(),
            signals: Signals::default(),
            notice_places: crate::health::Places::default(),
            paces: Paces::new(settings.refreshes_per_second),
            rates: Rates::default(),
            wishes: Rates::default(),
            unnarrowed: Unnarrowed::default(),
            gateway_rates: Rates::default(),
            trigger_rates: Rates::default(),
            trigger_addresses: Addresses::default(),
            trigger_lines: Lines::default(),
            pulse: Pulse::default(),
            served: Served::default(),
            device_asks: Asks::default(),
            stretching: Stretching::default(),
            issuer: OwnIssuer::empty(),
            spill: Spill::new(settings.spill.clone()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            preparing: AtomicBool::new(false),
            turning: Turning::new(keks, env.now()),
            settings,
            deployment,
            db,
            keyring,
            egress,
            env,
        };
        let broker = Self { inner: Arc::new(inner) };
        broker.inner.read_keys().await?;
        Ok(broker)
    }

    /// The key of a team, made when its first secret is sealed.
    pub(crate) fn team_key(&self, team: Id<kind::Team>) -> Result<WrappedKey, carnet_vault::SealError> {
        self.inner.keyring.new_team_key(&self.inner.env, team)
    }
}

async fn unlock(db: &Db, root: Root, env: &Env) -> Result<(Id<kind::Deployment>, Keyring, Keks), StartError> {
    let mut keks: Option<Keks> = None;
    let mut root = Some(root);
    // Twice, because another node may make the deployment at the same moment.
    for _ in 0..2 {
        // First, because the keys are committed together with it: where it is, they are.
        let found = deployment::find(db).await?;
        let (rows, wraps) = (keys::all(db).await?, keys::wraps(db).await?);
        let ready = match (keks.take(), root.take()) {
            (Some(keks), _) => keks,
            (None, Some(root)) => Keks::new(root, &rows, &wraps, env).await?,
            (None, None) => return Err(StartError::Damaged),
        };
        if let Some(deployment) = found {
            let all = wrapped_keys(&rows, &wraps).map_err(|_| StartError::Damaged)?;
            let keyring = Keyring::unlock_with(deployment, &ready.all(), all).await?;
            return Ok((deployment, keyring, ready));
        }
        let id = env.id();
        let (keyring, rows) = Keyring::create(env, id, &*ready.present).await?;
        let event = AuditEvent::of_system(env.now(), Action::KeyCreate).on(id).with("keys", rows.len());
        let write = Write::new()
            .step(deployment::insert(id, env.now()))
            .steps(rows.iter().map(|row| keys::insert(&stored(row))))
            .event(env, &event);
        match db.write(write).await {
            Ok(_) => return Ok((id, keyring, ready)),
            Err(DbError::Unmet(_) | DbError::Conflict) => keks = Some(ready),
            Err(error) => return Err(error.into()),
        }
    }
    Err(StartError::Damaged)
}

pub(crate) fn wrapped(row: KeyRow) -> Option<WrappedKey> {
    Some(WrappedKey {
        id: KeyId::from_bytes(row.id),
        role: KeyRole::parse(&row.role).ok()?,
        version: row.version,
        wrapped_by: row.wrapped_by,
        wrapped: row.wrapped,
        created_at: row.created_at,
        activates_at: row.activates_at,
    })
}

pub(crate) fn stored(key: &WrappedKey) -> KeyRow {
    KeyRow {
        id: *key.id.bytes(),
        role: key.role.as_str().into_owned(),
        version: key.version,
        wrapped_by: key.wrapped_by.clone(),
        wrapped: key.wrapped.clone(),
        created_at: key.created_at,
        activates_at: key.activates_at,
        emptied_at: None,
    }
}

impl Inner {
    /// Loads the keys of a team that another node made.
    pub(crate) async fn load_team_keys(&self, team: Id<kind::Team>) -> Result<(), DbError> {
        self.fresh_keys().await?;
        if self.keyring.knows_team(team) {
            return Ok(());
        }
        let role = KeyRole::Team(team).as_str().into_owned();
        for row in keys::of_role(&self.db, &role).await? {
            let key = wrapped(row).ok_or(DbError::Corrupt { table: "keys", column: 1 })?;
            self.keyring.admit(&key).map_err(|error| DbError::Refused(Box::new(error)))?;
        }
        Ok(())
    }
}

/// Verified bearers in memory.
const CALLERS: usize = 20_000;
