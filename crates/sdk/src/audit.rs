//! The audit log.

use carnet_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// At most so many.
    pub limit: Option<u32>,
    /// Only after this event; the page is then oldest first, otherwise newest first.
    pub after: Option<i64>,
    /// Only before this event.
    pub before: Option<i64>,
    /// Only this action: `token.issue`.
    pub action: Option<String>,
    /// Only about this connector.
    pub connector: Option<String>,
    /// Only with this outcome: `success`, `denied` or `failed`.
    pub outcome: Option<String>,
}

/// A page of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AuditPage {
    /// The events; of what is rare among much else a page can have fewer than were asked for, or none.
    pub events: Vec<AuditRecord>,
    /// Where the next page begins; nothing if this was the last, and only then.
    pub next: Option<i64>,
}

/// One recorded decision or change.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditRecord {
    /// Its place in the log.
    pub seq: i64,
    /// When it was decided.
    pub at: Time,
    /// Who acted.
    pub actor: Value,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The HTTP request it belongs to.
    pub request_id: Option<String>,
    /// Particulars.
    #[serde(default)]
    pub detail: Value,
}

/// What was found in one part of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AuditCheck {
    /// How many events were looked at.
    pub checked: u64,
    /// The number of the last of them.
    pub last: i64,
    /// Whether all events of the deployment were looked at, and not the team's alone.
    pub whole: bool,
    /// Numbers that are missing.
    pub gaps: Vec<AuditGap>,
    /// Numbers of events whose particulars are not what they were. Nothing else of an event is looked at.
    pub altered: Vec<i64>,
    /// How many particulars were erased.
    pub erased: u64,
    /// Where to go on.
    pub next: Option<i64>,
}

/// Numbers of the log that no event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuditGap {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
}

impl Client {
    /// Has the server look at some thousand events after `after`.
    pub async fn verify_audit(&self, after: i64) -> Result<AuditCheck, Error> {
        self.fetch(Call::get(&["v1", "audit", "verify"]).query("after", &after)).await
    }

    /// A page of the audit log.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, Error> {
        let call = Call::get(&["v1", "audit"])
            .query_if("limit", filter.limit.as_ref())
            .query_if("after", filter.after.as_ref())
            .query_if("before", filter.before.as_ref())
            .query_if("action", filter.action.as_ref())
            .query_if("connector", filter.connector.as_ref())
            .query_if("outcome", filter.outcome.as_ref());
        self.fetch(call).await
    }
}
