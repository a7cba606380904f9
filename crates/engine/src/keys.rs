//! The deployment's keys while it runs: which there are, who knows them, and how they are turned.
//!
//! A new version is committed at once and used [`LEAD`] later. Every process asks for the epoch of the keys twice a
//! second, and none serves a request that has not asked for [`MAX_AGE`] ([`Inner::fresh_keys`]). So a version is known
//! wherever something sealed by it can be met, without a word between the processes; their clocks may be twenty seconds
//! apart. What an older version sealed is
//! sealed anew in the background ([`reseal`]); a version goes when nothing refers to it and has not for a day, which is
//! longer than a file of spilled tokens should lie anywhere.

mod compromised;
mod examine;
mod reseal;
mod rotate;
mod status;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::caller::{Caller, Member};
use carnet_model::rights::Right;
use carnet_model::{AccessToken, Code, Fault, Id, Time, kind};
use carnet_store::keys::{self, KeyRow, WrapRow};
use carnet_store::{DbError, Write, access_tokens, people};
use carnet_vault::{AdmitError, KeyId, KeyRole, KeyedHash, Purpose, WrappedKey};

use crate::broker::{Broker, Inner};
use crate::faults;
use crate::keks::Keks;
use crate::sessions::Session;
use crate::start::wrapped;

pub use compromised::{RunbookEntry, RunbookStep};
pub use examine::{Examined, ExaminedColumn};
pub use rotate::{KekStep, KeyKind, RotateAsk, Rotated};
pub use status::{KeyView, KeysStatus, NodeView, SigningView, UnseenToken, WrapView};
pub use watch::ProviderState;
pub(crate) use watch::WATCH;

/// What this process knows of the keys beside the keyring.
pub(crate) struct Turning {
    pub(crate) keks: Keks,
    started_at: Time,
    /// The epoch of what is loaded.
    epoch: AtomicI64,
    /// When the store was last asked for the epoch, by the clock of the environment.
    asked: AtomicI64,
    /// The epoch that this process last told others of.
    told: AtomicI64,
    rows: Mutex<Vec<KeyRow>>,
    opens: Mutex<Vec<String>>,
    /// Keys that need no look before this time.
    rest_until: Mutex<BTreeMap<[u8; 16], Time>>,
    provider: Mutex<ProviderState>,
    /// Why a key in use does not open here, if one does not.
    unopened: Mutex<Option<&'static str>>,
    shut: AtomicBool,
    /// One at a time.
    loading: tokio::sync::Mutex<()>,
}

impl Turning {
    pub(crate) fn new(keks: Keks, now: Time) -> Self {
        Self {
            keks,
            started_at: now,
            epoch: AtomicI64::new(0),
            asked: AtomicI64::new(0),
            told: AtomicI64::new(0),
            rows: Mutex::default(),
            opens: Mutex::default(),
            rest_until: Mutex::default(),
            provider: Mutex::new(ProviderState::Fine),
            unopened: Mutex::new(None),
            shut: AtomicBool::new(false),
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the key service has taken the deployment's key away.
    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    pub(crate) fn provider(&self) -> ProviderState {
        lock(&self.provider).clone()
    }

    /// Why this process cannot open what others seal now, if it cannot.
    pub(crate) fn unopened(&self) -> Option<&'static str> {
        *lock(&self.unopened)
    }

    fn does_not_open(&self, why: &'static str) -> DbError {
        *lock(&self.unopened) = Some(why);
        DbError::Unavailable(why.to_owned())
    }

    fn rows(&self) -> Vec<KeyRow> {
        lock(&self.rows).clone()
    }
}

impl Inner {
    /// Makes sure that every key is known that something met now can be sealed by.
    pub(crate) async fn fresh_keys(&self) -> Result<(), DbError> {
        let age = self.env.now().millis() - self.turning.asked.load(Ordering::Acquire);
        // A clock that was turned back tells nothing.
        if (0..=MAX_AGE_MS).contains(&age) { Ok(()) } else { self.read_keys().await }
    }

