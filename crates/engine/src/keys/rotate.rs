//! Turning one kind of key.
//!
//! Each verb is one write: the new rows, the epoch, the event. If somebody turned the same key at the same moment the
//! write is undone as a whole. The new version is used [`LEAD`] later.

use std::collections::BTreeSet;

use carnet_identity::rotation::Schedule;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_store::keys::{self, WrapRow};
use carnet_store::{DbError, Step, Write, nodes};
use carnet_vault::{CreateError, KeyRole, Purpose, RootKey, RootKeyError, WrappedKey};
use serde::{Deserialize, Serialize};

use super::compromised::RunbookEntry;
use super::watch::{ALIVE, wrap_name};
use super::{LEAD, wrapped_keys};
use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;
use crate::start::stored;

/// Which key to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// What root keys are wrapped by: from the present provider to the next one.
    Kek,
    /// The root key.
    Root,
    /// The key of the caller's team.
    Team,
    /// By which access tokens are found.
    Pepper,
    /// Carnet's own identity tokens.
    Signing,
    /// All of them, because they are known to somebody.
    Compromised,
}

/// How far to go with a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KekStep {
    /// Let the next provider wrap the root keys too.
    #[default]
    Begin,
    /// Drop what the present provider wrapped.
    Finish,
    /// Drop what the next provider wrapped.
    Cancel,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RotateAsk {
    /// Which key.
    pub kind: KeyKind,
    /// For a provider.
    pub step: KekStep,
}

/// What was done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// Which key.
    pub kind: KeyKind,
    /// From when the new version is used.
    pub activates_at: Time,
    /// The identifiers of what was made.
    pub made: Vec<String>,
    /// What is left to people, one thing after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runbook: Vec<RunbookEntry>,
}

