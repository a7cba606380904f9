//! Refuses configurations that would trust strangers, each with the sentence that mends it.
//!
//! What is refused follows from incidents: names that were registered anew by others, audiences that the attacker
//! may choose, patterns that match more than was meant. An empty answer does not prove a rule right; it proves that
//! none of these mistakes is in it.

use carnet_model::{Id, kind};
use serde_json::Value;

use super::family::{Family, NOT_IDENTIFYING, OTHER_SERVICES, is_api_server};
use super::{Match, TrustRule, TrustedIssuer};
use crate::directory::KeySource;

/// Where this Carnet runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// On a developer's machine: plain http is let through here, egress still restricts it to loopback.
    Development,
    /// Anywhere else.
    Production,
}

/// Why a trusted issuer is refused. Rules are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// No audience.
    #[error("audiences is empty: add an audience that names this Carnet alone, its own address for instance")]
    NoAudience,
    /// An audience that anybody's token may have.
    #[error(
        "audience {0:?} names nobody in particular: use one that names this Carnet alone, its own address for instance"
    )]
    OpenAudience(String),
    /// An audience of a cluster's API server.
    #[error(
        "audience {0:?} is for the API server of the cluster, and every pod has such a token: project a token with an audience of its own, this Carnet's address for instance"
    )]
    ApiServerAudience(String),
    /// An audience of another service.
    #[error(
        "audience {0:?} is for another service, so whoever sends that service a token could use it here: ask the issuer for a token with this Carnet's address as audience"
    )]
    OtherServiceAudience(String),
    /// No algorithm.
    #[error("algorithms is empty: name those the issuer uses, RS256 for most")]
    NoAlgorithm,
    /// No type.
    #[error("types is empty: name those the issuer writes, JWT for most, or \"\" if it writes none")]
    NoType,
    /// Plain http.
    #[error(
        "{0} is not https, so whoever is on the way could put in keys of their own: use https, or pin the keys in jwks"
    )]
    PlainHttp(&'static str),
    /// An issuer name that many share, with keys found under that name.
    #[error(
        "many clusters have the issuer {0:?}: put this cluster's keys in jwks (kubectl get --raw /openid/v1/jwks), or give a jwksUri that is this cluster's own"
    )]
    SharedIssuer(String),
    /// No claims in a rule.
    #[error(
        "rule {rule} has no claims and would stand for every token of the issuer: add claims that identify the workload"
    )]
    NoClaims {
        /// Which rule.
        rule: usize,
    },
    /// Only `sub` in a rule.
    #[error(
        "rule {rule} looks at sub alone, and names in it change hands: add a claim with an identifier that the issuer never gives to another"
    )]
    OnlySubject {
        /// Which rule.
        rule: usize,
    },
    /// Nothing identifying in a rule.
    #[error(
        "rule {rule} has no claim that says whose workload it is: add a claim with an identifier that the issuer never gives to another"
    )]
    NotIdentifying {
        /// Which rule.
        rule: usize,
    },
    /// A pattern.
    #[error(
        "rule {rule}: claim {claim} is compared exactly, and {value:?} looks like a pattern: write the exact value, or a list of values"
    )]
    Pattern {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
        /// Its value.
        value: String,
    },
    /// An empty value or list.
    #[error("rule {rule}: claim {claim} is compared with nothing: write the value it must have")]
    NoValue {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
    },
    /// A claim that the platform needs is missing.
    #[error("rule {rule}, for {platform}: {remedy}")]
    Incomplete {
        /// Which rule.
        rule: usize,
        /// The platform.
        platform: &'static str,
        /// What to add.
        remedy: &'static str,
    },
    /// An identifier that should be a number is not.
    #[error(
        "rule {rule}: claim {claim} is a number at {platform}, not a name: look it up and write the digits"
    )]
    NotANumber {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
        /// The platform.
        platform: &'static str,
    },
    /// No subject kind.
    #[error("rule {rule} allows no kind of subject: name those it is for, app or user for most")]
    NoSubjects {
        /// Which rule.
        rule: usize,
    },
    /// A rule that can never be reached.
    #[error(
        "rule {rule} is never reached, because rule {by} matches every token that it matches and stands for something else: put rule {rule} first"
    )]
    Shadowed {
        /// Which rule.
        rule: usize,
        /// The rule before it.
        by: usize,
    },
}

/// All that is wrong with a trusted issuer. One weakness is enough to refuse it.
pub fn lint(issuer: &TrustedIssuer, setting: Setting) -> Vec<Weakness> {
    let family = Family::of(&issuer.issuer);
    let mut found = Vec::new();
    lint_issuer(issuer, family, setting, &mut found);
    for (index, rule) in issuer.rules.iter().enumerate() {
        lint_rule(index + 1, rule, family, &mut found);
        let earlier = issuer.rules.iter().take(index).position(|before| before.covers(rule));
        if let Some(by) = earlier {
            found.push(Weakness::Shadowed { rule: index + 1, by: by + 1 });
        }
    }
    found
}

