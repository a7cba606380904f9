//! Which keys there are, how far each turn has come, and what stands in the way.

use carnet_identity::rotation::{self, KeyState};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Fault, Id, Time, kind};
use carnet_store::access_tokens::{self, AccessTokenRow};
use carnet_store::keys::{self, KeyRow};
use carnet_store::nodes;
use carnet_vault::{KeyId, KeyRole, Purpose, WrappedKey};
use serde::Serialize;

use super::watch::{ALIVE, ProviderState, wrap_name};
use super::{PEPPER_PATIENCE, wrapped_keys};
use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;

/// The keys as they are.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeysStatus {
    /// The deployment.
    pub deployment: String,
    /// What this process's root-key providers are: their labels, the next one last.
    pub providers: Vec<String>,
    /// `fine`, `silent`, or what a key service says.
    pub provider: String,
    /// Root, team and purpose keys.
    pub keys: Vec<KeyView>,
    /// How the root keys are wrapped.
    pub wraps: Vec<WrapView>,
    /// The processes that are alive.
    pub nodes: Vec<NodeView>,
    /// The keys of identity tokens.
    pub signing: Vec<SigningView>,
    /// Access tokens of the caller's team that nobody has used since the pepper was turned.
    pub unseen_tokens: Vec<UnseenToken>,
    /// How many there are in other teams.
    pub unseen_elsewhere: usize,
    /// When such tokens are overdue: withdraw them, or let them end.
    pub unseen_until: Option<Time>,
}

/// A version of a key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its identifier.
    pub id: String,
    /// `root`, `team:…`, `purpose:…`
    pub role: String,
    /// Its version.
    pub version: i64,
    /// `pending`, `active`, `superseded`, or `empty`: nothing refers to it, and it is dropped a day later.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// From when it is used.
    pub activates_at: Time,
    /// How many rows refer to it, for one that was superseded.
    pub left: Option<i64>,
}

/// A wrap of a root key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrapView {
    /// By what it is known.
    pub name: String,
    /// The root key.
    pub key: String,
    /// The provider.
    pub wrapped_by: String,
    /// Whether another wrap of the same key stands beside it, and this is the newer of the two.
    pub next: bool,
    /// Which provider of the process that answers opens it, as the configuration calls that: `present` or `next`.
    pub configured_as: Option<&'static str>,
    /// Processes that have not opened it and would not start with it alone.
    pub not_opened_by: Vec<String>,
}

/// A process.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Its identifier.
    pub id: String,
    /// When it started.
    pub started_at: Time,
    /// When it last told of itself.
    pub seen_at: Time,
    /// Whether it knows every key.
    pub knows_all: bool,
    /// Whether it is the one that answers.
    pub this: bool,
}

/// A key of identity tokens.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningView {
    /// Its name in the published set.
    pub kid: String,
    /// `pending`, `active` or `retiring`.
    pub state: &'static str,
    /// From when it signs.
    pub activates_at: Time,
    /// From when it is no longer published.
    pub gone_at: Option<Time>,
}

/// An access token.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnseenToken {
    /// `atk_…`
    pub id: Id<kind::AccessToken>,
    /// What people call it.
    pub name: String,
    /// Its last four characters.
    pub last4: String,
    /// Whose it is.
    pub user: Id<kind::User>,
    /// When it ends by itself.
    pub expires_at: Time,
}

