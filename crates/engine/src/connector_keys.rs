//! Signing keys of connectors: made, kept open, published, turned.
//!
//! A connector that signs has a key of its own from the moment it is made. Nothing turns by itself, because many servers
//! are given the public key by hand; when a person asks, the new key is published first and signs later, and the old one
//! stays published until nothing that it signed is valid any more. A connector that is pointed at another server gets
//! another key at once: what the old server trusts is not used at the new one.
//!
//! The private half is opened once and kept in the process; drivers get [`carnet_providers::Signer`] and no more.

use std::sync::Arc;
use std::time::Duration;

use carnet_identity::rotation::{self, KeyState, Schedule, ScheduledKey};
use carnet_identity::{Algorithm, SigningKey};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Secret, SecretString, Time, kind};
use carnet_providers::{CannotSign, Signer, SigningAlgorithm, jwks_url};
use carnet_store::connector_keys::{self, ConnectorKeyRow};
use carnet_store::{DbError, Write};
use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};

use crate::broker::{Broker, Inner};
use crate::directory::Entry;
use crate::faults;

/// Opened keys, by everything that their envelope is bound to.
pub(crate) type OpenKeys = Cache<(Id<kind::Team>, Id<kind::Connector>, i64, String), Arc<SigningKey>>;

pub(crate) fn none_open() -> OpenKeys {
    Cache::new(CAPACITY)
}

/// The keys of one connector that are published or will sign.
#[derive(Default)]
pub(crate) struct ConnectorKeys {
    keys: Vec<ConnectorKey>,
    schedule: Vec<ScheduledKey>,
    /// The highest number in the store, of keys that do not open too.
    newest: i64,
}

/// A key, opened.
pub(crate) struct ConnectorKey {
    key: Arc<SigningKey>,
    created_at: Time,
    activates_at: Time,
    gone_at: Option<Time>,
}

/// The keys of a connector as they may be seen.
#[derive(Clone, Debug)]
pub struct ConnectorKeysView {
    /// Where providers find them.
    pub url: String,
    /// Oldest first.
    pub keys: Vec<ConnectorKeyView>,
}

/// A key of a connector as it may be seen.
#[derive(Clone, Debug)]
pub struct ConnectorKeyView {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// The public half, as a JWK.
    pub public: Value,
    /// `pending`, `active` or `retiring`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// From when it signs.
    pub activates_at: Time,
    /// From when it is no longer published, once that is known.
    pub gone_at: Option<Time>,
}

impl ConnectorKeys {
    /// The key that signs at `now`.
    pub(crate) fn signing(&self, now: Time) -> Option<&ConnectorKey> {
        let kid = &rotation::signing(&self.schedule, now)?.kid;
        self.keys.iter().find(|key| key.key.kid() == kid)
    }

    fn published(&self, now: Time) -> impl Iterator<Item = &ConnectorKey> {
        self.keys.iter().filter(move |key| key.gone_at.is_none_or(|gone| gone > now))
    }

    fn pending(&self, now: Time) -> Option<&ConnectorKey> {
        self.keys.iter().find(|key| key.activates_at > now)
    }

    fn view(&self, url: String, now: Time) -> ConnectorKeysView {
        let signing = self.signing(now).map(|key| key.key.kid());
        let view = |key: &ConnectorKey| ConnectorKeyView {
            kid: key.key.kid().to_owned(),
            algorithm: key.algorithm(),
            public: key.key.public_jwk(),
            state: match () {
                () if Some(key.key.kid()) == signing => "active",
                () if key.activates_at > now => "pending",
                () => "retiring",
            },
            created_at: key.created_at,
            activates_at: key.activates_at,
            gone_at: key.gone_at,
        };
        ConnectorKeysView { url, keys: self.published(now).map(view).collect() }
    }
}

impl Signer for ConnectorKey {
    fn kid(&self) -> &str {
        self.key.kid()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        match self.key.algorithm() {
            Algorithm::Rs256 => SigningAlgorithm::Rs256,
            Algorithm::Es256 => SigningAlgorithm::Es256,
            Algorithm::Ps256 => SigningAlgorithm::Ps256,
            Algorithm::Es384 => SigningAlgorithm::Es384,
            Algorithm::EdDsa => SigningAlgorithm::EdDsa,
        }
    }

    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString, CannotSign> {
        self.key.sign(typ, claims).map(Secret::new).map_err(|_| CannotSign)
    }
}

impl Inner {
    /// The keys of a connector, opened. One that does not open at its place is left out: it is neither published nor
    /// used.
    pub(crate) async fn connector_keys(&self, connector: &Connector) -> Result<ConnectorKeys, DbError> {
        let now = self.env.now();
        let mut found = ConnectorKeys::default();
        for row in connector_keys::of_connector(&self.db, connector.team, connector.id, now).await? {
            found.newest = row.version;
            let Some(key) = self.opened(&row) else {
                tracing::error!(connector = %connector.id, kid = row.kid, "a signing key does not open at its place");
                continue;
            };
            let state = KeyState::Pending { activates_at: row.activates_at };
            found.schedule.push(ScheduledKey { kid: row.kid, state });
            let ConnectorKeyRow { created_at, activates_at, gone_at, .. } = row;
            found.keys.push(ConnectorKey { key, created_at, activates_at, gone_at });
        }
        Ok(found)
    }

