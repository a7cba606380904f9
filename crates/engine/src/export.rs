//! Everything secret that a team has, for nobody but who holds the operator's recovery key.
//!
//! The secrets of connectors and what is held for grants go out encrypted to the recovery key that the operator named in
//! the configuration, and to no other: an owner who asks for them cannot read them, and neither can this server once they
//! are written. That they were asked for is on the record before the answer.

use std::collections::HashMap;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::grant::GrantState;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, SecretBytes, Subject, Time, kind};
use carnet_store::connectors::{self, ConnectorRow, Filter, Place, Sort};
use carnet_store::grants::GrantRow;
use carnet_store::{installations, projects, triggers};
use carnet_vault::Recipient;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::faults;
use crate::sealing::GrantSecret;

/// The secrets of a team.
#[derive(Debug)]
pub struct ExportedSecrets {
    /// The recovery key that opens them.
    pub recovery_key: String,
    /// An age file, armored.
    pub file: String,
    /// Connectors in it.
    pub connectors: usize,
    /// Grants in it.
    pub grants: usize,
}

/// What is inside.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    carnet_secrets: u32,
    /// `data` with its secrets, by UID.
    connectors: &'a Map<String, Value>,
    /// With what their providers sign events, where that was set beside `data`; by UID, the newest first.
    triggers: &'a Map<String, Value>,
    grants: Vec<HeldGrant<'a>>,
}

/// A grant, as it is imported: by names, because identifiers mean nothing elsewhere.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldGrant<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    environment: String,
    subject: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    installation_id: Option<&'a str>,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A grant that was opened, and the connector it is of.
struct Opened {
    connector: usize,
    row: GrantRow,
    secret: GrantSecret,
}

/// What identifiers are called.
#[derive(Default)]
struct Names {
    projects: HashMap<Id<kind::Project>, String>,
    environments: HashMap<Id<kind::CustomEnvironment>, String>,
    /// The provider's own names.
    installations: HashMap<Id<kind::Installation>, String>,
}

