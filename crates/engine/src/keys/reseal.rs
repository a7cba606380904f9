//! Sealing anew what superseded keys sealed, and dropping keys to which nothing refers.
//!
//! Each value is put in the place of exactly the envelope that was read, so whoever writes the row meanwhile wins, and
//! a process that ends in the middle leaves nothing half done: what still names the old key is what is left. One process
//! does it, the first of those that are alive; two would only do the work twice. It takes at most half of the store's
//! time. A value that does not open is left as it is, and keeps its key.

use std::time::{Duration, Instant};

use carnet_model::Time;
use carnet_model::audit::{Action, AuditEvent};
use carnet_store::keys::{self, KeyRow};
use carnet_store::{DbError, Write, access_tokens, invitations, nodes};
use carnet_vault::{KeyId, KeyRole, Purpose};

use super::{KEEP, lock};
use crate::broker::{Broker, Inner};
use crate::sealed::{columns, rows};
use crate::start::{stored, wrapped};

impl Broker {
    /// One round of turning keys. Run every second; mostly there is nothing to do.
    pub(crate) async fn turn_keys(&self) -> Result<(), String> {
        let inner = &self.inner;
        if inner.turning.is_shut() {
            return Ok(());
        }
        if inner.turning.told.load(std::sync::atomic::Ordering::Acquire)
            != inner.turning.epoch.load(std::sync::atomic::Ordering::Acquire)
        {
            // A signing key may be new, too, and is published before anybody can be given what it signs.
            inner.turn_signing_keys().await.map_err(|fault| fault.to_string())?;
            self.tell_of_node().await?;
        }
        let now = inner.env.now();
        let rests = lock(&inner.turning.rest_until).clone();
        let due: Vec<KeyRow> = inner
            .superseded(&inner.turning.rows(), now)
            .into_iter()
            .filter(|key| rests.get(&key.id).is_none_or(|until| *until <= now))
            // One to which nothing refers is left alone until its time has come.
            .filter(|key| key.emptied_at.is_none_or(|at| at.plus(KEEP) <= now))
            .collect();
        if due.is_empty() || !self.is_first_node().await.map_err(|error| error.to_string())? {
            return Ok(());
        }
        for key in due {
            let begun = Instant::now();
            self.retire(&key).await.map_err(|error| error.to_string())?;
            // Looking reads whole tables: the longer it takes, the less often.
            let rest = (begun.elapsed() * 20).clamp(REST_LEAST, REST_MOST);
            let later = inner.env.now().plus(rest);
            lock(&inner.turning.rest_until).insert(key.id, later);
        }
        inner.read_keys().await.map_err(|error| error.to_string())
    }