    fn opened(&self, row: &ConnectorKeyRow) -> Option<Arc<SigningKey>> {
        let place = (row.team, row.connector, row.version, row.kid.clone());
        if let Some(key) = self.connector_keys.get(&place) {
            return Some(key);
        }
        let algorithm = Algorithm::parse(&row.algorithm).ok()?;
        let key = SigningKey::from_pkcs8(algorithm, self.open_connector_key(row).ok()?.expose()).ok()?;
        if key.kid() != row.kid {
            return None;
        }
        let key = Arc::new(key);
        self.connector_keys.insert(place, key.clone());
        Some(key)
    }

    async fn new_connector_key(
        &self,
        connector: &Connector,
        algorithm: SigningAlgorithm,
        version: i64,
        activates_at: Time,
    ) -> Result<ConnectorKeyRow, Fault> {
        let of = match algorithm {
            SigningAlgorithm::Rs256 => Algorithm::Rs256,
            SigningAlgorithm::Es256 => Algorithm::Es256,
            SigningAlgorithm::Ps256 => Algorithm::Ps256,
            SigningAlgorithm::Es384 => Algorithm::Es384,
            SigningAlgorithm::EdDsa => Algorithm::EdDsa,
        };
        // RSA generation takes up to a second: not on a thread that serves requests.
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(of))
            .await
            .map_err(faults::internal)?
            .map_err(faults::internal)?;
        let mut row = ConnectorKeyRow {
            kid: key.kid().to_owned(),
            team: connector.team,
            connector: connector.id,
            version,
            algorithm: algorithm.as_str().to_owned(),
            sealed: Vec::new(),
            created_at: self.env.now(),
            activates_at,
            gone_at: None,
        };
        let pkcs8 = key.pkcs8().map_err(faults::internal)?;
        row.sealed = self.seal_connector_key(&row, pkcs8).map_err(faults::internal)?;
        Ok(row)
    }
}

/// Whose keys are made, by whom.
pub(crate) struct KeyChange<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) request: Id<kind::Request>,
    pub(crate) connector: &'a Connector,
}

impl Broker {
    /// Adds to `write` the first key of a connector, if it needs one. It signs at once: nobody knows an older one.
    pub(crate) async fn first_key(
        &self,
        write: Write,
        change: &KeyChange<'_>,
        signs: Option<SigningAlgorithm>,
    ) -> Result<Write, Fault> {
        let Some(algorithm) = signs else { return Ok(write) };
        let now = self.inner.env.now();
        let row = self.inner.new_connector_key(change.connector, algorithm, 1, now).await?;
        let event = change.event(Action::ConnectorKeyCreate, now, &row);
        Ok(write.step(connector_keys::insert(&row)).event(&self.inner.env, &event))
    }

    /// Adds to `write` what becomes of the keys when a connector is changed: another key if it is pointed at another
    /// server (`moves`), a turn to the algorithm that it names now, the first one if it had none.
    pub(crate) async fn changed_key(
        &self,
        write: Write,
        change: &KeyChange<'_>,
        entry: &Entry,
        signs: Option<SigningAlgorithm>,
        moves: bool,
    ) -> Result<Write, Fault> {
        // A connector that did not sign may have done so before, and its keys are not in the entry.
        let known;
        let keys = if entry.abilities.signs.is_some() {
            &entry.keys
        } else {
            known = self.inner.connector_keys(&entry.row.connector).await.map_err(faults::store)?;
            &known
        };
        let (team, id, next) = (change.connector.team, change.connector.id, keys.newest + 1);
        if moves && keys.newest > 0 {
            let write = match signs {
                Some(algorithm) => self.turned(write, change, algorithm, next, false).await?,
                None => write,
            };
            return Ok(write.step(connector_keys::delete_before(team, id, next)));
        }
        let latest = keys.keys.last().map(Signer::algorithm);
        match signs {
            Some(algorithm) if latest != Some(algorithm) => {
                self.turned(write, change, algorithm, next, latest.is_some()).await
            }
            _ => Ok(write),
        }
    }

    /// Adds to `write` a new key, and says until when the ones before are published. `gently`, it signs only when every
    /// verifier can have seen it.
    async fn turned(
        &self,
        write: Write,
        change: &KeyChange<'_>,
        algorithm: SigningAlgorithm,
        version: i64,
        gently: bool,
    ) -> Result<Write, Fault> {
        let now = self.inner.env.now();
        let schedule = schedule();
        let activates_at = if gently { now.plus(schedule.lead()) } else { now };
        let row = self.inner.new_connector_key(change.connector, algorithm, version, activates_at).await?;
        let gone_at = activates_at.plus(schedule.tail());
        let action = if version == 1 { Action::ConnectorKeyCreate } else { Action::ConnectorKeyRotate };
        let event = change.event(action, now, &row);
        Ok(write
            .step(connector_keys::insert(&row))
            .step(connector_keys::retire_before(row.team, row.connector, version, gone_at))
            .event(&self.inner.env, &event))
    }

