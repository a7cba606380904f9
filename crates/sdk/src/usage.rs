//! How many token requests a team has had.

use carnet_model::Time;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// What to tell.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// From which month on: `2026-09`. The present one if left out.
    pub since: Option<String>,
    /// By what it is told apart: `connector`, `project` or `user`.
    pub by: Option<String>,
}

/// The usage of a team.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Usage {
    /// Its plan.
    pub plan: UsagePlan,
    /// The present month.
    pub month: UsageMonth,
    /// From which month on the rest is told.
    pub since: String,
    /// The months that had requests, the oldest first.
    pub months: Vec<UsageMonth>,
    /// By what they are told apart.
    pub by: String,
    /// Who had them, the most first.
    pub shares: Vec<UsageShare>,
    /// The budget, if one is set.
    pub budget: Option<UsageBudget>,
}

/// A plan.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UsagePlan {
    /// Its name.
    pub name: String,
    /// Requests of a month that cost nothing; any number if there is none.
    pub included: Option<u64>,
    /// What requests beyond that cost: so many `cents` for so many `requests`.
    pub price: Option<Value>,
    /// Whether requests beyond that are refused.
    pub stops: bool,
    /// Reads of a team in a minute.
    pub reads_per_minute: Option<u64>,
    /// Writes of a team in a minute.
    pub writes_per_minute: Option<u64>,
}

/// A month.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UsageMonth {
    /// `2026-09`
    pub month: String,
    /// Its requests.
    pub requests: u64,
    /// What they cost by the plan, in cents of a US dollar.
    pub estimated_cents: u64,
    /// When the next begins, for the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
}

/// What one of them had.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UsageShare {
    /// Its identifier, if the requests have one of this kind.
    pub id: Option<String>,
    /// What it is called, as long as it is there.
    pub name: Option<String>,
    /// Its requests.
    pub requests: u64,
}

/// A budget.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UsageBudget {
    /// At how many requests of a month somebody is told.
    pub requests: u64,
    /// Where to, besides the audit log.
    pub webhook: Option<Value>,
    /// The month in which it was last reached.
    pub reached_in: Option<String>,
}

impl Client {
    /// The usage of the team.
    pub async fn usage(&self, filter: &UsageFilter) -> Result<Usage, Error> {
        let call = Call::get(&["v1", "usage"])
            .query_if("since", filter.since.as_ref())
            .query_if("by", filter.by.as_ref());
        self.fetch(call).await
    }

    /// Sets at how many requests of a month somebody is told. `webhook` has `url`, `projectId` and `environment`.
    pub async fn set_budget(&self, requests: u64, webhook: Option<&Value>) -> Result<UsageBudget, Error> {
        let mut body = Map::from_iter([("requests".to_owned(), Value::from(requests))]);
        body.extend(webhook.map(|webhook| ("webhook".to_owned(), webhook.clone())));
        self.fetch(Call::new(Method::PUT, &["v1", "usage", "budget"]).json(&body)).await
    }
}