fn lint_issuer(issuer: &TrustedIssuer, family: Family, setting: Setting, found: &mut Vec<Weakness>) {
    if issuer.audiences.is_empty() {
        found.push(Weakness::NoAudience);
    }
    for audience in &issuer.audiences {
        found.extend(lint_audience(audience, issuer, family));
    }
    if issuer.algorithms.is_empty() {
        found.push(Weakness::NoAlgorithm);
    }
    if issuer.types.is_empty() {
        found.push(Weakness::NoType);
    }
    if setting == Setting::Production {
        let pinned = matches!(issuer.source, KeySource::Pinned(_));
        if is_plain_http(&issuer.issuer) && !pinned {
            found.push(Weakness::PlainHttp("issuer"));
        }
        if matches!(&issuer.source, KeySource::JwksUri(url) if url.scheme() != "https") {
            found.push(Weakness::PlainHttp("jwksUri"));
        }
    }
    let shared = issuer.issuer.contains("kubernetes.default");
    if shared && issuer.source == KeySource::Discovery {
        found.push(Weakness::SharedIssuer(issuer.issuer.clone()));
    }
}

fn is_plain_http(url: &str) -> bool {
    url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

fn lint_audience(audience: &str, issuer: &TrustedIssuer, family: Family) -> Option<Weakness> {
    let own = audience.to_owned();
    let is_cluster_own = family == Family::Kubernetes && audience == issuer.issuer;
    if audience.trim().is_empty() || audience.contains('*') {
        Some(Weakness::OpenAudience(own))
    } else if is_api_server(audience) || is_cluster_own {
        Some(Weakness::ApiServerAudience(own))
    } else if OTHER_SERVICES.iter().any(|start| audience.starts_with(start)) {
        Some(Weakness::OtherServiceAudience(own))
    } else {
        None
    }
}

fn lint_rule(number: usize, rule: &TrustRule, family: Family, found: &mut Vec<Weakness>) {
    if rule.subjects.is_empty() {
        found.push(Weakness::NoSubjects { rule: number });
    }
    for (claim, wanted) in &rule.claims {
        let empty = wanted.values().is_empty() || wanted.values().iter().any(|value| value == "");
        if empty {
            found.push(Weakness::NoValue { rule: number, claim: claim.clone() });
        }
        let pattern = wanted.values().iter().filter_map(Value::as_str).find(|text| is_pattern(text));
        if let Some(value) = pattern {
            let value = value.to_owned();
            found.push(Weakness::Pattern { rule: number, claim: claim.clone(), value });
        }
    }
    if let Some(weakness) = identification(number, rule, family) {
        found.push(weakness);
    }
    if let Some(required) = family.requirement().filter(|required| required.numeric) {
        for claim in required.identifiers {
            let values = rule.claim(claim).map(Match::values).unwrap_or_default();
            if !values.iter().all(is_number) {
                let claim = (*claim).to_owned();
                found.push(Weakness::NotANumber { rule: number, claim, platform: family.name() });
            }
        }
    }
}

/// Whether the rule says whose workload it is about.
fn identification(number: usize, rule: &TrustRule, family: Family) -> Option<Weakness> {
    if rule.claims.is_empty() {
        return Some(Weakness::NoClaims { rule: number });
    }
    if let Some(required) = family.requirement() {
        let has = |claim: &&str| rule.claim(claim).is_some();
        let complete = required.identifiers.iter().all(has)
            && required.flags.iter().all(|flag| rule.claim(flag).is_some_and(is_true))
            && (required.one_of.is_empty() || required.one_of.iter().any(|group| group.iter().all(has)))
            && rule.claim("ref_protected").is_none_or(is_true);
        let (platform, remedy) = (family.name(), required.remedy);
        return (!complete).then_some(Weakness::Incomplete { rule: number, platform, remedy });
    }
    if rule.claim("sub").is_some_and(is_spiffe_id) {
        return None;
    }
    if rule.claims.iter().all(|(claim, _)| claim == "sub") {
        return Some(Weakness::OnlySubject { rule: number });
    }
    let identifies = |(claim, wanted): &(String, Match)| {
        !NOT_IDENTIFYING.contains(&claim.as_str()) && !wanted.values().iter().any(Value::is_boolean)
    };
    (!rule.claims.iter().any(identifies)).then_some(Weakness::NotIdentifying { rule: number })
}

fn is_pattern(text: &str) -> bool {
    text.contains('*') || text.starts_with('^') || text.ends_with('$')
}

fn is_number(value: &Value) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    value.is_u64() || value.as_str().is_some_and(digits)
}

fn is_true(wanted: &Match) -> bool {
    !wanted.values().is_empty() && wanted.values().iter().all(|value| *value == true || value == "true")
}

/// A whole SPIFFE ID is what identifies a workload in its trust domain (SPIFFE-ID §2). One without a path names the
/// trust domain itself.
fn is_spiffe_id(wanted: &Match) -> bool {
    let whole = |value: &Value| {
        let id = value.as_str().and_then(|text| text.strip_prefix("spiffe://"));
        id.and_then(|id| id.split_once('/'))
            .is_some_and(|(domain, path)| !domain.is_empty() && !path.is_empty())
    };
    !wanted.values().is_empty() && wanted.values().iter().all(whole)
}

impl TrustRule {
    fn claim(&self, path: &str) -> Option<&Match> {
        self.claims.iter().find(|(claim, _)| claim == path).map(|(_, wanted)| wanted)
    }

    /// Whether every token that `other` matches is matched by this one too, with another meaning.
    fn covers(&self, other: &Self) -> bool {
        let same_meaning = self.stands_for() == other.stands_for() && self.subjects == other.subjects;
        let wider = |(path, wanted): &(String, Match)| {
            let theirs = other.claim(path).map(Match::values);
            theirs.is_some_and(|values| values.iter().all(|value| wanted.accepts(value)))
        };
        !same_meaning && !self.claims.is_empty() && self.claims.iter().all(wider)
    }

    const fn stands_for(&self) -> (Id<kind::Project>, carnet_model::Environment) {
        (self.project, self.environment)
    }
}