    /// Brings one superseded key nearer to its end.
    async fn retire(&self, key: &KeyRow) -> Result<(), DbError> {
        let inner = &self.inner;
        let Ok(role) = KeyRole::parse(&key.role) else {
            return Err(DbError::Corrupt { table: "keys", column: 1 });
        };
        match role {
            KeyRole::Root => inner.wrap_anew(key).await?,
            KeyRole::Team(_) | KeyRole::Purpose(_) => {}
        }
        let refused = inner.seal_anew(key, role).await?;
        let left = inner.left(key, role).await?;
        let now = inner.env.now();
        let event = |action| {
            let event = AuditEvent::of_system(now, action).on(KeyId::from_bytes(key.id));
            let event = event.with("role", key.role.clone()).with("version", key.version);
            role.team().map_or_else(|| event.clone(), |team| event.clone().in_team(team))
        };
        let write = match key.emptied_at {
            None if left == 0 => Write::new()
                .step(keys::emptied(key.id, Some(now)))
                .event(&inner.env, &event(Action::KeyReseal))
                .revises(),
            None => {
                if refused > 0 {
                    let id = KeyId::from_bytes(key.id);
                    tracing::warn!(key = %id, refused, "values do not open and keep their old key; see carnet keys verify");
                }
                return Ok(());
            }
            // Somebody was slower than anybody should be.
            Some(_) if left > 0 => Write::new().step(keys::emptied(key.id, None)),
            Some(_) => inner
                .refers_to_nothing(Write::new(), key, role, now)
                .steps(keys::remove(key.id))
                .event(&inner.env, &event(Action::KeyDrop))
                .revises(),
        };
        match inner.db.write(write.step(keys::turn())).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn is_first_node(&self) -> Result<bool, DbError> {
        let inner = &self.inner;
        if !inner.db.is_shared() {
            return Ok(true);
        }
        let alive = nodes::seen_since(&inner.db, inner.env.now().minus(super::watch::ALIVE)).await?;
        Ok(alive.first().is_none_or(|first| first.id == inner.seat.node))
    }
}

impl Inner {
    /// Keys that a superseded root key still wraps: another process made them while the new one waited for its time.
    async fn wrap_anew(&self, root: &KeyRow) -> Result<(), DbError> {
        let id = KeyId::from_bytes(root.id).to_string();
        for row in keys::all(&self.db).await?.into_iter().filter(|row| row.wrapped_by == id) {
            let was = row.wrapped.clone();
            let key = wrapped(row).ok_or(DbError::Corrupt { table: "keys", column: 1 })?;
            let again = self
                .keyring
                .rewrap_one(&self.env, &key)
                .map_err(|error| DbError::Refused(Box::new(error)))?;
            if let Some(again) = again {
                let write = Write::new().step(keys::rewrap(&stored(&again), &was)).step(keys::turn());
                match self.db.write(write).await {
                    Ok(_) | Err(DbError::Unmet(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Seals anew everything that this key sealed. How many values do not open.
    async fn seal_anew(&self, key: &KeyRow, role: KeyRole) -> Result<usize, DbError> {
        let mut refused = 0;
        for column in columns().iter().filter(|column| belongs(column.of_team, role)) {
            let mut after = Vec::new();
            loop {
                let begun = Instant::now();
                let batch = rows(self, column, Some(key.id), after, BATCH).await?;
                let Some(last) = batch.last() else { break };
                after = last.cursor.clone();
                let full = i64::try_from(batch.len()).is_ok_and(|len| len == BATCH);
                let mut steps = Vec::with_capacity(batch.len());
                for row in batch {
                    let new =
                        row.aad().and_then(|aad| self.keyring.reseal(&self.env, &aad, &row.sealed).ok());
                    match new {
                        Some(Some(new)) => steps.push(column.swap(row.key, row.sealed, new)),
                        Some(None) => {}
                        None => refused += 1,
                    }
                }
                if !steps.is_empty() {
                    self.db.write(Write::new().steps(steps)).await?;
                }
                if !full || self.stop.is_cancelled() {
                    break;
                }
                // As long as it took, so that at least half of the store's time is everybody else's.
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
        Ok(refused)
    }

    /// How many rows refer to a key.
    pub(super) async fn left(&self, key: &KeyRow, role: KeyRole) -> Result<i64, DbError> {
        if let KeyRole::Purpose(purpose) = role {
            return match purpose {
                Purpose::TokenPepper => {
                    let now = self.env.now();
                    let tokens = access_tokens::count_of_pepper(&self.db, key.version, now).await?;
                    Ok(tokens + invitations::count_of_pepper(&self.db, key.version, now).await?)
                }
                // Hashes of the others live for minutes.
                _ => Ok(0),
            };
        }
        let mut left = 0;
        for column in columns().iter().filter(|column| belongs(column.of_team, role)) {
            left += column.count(&self.db, key.id).await?;
        }
        if role == KeyRole::Root {
            left += keys::count_wrapped_by(&self.db, &KeyId::from_bytes(key.id).to_string()).await?;
        }
        Ok(left)
    }

    /// Lets the write go through only if nothing refers to the key at that moment.
    fn refers_to_nothing(&self, write: Write, key: &KeyRow, role: KeyRole, now: Time) -> Write {
        let columns = columns().iter().filter(|column| belongs(column.of_team, role));
        let write = write.steps(columns.map(|column| column.has_none_of(key.id)));
        match role {
            KeyRole::Root => write.step(keys::wraps_nothing(&KeyId::from_bytes(key.id).to_string())),
            KeyRole::Purpose(Purpose::TokenPepper) => write
                .step(access_tokens::none_of_pepper(key.version, now))
                .step(invitations::none_of_pepper(key.version, now)),
            KeyRole::Team(_) | KeyRole::Purpose(_) => write,
        }
    }
}

fn belongs(of_team: bool, role: KeyRole) -> bool {
    match role {
        KeyRole::Root => !of_team,
        KeyRole::Team(_) => of_team,
        KeyRole::Purpose(_) => false,
    }
}

/// Rows in one commit: small enough for a database that is some milliseconds away.
const BATCH: i64 = 100;
/// Between two looks at the same key.
const REST_LEAST: Duration = Duration::from_secs(2);
const REST_MOST: Duration = Duration::from_mins(1);
