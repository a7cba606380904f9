//! Trusted issuers of a team.

use carnet_identity::{Setting, TrustedIssuer, TrustedIssuerConfig, lint};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Role};
use carnet_model::{Code, Environment, Fault, Id, kind};
use carnet_store::issuers::{self, IssuerRow};
use carnet_store::{DbError, Write, access_tokens, projects};
use serde_json::Value;

use crate::access_tokens::withdrawn;
use crate::broker::Broker;
use crate::faults;

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
        let member = self.member_of(caller)?;
        issuers::list(&self.inner.db, member.team).await.map_err(faults::store)
    }

    /// One of them.
    pub async fn trusted_issuer(&self, caller: &Caller, id: &str) -> Result<IssuerRow, Fault> {
        let member = self.member_of(caller)?;
        let parsed = Id::parse(id).map_err(|_| faults::not_found("trusted issuer", id))?;
        let found = issuers::find(&self.inner.db, member.team, parsed).await.map_err(faults::store)?;
        found.ok_or_else(|| faults::not_found("trusted issuer", id))
    }

    /// Trusts an issuer, unless its rules would let strangers in.
    pub async fn trust_issuer(
        &self,
        caller: &Caller,
        config: &Value,
        request: Id<kind::Request>,
    ) -> Result<IssuerRow, Fault> {
        let member = self.member_of(caller)?;
        self.needs(member, Role::Owner)?;
        let invalid = |why: String| {
            Fault::new(Code::InvalidRequest, format!("The trusted issuer cannot be used: {why}."))
        };
        let config: TrustedIssuerConfig =
            serde_json::from_value(config.clone()).map_err(|error| invalid(error.to_string()))?;
        let now = self.inner.env.now();
        let issuer = TrustedIssuer::from_config(self.inner.env.id(), member.team, config)
            .map_err(|error| invalid(error.to_string()))?;
        let setting =
            if self.inner.settings.development { Setting::Development } else { Setting::Production };
        let weaknesses: Vec<String> = lint(&issuer, setting).iter().map(ToString::to_string).collect();
        if !weaknesses.is_empty() {
            return Err(invalid(weaknesses.join("; ")).with("weaknesses", weaknesses));
        }
        for rule in &issuer.rules {
            let project =
                projects::find(&self.inner.db, member.team, rule.project).await.map_err(faults::store)?;
            let project = project.ok_or_else(|| faults::not_found("project", &rule.project.to_string()))?;
            if let Environment::Custom(id) = rule.environment {
                let found =
                    projects::environment(&self.inner.db, member.team, id).await.map_err(faults::store)?;
                if found.is_none_or(|found| found.project != project.id) {
                    return Err(faults::not_found("environment", &id.to_string()));
                }
            }
        }
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
            .step(access_tokens::still_good(member.token, now))
            .step(issuers::insert(&row))
            .event(&self.inner.env, &event)
            .revises();
        match self.inner.db.write(write).await {
            Ok(_) => Ok(row),
            Err(DbError::Unmet(0)) => Err(withdrawn()),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Trusts it no longer.
    pub async fn distrust_issuer(
        &self,
        caller: &Caller,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.member_of(caller)?;
        self.needs(member, Role::Owner)?;
        let row = self.trusted_issuer(caller, id).await?;
        let event =
            AuditEvent::of(caller, self.inner.env.now(), Action::IssuerDelete, Some(request)).on(row.id);
        let write =
            Write::new().step(issuers::delete(member.team, row.id)).event(&self.inner.env, &event).revises();
        self.inner.db.write(write).await.map_err(faults::store)?;
        self.inner.keys.forget(row.id);
        Ok(())
    }
}
