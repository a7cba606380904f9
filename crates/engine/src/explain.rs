//! Why a caller may or may not get a token: every rule, in order, with the one that decided.
//!
//! Nothing is decided here. The rules are tried by the very code that decides a token request: the access decision
//! ([`carnet_model::access::decide`]), what the connector can do, and what was granted. It goes as far as can be known
//! without asking the provider, and changes nothing.
//!
//! A workload is explained to itself; to a person also any workload of the team, by its project and environment: then
//! every trust rule that recognises one there is tried, and the one that gets furthest is told.

use carnet_identity::TrustRule;
use carnet_model::access::{self, Ask};
use carnet_model::caller::{Caller, Principal, Proof, Workload};
use carnet_model::grant::Cause;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Next, Subject, SubjectKind, Uid, kind};
use carnet_store::issuers;
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::issue::{GRANT_RULES, Given, TokenAsk, Unmet, Wanted, consent_required, only_as_granted, spent};
use crate::issuers::trusted_issuer;

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
    /// Who the token would act as, as [`Subject::key`] has it.
    pub subject: String,
    /// Every rule, in the order in which they are tried.
    pub rules: Vec<RuleTold>,
    /// What a request would be answered with, where a rule denies.
    pub refusal: Option<Fault>,
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
        names.push("subject-kind");
        names.push("connector-scopes");
        if entry.abilities.installation || ask.installation.is_some() {
            names.push("installation");
        }
        if matches!(subject, Subject::User { .. }) {
            names.extend(GRANT_RULES);
            names.push("grant-lives");
        }
        let key = self.subject_key(&subject);
        let trial = |decided: Option<(&'static str, Fault)>| Trial::of(&key, &names, decided);
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
        if !matches!(subject, Subject::User { .. }) {
            return Ok(trial(None));
        }
        Ok(trial(self.unmet(entry, &wanted).await?))
    }

    /// What a person's grant lacks for what is wanted.
    async fn unmet(&self, entry: &Entry, wanted: &Wanted) -> Result<Option<(&'static str, Fault)>, Fault> {
        let Given { row, secret, narrowed } = match self.given(entry, wanted).await {
            Ok(given) => given,
            Err(Unmet { rule: Some(rule), fault }) => return Ok(Some((rule, fault))),
            Err(Unmet { rule: None, fault }) => return Err(fault),
        };
        if narrowed.is_some() {
            let stuck = !row.grant.refreshable && self.stored_token(wanted).await?.is_none();
            return Ok(stuck.then(|| ("grant-scopes", only_as_granted(entry, &row))));
        }
        let over = spent(&row, &secret, self.inner.env.now());
        Ok(over.then(|| ("grant-lives", consent_required(entry, wanted, Some(Cause::Expired)))))
    }
}