impl Broker {
    /// The secrets of the caller's team, encrypted to the operator's recovery key, which the caller names.
    pub async fn export_secrets(
        &self,
        caller: &Caller,
        recovery_key: &str,
        request: Id<kind::Request>,
    ) -> Result<ExportedSecrets, Fault> {
        let member = self.may(caller, Right::SecretsExport)?;
        let recipient = self.recovery_key(recovery_key)?;
        let team = member.team;
        let inner = &self.inner;
        inner.load_team_keys(team).await.map_err(faults::store)?;
        let rows = self.every_connector(team).await?;
        let mut names = self.names(team).await?;
        for row in &rows {
            let known =
                installations::list(&inner.db, team, row.connector.id).await.map_err(faults::store)?;
            names.installations.extend(known.into_iter().filter_map(|one| Some((one.id, one.external_id?))));
        }
        let mut data = Map::new();
        let signing = self.signing_secrets(team, &rows).await?;
        let mut opened = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let connector = &row.connector;
            let secrets = inner.open_connector(connector, &row.secrets).map_err(faults::internal)?;
            let mut whole = connector.data.clone();
            secrets.put_back(&mut whole, &Map::new());
            data.insert(connector.uid.to_string(), Value::Object(whole));
            for row in self.every_grant(team, connector.id).await? {
                if matches!(row.grant.state, GrantState::Withdrawn { .. }) {
                    continue;
                }
                let secret = inner.open_grant(&row.grant, &row.held).map_err(faults::internal)?;
                opened.push(Opened { connector: at, row, secret });
            }
        }
        let grants: Vec<HeldGrant<'_>> =
            opened.iter().filter_map(|one| one.told(rows.get(one.connector)?, &names)).collect();
        let count = grants.len();
        let contents = Contents { carnet_secrets: 1, connectors: &data, triggers: &signing, grants };
        let plain = SecretBytes::new(serde_json::to_vec(&contents).map_err(faults::internal)?);
        let file = recipient.encrypt(&inner.env, plain.expose()).map_err(faults::internal)?;
        let event = AuditEvent::of(caller, inner.env.now(), Action::SecretsExport, Some(request))
            .on(team)
            .with("recoveryKey", recipient.as_str())
            .with("connectors", rows.len())
            .with("grants", count);
        self.record(event).await?;
        Ok(ExportedSecrets {
            recovery_key: recipient.as_str().to_owned(),
            file,
            connectors: rows.len(),
            grants: count,
        })
    }

    /// The operator's recovery key, if it is the one that the caller expects.
    fn recovery_key(&self, expected: &str) -> Result<&Recipient, Fault> {
        let known = self.inner.settings.recovery_key.as_ref().ok_or_else(|| {
            Fault::new(
                Code::NotFound,
                "The operator of this server has named no recovery key, and secrets go out to nobody else.",
            )
            .next("carnet serve --recovery-key age1…", "with the public half of a key made by age-keygen")
        })?;
        if known.as_str() == expected {
            return Ok(known);
        }
        Err(Fault::new(
            Code::Forbidden,
            "This is not the recovery key that the operator of this server has named, and secrets go out to no other.",
        )
        .next(format!("carnet export --recovery-key {}", known.as_str()), "with the operator's key"))
    }

    async fn every_connector(&self, team: Id<kind::Team>) -> Result<Vec<ConnectorRow>, Fault> {
        let mut all: Vec<ConnectorRow> = Vec::new();
        loop {
            let sort = Sort::Created;
            let after = all.last().map(|row| Place::of(&row.connector, sort));
            let page = connectors::list(&self.inner.db, team, &Filter::default(), sort, after, PAGE)
                .await
                .map_err(faults::store)?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(0);
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// What was set at the triggers of these connectors.
    async fn signing_secrets(
        &self,
        team: Id<kind::Team>,
        rows: &[ConnectorRow],
    ) -> Result<Map<String, Value>, Fault> {
        let inner = &self.inner;
        let mut all = Map::new();
        let ids: Vec<_> = rows.iter().map(|row| row.connector.id).collect();
        for some in ids.chunks(usize::try_from(PAGE).unwrap_or(1)) {
            for setting in triggers::of_connectors(&inner.db, team, some).await.map_err(faults::store)? {
                let Some(row) = rows.iter().find(|row| row.connector.id == setting.connector) else {
                    continue;
                };
                let written = inner.written_signing(&setting, inner.env.now()).map_err(faults::internal)?;
                if written.as_array().is_some_and(|list| !list.is_empty()) {
                    all.insert(row.connector.uid.to_string(), written);
                }
            }
        }
        Ok(all)
    }

    async fn names(&self, team: Id<kind::Team>) -> Result<Names, Fault> {
        let db = &self.inner.db;
        let mut names = Names::default();
        let mut after = String::new();
        loop {
            let page = projects::list(db, team, &after, PAGE).await.map_err(faults::store)?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(0);
            for project in page {
                for own in projects::environments(db, team, project.id).await.map_err(faults::store)? {
                    names.environments.insert(own.id, own.slug.to_string());
                }
                after = project.name.to_string();
                names.projects.insert(project.id, project.name.to_string());
            }
            if last {
                return Ok(names);
            }
        }
    }
}

impl Opened {
    /// As it is imported. A grant that holds no token now, or is of nobody who can be named, is left out.
    fn told<'a>(&'a self, connector: &'a ConnectorRow, names: &'a Names) -> Option<HeldGrant<'a>> {
        let Self { row, secret, .. } = self;
        let (grant, place) = (&row.grant, &row.grant.place);
        let held = &secret.held;
        let access = match (held.key(), held.access()) {
            (Some(key), _) => key.expose().as_str(),
            (None, Some(access)) => access.token.expose().as_str(),
            (None, None) => return None,
        };
        let environment = match place.environment {
            Environment::Custom(id) => names.environments.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            built_in => built_in.to_string(),
        };
        Some(HeldGrant {
            uid: connector.connector.uid.as_str(),
            project: place.project.and_then(|id| names.projects.get(&id)).map(String::as_str),
            environment,
            subject: Subject::wire_of_key(&place.subject)?,
            installation_id: place
                .installation
                .and_then(|id| names.installations.get(&id))
                .map(String::as_str),
            access_token: access,
            expires_at: grant.access_expires_at,
            refresh_token: held.refresh().map(|token| token.expose().as_str()),
            refresh_token_expires_at: held.refresh_expires_at(),
            scopes: grant.scopes.as_ref().map(|scopes| scopes.iter().collect()),
            external_subject: grant.external_subject.as_deref(),
            name: secret.facts.name.as_deref(),
        })
    }
}

const PAGE: i64 = 500;