    /// Asks whether the keys have changed, and reads them if they have.
    pub(crate) async fn read_keys(&self) -> Result<(), DbError> {
        let now = self.env.now();
        let epoch = keys::epoch(&self.db).await?;
        if epoch != self.turning.epoch.load(Ordering::Acquire) {
            let _alone = self.turning.loading.lock().await;
            if epoch != self.turning.epoch.load(Ordering::Acquire) {
                self.load_keys().await?;
                self.turning.epoch.store(epoch, Ordering::Release);
            }
        }
        self.keyring.advance(now);
        self.turning.asked.store(now.millis(), Ordering::Release);
        Ok(())
    }

    async fn load_keys(&self) -> Result<(), DbError> {
        let (rows, wraps) = (keys::all(&self.db).await?, keys::wraps(&self.db).await?);
        if !self.turning.is_shut() {
            let refused = |error| DbError::Refused(Box::new(error));
            let all = wrapped_keys(&rows, &wraps)?;
            let opened = self.keyring.admit_roots(&self.turning.keks.all(), &all).await;
            opened.map_err(|error| {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "a new root key does not open here");
                self.turning.does_not_open("the root-key provider does not open a new root key")
            })?;
            for key in all.iter().filter(|key| key.role != KeyRole::Root) {
                self.keyring.admit(key).map_err(|error| {
                    // Another process has a provider that this one lacks; what has no root key here is for it to serve.
                    if let AdmitError::UnknownRoot(id) = &error {
                        tracing::error!(%id, "a key is wrapped by a root key that no provider here opens");
                        return self.turning.does_not_open(
                            "a key in use is wrapped by a root-key provider that this process does not have",
                        );
                    }
                    refused(error)
                })?;
            }
            self.keyring.retain(&all.iter().map(|key| key.id).collect::<BTreeSet<KeyId>>());
            *lock(&self.turning.unopened) = None;
        }
        *lock(&self.turning.rows) = rows;
        Ok(())
    }

    /// Versions that a newer one has superseded long enough for every process to have noticed.
    fn superseded(&self, rows: &[KeyRow], now: Time) -> Vec<KeyRow> {
        let mut newest: BTreeMap<&str, &KeyRow> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.activates_at.plus(SETTLE) <= now) {
            let best = newest.entry(&row.role).or_insert(row);
            if row.version > best.version {
                *best = row;
            }
        }
        let old = |row: &&KeyRow| newest.get(row.role.as_str()).is_some_and(|new| row.version < new.version);
        rows.iter().filter(old).cloned().collect()
    }
}

impl Broker {
    /// Refuses everything while the deployment's key is taken away.
    pub(crate) fn is_open(&self) -> Result<(), Fault> {
        if self.inner.turning.is_shut() {
            return Err(Fault::new(
                Code::Unavailable,
                "The key service has taken this deployment's root key away, so nothing is opened here.",
            )
            .next("curl /readyz", "to see what the key service says; give the access back and it opens again")
            .retry_after(60));
        }
        Ok(())
    }

    /// Why the keys could not be read: where this process lacks a provider, the store is not to blame.
    pub(crate) fn keys_unread(&self, error: DbError) -> Fault {
        match self.inner.turning.unopened() {
            Some(why) => {
                Fault::new(Code::Unavailable, format!("This process cannot open the keys in use: {why}."))
                    .next("carnet keys status", "at another process, to see what wraps them")
                    .retry_after(5)
            }
            None => faults::store(error),
        }
    }

