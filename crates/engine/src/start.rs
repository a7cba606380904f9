//! Starting: the store, the deployment's identity, its keys, and what the last process left open.

use std::sync::Arc;

use carnet_egress::{Egress, Policy, SetupError};
use carnet_identity::{KeyDirectory, Remembered};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::{Env, Fault, Id, SecretString, kind};
use carnet_store::keys::KeyRow;
use carnet_store::{Db, DbError, Location, OpenError, Write, deployment, keys};
use carnet_vault::{
    Cost, CreateError, KeyId, KeyRole, Keyring, PassphraseError, PassphraseKey, RootKey, UnlockError,
    WrappedKey,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::breaker::Breakers;
use crate::broker::{Broker, Inner, Settings};
use crate::cache::TokenCache;
use crate::consent::Brake;
use crate::directory::Directory;
use crate::issue::Mints;
use crate::own_issuer::OwnIssuer;
use crate::refresh::Flights;
use crate::spill::Spill;

/// What the root key is wrapped by.
pub enum Root {
    /// A provider that is ready: a key file.
    Key(Box<dyn RootKey>),
    /// A passphrase, stretched with the parameters that are stored beside what it wraps.
    Passphrase(SecretString),
}

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
        let egress = Egress::new(policy)?;
        let db = Db::open(location, &env).await?;
        let (deployment, keyring) = unlock(&db, root, &env).await?;
        let inner = Inner {
            node: env.bytes(),
            keys: KeyDirectory::new(egress.clone(), env.clone()),
            callers: Remembered::new(CALLERS),
            directory: Directory::new(),
            tokens: TokenCache::new(&env).map_err(|_| StartError::Cipher)?,
            mints: Mints::default(),
            flights: Flights::default(),
            breakers: Breakers::new(),
            codes: Brake::default(),
            issuer: OwnIssuer::empty(),
            spill: Spill::new(settings.spill.clone()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            settings,
            deployment,
            db,
            keyring,
            egress,
            env,
        };
        let broker = Self { inner: Arc::new(inner) };
        broker.inner.turn_signing_keys().await.map_err(|fault| StartError::Signing(Box::new(fault)))?;
        broker.inner.spill.replay(&broker.inner.db).await?;
        broker.take_over().await?;
        broker.recover(broker.silence()).await?;
        broker.end_interrupted_consents(broker.exchange_silence()).await?;
        broker.start_housekeeping();
        Ok(broker)
    }

    /// The key of a team, made when its first secret is sealed.
    pub(crate) fn team_key(&self, team: Id<kind::Team>) -> Result<WrappedKey, carnet_vault::SealError> {
        self.inner.keyring.new_team_key(&self.inner.env, team)
    }
}

async fn unlock(db: &Db, root: Root, env: &Env) -> Result<(Id<kind::Deployment>, Keyring), StartError> {
    // Twice, because another node may make the deployment at the same moment.
    for _ in 0..2 {
        // First, because the keys are committed together with it: where it is, they are.
        let found = deployment::find(db).await?;
        let stored_rows = keys::all(db).await?;
        let root: &dyn RootKey = match &root {
            Root::Key(key) => key.as_ref(),
            Root::Passphrase(passphrase) => &stretched(passphrase, &stored_rows, env).await?,
        };
        if let Some(deployment) = found {
            let rows = stored_rows.into_iter().map(wrapped).collect::<Option<Vec<_>>>();
            let keyring = Keyring::unlock(deployment, root, rows.ok_or(StartError::Damaged)?).await?;
            return Ok((deployment, keyring));
        }
        let id = env.id();
        let (keyring, rows) = Keyring::create(env, id, root).await?;
        let event = AuditEvent::of_system(env.now(), Action::KeyCreate).on(id).with("keys", rows.len());
        let write = Write::new()
            .step(deployment::insert(id, env.now()))
            .steps(rows.iter().map(|row| keys::insert(&stored(row))))
            .event(env, &event);
        match db.write(write).await {
            Ok(_) => return Ok((id, keyring)),
            Err(DbError::Unmet(_) | DbError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StartError::Damaged)
}

/// The key of a passphrase: with the stored parameters, or with new ones for a new deployment. Stretching takes about
/// a second and 256 MiB, away from the threads that serve.
async fn stretched(
    passphrase: &SecretString,
    rows: &[KeyRow],
    env: &Env,
) -> Result<PassphraseKey, StartError> {
    let wrapped =
        rows.iter().find(|row| row.wrapped_by == PassphraseKey::LABEL).map(|row| row.wrapped.clone());
    let (passphrase, env) = (passphrase.duplicate(), env.clone());
    let work = tokio::task::spawn_blocking(move || match wrapped {
        Some(wrapped) => {
            let parameters = PassphraseKey::parameters(&wrapped).map_err(|_| StartError::Damaged)?;
            Ok(PassphraseKey::open(parameters, &passphrase)?)
        }
        None => Ok(PassphraseKey::create(&env, &passphrase, Cost::DEFAULT)?),
    });
    work.await.map_err(|_| StartError::Damaged)?
}

fn wrapped(row: KeyRow) -> Option<WrappedKey> {
    Some(WrappedKey {
        id: KeyId::from_bytes(row.id),
        role: KeyRole::parse(&row.role).ok()?,
        version: row.version,
        wrapped_by: row.wrapped_by,
        wrapped: row.wrapped,
        created_at: row.created_at,
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
    }
}

impl Inner {
    /// Loads the keys of a team that another node made.
    pub(crate) async fn load_team_keys(&self, team: Id<kind::Team>) -> Result<(), DbError> {
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
