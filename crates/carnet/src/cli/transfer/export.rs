//! `export`: the team's settings and members, projects, trusted issuers, connectors with links, installations, rules,
//! pictures and what becomes of their events, and whose grants there are. No secret in the clear: the server reads none
//! back to anybody, and with `--recovery-key` encrypts them to the operator's recovery key. Without it, safe to keep in a
//! repository.

use std::collections::BTreeMap;

use carnet_model::Environment;
use carnet_sdk::{Client, Connector, CustomEnvironment};
use serde_json::{Map, Value, json};

use super::{events, settings, team};
use crate::cli::args::ExportAllArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::folder::replace;
use crate::cli::grants::every_connector;

/// What is written by identifier, by its name.
pub(super) struct Names {
    projects: BTreeMap<String, String>,
    environments: BTreeMap<String, String>,
}

/// Writes it.
pub(crate) async fn export(cx: &mut Context<'_>, args: ExportAllArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let mut names = Names { projects: BTreeMap::new(), environments: BTreeMap::new() };
    let mut projects = Vec::new();
    for project in client.every_project().await? {
        projects.push(settings::of_project(&client, &project, &mut names).await?);
    }
    let team = team::written(cx, &client, &names).await?;
    let mut issuers: Vec<Value> =
        client.trusted_issuers().await?.iter().map(|issuer| names.in_issuer(issuer)).collect();
    // In one order whenever it is written, so that two exports differ where the teams do.
    issuers.sort_by_cached_key(Value::to_string);
    let mut found = every_connector(&client).await?;
    found.sort_by(|one, other| one.uid.cmp(&other.uid));
    let mut connectors = Vec::with_capacity(found.len());
    for (at, connector) in found.iter().enumerate() {
        cx.talk.progress(&format!("{} of {} connectors", at + 1, found.len()));
        connectors.push(of_connector(&client, connector, &names).await?);
    }
    cx.talk.progress("");
    let (many_connectors, many_projects) = (connectors.len(), projects.len());
    let secrets = match &args.recovery_key {
        Some(key) => Some(client.export_secrets(key).await?),
        None => None,
    };
    let mut document = json!({
        "carnetExport": 1,
        "exportedAt": cx.now(),
        "server": client.url().origin().ascii_serialization(),
        "team": team,
        "projects": projects,
        "trustedIssuers": issuers,
        "connectors": connectors,
    });
    if let (Some(secrets), Some(document)) = (&secrets, document.as_object_mut()) {
        document.insert("recoveryKey".to_owned(), secrets.recovery_key.clone().into());
        document.insert("secrets".to_owned(), secrets.file.clone().into());
    }
    let Some(output) = &args.output else { return cx.talk.document(&document) };
    let path = cx.place.folder.join(output);
    let mut text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new("internal", "The export cannot be written as JSON.").because(&error))?;
    text.push('\n');
    replace(&path, text.as_bytes(), 0o600).map_err(|error| {
        Failure::new("file_failed", format!("{} cannot be written.", output.display()))
            .because(&error)
            .next("carnet export --output FILE", "to write another file")
    })?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "file": path.to_string_lossy(), "projects": many_projects, "connectors": many_connectors, "trustedIssuers": issuers.len(),
        }));
    }
    cx.talk.success(&format!(
        "{many_connectors} connectors and {many_projects} projects written to {}",
        output.display()
    ));
    cx.talk.say(match secrets {
        None => "  It holds no secret. Take it over elsewhere: carnet import --from carnet FILE",
        Some(_) => {
            "  Its secrets are for the recovery key: jq -r .secrets FILE | age --decrypt -i KEY > SECRETS"
        }
    });
    Ok(())
}

