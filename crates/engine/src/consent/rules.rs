//! What a team says about how consent is asked for: by a connector's rules, and by the origins to which a project's
//! people may be sent back.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::consent_rules::{self, ConsentRules};
use carnet_store::{Write, return_origins};
use url::Url;

use super::request::return_url;
use crate::broker::Broker;
use crate::faults;

/// A change of a connector's rules: what is left out stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsentRulesChange {
    /// See [`ConsentRules::device_codes`].
    pub device_codes: Option<bool>,
    /// See [`ConsentRules::require_completion`].
    pub require_completion: Option<bool>,
}

impl Broker {
    /// How consent is asked for at a connector.
    pub async fn consent_rules(&self, caller: &Caller, connector: &str) -> Result<ConsentRules, Fault> {
        Ok(self.managed(caller, connector, Right::ConnectorRead).await?.consent_rules)
    }

    /// Changes how consent is asked for at a connector.
    pub async fn change_consent_rules(
        &self,
        caller: &Caller,
        connector: &str,
        change: ConsentRulesChange,
        request: Id<kind::Request>,
    ) -> Result<ConsentRules, Fault> {
        let entry = self.managed(caller, connector, Right::ConsentRulesUpdate).await?;
        let before = entry.consent_rules;
        let rules = ConsentRules {
            device_codes: change.device_codes.unwrap_or(before.device_codes),
            require_completion: change.require_completion.unwrap_or(before.require_completion),
        };
        let inner = &self.inner;
        let now = inner.env.now();
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, now, Action::ConsentRulesPut, Some(request))
            .on(id)
            .with("deviceCodes", rules.device_codes)
            .with("requireCompletion", rules.require_completion);
        let write = Write::new()
            .step(consent_rules::put(caller.team(), id, rules, now))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(rules)
    }

    /// The origins to which browsers may be sent for a project; none where it has not said.
    pub async fn return_origins(&self, caller: &Caller, project: &str) -> Result<Vec<String>, Fault> {
        let member = self.may(caller, Right::ProjectRead)?;
        let project = self.find_project(caller, project).await?;
        return_origins::of_project(&self.inner.db, member.team, project.id).await.map_err(faults::store)
    }

    /// Says to which origins browsers may be sent for a project. An empty list allows every address again.
    pub async fn set_return_origins(
        &self,
        caller: &Caller,
        project: &str,
        origins: &[String],
        request: Id<kind::Request>,
    ) -> Result<Vec<String>, Fault> {
        let member = self.may(caller, Right::ReturnOriginsUpdate)?;
        let project = self.find_project(caller, project).await?;
        let mut exact = origins.iter().map(|text| origin(text)).collect::<Result<Vec<_>, _>>()?;
        exact.sort();
        exact.dedup();
        if exact.len() > MOST_ORIGINS {
            return Err(Fault::new(
                Code::InvalidRequest,
                format!("A project has at most {MOST_ORIGINS} return origins."),
            )
            .with("field", "origins"));
        }
        let inner = &self.inner;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::ReturnOriginsPut, Some(request))
            .on(project.id)
            .with("origins", exact.clone());
        let write = Write::new()
            .steps(return_origins::replace(member.team, project.id, &exact, now))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(exact)
    }

    /// The return address of a request, if it may be one for this caller.
    pub(super) async fn return_url_for(
        &self,
        caller: &Caller,
        text: Option<&str>,
    ) -> Result<Option<Url>, Fault> {
        let Some(url) = text.map(return_url).transpose()? else { return Ok(None) };
        let Some(project) = caller.project() else { return Ok(Some(url)) };
        let known = return_origins::of_project(&self.inner.db, caller.team(), project).await;
        let known = known.map_err(faults::store)?;
        if known.is_empty() || known.contains(&url.origin().ascii_serialization()) {
            return Ok(Some(url));
        }
        Err(Fault::new(
            Code::InvalidRequest,
            format!(
                "returnUrl is not at an origin that the project has registered: {}.",
                url.origin().ascii_serialization()
            ),
        )
        .with("field", "returnUrl"))
    }
}

/// An origin as browsers write it: scheme, host and port, and nothing behind them.
fn origin(text: &str) -> Result<String, Fault> {
    let url = return_url(text)
        .ok()
        // Nobody reads a pattern here, and no host has such a name.
        .filter(|url| url.host_str().is_some_and(|host| !host.contains('*')))
        .filter(|url| matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none());
    url.map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
        Fault::new(
            Code::InvalidRequest,
            "origins holds origins: https://app.example.com, or http on localhost or 127.0.0.1, without a path.",
        )
        .with("field", "origins")
    })
}

const MOST_ORIGINS: usize = 50;