    /// What belongs to all teams is in the hands of those who set the deployment up: people of its first team who have
    /// the right there.
    pub(crate) async fn operator<'a>(&self, caller: &'a Caller, right: Right) -> Result<&'a Member, Fault> {
        let member = self.may(caller, right)?;
        if self.is_first_team(member.team).await? {
            return Ok(member);
        }
        let fault = Fault::new(
            Code::Forbidden,
            format!(
                "{} is for owners of the team that set this deployment up: it is about all teams.",
                right.as_str()
            ),
        )
        .with("right", right.as_str());
        Err(match right {
            Right::KeyRotate => fault.next("carnet keys rotate team", "to turn your own team's key"),
            _ => fault.next("carnet whoami", "to see which team you ask for"),
        })
    }

    /// Who a session is in what is about all teams: in the team that set the deployment up, whatever other teams the person
    /// is in.
    pub async fn operator_of(&self, session: &Session) -> Result<Caller, Fault> {
        let first = people::first_team(&self.inner.db).await.map_err(faults::store)?;
        let teams = self.teams_of_session(session).await?;
        let own = first.filter(|first| teams.iter().any(|membership| membership.team.id == first.id));
        match own {
            Some(first) => self.caller_of(session, Some(&first.id.to_string())).await,
            None => Err(Fault::new(
                Code::Forbidden,
                "This is for owners of the team that set this deployment up: it is about all teams.",
            )),
        }
    }

    /// Whether a session may see what is about all teams.
    pub async fn operates(&self, session: &Session) -> Result<bool, Fault> {
        match self.operator_of(session).await {
            Ok(Caller::Member(member)) => Ok(Right::ManagedAppRead.held_by(member.role, member.strict)),
            Ok(Caller::Workload(_)) => Ok(false),
            Err(fault) if fault.code == Code::Forbidden => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) async fn is_first_team(&self, team: Id<kind::Team>) -> Result<bool, Fault> {
        let first = people::first_team(&self.inner.db).await.map_err(faults::store)?;
        Ok(first.is_some_and(|first| first.id == team))
    }

    /// Stores the digest of a token that was used by the present pepper, in the background.
    pub(crate) fn rehash(&self, token: &AccessToken, id: Id<kind::AccessToken>, found: &KeyedHash) {
        let keyring = &self.inner.keyring;
        if found.version >= keyring.hashing_version(Purpose::TokenPepper) {
            return;
        }
        let new = keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let step = access_tokens::rehash(id, found.digest, new.digest, new.version);
        let broker = self.clone();
        self.track(async move {
            // It is found by the old digest until this succeeds, which the next use tries again.
            if let Err(error) = broker.inner.db.write(Write::new().step(step)).await {
                tracing::debug!(%error, "a digest of an older pepper stays for now");
            }
        });
    }
}

/// The rows of keys and the further wraps of root keys, as the vault takes them.
pub(crate) fn wrapped_keys(rows: &[KeyRow], wraps: &[WrapRow]) -> Result<Vec<WrappedKey>, DbError> {
    let corrupt = || DbError::Corrupt { table: "keys", column: 1 };
    let mut all =
        rows.iter().map(|row| wrapped(row.clone()).ok_or_else(corrupt)).collect::<Result<Vec<_>, _>>()?;
    for wrap in wraps {
        let of = all.iter().find(|key| *key.id.bytes() == wrap.key).ok_or_else(corrupt)?;
        all.push(WrappedKey {
            wrapped_by: wrap.wrapped_by.clone(),
            wrapped: wrap.wrapped.clone(),
            ..of.clone()
        });
    }
    Ok(all)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From the commit of a version to its use: three times [`MAX_AGE`], so that a process that has just asked also ends
/// what it is about before it can meet the version.
const LEAD: Duration = Duration::from_secs(30);
/// How long ago the store may have been asked for the epoch when a request is served.
const MAX_AGE: Duration = Duration::from_secs(10);
#[expect(clippy::cast_possible_truncation, reason = "ten thousand")]
const MAX_AGE_MS: i64 = MAX_AGE.as_millis() as i64;
/// From the use of a version to the first sealing anew: whoever sealed with the old one has committed by then.
const SETTLE: Duration = Duration::from_secs(10);
/// From the last reference to a version to its end.
const KEEP: Duration = Duration::from_hours(24);
/// How long tokens may stay unused after a pepper was turned before they are called overdue.
const PEPPER_PATIENCE: Duration = Duration::from_hours(24 * 90);
