//! Trusted issuers of a team.

mod check;
mod twins;

use carnet_identity::{
    ClaimMap, Family, Presented, Setting, TrustRuleConfig, TrustedIssuer, TrustedIssuerConfig,
    can_be_fetched, lint, safe_rule,
};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Slug, kind, unread};
use carnet_store::issuers::{self, IssuerRow};
use carnet_store::{DbError, Write, projects};
use serde_json::Value;

use crate::access_tokens::{refused, standing};
use crate::broker::Broker;
use crate::faults;

pub use check::{IssuerCheck, SignatureFound, TokenCheck};

/// A stored entry that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("the stored trusted issuer cannot be read")]
pub(crate) struct Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>);

pub(crate) fn trusted_issuer(row: &IssuerRow) -> Result<TrustedIssuer, Unreadable> {
    let config: TrustedIssuerConfig =
        serde_json::from_str(&row.config).map_err(|e| Unreadable(Box::new(e)))?;
    TrustedIssuer::from_config(row.id, row.team, config).map_err(|e| Unreadable(Box::new(e)))
}

impl Broker {
    /// The trusted issuers of the caller's team.
    pub async fn trusted_issuers(&self, caller: &Caller) -> Result<Vec<IssuerRow>, Fault> {
        let member = self.may(caller, Right::IssuerRead)?;
        issuers::list(&self.inner.db, member.team).await.map_err(faults::store)
    }

    /// One of them.
    pub async fn trusted_issuer(&self, caller: &Caller, id: &str) -> Result<IssuerRow, Fault> {
        let member = self.may(caller, Right::IssuerRead)?;
        let parsed = Id::parse(id).map_err(|_| faults::not_found("trusted issuer", id))?;
        let found = issuers::find(&self.inner.db, member.team, parsed).await.map_err(faults::store)?;
        found.ok_or_else(|| faults::not_found("trusted issuer", id))
    }

    /// The platforms that are known.
    pub fn identity_families(&self, caller: &Caller) -> Result<[Family; 12], Fault> {
        self.may(caller, Right::IssuerRead).map(|_| Family::ALL)
    }

