//! Refuses configurations that would trust strangers, each with the sentence that mends it.
//!
//! What is refused follows from incidents: names that were registered anew by others, audiences that the attacker
//! may choose, patterns that match more than was meant. An empty answer does not prove a rule right; it proves that
//! none of these mistakes is in it.

mod subject;
mod weakness;

use carnet_model::{Id, kind};
use serde_json::Value;

use super::family::{Audience, Family, Form, NOT_IDENTIFYING, OTHER_SERVICES, Requirement, is_api_server};
use super::{Match, TrustRule, TrustedIssuer};
use crate::directory::KeySource;
use crate::spiffe::{SCHEME, SpiffeId};

pub use weakness::Weakness;

/// Where this Carnet runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// On a developer's machine: plain http is let through here, egress still restricts it to loopback.
    Development,
    /// Anywhere else.
    Production,
}

/// All that is wrong with a trusted issuer. One weakness is enough to refuse it.
pub fn lint(issuer: &TrustedIssuer, setting: Setting) -> Vec<Weakness> {
    // The rules of a platform hold for its issuer whatever it is declared to be.
    let by_name = Family::by_name(&issuer.issuer);
    let family = by_name.unwrap_or(issuer.family);
    let mut found = Vec::new();
    if family != issuer.family {
        found.push(Weakness::OtherFamily { named: family.title(), said: issuer.family.title() });
    }
    lint_issuer(issuer, family, setting, &mut found);
    for (index, rule) in issuer.rules.iter().enumerate() {
        lint_rule(index + 1, rule, family, &mut found);
        lint_place(index + 1, rule, issuer, family, &mut found);
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
    if issuer.issuer.starts_with(SCHEME) && issuer.source == KeySource::Discovery {
        found.push(Weakness::NoBundle);
    }
    let of_all = |part: &str| matches!(part, "common" | "organizations" | "consumers" | "{tenantid}");
    if family == Family::Azure && issuer.issuer.split('/').any(of_all) {
        found.push(Weakness::EveryTenant(issuer.issuer.clone()));
    }
}

/// What a rule says about where the issuer stands: the trust domain, the tenant.
fn lint_place(
    number: usize,
    rule: &TrustRule,
    issuer: &TrustedIssuer,
    family: Family,
    found: &mut Vec<Weakness>,
) {
    if family == Family::Spiffe {
        let inside = |id: &str| {
            SpiffeId::of_workload(id)
                .is_some_and(|id| !issuer.issuer.starts_with(SCHEME) || id.trust_domain == issuer.issuer)
        };
        let good = match rule.claim("sub") {
            None => true,
            Some(Match::OneBelow(parent)) => inside(parent),
            Some(wanted) => wanted.values().iter().all(|value| value.as_str().is_some_and(inside)),
        };
        if !good {
            found.push(Weakness::NotInTrustDomain { rule: number });
        }
    }
    if family == Family::Azure
        && let Some(wanted) = rule.claim("tid")
    {
        let same =
            |value: &Value| value.as_str().is_some_and(|tid| issuer.issuer.split('/').any(|p| p == tid));
        if !wanted.values().iter().all(same) {
            found.push(Weakness::OtherTenant { rule: number });
        }
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
    } else if is_foreign(audience, OTHER_SERVICES)
        || is_foreign(audience, family.platform().foreign_audiences)
    {
        Some(Weakness::OtherServiceAudience(own))
    } else {
        None
    }
}

fn is_foreign(audience: &str, foreign: &[Audience]) -> bool {
    foreign.iter().any(|foreign| foreign.covers(audience))
}

fn lint_rule(number: usize, rule: &TrustRule, family: Family, found: &mut Vec<Weakness>) {
    if rule.subjects.is_empty() {
        found.push(Weakness::NoSubjects { rule: number });
    }
    for (claim, wanted) in &rule.claims {
        let none = wanted.values().is_empty() && !matches!(wanted, Match::OneBelow(_));
        if none || wanted.values().iter().any(|value| value == "") {
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
    let required = family.platform().requirement.as_ref();
    for (claim, form) in required.map(|required| required.identifiers).unwrap_or_default() {
        let values = rule.claim(claim).map(Match::values).unwrap_or_default();
        if !values.iter().all(|value| has_form(*form, value)) {
            let (claim, platform) = ((*claim).to_owned(), family.title());
            found.push(match form {
                Form::Number => Weakness::NotANumber { rule: number, claim, platform },
                Form::Uuid => Weakness::NotAUuid { rule: number, claim, platform },
                Form::SpiffeId => Weakness::NotInTrustDomain { rule: number },
                Form::Text => Weakness::NoValue { rule: number, claim },
            });
        }
    }
    found.dedup();
}

/// Whether the rule says whose workload it is about.
fn identification(number: usize, rule: &TrustRule, family: Family) -> Option<Weakness> {
    if rule.claims.is_empty() {
        return Some(Weakness::NoClaims { rule: number });
    }
    if let Some(required) = family.platform().requirement.as_ref() {
        let (platform, remedy) = (family.title(), required.remedy);
        return (!is_complete(rule, required)).then_some(Weakness::Incomplete {
            rule: number,
            platform,
            remedy,
        });
    }
    let platform = match rule.claim("sub").map(subject::named_by) {
        // What an issuer calls a workload is what identifies it, unless the name is made of others (RFC 7519 §4.1.2).
        Some(None) => return None,
        Some(Some(platform)) => platform,
        None => "",
    };
    if rule.claims.iter().all(|(claim, _)| claim == "sub") {
        return Some(Weakness::OnlySubject { rule: number, platform });
    }
    let identifies = |(claim, wanted): &(String, Match)| {
        !NOT_IDENTIFYING.contains(&claim.as_str()) && !wanted.values().iter().any(Value::is_boolean)
    };
    (!rule.claims.iter().any(identifies)).then_some(Weakness::NotIdentifying { rule: number })
}

fn is_complete(rule: &TrustRule, required: &Requirement) -> bool {
    let has = |claim: &&str| rule.claim(claim).is_some();
    let fixed_true = |claim: &str| rule.claim(claim).is_some_and(is_true);
    required.identifiers.iter().all(|(claim, _)| has(claim))
        && required.flags.iter().all(|flag| fixed_true(flag))
        && required.vouched.iter().all(|(claim, by)| !has(claim) || fixed_true(by))
        && (required.one_of.is_empty() || required.one_of.iter().any(|group| group.iter().all(has)))
        && rule.claim("ref_protected").is_none_or(is_true)
}

pub(super) fn has_form(form: Form, value: &Value) -> bool {
    match value.as_str() {
        Some(text) => form.fits(text),
        None => form == Form::Number && value.is_u64() || form == Form::Text && !value.is_null(),
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains('*') || text.starts_with('^') || text.ends_with('$')
}

fn is_true(wanted: &Match) -> bool {
    !wanted.values().is_empty() && wanted.values().iter().all(|value| *value == true || value == "true")
}

impl TrustRule {
    pub(super) fn claim(&self, path: &str) -> Option<&Match> {
        self.claims.iter().find(|(claim, _)| claim == path).map(|(_, wanted)| wanted)
    }

    /// Whether every token that `other` matches is matched by this one too, with another meaning.
    fn covers(&self, other: &Self) -> bool {
        let same_meaning = self.stands_for() == other.stands_for() && self.subjects == other.subjects;
        let wider =
            |(path, wanted): &(String, Match)| other.claim(path).is_some_and(|theirs| wanted.covers(theirs));
        !same_meaning && !self.claims.is_empty() && self.claims.iter().all(wider)
    }

    const fn stands_for(&self) -> (Id<kind::Project>, carnet_model::Environment) {
        (self.project, self.environment)
    }
}
