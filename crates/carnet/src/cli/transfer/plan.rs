//! What an import would make, or the seed of a development server, whatever file it comes from.

use carnet_sdk::{ConsentRules, NewInstallation, ProjectUrl, RedirectUri};
use serde_json::{Map, Value, json};

use super::events::PlannedEvents;
use super::team::PlannedTeam;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::talk::plain;

/// Where things go whose file names no place of ours.
pub(crate) struct Home {
    /// The project's name.
    pub(crate) project: String,
    /// The environment of grants.
    pub(crate) environment: String,
}

/// Everything to be made.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) projects: Vec<PlannedProject>,
    pub(crate) connectors: Vec<PlannedConnector>,
    /// Trusted issuers as the API takes them, but for projects and environments, which are named.
    pub(crate) issuers: Vec<Value>,
    /// The team itself, where the source is one of ours.
    pub(crate) team: Option<PlannedTeam>,
    /// What the source does not give.
    pub(crate) notes: Vec<String>,
    /// Whether grants of other accounts that work may be replaced.
    pub(crate) replace: bool,
}

/// A project, by name, and its own environments.
#[derive(Default)]
pub(crate) struct PlannedProject {
    pub(crate) name: String,
    pub(crate) environments: Vec<String>,
    pub(crate) return_origins: Vec<String>,
    /// Where its environments are reached; environments are named.
    pub(crate) urls: Vec<ProjectUrl>,
    pub(crate) health_webhook: Option<String>,
    /// In which environments its workloads make connectors, by name, where the source says.
    pub(crate) provisioning: Option<Vec<String>>,
}

/// A connector with what belongs to it.
#[derive(Default)]
pub(crate) struct PlannedConnector {
    pub(crate) uid: String,
    pub(crate) service: String,
    pub(crate) name: String,
    /// None to leave the registration to the server.
    pub(crate) r#type: Option<String>,
    /// The type that a list named without the data: it holds once `--with` has given data.
    pub(crate) listed_type: Option<String>,
    pub(crate) data: Map<String, Value>,
    /// Projects by name, and in which environments they may ask; none for the three built-in ones.
    pub(crate) links: Vec<(String, Vec<String>)>,
    /// Where apps of a project, by name, have people sent back who sign in; environments are named.
    pub(crate) redirect_uris: Vec<(String, RedirectUri)>,
    pub(crate) installations: Vec<NewInstallation>,
    pub(crate) consent_rules: Option<ConsentRules>,
    /// The picture, as a `data:` URL.
    pub(crate) icon: Option<String>,
    /// `#RRGGBB`
    pub(crate) background_color: Option<String>,
    /// `#RRGGBB`
    pub(crate) accent_color: Option<String>,
    pub(crate) events: Option<PlannedEvents>,
    /// Tokens as `import-tokens` takes them, but for the project, which is named.
    pub(crate) tokens: Vec<PlannedToken>,
}

/// A token, and the name of the project whose users gave it.
pub(crate) struct PlannedToken {
    pub(crate) project: String,
    pub(crate) token: Map<String, Value>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.connectors.is_empty() && self.issuers.is_empty()
    }

    /// Adds members of `data` by UID.
    pub(crate) fn complete(&mut self, with: &Map<String, Value>) -> Result<(), Failure> {
        for (uid, members) in with {
            let Some(members) = members.as_object() else {
                return Err(Failure::usage(format!("--with has no object for {uid}.")));
            };
            let known: Vec<_> = self.connectors.iter().map(|connector| connector.uid.clone()).collect();
            let Some(connector) = self.connectors.iter_mut().find(|connector| connector.uid == *uid) else {
                return Err(Failure::usage(format!(
                    "--with names {uid}, which is not in the file: {}.",
                    known.join(", ")
                )));
            };
            connector.data.extend(members.clone());
            let listed = connector.listed_type.take();
            connector.r#type.get_or_insert_with(|| listed.unwrap_or_else(|| "oauth".to_owned()));
        }
        Ok(())
    }

    /// Says what it is.
    pub(crate) fn show(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if cx.talk.wants_json() {
            let connectors: Vec<Value> = self
                .connectors
                .iter()
                .map(|one| {
                    let links: Vec<_> = one
                        .links
                        .iter()
                        .map(|(project, environments)| json!({"project": project, "environments": environments}))
                        .collect();
                    json!({
                        "uid": one.uid, "service": one.service, "name": one.name, "type": one.r#type, "links": links,
                        // The names alone: the values are secrets, or next to some.
                        "data": one.data.keys().collect::<Vec<_>>(),
                        "installations": one.installations.len(), "redirectUris": one.redirect_uris.len(),
                        "tokens": one.tokens.len(), "triggers": one.events.as_ref().is_some_and(|events| events.enabled),
                    })
                })
                .collect();
            let projects: Vec<_> = self.projects.iter().map(|project| &project.name).collect();
            return cx.talk.document(&json!({
                "dryRun": true, "projects": projects, "connectors": connectors,
                "trustedIssuers": self.issuers.len(), "team": self.team.is_some(), "notes": self.notes,
            }));
        }
        for line in self.in_words() {
            cx.talk.answer(&plain(&line))?;
        }
        Ok(())
    }

    /// The same for people.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for project in &self.projects {
            lines.push(format!("project {}", project.name));
        }
        for one in &self.connectors {
            let kind = one.r#type.as_deref().unwrap_or("managed by the server");
            let links: Vec<_> = one.links.iter().map(|(project, _)| project.as_str()).collect();
            let links = if links.is_empty() { "no project".to_owned() } else { links.join(", ") };
            let tokens =
                if one.tokens.is_empty() { String::new() } else { format!(", {} grants", one.tokens.len()) };
            lines.push(format!("connector {} ({kind}) for {links}{tokens}", one.uid));
        }
        for issuer in &self.issuers {
            let name = issuer.get("issuer").and_then(Value::as_str).unwrap_or_default();
            lines.push(format!("trusted issuer {name}"));
        }
        lines.extend(self.team.as_ref().map(PlannedTeam::in_words));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

/// The members of an export's `data` that can be set: what a server found out by itself it finds out again. A client that
/// was registered for the connector, and not brought, is one of the other server. It is taken over where its secret was
/// `opened` and it does not prove itself by what stands at the other server's address; else one is registered anew, which
/// the second value says.
pub(crate) fn settable(data: &Map<String, Value>, opened: bool) -> (Map<String, Value>, bool) {
    let mut data = data.clone();
    let Some(registration) = data.remove("clientRegistration") else { return (data, false) };
    let text = |pointer: &str| registration.pointer(pointer).and_then(Value::as_str);
    let is_elsewhere = text("/method") == Some("document")
        || text("/metadata/token_endpoint_auth_method") == Some("private_key_jwt");
    // Another client that was set by hand makes the registration void.
    let is_about_it = data.get("clientId").and_then(Value::as_str) == text("/clientId");
    let anew = is_about_it && (is_elsewhere || !opened);
    if anew {
        data.remove("clientId");
        data.remove("clientSecret");
    }
    (data, anew)
}

/// What may follow the `/` of a UID, made of a name.
pub(crate) fn slug(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().map(word).collect();
    let slug = slug.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if slug.is_empty() { "imported".to_owned() } else { slug }
}
