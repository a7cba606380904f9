//! Why a caller may or may not get a token: every rule, in order, with the one that decided.
//!
//! Nothing is decided here. The rules are tried by the very code that decides a token request, in its order: how fast the
//! team asks, the access decision ([`carnet_model::access::decide`]), what the connector can do, the month's requests, what
//! was granted, and whether the provider may be asked where it has to be ([`provider`]). It goes as far as can be known
//! without asking the provider, and changes nothing.
//!
//! A workload is explained to itself; to a person also any workload of the team, by its project and environment: then
//! every trust rule that recognises one there is tried, and the one that gets furthest is told.

mod provider;
mod words;

use carnet_identity::TrustRule;
use carnet_model::access::{self, Ask};
use carnet_model::caller::{Caller, Principal, Proof, Workload};
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Next, ScopeRequest, Scopes, SubjectKind, Uid, kind};
use carnet_store::issuers;
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::issue::{GRANT_RULES, MANAGED_APP, QUOTA, TokenAsk};
use crate::issuers::trusted_issuer;
use crate::rates::Pace;

use words::change;
pub(crate) use words::consent;
pub use words::rule_in_words;

/// What is to be explained.
#[derive(Clone, Debug, Default)]
pub struct ExplainAsk {
    /// The token that would be asked for.
    pub token: TokenAsk,
    /// By a workload of this project, by identifier or name, in this environment; by the caller itself if left out.
    pub workload: Option<(String, String)>,
}

/// The explanation.
#[derive(Debug)]
pub struct Explained {
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// Its UID.
    pub uid: Uid,
    /// Who would ask.
    pub who: Principal,
    /// Who the token would act as, as [`carnet_model::Subject::key`] has it.
    pub subject: String,
    /// Every rule, in the order in which they are tried.
    pub rules: Vec<RuleTold>,
    /// What a request would be answered with, where a rule denies.
    pub refusal: Option<Fault>,
    /// Scopes that the connector does not list: whether a token with them can be had, only its provider knows.
    pub provider_decides: Vec<String>,
    /// By what such workloads are recognised, where a person asked about them.
    pub identities: Vec<IdentityTold>,
}

/// One rule, and how it came out.
#[derive(Debug)]
pub struct RuleTold {
    /// Its stable name, as in the audit log.
    pub rule: &'static str,
    /// How it came out.
    pub ruling: Ruling,
    /// The commands that change how it comes out.
    pub change: Vec<Next>,
}

/// How a rule came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It allows.
    Passed,
    /// It denies: this one decided.
    Denied,
    /// One before it denied.
    NotReached,
}

/// By what workloads of a project and environment are recognised.
#[derive(Clone, Debug)]
pub struct IdentityTold {
    /// `iss`
    pub issuer: String,
    /// The trusted issuer; none for Carnet's own identities.
    pub trusted_issuer: Option<Id<kind::TrustedIssuer>>,
    /// What its claims must be.
    pub claims: Value,
    /// What such a workload may ask for.
    pub subjects: Vec<SubjectKind>,
    /// Whether it would get the token.
    pub allowed: bool,
}

impl Ruling {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Denied => "denied",
            Self::NotReached => "not-reached",
        }
    }
}

/// The rules that were tried so far, and where it ended.
struct Trial {
    subject: String,
    rules: Vec<(&'static str, Ruling)>,
    refusal: Option<Fault>,
    provider_decides: Vec<String>,
}

impl Broker {
    /// Explains a token request without making it.
    pub async fn explain(&self, caller: &Caller, ask: &ExplainAsk) -> Result<Explained, Fault> {
        let place = match &ask.workload {
            None => None,
            Some((project, environment)) => {
                self.may(caller, Right::IssuerRead)?;
                let project = self.find_project(caller, project).await?;
                let environment =
                    self.environments_of(caller, project.id, std::slice::from_ref(environment)).await?;
                environment.first().map(|environment| (project.id, *environment))
            }
        };
        let entry = match caller {
            Caller::Workload(_) => self.find_connector(caller, &ask.token.connector).await?,
            Caller::Member(_) => self.managed(caller, &ask.token.connector, Right::ConnectorRead).await?,
        };
        let Some((project, environment)) = place else {
            let trial = self.trial(caller, &entry, &ask.token).await?;
            return Ok(told(&entry, caller, trial, Vec::new()));
        };
        let known = self.workloads_at(caller, project, environment).await?;
        let mut best: Option<(Caller, Trial)> = None;
        let mut identities = Vec::with_capacity(known.len());
        for (workload, mut identity) in known {
            let trial = self.trial(&workload, &entry, &ask.token).await?;
            identity.allowed = trial.refusal.is_none();
            identities.push(identity);
            if best.as_ref().is_none_or(|(_, best)| trial.passed() > best.passed()) {
                best = Some((workload, trial));
            }
        }
        if let Some((workload, trial)) = best {
            return Ok(told(&entry, &workload, trial, identities));
        }
        // Nobody is recognised there: what would follow is told of, and not reached.
        let nobody = workload(caller, project, environment, Vec::new(), None, None, String::new());
        let mut trial = self.trial(&nobody, &entry, &ask.token).await?;
        for (_, ruling) in &mut trial.rules {
            *ruling = Ruling::NotReached;
        }
        if let Some((_, first)) = trial.rules.first_mut() {
            *first = Ruling::Denied;
        }
        trial.refusal = Some(Fault::new(
            Code::Unauthorized,
            "No issuer that the team trusts has a rule for this project and environment, so no workload is recognised there.",
        ));
        Ok(told(&entry, &nobody, trial, identities))
    }

