//! The deployment's keys.

use carnet_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// The keys as they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KeysStatus {
    /// The deployment.
    pub deployment: String,
    /// The root-key providers of the process that answered.
    pub providers: Vec<String>,
    /// `fine`, `silent`, or what a key service says.
    pub provider: String,
    /// Root, team and purpose keys.
    pub keys: Vec<KeyVersion>,
    /// How the root keys are wrapped.
    pub wraps: Vec<RootWrap>,
    /// The processes that are alive.
    pub nodes: Vec<Process>,
    /// The keys of identity tokens.
    pub signing: Vec<SigningKey>,
    /// Access tokens of the team that nobody has used since the pepper was turned.
    pub unseen_tokens: Vec<UnseenToken>,
    /// How many there are in other teams.
    pub unseen_elsewhere: usize,
    /// When such tokens are overdue.
    pub unseen_until: Option<Time>,
}

/// A version of a key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KeyVersion {
    /// Its identifier.
    pub id: String,
    /// `root`, `team:…`, `purpose:…`
    pub role: String,
    /// Its version.
    pub version: i64,
    /// `pending`, `active`, `superseded` or `empty`.
    pub state: String,
    /// When it was made.
    pub created_at: Time,
    /// From when it is used.
    pub activates_at: Time,
    /// How many rows refer to it, for one that was superseded.
    pub left: Option<i64>,
}

/// A wrap of a root key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RootWrap {
    /// By what it is known.
    pub name: String,
    /// The root key.
    pub key: String,
    /// The provider.
    pub wrapped_by: String,
    /// Whether another wrap of the same key stands beside it, and this is the newer of the two.
    pub next: bool,
    /// Which provider of the process that answered opens it, as its configuration calls that: `present` or `next`; none
    /// if none does.
    #[serde(default)]
    pub configured_as: Option<String>,
    /// Processes that have not opened it.
    pub not_opened_by: Vec<String>,
}

/// A process of the deployment.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Process {
    /// Its identifier.
    pub id: String,
    /// When it started.
    pub started_at: Time,
    /// When it last told of itself.
    pub seen_at: Time,
    /// Whether it knows every key.
    pub knows_all: bool,
    /// Whether it is the one that answered.
    pub this: bool,
}

/// A key of identity tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SigningKey {
    /// Its name in the published set.
    pub kid: String,
    /// `pending`, `active` or `retiring`.
    pub state: String,
    /// From when it signs.
    pub activates_at: Time,
    /// From when it is no longer published.
    pub gone_at: Option<Time>,
}

/// An access token that nobody has used since the pepper was turned.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnseenToken {
    /// `atk_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its last four characters.
    pub last4: String,
    /// Whose it is.
    pub user: String,
    /// When it ends by itself.
    pub expires_at: Time,
}

/// What a turn has done.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rotated {
    /// Which key.
    pub kind: String,
    /// From when the new version is used.
    pub activates_at: Time,
    /// What was made.
    pub made: Vec<String>,
    /// What is left to people.
    #[serde(default)]
    pub runbook: Vec<RunbookEntry>,
}

/// What is left to people about one thing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunbookEntry {
    /// The thing.
    pub about: String,
    /// How many grants are concerned.
    pub grants: usize,
    /// What to do, in this order.
    pub steps: Vec<RunbookStep>,
}

/// One thing to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunbookStep {
    /// What and why.
    pub what: String,
    /// The command, where there is one.
    pub command: Option<String>,
}

/// What an examination has found.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Examined {
    /// The deployment.
    pub deployment: String,
    /// Each sealed column.
    pub columns: Vec<ExaminedColumn>,
    /// How many audit events there are.
    pub events: i64,
    /// The number of the last.
    pub last_event: i64,
}

/// One sealed column.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExaminedColumn {
    /// `table.column`
    pub name: String,
    /// Values that open.
    pub opened: u64,
    /// Values that do not.
    pub refused: u64,
    /// Values of rows that are gone.
    pub abandoned: u64,
}

impl Client {
    /// The keys as they are.
    pub async fn keys(&self) -> Result<KeysStatus, Error> {
        self.fetch(Call::get(&["v1", "keys"])).await
    }

    /// Turns a key: `kek`, `root`, `team`, `pepper`, `signing` or `compromised`; `step` is for `kek`.
    pub async fn rotate_key(&self, kind: &str, step: &str) -> Result<Rotated, Error> {
        self.fetch(Call::post(&["v1", "keys", "rotate"]).json(&json!({"kind": kind, "step": step}))).await
    }

    /// Opens everything that is sealed, and counts.
    pub async fn verify_keys(&self) -> Result<Examined, Error> {
        self.fetch(Call::post(&["v1", "keys", "verify"]).json(&json!({}))).await
    }
}