impl Broker {
    /// The keys as they are. An owner of another team than the first sees the own team's alone.
    pub async fn keys_status(&self, caller: &Caller) -> Result<KeysStatus, Fault> {
        let member = self.may(caller, Right::KeyRead)?;
        let all = self.is_first_team(member.team).await?;
        let inner = &self.inner;
        if all {
            self.look_at_provider().await.map_err(faults::store)?;
        }
        let now = inner.env.now();
        let mine = KeyRole::Team(member.team).to_string();
        let rows = keys::all(&inner.db).await.map_err(faults::store)?;
        let mut views = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| all || row.role == mine) {
            views.push(self.key_view(row, &rows, now).await?);
        }
        let mut unseen = (Vec::new(), None);
        let mut elsewhere = 0;
        let present = inner.keyring.in_use(KeyRole::Purpose(Purpose::TokenPepper), now);
        if let Some((id, version)) = present.filter(|(_, version)| *version > 1) {
            let found = access_tokens::unseen(&inner.db, version, now).await.map_err(faults::store)?;
            let (ours, theirs): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|token| token.team == member.team);
            elsewhere = if all { theirs.len() } else { 0 };
            let since = rows.iter().find(|row| row.id == *id.bytes()).map(|row| row.activates_at);
            unseen = (ours.into_iter().map(unseen_token).collect(), since);
        }
        let (unseen_tokens, since) = unseen;
        let any = !unseen_tokens.is_empty() || elsewhere > 0;
        Ok(KeysStatus {
            deployment: inner.deployment.to_string(),
            providers: inner.turning.keks.all().iter().map(|kek| kek.label().to_owned()).collect(),
            provider: match inner.turning.provider() {
                ProviderState::Fine => "fine".to_owned(),
                ProviderState::Silent => "silent".to_owned(),
                ProviderState::Refused(why) => why,
            },
            keys: views,
            wraps: if all { self.wrap_views(&rows, now).await? } else { Vec::new() },
            nodes: if all { self.node_views(now).await? } else { Vec::new() },
            signing: if all { self.signing_views(now).await? } else { Vec::new() },
            unseen_tokens,
            unseen_elsewhere: elsewhere,
            unseen_until: since.filter(|_| any).map(|since| since.plus(PEPPER_PATIENCE)),
        })
    }

    async fn key_view(&self, row: &KeyRow, rows: &[KeyRow], now: Time) -> Result<KeyView, Fault> {
        let newer = rows
            .iter()
            .any(|other| other.role == row.role && other.version > row.version && other.activates_at <= now);
        let state = match row.emptied_at {
            _ if row.activates_at > now => "pending",
            _ if !newer => "active",
            Some(_) => "empty",
            None => "superseded",
        };
        let role = KeyRole::parse(&row.role).map_err(faults::internal)?;
        let left = if state == "superseded" {
            Some(self.inner.left(row, role).await.map_err(faults::store)?)
        } else {
            None
        };
        Ok(KeyView {
            id: KeyId::from_bytes(row.id).to_string(),
            role: row.role.clone(),
            version: row.version,
            state,
            created_at: row.created_at,
            activates_at: row.activates_at,
            left,
        })
    }

    async fn wrap_views(&self, rows: &[KeyRow], now: Time) -> Result<Vec<WrapView>, Fault> {
        let db = &self.inner.db;
        let wraps = keys::wraps(db).await.map_err(faults::store)?;
        let alive = nodes::seen_since(db, now.minus(ALIVE)).await.map_err(faults::store)?;
        let all = wrapped_keys(rows, &wraps).map_err(faults::store)?;
        let mut views = Vec::new();
        for key in all.iter().filter(|key| key.role == KeyRole::Root) {
            let name = wrap_name(&key.wrapped);
            let blind = alive.iter().filter(|node| !node.opens.contains(&name));
            views.push(WrapView {
                key: key.id.to_string(),
                wrapped_by: key.wrapped_by.clone(),
                next: wraps.iter().any(|wrap| wrap.wrapped == key.wrapped),
                configured_as: self.opened_as(key).await,
                not_opened_by: blind.map(|node| hex(&node.id)).collect(),
                name,
            });
        }
        Ok(views)
    }

    /// Two providers may have one label; what opens a wrap is what wrapped it.
    async fn opened_as(&self, wrap: &WrappedKey) -> Option<&'static str> {
        let inner = &self.inner;
        for (kek, called) in inner.turning.keks.all().into_iter().zip(["present", "next"]) {
            if kek.label() == wrap.wrapped_by
                && inner.keyring.proves(kek, wrap).await.is_ok_and(|proved| proved)
            {
                return Some(called);
            }
        }
        None
    }

    async fn node_views(&self, now: Time) -> Result<Vec<NodeView>, Fault> {
        let db = &self.inner.db;
        let epoch = keys::epoch(db).await.map_err(faults::store)?;
        let alive = nodes::seen_since(db, now.minus(ALIVE)).await.map_err(faults::store)?;
        Ok(alive
            .into_iter()
            .map(|node| NodeView {
                id: hex(&node.id),
                started_at: node.started_at,
                seen_at: node.seen_at,
                knows_all: node.key_epoch == epoch,
                this: node.id == self.inner.seat.node,
            })
            .collect())
    }

    async fn signing_views(&self, now: Time) -> Result<Vec<SigningView>, Fault> {
        let rows = keys::signing(&self.inner.db, now).await.map_err(faults::store)?;
        let scheduled: Vec<_> = rows.iter().map(crate::own_issuer::scheduled).collect();
        let signing = rotation::signing(&scheduled, now).map(|key| key.kid.clone());
        Ok(rows
            .iter()
            .zip(&scheduled)
            .map(|(row, key)| SigningView {
                kid: row.kid.clone(),
                state: match key.state {
                    _ if signing.as_ref() == Some(&row.kid) => "active",
                    KeyState::Pending { activates_at } if activates_at > now => "pending",
                    KeyState::Pending { .. } | KeyState::Active { .. } | KeyState::Retiring { .. } => {
                        "retiring"
                    }
                },
                activates_at: row.activates_at,
                gone_at: row.gone_at,
            })
            .collect())
    }
}

fn unseen_token(row: AccessTokenRow) -> UnseenToken {
    UnseenToken { id: row.id, name: row.name, last4: row.last4, user: row.user, expires_at: row.expires_at }
}
