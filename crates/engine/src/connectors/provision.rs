//! Connectors that a workload makes for itself: to a server that speaks OAuth, as the official client asks for when its
//! first token request finds none.
//!
//! An owner says in which environments a project may do so; where nobody has said, in development only. What comes of
//! it is a connector that is linked to the caller's project in the caller's environment, and nowhere else. A workload
//! never links itself to what a person made: that would hand it whatever the person's connector can do.

use carnet_model::access::Denied;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Principal, Workload};
use carnet_model::connector::ConnectorType;
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Environment, Fault, Id, Uid, kind};
use carnet_store::{Write, connectors, links, provisioning};
use serde_json::Value;

use super::{ConnectorView, NewConnectorAsk, view};
use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// Makes the connector of this UID to this server, or links one that another workload made. The connector, and
    /// whether it is new.
    pub async fn provision_connector(
        &self,
        caller: &Caller,
        server_url: &str,
        uid: &str,
        request: Id<kind::Request>,
    ) -> Result<(ConnectorView, bool), Fault> {
        let Caller::Workload(workload) = caller else {
            return Err(Fault::new(
                Code::Forbidden,
                "This is for workloads. A person makes a connector with its name and configuration.",
            )
            .next("carnet create SERVICE", "to make one"));
        };
        let uid = Uid::parse(uid).map_err(|error| invalid("uid", format!("{error}.")))?;
        if !server_url.starts_with("https://") && !server_url.starts_with("http://") {
            return Err(invalid("serverUrl", "serverUrl is the address of the server.".to_owned()));
        }
        self.may_provision(workload).await?;
        let reference = ConnectorRef::Uid(uid.clone());
        let found =
            connectors::find(&self.inner.db, workload.team, &reference).await.map_err(faults::store)?;
        if let Some(row) = found {
            return Ok((
                self.link_provisioned(caller, workload, view(row.connector), server_url, request).await?,
                false,
            ));
        }
        let ask = NewConnectorAsk {
            service: server_url.to_owned(),
            name: Some(uid.as_str().chars().take(100).collect()),
            uid: Some(uid.to_string()),
            project: Some(workload.project.to_string()),
            environments: Some(vec![workload.environment.to_string()]),
            ..NewConnectorAsk::default()
        };
        let (broker, caller) = (self.clone(), caller.clone());
        let work = self.track(async move { broker.make_connector(&caller, ask, request).await });
        Ok((work.await.map_err(faults::internal)??, true))
    }

    async fn may_provision(&self, workload: &Workload) -> Result<(), Fault> {
        let said = provisioning::of_project(&self.inner.db, workload.team, workload.project).await;
        let allowed = match said.map_err(faults::store)? {
            Some(said) => said,
            // Members make none there, so neither does what a member runs.
            None if self.team(workload.team).await?.strict_connectors => Vec::new(),
            None => unsaid(),
        };
        if allowed.contains(&workload.environment) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!(
                "Project OIDC connector provisioning is not allowed: workloads of this project make no connectors in {}.",
                workload.environment
            ),
        )
        .next(
            format!("curl -X PUT {}/v1/projects/{}/provisioning", self.inner.settings.base(), workload.project),
            "as a member of the team, with the environments in which they may",
        ))
    }

    /// A connector of this UID is there already.
    async fn link_provisioned(
        &self,
        caller: &Caller,
        workload: &Workload,
        found: ConnectorView,
        server_url: &str,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let connector = &found.connector;
        if connector.r#type != ConnectorType::Oauth {
            // The words "not an OAuth connector" are read by an official client.
            return Err(Fault::new(Code::Conflict, format!("{} is not an OAuth connector.", connector.uid))
                .with("field", "uid"));
        }
        let inner = &self.inner;
        let link = links::find(&inner.db, workload.team, connector.id, workload.project).await;
        let link = link.map_err(faults::store)?;
        let mut environments = link.map(|link| link.environments).unwrap_or_default();
        if environments.contains(&workload.environment) {
            return Ok(found);
        }
        let same_server = connector.data.get("serverUrl").and_then(Value::as_str) == Some(server_url);
        if !same_server || !matches!(connector.created_by, Principal::Project { .. }) {
            return Err(faults::denied(Denied::NotLinked, connector.uid.as_str(), caller, &environments));
        }
        environments.push(workload.environment);
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::LinkPut, Some(request))
            .on(connector.id)
            .with("project", workload.project.to_string())
            .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
        let write = Write::new()
            .step(links::put(workload.team, connector.id, workload.project, &environments, now))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(found)
    }

    /// In which environments the workloads of a project may make connectors.
    pub async fn provisioning(&self, caller: &Caller, project: &str) -> Result<Vec<Environment>, Fault> {
        let member = self.may(caller, Right::ProjectRead)?;
        let project = self.find_project(caller, project).await?;
        let said = provisioning::of_project(&self.inner.db, member.team, project.id).await;
        Ok(said.map_err(faults::store)?.unwrap_or_else(unsaid))
    }

    /// Says in which environments they may; none for nowhere.
    pub async fn set_provisioning(
        &self,
        caller: &Caller,
        project: &str,
        names: &[String],
        request: Id<kind::Request>,
    ) -> Result<Vec<Environment>, Fault> {
        let member = self.may(caller, Right::ProvisioningUpdate)?;
        let project = self.find_project(caller, project).await?;
        let environments = match names {
            [] => Vec::new(),
            names => self.environments_of(caller, project.id, names).await?,
        };
        let inner = &self.inner;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::ProvisioningPut, Some(request))
            .on(project.id)
            .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
        let write = Write::new()
            .step(provisioning::put(member.team, project.id, &environments, now))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(environments)
    }
}

/// A development identity was given to a member of the team, who may make connectors anyway.
fn unsaid() -> Vec<Environment> {
    vec![Environment::Development]
}

fn invalid(field: &str, why: String) -> Fault {
    Fault::new(Code::InvalidRequest, why).with("field", field)
}