    /// The public keys of a connector, for whoever asks; `None` for one that does not exist or has none.
    pub async fn connector_jwks(&self, connector: &str) -> Result<Option<Value>, Fault> {
        let Ok(id) = Id::parse(connector) else { return Ok(None) };
        let Some(team) = self.inner.team_of(id).await.map_err(faults::store)? else { return Ok(None) };
        let entry = self.inner.entry(team, &ConnectorRef::Id(id)).await.map_err(faults::store)?;
        let Some(entry) = entry else { return Ok(None) };
        let keys: Vec<Value> =
            entry.keys.published(self.inner.env.now()).map(|key| key.key.public_jwk()).collect();
        Ok((!keys.is_empty()).then(|| json!({ "keys": keys })))
    }

    /// A connector as an issuer (OpenID Connect Discovery §4.2): its name is the address of its keys. `None` for one that
    /// does not exist or has none.
    pub async fn connector_discovery(&self, connector: &str) -> Result<Option<Value>, Fault> {
        let Ok(id) = Id::parse(connector) else { return Ok(None) };
        let Some(team) = self.inner.team_of(id).await.map_err(faults::store)? else { return Ok(None) };
        let entry = self.inner.entry(team, &ConnectorRef::Id(id)).await.map_err(faults::store)?;
        let algorithm = entry.and_then(|entry| entry.abilities.signs);
        let issuer = carnet_providers::jwks_url(self.inner.settings.base(), id);
        Ok(algorithm.map(|algorithm| {
            json!({
                "issuer": issuer,
                "jwks_uri": issuer,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [algorithm],
                "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti"],
            })
        }))
    }

    /// The signing keys of a connector, without what is secret.
    pub async fn connector_keys(&self, caller: &Caller, connector: &str) -> Result<ConnectorKeysView, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorRead).await?;
        entry.abilities.signs.ok_or_else(|| signs_nothing(&entry))?;
        Ok(self.view_of_keys(&entry))
    }

    /// Makes a new key, which signs when every verifier can have seen it.
    pub async fn turn_connector_key(
        &self,
        caller: &Caller,
        connector: &str,
        request: Id<kind::Request>,
    ) -> Result<ConnectorKeysView, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorKeyRotate).await?;
        let algorithm = entry.abilities.signs.ok_or_else(|| signs_nothing(&entry))?;
        let now = self.inner.env.now();
        let uid = &entry.row.connector.uid;
        if let Some(pending) = entry.keys.pending(now) {
            let minutes = now.until(pending.activates_at).as_secs().div_ceil(60);
            return Err(Fault::new(
                Code::Conflict,
                format!("{uid} has a new key already, which begins to sign in {minutes} minutes."),
            )
            .with("kid", pending.key.kid())
            .with("activatesAt", pending.activates_at.millis()));
        }
        let change = KeyChange { caller, request, connector: &entry.row.connector };
        let gently = entry.keys.signing(now).is_some();
        let write = self.turned(Write::new(), &change, algorithm, entry.keys.newest + 1, gently).await?;
        self.inner.db.write(write.revises()).await.map_err(faults::store)?;
        let entry = self.find_connector(caller, connector).await?;
        Ok(self.view_of_keys(&entry))
    }

    fn view_of_keys(&self, entry: &Entry) -> ConnectorKeysView {
        let url = jwks_url(self.inner.settings.base(), entry.row.connector.id);
        entry.keys.view(url, self.inner.env.now())
    }
}

impl KeyChange<'_> {
    fn event(&self, action: Action, now: Time, row: &ConnectorKeyRow) -> AuditEvent {
        AuditEvent::of(self.caller, now, action, Some(self.request))
            .on(self.connector.id)
            .with("kid", row.kid.clone())
            .with("algorithm", row.algorithm.clone())
            .with("activatesAt", row.activates_at.millis())
    }
}

fn signs_nothing(entry: &Entry) -> Fault {
    let uid = &entry.row.connector.uid;
    Fault::new(
        Code::InvalidConnector,
        format!(
            "{uid} has no signing key: it neither proves itself by private_key_jwt nor has jwtBearer enabled. With \
             data.signingAlgorithm it gets one all the same."
        ),
    )
    .with("field", "data.signingAlgorithm")
}

/// Verifiers that keep a key set for an hour, though ours are served for five minutes; assertions that live ten minutes
/// at most. A period is not set: only people turn these keys.
fn schedule() -> Schedule {
    Schedule { period: Duration::MAX, token_life: LONGEST_ASSERTION, ..Schedule::default() }
}

/// What drivers sign lives no longer.
const LONGEST_ASSERTION: Duration = Duration::from_mins(10);
/// Opened keys in memory; an RSA key has about three kilobytes.
const CAPACITY: usize = 4096;
