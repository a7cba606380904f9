//! Trusted issuers: whose OIDC tokens a team accepts as proof of project and environment.

use carnet_model::{Environment, Id, kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// An issuer to be trusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTrustedIssuer {
    /// Its `iss`, byte for byte.
    pub issuer: String,
    /// Where its keys are, if not where discovery says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The audiences of which a token must name one.
    pub audiences: Vec<String>,
    /// Which claims make which workload.
    pub rules: Vec<TrustRule>,
}

/// Claims that make a caller a workload of a project.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct TrustRule {
    /// The project.
    pub project: Id<kind::Project>,
    /// The environment.
    pub environment: Environment,
    /// Every one of these must have exactly this value.
    pub claims: Map<String, Value>,
    /// The kinds of subject that the workload may ask for.
    pub subjects: Vec<String>,
}

/// An issuer that is trusted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct TrustedIssuer {
    /// `iss_…`
    pub id: Id<kind::TrustedIssuer>,
    /// Its `iss`.
    pub issuer: String,
    /// Every other member: audiences, algorithms, rules.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Client {
    /// A trusted issuer.
    pub async fn trusted_issuer(&self, id: Id<kind::TrustedIssuer>) -> Result<TrustedIssuer, Error> {
        let id = id.to_string();
        self.fetch(Call::get(&["v1", "trusted-issuers", &id])).await
    }

    /// Trusts an issuer.
    pub async fn create_trusted_issuer(&self, new: &NewTrustedIssuer) -> Result<TrustedIssuer, Error> {
        self.fetch(Call::post(&["v1", "trusted-issuers"]).json(new)).await
    }

    /// Trusts it no longer.
    pub async fn delete_trusted_issuer(&self, id: Id<kind::TrustedIssuer>) -> Result<(), Error> {
        let id = id.to_string();
        self.send(Call::delete(&["v1", "trusted-issuers", &id])).await.map(drop)
    }
}
