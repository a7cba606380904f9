//! Trusted issuers: whose OIDC tokens a team accepts as proof of project and environment.

use carnet_model::{Environment, Id, kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// An issuer to be trusted. Either `issuer`, or `family` (with `account` where the issuer is named after one).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTrustedIssuer {
    /// Its `iss`, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The platform: `github-actions`, `kubernetes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The account at the platform after which the issuer is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where its keys are, if not where discovery says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Its keys themselves, instead of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Map<String, Value>>,
    /// The audiences of which a token must name one.
    pub audiences: Vec<String>,
    /// The algorithms that it uses; all that are accepted if none are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// The `typ` that it writes, empty text for none; what is usual at the platform if none are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The longest life of a token in seconds, if not the platform's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_life_seconds: Option<u64>,
    /// The greatest age of a token in seconds, if not the platform's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
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

/// What would come of trusting an issuer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TrustCheck {
    /// The configuration with every default filled in.
    pub trusted_issuer: Map<String, Value>,
    /// Why it would be refused, each with what mends it.
    #[serde(default)]
    pub weaknesses: Vec<String>,
    /// For each rule, claims that would be safe, where the platform is known; gaps are `<name>`.
    #[serde(default)]
    pub safe_rules: Vec<Option<Map<String, Value>>>,
    /// How the example token fares.
    pub token: Option<TokenCheck>,
}

/// How an example token fares.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TokenCheck {
    /// Its claims. Unless the signature is good, anybody may have written them.
    pub claims: Map<String, Value>,
    /// What is asked of every token of the issuer.
    #[serde(default)]
    pub compared: Vec<Compared>,
    /// What each rule asks besides.
    #[serde(default)]
    pub rules: Vec<Vec<Compared>>,
    /// `good`, `wrong`, `no-key` or `unchecked`.
    pub signature: String,
    /// Why it was not looked at.
    pub unchecked: Option<String>,
    /// The number of the rule that would recognise it, from 1.
    pub matched: Option<usize>,
    /// Why it would be refused.
    pub refusal: Option<String>,
}

/// One thing that a token must have, and what it has.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// The claim's path, or `alg`, `typ`, `life`, `age`.
    pub what: String,
    /// What it must be.
    pub wanted: Value,
    /// What it is.
    pub found: Option<Value>,
    /// Whether that fits.
    pub fits: bool,
}

/// A platform whose tokens are known.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IdentityFamily {
    /// `github-actions`
    pub family: String,
    /// `GitHub Actions`
    pub title: String,
    /// Its issuer, with the account in angle brackets; nothing where whoever runs it chooses.
    pub issuer: Option<String>,
    /// The claims that a rule must fix.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The groups of which it must fix one besides.
    #[serde(default)]
    pub one_of: Vec<Vec<String>>,
    /// Why, in a sentence.
    pub remedy: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckBody<'a> {
    trusted_issuer: &'a NewTrustedIssuer,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssuerPage {
    trusted_issuers: Vec<TrustedIssuer>,
}

#[derive(Deserialize)]
struct FamilyPage {
    families: Vec<IdentityFamily>,
}

impl Client {
    /// The trusted issuers of the team.
    pub async fn trusted_issuers(&self) -> Result<Vec<TrustedIssuer>, Error> {
        let page: IssuerPage = self.fetch(Call::get(&["v1", "trusted-issuers"])).await?;
        Ok(page.trusted_issuers)
    }

    /// The platforms that the server knows.
    pub async fn identity_families(&self) -> Result<Vec<IdentityFamily>, Error> {
        let page: FamilyPage = self.fetch(Call::get(&["v1", "trusted-issuers", "families"])).await?;
        Ok(page.families)
    }

    /// What would come of trusting an issuer, and how an example of its tokens fares. Changes nothing.
    pub async fn check_trusted_issuer(
        &self,
        new: &NewTrustedIssuer,
        token: Option<&str>,
    ) -> Result<TrustCheck, Error> {
        let body = CheckBody { trusted_issuer: new, token };
        self.fetch(Call::post(&["v1", "trusted-issuers", "check"]).json(&body)).await
    }

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
