//! The processes of a deployment and the root-key provider, watched while everything runs.
//!
//! A process tells the others which wraps of the root keys it has opened itself; by that is decided whether a provider
//! may be dropped. A key service that does not answer is tolerated, because the keys are in memory. One that answers
//! twice in a row that the deployment may not use its key is believed: requests are refused at once, what is under way
//! is let to its end, then the keys are wiped from memory. When the service gives the key back, it opens again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_store::nodes::{self, NodeRow};
use carnet_store::{DbError, Write, keys};
use carnet_vault::{FileKey, KeyRole, Keyring, PassphraseKey, RootKey, RootKeyError, WrappedKey};

use super::{lock, wrapped_keys};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::hex;

/// What the root-key provider last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// It opens what it wrapped.
    Fine,
    /// It does not answer. The keys in memory are used.
    Silent,
    /// It says that this deployment may not use its key.
    Refused(String),
}

/// What the providers of this process said to one look.
enum Look {
    Opens,
    Silent,
    Denied(String),
}

impl Broker {
    /// Tells the other processes that this one is alive, what it knows and what it can open.
    pub(crate) async fn tell_of_node(&self) -> Result<(), String> {
        let inner = &self.inner;
        let told = async {
            let epoch = inner.turning.epoch.load(Ordering::Acquire);
            if epoch != inner.turning.told.load(Ordering::Acquire) {
                let opens = self.opened_wraps().await?;
                *lock(&inner.turning.opens) = opens;
            }
            let now = inner.env.now();
            let node = NodeRow {
                id: inner.seat.node,
                started_at: inner.turning.started_at,
                seen_at: now,
                key_epoch: epoch,
                opens: lock(&inner.turning.opens).clone(),
            };
            // Where no other process can be, whoever is told of is gone.
            let gone = if inner.db.is_shared() { now.minus(FORGOTTEN) } else { now };
            let write = Write::new().step(nodes::forget_before(gone)).step(nodes::tell(&node));
            inner.db.write(write).await?;
            inner.turning.told.store(epoch, Ordering::Release);
            Ok::<(), DbError>(())
        };
        told.await.map_err(|error| error.to_string())
    }

    /// The wraps that a provider of this process opens to the root key that is in use here.
    async fn opened_wraps(&self) -> Result<Vec<String>, DbError> {
        let inner = &self.inner;
        let mut opens = BTreeSet::new();
        for wrap in self.root_wraps().await? {
            for kek in inner.turning.keks.all() {
                if kek.label() == wrap.wrapped_by
                    && inner.keyring.proves(kek, &wrap).await.is_ok_and(|proved| proved)
                {
                    opens.insert(wrap_name(&wrap.wrapped));
                    break;
                }
            }
        }
        Ok(opens.into_iter().collect())
    }

    /// Every wrap of every root key.
    pub(super) async fn root_wraps(&self) -> Result<Vec<WrappedKey>, DbError> {
        let db = &self.inner.db;
        let all = wrapped_keys(&keys::all(db).await?, &keys::wraps(db).await?)?;
        Ok(all.into_iter().filter(|key| key.role == KeyRole::Root).collect())
    }

    /// Says that this process ends.
    pub(crate) async fn leave(&self) {
        let write = Write::new().step(nodes::leave(self.inner.seat.node));
        if self.inner.db.write(write).await.is_err() {
            tracing::debug!("the other processes learn by its silence that this one has ended");
        }
    }

    /// Asks a key service whether it still opens the root key. Files and passphrases cannot change their mind.
    pub(crate) async fn watch_provider(&self) -> Result<(), String> {
        let keks = self.inner.turning.keks.all();
        if keks.iter().any(|kek| [FileKey::LABEL, PassphraseKey::LABEL].contains(&kek.label())) {
            return Ok(());
        }
        self.look_at_provider().await.map_err(|error| error.to_string())
    }