    /// Everybody who is recognised as this project in this environment.
    async fn workloads_at(
        &self,
        caller: &Caller,
        project: Id<kind::Project>,
        environment: Environment,
    ) -> Result<Vec<(Caller, IdentityTold)>, Fault> {
        let mut found = Vec::new();
        let team = caller.team();
        if environment == Environment::Development {
            let slug = self.team(team).await?.slug;
            let issuer = self.inner.settings.issuer_of(&slug);
            let subjects =
                vec![SubjectKind::App, SubjectKind::User, SubjectKind::JwtBearer, SubjectKind::Token];
            let identity = IdentityTold {
                issuer: issuer.clone(),
                trusted_issuer: None,
                claims: Value::Object(Map::new()),
                subjects: subjects.clone(),
                allowed: false,
            };
            let user = caller.user();
            found.push((workload(caller, project, environment, subjects, user, None, issuer), identity));
        }
        for row in issuers::list(&self.inner.db, team).await.map_err(faults::store)? {
            let issuer = trusted_issuer(&row).map_err(faults::internal)?;
            let config = serde_json::to_value(issuer.to_config()).map_err(faults::internal)?;
            let fits =
                |(_, rule): &(usize, &TrustRule)| rule.project == project && rule.environment == environment;
            for (at, rule) in issuer.rules.iter().enumerate().filter(fits) {
                let identity = IdentityTold {
                    issuer: issuer.issuer.clone(),
                    trusted_issuer: Some(issuer.id),
                    claims: config.pointer(&format!("/rules/{at}/claims")).cloned().unwrap_or_default(),
                    subjects: rule.subjects.clone(),
                    allowed: false,
                };
                let subjects = rule.subjects.clone();
                let (id, name) = (Some(issuer.id), issuer.issuer.clone());
                found.push((workload(caller, project, environment, subjects, None, id, name), identity));
            }
        }
        Ok(found)
    }