async fn of_connector(client: &Client, connector: &Connector, names: &Names) -> Result<Value, Failure> {
    let id = connector.id.to_string();
    let mut links = Vec::new();
    for link in client.links(&id).await? {
        let Some(project) = names.projects.get(&link.project_id.to_string()) else { continue };
        let environments: Vec<_> = link.environments.iter().map(|one| names.environment(*one)).collect();
        let mut told = json!({"project": project, "environments": environments});
        let mut uris = client.redirect_uris(&id, link.project_id).await?;
        for uri in &mut uris {
            uri.environment = names.place(&uri.environment);
        }
        uris.sort();
        if let (false, Some(told)) = (uris.is_empty(), told.as_object_mut()) {
            told.insert("redirectUris".to_owned(), json!(uris));
        }
        links.push((project, told));
    }
    links.sort_by_key(|(one, _)| *one);
    let links: Vec<Value> = links.into_iter().map(|(_, told)| told).collect();
    let default = connector.rest.get("defaultInstallationId").and_then(Value::as_str);
    let installations: Vec<Value> = client
        .installations(&id)
        .await?
        .iter()
        .map(|one| {
            json!({"externalId": one.external_id, "tenantId": one.tenant_id, "name": one.name,
                "default": default == Some(one.id.to_string().as_str())})
        })
        .collect();
    let grants: Vec<Value> = client
        .grants(&id)
        .await?
        .iter()
        .map(|grant| {
            let text = |name: &str| grant.rest.get(name).and_then(Value::as_str);
            let environment = text("environment").unwrap_or_default();
            json!({
                "subject": grant.subject, "state": grant.state, "cause": grant.cause,
                "environment": names.environments.get(environment).map_or(environment, String::as_str),
                "project": text("projectId").and_then(|id| names.projects.get(id)),
                "scopes": grant.rest.get("scopes"), "externalSubject": text("externalSubject"),
            })
        })
        .collect();
    let rest = |name: &str| connector.rest.get(name).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "uid": connector.uid,
        "service": connector.service,
        "name": connector.name,
        "type": connector.driver(),
        // Of the operator's application: where it is taken over, it is made from the one that is there.
        "managed": rest("creationMode") == "managed",
        "data": rest("data"),
        "icon": settings::icon(client, connector).await?,
        "backgroundColor": rest("backgroundColor"),
        "accentColor": rest("accentColor"),
        "consentRules": client.consent_rules(&id).await?,
        "triggers": events::written(client, connector, names).await?,
        "links": links,
        "installations": installations,
        "grants": grants,
    }))
}

impl Names {
    /// What a project and its own environments are called.
    pub(super) fn learn(&mut self, id: &str, name: &str, own: Vec<CustomEnvironment>) {
        self.projects.insert(id.to_owned(), name.to_owned());
        self.environments.extend(own.into_iter().map(|one| (one.id.to_string(), one.slug)));
    }

    pub(super) fn project(&self, id: &str) -> Option<String> {
        self.projects.get(id).cloned()
    }

    /// An environment by its name: a built-in one is called what it is identified by.
    pub(super) fn place(&self, environment: &str) -> String {
        self.environments.get(environment).cloned().unwrap_or_else(|| environment.to_owned())
    }

    fn environment(&self, environment: Environment) -> String {
        self.place(&environment.to_string())
    }

    /// An issuer whose rules name projects and environments by their names: identifiers mean nothing elsewhere.
    fn in_issuer(&self, issuer: &carnet_sdk::TrustedIssuer) -> Value {
        let mut out: Map<String, Value> = issuer.rest.clone();
        out.insert("issuer".to_owned(), issuer.issuer.clone().into());
        for name in ["createdAt", "updatedAt"] {
            out.remove(name);
        }
        let rules = out.get_mut("rules").and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            for (member, names) in [("project", &self.projects), ("environment", &self.environments)] {
                let name = rule.get(member).and_then(Value::as_str).and_then(|id| names.get(id)).cloned();
                if let Some(name) = name {
                    rule.insert(member.to_owned(), name.into());
                }
            }
        }
        Value::Object(out)
    }
}