impl Trial {
    fn of(subject: &str, names: &[&'static str], decided: Option<(&'static str, Fault)>) -> Self {
        let subject = subject.to_owned();
        let Some((denied, fault)) = decided else {
            let rules = names.iter().map(|name| (*name, Ruling::Passed)).collect();
            return Self { subject, rules, refusal: None };
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
        Self { subject, rules, refusal: Some(fault) }
    }

    fn passed(&self) -> usize {
        self.rules.iter().filter(|(_, ruling)| *ruling == Ruling::Passed).count()
    }
}

fn told(entry: &Entry, caller: &Caller, trial: Trial, identities: Vec<IdentityTold>) -> Explained {
    let uid = &entry.row.connector.uid;
    let rule = |(rule, ruling): (&'static str, Ruling)| {
        let own = trial.refusal.as_ref().filter(|_| ruling == Ruling::Denied).map(|fault| fault.next.clone());
        let change =
            own.filter(|next| !next.is_empty()).unwrap_or_else(|| change(rule, uid.as_str(), caller));
        RuleTold { rule, ruling, change }
    };
    Explained {
        connector: entry.row.connector.id,
        uid: uid.clone(),
        who: caller.principal(),
        subject: trial.subject,
        rules: trial.rules.into_iter().map(rule).collect(),
        refusal: trial.refusal,
        identities,
    }
}

/// The command that changes how a rule comes out.
fn change(rule: &str, connector: &str, caller: &Caller) -> Vec<Next> {
    let place = match caller {
        Caller::Workload(w) => format!(" -p {} -e {}", w.project, w.environment),
        Caller::Member(_) => String::new(),
    };
    let project = caller.project().map(|id| id.to_string()).unwrap_or_default();
    let (command, when) = match rule {
        "identity" => (
            format!("carnet projects trust {project}"),
            "to trust another issuer for it, or change the rules",
        ),
        "project-link" | "link-environment" => {
            (format!("carnet attach {connector}{place}"), "to say where the project may ask")
        }
        "trust-rule-subjects" => (
            format!("carnet projects trust {project}"),
            "to change the kinds of subject that the rule lets it ask for",
        ),
        "own-user-only" | "subject-for-workloads" => {
            ("carnet env pull".to_owned(), "to ask as a workload, which may ask for any user of its project")
        }
        "role" => ("carnet members list".to_owned(), "to see who can change the role"),
        "access-token-rights" | "access-token-project" => {
            ("carnet tokens create NAME".to_owned(), "to make an access token that carries it")
        }
        "subject-kind" | "connector-scopes" => {
            (format!("carnet update {connector}"), "to change what the connector gives")
        }
        "installation" => {
            (format!("carnet installations add {connector}"), "to record where it is installed")
        }
        "grant-given" | "grant-active" | "grant-scopes" | "grant-lives" => {
            (format!("carnet token {connector} --subject user --yes"), "to consent yourself, in a browser")
        }
        _ => ("carnet whoami".to_owned(), "to see as whom you ask"),
    };
    vec![Next { command, when: when.to_owned() }]
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

/// What a rule asks, in words. Rules without words of their own here are told by their names.
pub fn rule_in_words(rule: &str) -> &str {
    match rule {
        "identity" => "an issuer that the team trusts proves this project and environment",
        "same-team" => "the connector belongs to the caller's team",
        "project-link" => "the connector is attached to the project",
        "link-environment" => "it is attached in this environment",
        "trust-rule-subjects" => "the trust rule lets the workload ask for this kind of subject",
        "subject-for-workloads" => "this kind of subject may be asked for with an access token",
        "own-user-only" => "an access token acts for its own user only",
        "role" => "the person's role has the right to it",
        "strict-connectors" => "the team does not keep it to those who manage connectors",
        "access-token-project" => {
            "the connector is attached to the project that the access token is limited to"
        }
        "access-token-rights" => "the access token carries the right to it",
        "access-token-reach" => {
            "it is nothing about the whole team, which an access token of one project has no right to"
        }
        "subject-kind" => "the connector makes tokens for this kind of subject",
        "connector-scopes" => "the scopes are among those of the connector",
        "installation" => "the connector is installed where the token is wanted",
        "grant-given" => "the user has consented, in this environment",
        "grant-active" => "the consent still holds at the provider",
        "grant-scopes" => "what was granted covers what is asked for",
        "grant-lives" => "what was granted has not ended, or can be renewed",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use carnet_model::access::Denied;

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

    #[test]
    fn every_rule_of_access_has_words() {
        for denied in [
            Denied::OtherTeam,
            Denied::NotLinked,
            Denied::EnvironmentNotLinked,
            Denied::SubjectKindNotTrusted(SubjectKind::App),
            Denied::ForeignUser,
            Denied::SubjectKindNotForPeople(SubjectKind::Token),
            Denied::RoleTooLow(carnet_model::caller::Role::parse("viewer").unwrap(), Right::TokenApp),
            Denied::ConnectorsAreStrict(Right::ConnectorUpdate),
            Denied::TokenTooNarrow(Right::TokenApp),
            Denied::TokenOfOneProject(Right::TokenRevokeAll),
            Denied::OtherProject,
        ] {
            assert_ne!(rule_in_words(denied.rule()), denied.rule());
        }
        for rule in GRANT_RULES {
            assert_ne!(rule_in_words(rule), rule);
        }
    }
}