    /// Tries the rules for one caller. A request that cannot be read is refused as such.
    async fn trial(&self, caller: &Caller, entry: &Entry, ask: &TokenAsk) -> Result<Trial, Fault> {
        let subject = ask.subject(caller, &entry.abilities)?;
        let access = access::rules(caller, &Ask::Token(&subject));
        let identity = matches!(caller, Caller::Workload(_)).then_some("identity");
        let mut names: Vec<&'static str> = identity.into_iter().chain(access.iter().copied()).collect();
        names.insert(usize::from(identity.is_some()), provider::TEAM_PACE);
        if entry.row.connector.managed {
            names.push(MANAGED_APP);
        }
        names.extend(["subject-kind", "connector-scopes"]);
        if entry.abilities.installation || ask.installation.is_some() {
            names.push("installation");
        }
        names.push(QUOTA);
        let granted = provider::hangs_on_a_grant(entry, &subject);
        if granted {
            names.extend(GRANT_RULES);
            names.extend(["grant-lives", provider::DOUBT]);
        }
        names.push(provider::BREAKER);
        if granted {
            names.extend([provider::BRAKE, provider::ROW]);
        }
        let key = self.subject_key(&subject);
        let trial = |decided: Option<(&'static str, Fault)>| Trial::of(&key, &names, decided);
        if let Some(fault) = self.too_fast(caller, Pace::Read) {
            return Ok(trial(Some((provider::TEAM_PACE, fault))));
        }
        if let Err((fault, rule)) = self.permit(caller, entry, Ask::Token(&subject)) {
            return Ok(trial(Some((rule, fault))));
        }
        let wanted = match ask.wanted(caller, entry, &subject, key.clone()) {
            Ok(wanted) => wanted,
            Err(fault) => {
                let rule = match fault.code {
                    Code::UnresolvedToken => "subject-kind",
                    Code::InvalidScope => "connector-scopes",
                    Code::InstallationRequired => "installation",
                    _ => return Err(fault),
                };
                return Ok(trial(Some((rule, fault))));
            }
        };
        let tally = self.tally(caller, entry.row.connector.id, self.inner.env.now());
        if let Err(fault) = self.has_requests_left(&tally).await? {
            return Ok(trial(Some((QUOTA, fault))));
        }
        if granted {
            return Ok(trial(self.grant_obstacle(entry, &wanted).await?));
        }
        let tried = trial(self.mint_obstacle(entry, &wanted).await?);
        // A grant says what was granted. Of a token that is made for the request, the provider says so when it is asked.
        let unlisted = match &wanted.scopes {
            ScopeRequest::Exactly(named) => named.without(&wanted.defaults),
            ScopeRequest::Defaults | ScopeRequest::Unscoped => Scopes::empty(),
        };
        Ok(Trial { provider_decides: unlisted.iter().map(str::to_owned).collect(), ..tried })
    }
}

impl Trial {
    fn of(subject: &str, names: &[&'static str], decided: Option<(&'static str, Fault)>) -> Self {
        let subject = subject.to_owned();
        let Some((denied, fault)) = decided else {
            let rules = names.iter().map(|name| (*name, Ruling::Passed)).collect();
            return Self { subject, rules, refusal: None, provider_decides: Vec::new() };
        };
        let mut reached = true;
        let mut rules: Vec<_> = names
            .iter()
            .map(|name| {
                let ruling = match (reached, *name == denied) {
                    (true, true) => Ruling::Denied,
                    (true, false) => Ruling::Passed,
                    (false, _) => Ruling::NotReached,
                };
                reached &= *name != denied;
                (*name, ruling)
            })
            .collect();
        if reached {
            rules.push((denied, Ruling::Denied));
        }
        Self { subject, rules, refusal: Some(fault), provider_decides: Vec::new() }
    }

    fn passed(&self) -> usize {
        self.rules.iter().filter(|(_, ruling)| *ruling == Ruling::Passed).count()
    }
}

fn told(entry: &Entry, caller: &Caller, trial: Trial, identities: Vec<IdentityTold>) -> Explained {
    let uid = &entry.row.connector.uid;
    let linked = entry.linked(caller.project()).unwrap_or_default();
    let rule = |(rule, ruling): (&'static str, Ruling)| {
        let own = trial.refusal.as_ref().filter(|_| ruling == Ruling::Denied).map(|fault| fault.next.clone());
        let own = own.filter(|next| !next.is_empty());
        let change = own.unwrap_or_else(|| change(rule, uid.as_str(), caller, linked, &trial.subject));
        RuleTold { rule, ruling, change }
    };
    let rules = trial.rules.into_iter().map(rule).collect();
    Explained {
        connector: entry.row.connector.id,
        uid: uid.clone(),
        who: caller.principal(),
        subject: trial.subject,
        rules,
        refusal: trial.refusal,
        provider_decides: trial.provider_decides,
        identities,
    }
}

fn workload(
    caller: &Caller,
    project: Id<kind::Project>,
    environment: Environment,
    subjects: Vec<SubjectKind>,
    user: Option<Id<kind::User>>,
    trusted_issuer: Option<Id<kind::TrustedIssuer>>,
    issuer: String,
) -> Caller {
    let proof = Proof { issuer, subject: String::new(), trusted_issuer, claims: Map::new() };
    Caller::Workload(Workload { team: caller.team(), project, environment, subjects, user, proof })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_rule_that_denied_was_not_reached() {
        let fault = || Fault::new(Code::Forbidden, "No.");
        for (denied, want) in [
            (None, ["passed", "passed", "passed"].as_slice()),
            (Some("a"), &["denied", "not-reached", "not-reached"]),
            (Some("b"), &["passed", "denied", "not-reached"]),
            (Some("of a later version"), &["passed", "passed", "passed", "denied"]),
        ] {
            let trial = Trial::of("app", &["a", "b", "c"], denied.map(|rule| (rule, fault())));
            let got: Vec<_> = trial.rules.iter().map(|(_, ruling)| ruling.as_str()).collect();
            assert_eq!(got, want, "{denied:?}");
        }
    }
}