impl Broker {
    /// Turns a key.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        ask: RotateAsk,
        request: Id<kind::Request>,
    ) -> Result<Rotated, Fault> {
        if ask.kind == KeyKind::Team {
            let member = self.may(caller, Right::KeyRotate)?;
            return self.turn_roles(caller, ask.kind, vec![KeyRole::Team(member.team)], request).await;
        }
        self.operator(caller, Right::KeyRotate).await?;
        match ask.kind {
            KeyKind::Kek => match ask.step {
                KekStep::Begin => self.begin_kek(caller, request).await,
                KekStep::Finish => self.finish_kek(caller, request).await,
                KekStep::Cancel => self.cancel_kek(caller, request).await,
            },
            KeyKind::Root => self.turn_root(caller, request).await,
            KeyKind::Pepper => {
                self.turn_roles(caller, ask.kind, vec![KeyRole::Purpose(Purpose::TokenPepper)], request).await
            }
            KeyKind::Signing => self.turn_signing(caller, false, request).await,
            KeyKind::Compromised => self.turn_everything(caller, request).await,
            KeyKind::Team => Err(faults::not_found("kind of key", "team")),
        }
    }

    /// New versions of team or purpose keys.
    pub(super) async fn turn_roles(
        &self,
        caller: &Caller,
        kind: KeyKind,
        roles: Vec<KeyRole>,
        request: Id<kind::Request>,
    ) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let (now, activates_at) = self.times();
        inner.read_keys().await.map_err(faults::store)?;
        let mut rows = Vec::with_capacity(roles.len());
        for role in roles {
            rows.push(inner.keyring.new_key(&inner.env, role, activates_at).map_err(faults::internal)?);
        }
        let mut write = Write::new().steps(rows.iter().map(|row| keys::insert(&stored(row))));
        for row in &rows {
            let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request)).on(row.id);
            let event = event.with("role", row.role.to_string()).with("version", row.version);
            write = write.event(&inner.env, &event);
        }
        self.commit(write).await?;
        let made = rows.iter().map(|row| row.id.to_string()).collect();
        Ok(Rotated { kind, activates_at, made, runbook: Vec::new() })
    }

    /// A new root key, and every other key under it.
    pub(super) async fn turn_root(
        &self,
        caller: &Caller,
        request: Id<kind::Request>,
    ) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let (now, activates_at) = self.times();
        inner.read_keys().await.map_err(faults::store)?;
        let stored_rows = keys::all(&inner.db).await.map_err(faults::store)?;
        let all = wrapped_keys(&stored_rows, &[]).map_err(faults::store)?;
        let kek = self.in_charge(&all).await?;
        let root = inner.keyring.new_root(&inner.env, kek, activates_at).await.map_err(unwrappable)?;
        let again = inner.keyring.rewrap(&inner.env, &root, &all).map_err(faults::internal)?;
        let mut write = Write::new().step(keys::no_wraps()).step(keys::insert(&stored(&root.row)));
        // The provider is still the one that was chosen by them.
        for row in stored_rows.iter().filter(|row| row.role == KeyRole::Root.as_str()) {
            write = write.step(keys::rewrap(row, &row.wrapped));
        }
        for row in &again {
            let was = all.iter().find(|was| was.id == row.id).map(|was| was.wrapped.as_slice());
            write = write.step(keys::rewrap(&stored(row), was.unwrap_or_default()));
        }
        let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request)).on(root.row.id);
        let event = event.with("role", "root").with("version", root.row.version).with("wraps", again.len());
        let id = root.row.id;
        match inner.db.write(write.step(keys::turn()).event(&inner.env, &event).revises()).await {
            Ok(_) => {}
            Err(DbError::Unmet(0)) => {
                return Err(Fault::new(
                    Code::Conflict,
                    "Two root-key providers overlap, and a root key made now would be wrapped by one of them alone.",
                )
                .next("carnet keys rotate kek --finish", "to drop what the present one wrapped")
                .next("carnet keys rotate kek --cancel", "to drop what the next one wrapped"));
            }
            Err(error) => return Err(faults::store(error)),
        }
        inner.keyring.admit_root(root).map_err(faults::internal)?;
        inner.read_keys().await.map_err(faults::store)?;
        Ok(Rotated { kind: KeyKind::Root, activates_at, made: vec![id.to_string()], runbook: Vec::new() })
    }

    /// The provider that opens every root key that is stored. The configuration may still name the one before it as the
    /// present one: nothing is to be wrapped by that any more, and whoever has the new one alone must open what is made.
    async fn in_charge(&self, all: &[WrappedKey]) -> Result<&dyn RootKey, Fault> {
        let inner = &self.inner;
        let roots = || all.iter().filter(|row| row.role == KeyRole::Root);
        for kek in inner.turning.keks.all() {
            let mut opens = true;
            for row in roots() {
                opens = opens
                    && kek.label() == row.wrapped_by
                    && match inner.keyring.proves(kek, row).await {
                        Ok(proved) => proved,
                        Err(error @ (RootKeyError::Denied(_) | RootKeyError::Unavailable(_))) => {
                            return Err(unwrappable(CreateError::Root(error)));
                        }
                        Err(_) => false,
                    };
            }
            if opens {
                return Ok(kek);
            }
        }
        Err(Fault::new(
            Code::Conflict,
            "No root-key provider of this process opens every root key by itself, and what one of them wrapped now might \
             not open elsewhere.",
        )
        .next("carnet keys status", "to see what each root key is wrapped by"))
    }

    /// A signing key, published now and used when every verifier has had time to see it. After a leak it is used at
    /// once, and the others are published no more.
    pub(super) async fn turn_signing(
        &self,
        caller: &Caller,
        leaked: bool,
        request: Id<kind::Request>,
    ) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let schedule = Schedule::default();
        let activates_at = if leaked { schedule.at_once(now) } else { now.plus(schedule.lead()) };
        let row = inner.new_signing_row(now, activates_at).await?;
        let event = AuditEvent::of(caller, now, Action::SigningKeyRotate, Some(request)).on(&row.kid);
        let event = event.with("to", if leaked { "active" } else { "pending" }).with("leaked", leaked);
        let write = if leaked {
            Write::new().step(keys::insert_signing(&row)).step(keys::withdraw_signing_but(&row.kid, now))
        } else {
            Write::new().step(keys::no_signing_to_come(now)).step(keys::insert_signing(&row))
        };
        // The epoch moves so that other processes publish it within half a second and not within a minute.
        match inner.db.write(write.step(keys::turn()).event(&inner.env, &event).revises()).await {
            Ok(_) => {}
            Err(DbError::Unmet(0)) if !leaked => {
                return Err(Fault::new(
                    Code::Conflict,
                    "A signing key is published already and waits for its time.",
                )
                .next("carnet keys status", "to see when it begins to sign"));
            }
            Err(error) => return Err(faults::store(error)),
        }
        inner.turn_signing_keys().await?;
        Ok(Rotated { kind: KeyKind::Signing, activates_at, made: vec![row.kid], runbook: Vec::new() })
    }

    async fn begin_kek(&self, caller: &Caller, request: Id<kind::Request>) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let next = inner.turning.keks.next.as_deref().ok_or_else(no_next)?;
        inner.read_keys().await.map_err(faults::store)?;
        let wrapped = inner.keyring.wrap_roots(&inner.env, next).await.map_err(unwrappable)?;
        let wraps: Vec<WrapRow> = wrapped
            .iter()
            .map(|row| WrapRow {
                id: inner.env.bytes(),
                key: *row.id.bytes(),
                wrapped_by: row.wrapped_by.clone(),
                wrapped: row.wrapped.clone(),
                created_at: now,
            })
            .collect();
        let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request)).on(next.label());
        let event = event.with("role", "kek").with("step", "begin").with("keys", wraps.len());
        let write = Write::new()
            .step(keys::no_wraps())
            .steps(wraps.iter().map(keys::insert_wrap))
            .step(keys::turn())
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {}
            Err(DbError::Unmet(0)) => {
                return Err(Fault::new(Code::Conflict, "A second provider wraps the root keys already.")
                    .next("carnet keys rotate kek --finish", "to drop what the first one wrapped")
                    .next("carnet keys rotate kek --cancel", "to drop what the second one wrapped"));
            }
            Err(error) => return Err(faults::store(error)),
        }
        self.proved(&wrapped).await?;
        let made = wraps.iter().map(|wrap| wrap_name(&wrap.wrapped)).collect();
        Ok(Rotated { kind: KeyKind::Kek, activates_at: now, made, runbook: Vec::new() })
    }

    /// Reads the keys and tells of this process, so that what was just wrapped counts as opened here.
    async fn proved(&self, wraps: &[WrappedKey]) -> Result<(), Fault> {
        self.inner.read_keys().await.map_err(faults::store)?;
        if let Err(why) = self.tell_of_node().await {
            tracing::debug!(why, wraps = wraps.len(), "told at the next round");
        }
        Ok(())
    }

    async fn finish_kek(&self, caller: &Caller, request: Id<kind::Request>) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let wraps = keys::wraps(&inner.db).await.map_err(faults::store)?;
        let rows = keys::all(&inner.db).await.map_err(faults::store)?;
        let roots: Vec<_> = rows.iter().filter(|row| row.role == KeyRole::Root.as_str()).collect();
        if wraps.is_empty() || roots.iter().any(|root| !wraps.iter().any(|wrap| wrap.key == root.id)) {
            return Err(Fault::new(Code::Conflict, "No second provider wraps every root key.")
                .next("carnet keys rotate kek", "to let the next provider wrap them"));
        }
        let needed: BTreeSet<String> = wraps.iter().map(|wrap| wrap_name(&wrap.wrapped)).collect();
        self.every_process_opens(&needed, "next").await?;
        let mut write = Write::new();
        for root in roots {
            for wrap in wraps.iter().filter(|wrap| wrap.key == root.id).take(1) {
                let mut row = root.clone();
                row.wrapped_by.clone_from(&wrap.wrapped_by);
                row.wrapped.clone_from(&wrap.wrapped);
                write = write.step(keys::rewrap(&row, &root.wrapped));
            }
        }
        let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request))
            .with("role", "kek")
            .with("step", "finish")
            .with("to", wraps.first().map(|wrap| wrap.wrapped_by.clone()));
        let write = write.steps(wraps.iter().map(|wrap| keys::remove_wrap(wrap.id)));
        self.finish_turning(write.event(&inner.env, &event)).await?;
        let made = needed.into_iter().collect();
        Ok(Rotated { kind: KeyKind::Kek, activates_at: now, made, runbook: Vec::new() })
    }

    async fn cancel_kek(&self, caller: &Caller, request: Id<kind::Request>) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let wraps = keys::wraps(&inner.db).await.map_err(faults::store)?;
        let rows = keys::all(&inner.db).await.map_err(faults::store)?;
        // What is left must open everywhere: some process may have the next provider alone already.
        let kept = rows.iter().filter(|row| row.role == KeyRole::Root.as_str());
        let kept: BTreeSet<String> = kept.map(|root| wrap_name(&root.wrapped)).collect();
        self.every_process_opens(&kept, "present").await?;
        let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request));
        let event = event.with("role", "kek").with("step", "cancel").with("keys", wraps.len());
        let steps: Vec<Step> = wraps.iter().map(|wrap| keys::remove_wrap(wrap.id)).collect();
        self.finish_turning(Write::new().steps(steps).event(&inner.env, &event)).await?;
        Ok(Rotated { kind: KeyKind::Kek, activates_at: now, made: Vec::new(), runbook: Vec::new() })
    }

    /// Refuses to drop the other wraps while a living process, this one among them, has not opened these.
    async fn every_process_opens(&self, needed: &BTreeSet<String>, whose: &str) -> Result<(), Fault> {
        let inner = &self.inner;
        let since = inner.env.now().minus(ALIVE);
        let alive = nodes::seen_since(&inner.db, since).await.map_err(faults::store)?;
        let blind: Vec<String> = alive
            .iter()
            .filter(|node| needed.iter().any(|name| !node.opens.contains(name)))
            .map(|node| hex(&node.id))
            .collect();
        if blind.is_empty() && alive.iter().any(|node| node.id == inner.seat.node) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Conflict,
            format!(
                "{} of {} processes have not opened what the {whose} provider wrapped and would not start again: {}.",
                blind.len(),
                alive.len(),
                if blind.is_empty() { "this one".to_owned() } else { blind.join(", ") }
            ),
        )
        .next("carnet keys status", "to see which; give them both providers and restart them")
        .with("nodes", blind))
    }

    async fn finish_turning(&self, write: Write) -> Result<(), Fault> {
        self.inner.db.write(write.step(keys::turn())).await.map_err(faults::store)?;
        self.inner.read_keys().await.map_err(faults::store)
    }

    /// The rules are not changed, but what was read before and is kept must be read again.
    async fn commit(&self, write: Write) -> Result<(), Fault> {
        match self.inner.db.write(write.step(keys::turn()).revises()).await {
            Ok(_) => self.inner.read_keys().await.map_err(faults::store),
            Err(DbError::Conflict) => Err(Fault::new(
                Code::Conflict,
                "Somebody turned the same key at the same moment. Look whether that is enough.",
            )
            .next("carnet keys status", "to see its versions")),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Now, and when a version that is made now is used.
    pub(super) fn times(&self) -> (Time, Time) {
        let now = self.inner.env.now();
        (now, now.plus(LEAD))
    }
}

fn no_next() -> Fault {
    Fault::new(
        Code::Conflict,
        "This process has one root-key provider, and the root keys must be wrapped by the next one before the present \
         one goes. Name it as next_root_key in the configuration file of every process, and restart them.",
    )
    .next("carnet serve --print-config", "to see which providers a process has")
}

/// The provider does not do it, for a reason that the operator must know.
fn unwrappable(error: CreateError) -> Fault {
    let why = match &error {
        CreateError::Root(RootKeyError::Denied(why)) => format!("it refuses: {why}"),
        CreateError::Root(RootKeyError::Unavailable(_)) => "it does not answer".to_owned(),
        CreateError::Root(_) | CreateError::Seal(_) => "it does not open what it wrapped".to_owned(),
    };
    Fault::new(
        Code::Unavailable,
        format!("The root-key provider cannot wrap a root key: {why}. Nothing was changed."),
    )
    .because(error)
}