    /// The same for every provider, now instead of at the next minute.
    pub async fn look_at_provider(&self) -> Result<(), DbError> {
        let turning = &self.inner.turning;
        let mut look = self.look().await?;
        if matches!(look, Look::Denied(_)) && !turning.is_shut() {
            // A service that is being changed may say no for a moment.
            tokio::time::sleep(SECOND_LOOK).await;
            look = self.look().await?;
        }
        match look {
            Look::Opens => {
                *lock(&turning.provider) = ProviderState::Fine;
                if turning.is_shut() {
                    self.open_again().await?;
                }
            }
            Look::Silent => {
                if !turning.is_shut() {
                    *lock(&turning.provider) = ProviderState::Silent;
                    tracing::warn!("the root-key provider does not answer; the keys in memory are used");
                }
            }
            Look::Denied(why) => {
                *lock(&turning.provider) = ProviderState::Refused(why.clone());
                if !turning.is_shut() {
                    self.shut(why).await?;
                }
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Look, DbError> {
        let mut denied = None;
        let mut silent = false;
        for wrap in self.root_wraps().await? {
            for kek in self.inner.turning.keks.all() {
                if kek.label() != wrap.wrapped_by {
                    continue;
                }
                match unwrapped(kek, &wrap, self.inner.deployment).await {
                    Ok(()) => return Ok(Look::Opens),
                    Err(RootKeyError::Denied(why)) => denied = Some(why),
                    Err(RootKeyError::Unavailable(_)) => silent = true,
                    Err(error) => {
                        tracing::warn!(%error, by = kek.label(), "a wrap of a root key does not open");
                    }
                }
            }
        }
        Ok(match denied {
            // One that is silent may still say yes.
            Some(why) if !silent => Look::Denied(why),
            _ => Look::Silent,
        })
    }

    async fn shut(&self, why: String) -> Result<(), DbError> {
        let inner = &self.inner;
        inner.turning.shut.store(true, Ordering::Release);
        tracing::error!(
            why,
            "the key service has taken the root key away: every request is refused from now on"
        );
        let event = AuditEvent::of_system(inner.env.now(), Action::KeysShut).with("why", why);
        inner.db.write(Write::new().event(&inner.env, &event)).await?;
        let broker = self.clone();
        self.track(async move {
            // What a provider has answered meanwhile must be sealed, or it is lost.
            tokio::select! {
                () = broker.inner.stop.cancelled() => return,
                () = tokio::time::sleep(UNDER_WAY) => {}
            }
            if broker.inner.turning.is_shut() {
                broker.inner.keyring.shut();
                broker.inner.tokens.clear();
            }
        });
        Ok(())
    }

    async fn open_again(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        let all = wrapped_keys(&keys::all(&inner.db).await?, &keys::wraps(&inner.db).await?)?;
        let opened = Keyring::unlock_with(inner.deployment, &inner.turning.keks.all(), all).await;
        let keyring = opened.map_err(|error| DbError::Refused(Box::new(error)))?;
        inner.keyring.replace(keyring);
        inner.keyring.advance(inner.env.now());
        inner.turning.shut.store(false, Ordering::Release);
        inner.turning.epoch.store(0, Ordering::Release);
        tracing::warn!("the key service has given the root key back: requests are served again");
        let event = AuditEvent::of_system(inner.env.now(), Action::KeysOpen);
        inner.db.write(Write::new().event(&inner.env, &event)).await.map(drop)
    }
}

async fn unwrapped(
    kek: &dyn RootKey,
    wrap: &WrappedKey,
    deployment: carnet_model::Id<carnet_model::kind::Deployment>,
) -> Result<(), RootKeyError> {
    let version = u64::try_from(wrap.version).map_err(|_| RootKeyError::Damaged)?;
    let of = carnet_vault::RootVersion { deployment, id: wrap.id, version };
    kek.unwrap(of, &wrap.wrapped).await.map(drop)
}

/// By what a wrap is known: it stays the same where the wrap moves to another table.
pub(super) fn wrap_name(wrapped: &[u8]) -> String {
    hex(&sha256(wrapped)).chars().take(16).collect()
}

/// A process that was seen since is alive; it tells of itself every minute.
pub(super) const ALIVE: Duration = Duration::from_mins(3);
const FORGOTTEN: Duration = Duration::from_hours(24);
/// Between two looks at a key service.
pub(crate) const WATCH: Duration = Duration::from_mins(1);
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// Longer than a refresh that was sent, or a code that is being exchanged, takes to be recorded.
const UNDER_WAY: Duration = Duration::from_secs(30);
