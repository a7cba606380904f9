//! The files of a seed: their shape, and how they become one plan.
//!
//! A member that is not known is refused by name and line, so that a word that is misspelt is not one that is missing.

use carnet_model::Uid;
use carnet_sdk::{ConsentRules, NewInstallation, ProjectUrl, RedirectUri};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::lines::Text;
use super::{At, DEMO, Seed, wrong};
use crate::cli::failure::Failure;
use crate::cli::transfer::events::PlannedEvents;
use crate::cli::transfer::plan::{PlannedConnector, PlannedProject, settable};

/// A file. What an export has besides is known and not used.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct Document {
    carnet_export: Option<u64>,
    #[serde(rename = "exportedAt")]
    _exported_at: Option<IgnoredAny>,
    #[serde(rename = "server")]
    _server: Option<IgnoredAny>,
    #[serde(rename = "recoveryKey")]
    _recovery_key: Option<IgnoredAny>,
    #[serde(rename = "secrets")]
    _secrets: Option<IgnoredAny>,
    /// A development server has a team and a person of its own.
    #[serde(rename = "team")]
    _team: Option<IgnoredAny>,
    projects: Vec<ProjectSource>,
    trusted_issuers: Vec<Map<String, Value>>,
    connectors: Vec<ConnectorSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ProjectSource {
    name: String,
    #[serde(default)]
    environments: Vec<String>,
    #[serde(default)]
    return_origins: Vec<String>,
    #[serde(default)]
    urls: Vec<ProjectUrl>,
    health_webhook: Option<String>,
    provisioning: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConnectorSource {
    uid: String,
    service: Option<String>,
    name: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    managed: bool,
    data: Option<Map<String, Value>>,
    icon: Option<String>,
    background_color: Option<String>,
    accent_color: Option<String>,
    triggers: Option<PlannedEvents>,
    consent_rules: Option<ConsentRules>,
    links: Option<Vec<LinkSource>>,
    #[serde(default)]
    installations: Vec<InstallationSource>,
    #[serde(default)]
    grants: Vec<GrantSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LinkSource {
    project: Option<String>,
    #[serde(default)]
    environments: Vec<String>,
    #[serde(default)]
    redirect_uris: Vec<RedirectUri>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct InstallationSource {
    external_id: Option<String>,
    tenant_id: Option<String>,
    name: Option<String>,
    default: Option<bool>,
}

/// What a user gave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct GrantSource {
    pub(super) subject: SubjectSource,
    state: Option<String>,
    #[serde(rename = "cause")]
    _cause: Option<IgnoredAny>,
    pub(super) environment: Option<String>,
    pub(super) project: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) external_subject: Option<String>,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_at: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectSource {
    r#type: String,
    pub(super) id: String,
    pub(super) issuer: Option<String>,
}

impl GrantSource {
    /// Whether an export says how it stood.
    pub(super) fn is_exported(&self) -> bool {
        self.state.is_some()
    }
}

impl SubjectSource {
    /// As the API takes it.
    pub(super) fn shown(&self) -> Value {
        match &self.issuer {
            Some(issuer) => json!({"type": self.r#type, "id": self.id, "issuer": issuer}),
            None => json!({"type": self.r#type, "id": self.id}),
        }
    }
}

impl Seed {
    /// Adds a file.
    pub(super) fn add(&mut self, text: Text) -> Result<(), Failure> {
        let file = self.texts.len();
        let document = text.read()?;
        if document.carnet_export.is_some_and(|version| version != 1) {
            let why = wrong("This is an export of a later version, and this reads version 1.");
            return Err(text.told("carnetExport", why));
        }
        let at = |member: String| At { file, member };
        for (number, project) in document.projects.into_iter().enumerate() {
            self.add_project(at(format!("projects.{number}")), project);
        }
        for (number, issuer) in document.trusted_issuers.into_iter().enumerate() {
            self.issuers.push(at(format!("trustedIssuers.{number}")));
            self.plan.issuers.push(issuer.into());
        }
        for (number, connector) in document.connectors.into_iter().enumerate() {
            let member = format!("connectors.{number}");
            let added = self.add_connector(&at(member.clone()), connector);
            added.map_err(|(below, failure)| text.told(&format!("{member}{below}"), failure))?;
        }
        self.texts.push(text);
        Ok(())
    }

    fn add_project(&mut self, at: At, source: ProjectSource) {
        if let Some(known) = self.plan.projects.iter_mut().find(|known| known.name == source.name) {
            known.environments.extend(source.environments);
            known.return_origins.extend(source.return_origins);
            known.urls.extend(source.urls);
            known.health_webhook = source.health_webhook.or(known.health_webhook.take());
            known.provisioning = source.provisioning.or(known.provisioning.take());
            return;
        }
        self.projects.push(at);
        self.plan.projects.push(PlannedProject {
            name: source.name,
            environments: source.environments,
            return_origins: source.return_origins,
            urls: source.urls,
            health_webhook: source.health_webhook,
            provisioning: source.provisioning,
        });
    }

    /// Adds a connector, or what is said about one that a file before has; what is wrong with it, and where in it.
    fn add_connector(&mut self, at: &At, source: ConnectorSource) -> Result<(), (String, Failure)> {
        let uid = Uid::parse(&source.uid)
            .map_err(|error| (".uid".to_owned(), wrong(format!("{:?} is no UID: {error}.", source.uid))))?;
        for (number, grant) in source.grants.iter().enumerate() {
            if grant.subject.r#type != "user" {
                let why = format!("A grant is of a user, and not of {:?}.", grant.subject.r#type);
                return Err((format!(".grants.{number}.subject"), wrong(why)));
            }
        }
        let (service, name) = uid.as_str().rsplit_once('/').unwrap_or((uid.as_str(), uid.as_str()));
        let service = source.service.unwrap_or_else(|| service.to_owned());
        // The demo provider is the one that runs here, whatever an export says of another one.
        let is_demo = service == DEMO;
        let is_own = !is_demo && !source.managed;
        let data = source.data.map(|data| settable(&data, false).0).filter(|_| is_own);
        let r#type = source.r#type.filter(|_| is_own);
        let mut redirect_uris = Vec::new();
        let links = source.links.map(|links| {
            let one = |link: LinkSource| {
                // The project of the folder has no name yet.
                let project = link.project.unwrap_or_default();
                redirect_uris.extend(link.redirect_uris.into_iter().map(|uri| (project.clone(), uri)));
                (project, link.environments)
            };
            links.into_iter().map(one).collect::<Vec<_>>()
        });
        let installations = source.installations.into_iter().map(|one| NewInstallation {
            external_id: one.external_id,
            tenant_id: one.tenant_id,
            name: one.name,
            default: one.default,
        });
        let grants = source.grants.into_iter().enumerate();
        let grants = grants.map(|(number, grant)| {
            (At { file: at.file, member: format!("{}.grants.{number}", at.member) }, grant)
        });
        let known = self.plan.connectors.iter().position(|known| known.uid == uid.as_str());
        let known = known.and_then(|n| self.plan.connectors.get_mut(n).zip(self.grants.get_mut(n)));
        if let Some((known, known_grants)) = known {
            known.r#type = r#type.or(known.r#type.take());
            known.data.extend(data.unwrap_or_default());
            known.links.extend(links.unwrap_or_default());
            known.redirect_uris.extend(redirect_uris);
            known.installations.extend(installations);
            known.consent_rules = source.consent_rules.or(known.consent_rules);
            known.icon = source.icon.or(known.icon.take());
            known.background_color = source.background_color.or(known.background_color.take());
            known.accent_color = source.accent_color.or(known.accent_color.take());
            known.events = source.triggers.or(known.events.take());
            known_grants.extend(grants);
            return Ok(());
        }
        self.connectors.push(at.clone());
        self.grants.push(grants.collect());
        self.plan.connectors.push(PlannedConnector {
            r#type: r#type.or_else(|| data.is_some().then(|| "oauth".to_owned())),
            listed_type: None,
            name: source.name.unwrap_or_else(|| name.to_owned()),
            uid: source.uid,
            service,
            data: data.unwrap_or_default(),
            links: links.unwrap_or_else(|| vec![(String::new(), Vec::new())]),
            redirect_uris,
            installations: installations.collect(),
            consent_rules: source.consent_rules,
            icon: source.icon,
            background_color: source.background_color,
            accent_color: source.accent_color,
            events: source.triggers,
            tokens: Vec::new(),
        });
        Ok(())
    }
}
