//! Trusted issuers: whose tokens a team accepts, and what their claims stand for.
//!
//! A rule maps claims to one project in one environment. Claims are compared exactly; there are no patterns, because
//! names at the platforms change hands and patterns grow to cover strangers. The one exception is a SPIFFE ID with exactly
//! one segment left open. [`lint()`] refuses rules that would trust strangers and says what to add; [`Family`] is what it
//! knows about the platforms, and [`safe_rule`] makes of a token the rule for its workload.

mod compare;
mod config;
mod family;
mod lint;
mod overlap;
mod safe;

use std::time::Duration;

use carnet_model::{Environment, Id, SubjectKind, kind};
use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::directory::KeySource;
use crate::jwt::{Expectation, VerifiedClaims};

pub use compare::Comparison;
pub use config::{ClaimMap, ConfigError, TrustRuleConfig, TrustedIssuerConfig};
pub use family::{Family, IssuerMissing, UnknownFamily};
pub use lint::{Setting, Weakness, lint};
pub use safe::safe_rule;

use crate::spiffe;

/// How far an issuer's clock may be from ours.
const SKEW: Duration = Duration::from_secs(30);

/// An issuer whose tokens a team accepts.
///
/// Its identity is `id`, never the text of `issuer`: many Kubernetes clusters have the same issuer name.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// Its identifier.
    pub id: Id<kind::TrustedIssuer>,
    /// The team that trusts it.
    pub team: Id<kind::Team>,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The platform it belongs to.
    pub family: Family,
    /// Where its keys come from.
    pub source: KeySource,
    /// The audiences that name this team's Carnet.
    pub audiences: Vec<String>,
    /// The algorithms that it uses.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` that it writes; empty text for none.
    pub types: Vec<String>,
    /// The longest life of a token, `iat` to `exp`.
    pub max_life: Duration,
    /// The greatest age of a token when it is presented.
    pub max_age: Duration,
    /// What its claims stand for; the first rule that matches decides.
    pub rules: Vec<TrustRule>,
}

/// One mapping from claims to a project and environment.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustRule {
    /// The project that such a token proves.
    pub project: Id<kind::Project>,
    /// The environment that it proves.
    pub environment: Environment,
    /// Claims by their path (see [`VerifiedClaims::claim`]), all of which must match.
    pub claims: Vec<(String, Match)>,
    /// The kinds of subject that such a workload may ask for.
    pub subjects: Vec<SubjectKind>,
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// This value: text, a whole number or a truth value.
    Exact(Value),
    /// One of these values.
    OneOf(Vec<Value>),
    /// This SPIFFE ID and exactly one path segment more.
    OneBelow(String),
}

/// No rule matches. For the log and for whoever writes the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule of the trusted issuer matches; the closest rule fails on: {}", missed.join(", "))]
pub struct NoRule {
    /// The claims on which the closest rule fails, by their paths in the rule. Empty if there are no rules.
    pub missed: Vec<String>,
}

impl TrustedIssuer {
    /// What a token of this issuer must be.
    pub fn expectation(&self) -> Expectation<'_> {
        Expectation {
            issuer: &self.issuer,
            audiences: &self.audiences,
            algorithms: &self.algorithms,
            types: &self.types,
            max_life: self.max_life,
            max_age: Some(self.max_age),
            skew: SKEW,
        }
    }

    /// The first rule whose claims all match. A rule without claims matches nothing.
    pub fn recognise(&self, claims: &VerifiedClaims) -> Result<&TrustRule, NoRule> {
        if claims.issuer() != self.issuer {
            return Err(NoRule { missed: vec!["iss".to_owned()] });
        }
        let mut closest: Option<Vec<String>> = None;
        for rule in &self.rules {
            let missed = rule.missed(claims);
            if missed.is_empty() && !rule.claims.is_empty() {
                return Ok(rule);
            }
            if closest.as_ref().is_none_or(|best| missed.len() < best.len()) {
                closest = Some(missed);
            }
        }
        Err(NoRule { missed: closest.unwrap_or_default() })
    }
}

impl TrustRule {
    fn missed(&self, claims: &VerifiedClaims) -> Vec<String> {
        let fails = |(path, wanted): &&(String, Match)| {
            !claims.claim(path).is_some_and(|value| wanted.accepts(value))
        };
        self.claims.iter().filter(fails).map(|(path, _)| path.clone()).collect()
    }
}

impl Match {
    /// Whether `value` is what is wanted: same type, same value.
    pub fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::OneBelow(parent) => value.as_str().is_some_and(|id| spiffe::is_one_below(parent, id)),
            _ => self.values().contains(value),
        }
    }

    /// All values that are accepted, where they can be counted.
    pub fn values(&self) -> &[Value] {
        match self {
            Self::Exact(value) => std::slice::from_ref(value),
            Self::OneOf(values) => values,
            Self::OneBelow(_) => &[],
        }
    }

    /// Whether everything that `other` accepts is accepted.
    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::OneBelow(_) => self == other,
            _ => other.values().iter().all(|value| self.accepts(value)),
        }
    }
}