    /// Trusts an issuer, unless its rules would let strangers in, or it is trusted for the same tokens already.
    pub async fn trust_issuer(
        &self,
        caller: &Caller,
        config: &Value,
        request: Id<kind::Request>,
    ) -> Result<IssuerRow, Fault> {
        let member = self.may(caller, Right::IssuerUpdate)?;
        let issuer = self.read_issuer(member.team, config).await?;
        let weaknesses = self.weaknesses(&issuer);
        if !weaknesses.is_empty() {
            let safe = safe_rules(&issuer, None);
            let fault = invalid(weaknesses.join("; ")).with("weaknesses", weaknesses);
            return Err(if safe.iter().any(Option::is_some) {
                fault.with("safeRules", serde_json::to_value(safe).unwrap_or_default())
            } else {
                fault
            });
        }
        let mut tries = 0;
        loop {
            // Read before the rows that are looked at: two who trust the same at the same moment, on whatever nodes, would
            // each see that nobody does yet.
            let revision = self.inner.db.revision();
            self.places_exist(&issuer).await?;
            self.is_no_twin(&issuer).await?;
            let now = self.inner.env.now();
            let row = IssuerRow {
                id: issuer.id,
                team: member.team,
                issuer: issuer.issuer.clone(),
                config: serde_json::to_string(&issuer.to_config()).map_err(faults::internal)?,
                created_at: now,
                updated_at: now,
            };
            let event = AuditEvent::of(caller, now, Action::IssuerCreate, Some(request))
                .on(row.id)
                .with("issuer", row.issuer.clone())
                .with("rules", issuer.rules.len());
            let write = Write::new()
                .steps(standing(member, now))
                .step(issuers::insert(&row))
                .event(&self.inner.env, &event)
                .revises()
                .only_at(revision);
            tries += 1;
            match self.inner.db.write(write).await {
                Ok(_) => return Ok(row),
                Err(DbError::Stale(_)) if tries < TRIES => {}
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// Trusts it no longer.
    pub async fn distrust_issuer(
        &self,
        caller: &Caller,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::IssuerUpdate)?;
        let row = self.trusted_issuer(caller, id).await?;
        let event =
            AuditEvent::of(caller, self.inner.env.now(), Action::IssuerDelete, Some(request)).on(row.id);
        let write =
            Write::new().step(issuers::delete(member.team, row.id)).event(&self.inner.env, &event).revises();
        self.inner.db.write(write).await.map_err(faults::store)?;
        self.inner.keys.forget(row.id);
        self.inner.rejections.forget(row.id);
        Ok(())
    }

    async fn read_issuer(&self, team: Id<kind::Team>, config: &Value) -> Result<TrustedIssuer, Fault> {
        let config = self.by_identifier(team, config).await?;
        let config: TrustedIssuerConfig = serde_path_to_error::deserialize(&config).map_err(|error| {
            let (cause, path) = (error.inner(), error.path().to_string());
            let whose = unread::field(cause);
            // What is not serde's is our own sentence about the text.
            let told = cause.to_string();
            let is_ours =
                !["invalid ", "unknown ", "missing ", "duplicate "].iter().any(|by| told.starts_with(by));
            let why = if is_ours { told } else { unread::why(cause) };
            let field = match (path.as_str(), whose) {
                (".", Some(named)) => named,
                (path, Some(named)) => format!("{path}.{named}"),
                (path, None) => path.to_owned(),
            };
            invalid(format!("{field}: {why}")).with("field", field)
        })?;
        let issuer = TrustedIssuer::from_config(self.inner.env.id(), team, config)
            .map_err(|error| invalid(error.to_string()).with("field", error.field()))?;
        if self.inner.settings.own_team(&issuer.issuer).is_some() {
            let why = "issuer is this server itself, whose identities are recognised without being trusted; no rule is ever \
                       asked about them";
            return Err(invalid(why.to_owned()).with("field", "issuer"));
        }
        Ok(issuer)
    }

    /// The configuration with identifiers in place of the names by which rules may call the team's projects.
    async fn by_identifier(&self, team: Id<kind::Team>, config: &Value) -> Result<Value, Fault> {
        let mut config = config.clone();
        let rules = config.get_mut("rules").and_then(Value::as_array_mut);
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            let Some(project) = rule.get_mut("project") else { continue };
            let Some(name) = project.as_str().filter(|name| Id::<kind::Project>::parse(name).is_err()) else {
                continue;
            };
            let found = match Slug::parse(name) {
                Ok(slug) => projects::by_name(&self.inner.db, team, &slug).await.map_err(faults::store)?,
                Err(_) => None,
            };
            let found = found.ok_or_else(|| no_project(name, index))?;
            *project = found.id.to_string().into();
        }
        Ok(config)
    }

    fn weaknesses(&self, issuer: &TrustedIssuer) -> Vec<String> {
        let setting =
            if self.inner.settings.development { Setting::Development } else { Setting::Production };
        let found: Vec<String> = lint(issuer, setting).iter().map(ToString::to_string).collect();
        // What the lint says of an address is said better there.
        match can_be_fetched(&self.inner.egress, &issuer.issuer, &issuer.source) {
            Err(error) if found.is_empty() => {
                let why = std::error::Error::source(&error).map(|why| format!(": {why}"));
                vec![format!(
                    "{error}{}; an operator lets private networks through with [egress] allow, and keys that cannot be \
                     fetched are pinned in jwks",
                    why.unwrap_or_default()
                )]
            }
            _ => found,
        }
    }

    /// The projects and environments that the rules stand for are the team's.
    async fn places_exist(&self, issuer: &TrustedIssuer) -> Result<(), Fault> {
        for (index, rule) in issuer.rules.iter().enumerate() {
            let project =
                projects::find(&self.inner.db, issuer.team, rule.project).await.map_err(faults::store)?;
            let project = project.ok_or_else(|| no_project(&rule.project.to_string(), index))?;
            if let Environment::Custom(id) = rule.environment {
                let found =
                    projects::environment(&self.inner.db, issuer.team, id).await.map_err(faults::store)?;
                if found.is_none_or(|found| found.project != project.id) {
                    return Err(faults::not_found("environment", &id.to_string()));
                }
            }
        }
        Ok(())
    }
}

/// For each rule the claims that would be safe, where the family knows.
fn safe_rules(issuer: &TrustedIssuer, token: Option<&Presented<'_>>) -> Vec<Option<ClaimMap>> {
    let config = issuer.to_config();
    let safe = |rule: &TrustRuleConfig| {
        safe_rule(issuer.family, &rule.claims, |claim| token.and_then(|token| token.claim(claim)))
    };
    config.rules.iter().map(safe).collect()
}

/// A rule stands for a project that is not there.
fn no_project(name: &str, index: usize) -> Fault {
    let mut fault = faults::not_found("project", name);
    fault.message = format!("Rule {}: {}", index + 1, fault.message);
    fault
        .with("field", format!("rules.{index}.project"))
        .next("carnet projects list", "to see the projects of the team")
}

fn invalid(why: String) -> Fault {
    Fault::new(Code::InvalidRequest, format!("The trusted issuer cannot be used: {why}."))
}

/// How often it is looked at anew because the rules changed meanwhile.
const TRIES: usize = 16;
