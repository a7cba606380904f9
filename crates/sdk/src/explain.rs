//! Why a token would be given, or not.

use carnet_model::{Id, kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// What is to be explained.
#[derive(Clone, Debug, Default)]
pub struct ExplainRequest {
    /// A workload of this project, in this environment; the caller itself if left out.
    pub workload: Option<(String, String)>,
    /// `app` or `user`; as in a token request if left out.
    pub subject: Option<String>,
    /// The user's identifier.
    pub user: Option<String>,
    /// Exactly these scopes; the connector's own if left out.
    pub scopes: Option<Vec<String>>,
    /// The installation.
    pub installation_id: Option<String>,
}

/// Every rule that bears on a token request, in the order in which they are tried.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// The connector.
    pub connector: ExplainedConnector,
    /// Who would ask.
    pub caller: Value,
    /// Who the token would act as.
    pub subject: Option<Value>,
    /// Whether a token would be given, as far as can be known without asking the provider.
    pub allowed: bool,
    /// The rule that denied.
    pub decided_by: Option<String>,
    /// The error object that a token request would be answered with.
    pub refusal: Option<Map<String, Value>>,
    /// Scopes that the connector does not list: whether a token with them can be had, only its provider knows.
    #[serde(default)]
    pub provider_decides: Vec<String>,
    /// The rules.
    pub rules: Vec<ExplainedRule>,
    /// By what such workloads are recognised.
    #[serde(default)]
    pub identities: Vec<Value>,
}

/// The connector that was asked about.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainedConnector {
    /// `scl_…`
    pub id: Id<kind::Connector>,
    /// `service/name`
    pub uid: String,
}

/// One rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ExplainedRule {
    /// Its stable name.
    pub rule: String,
    /// What it asks, in words.
    pub asks: String,
    /// `passed`, `denied` or `not-reached`.
    pub outcome: String,
    /// What changes it: objects with `command` and `when`.
    #[serde(default)]
    pub next: Vec<Value>,
}

impl Client {
    /// Explains a token request without making it.
    pub async fn explain(&self, connector: &str, what: &ExplainRequest) -> Result<Explanation, Error> {
        let (project, environment) = what.workload.as_ref().map(|(p, e)| (p, e)).unzip();
        let call = Call::get(&["v1", "connect", "connectors", connector, "explain"])
            .query_if("project", project)
            .query_if("environment", environment)
            .query_if("subject", what.subject.as_ref())
            .query_if("user", what.user.as_ref())
            .query_if("scopes", what.scopes.as_ref().map(|scopes| scopes.join(" ")).as_ref())
            .query_if("installationId", what.installation_id.as_ref());
        self.fetch(call).await
    }
}
