//! A token request as it was asked, read against what the connector can do.

use std::fmt;
use std::time::Duration;

use carnet_model::caller::Caller;
use carnet_model::grant::{Cause, Place};
use carnet_model::{Code, Environment, Fault, Id, ScopeRequest, Subject, SubjectKind, kind};
use carnet_providers::{Abilities, Resources, TokenAbilities, is_resource};
use serde_json::Value;

use super::BUFFER;
use super::to_consent::ToConsent;
use super::user::installation_required;
use super::wanted::{Wanted, copy};
use crate::cache::{Parts, id_bytes};
use crate::directory::Entry;

/// A token request as it was asked.
#[derive(Clone, Default)]
pub struct TokenAsk {
    /// Identifier or UID.
    pub connector: String,
    /// The subject object; the caller's own user, or the application, if left out.
    pub subject: Option<Value>,
    /// Which installation.
    pub installation: Option<String>,
    /// Scope names; `["*"]` or nothing for the defaults.
    pub scopes: Option<Vec<String>>,
    /// RFC 8707.
    pub resources: Vec<String>,
    /// Audiences.
    pub audience: Vec<String>,
    /// RFC 9396.
    pub details: Vec<Value>,
    /// How much longer the token must live, in milliseconds.
    pub validity_buffer: Option<u64>,
}

impl fmt::Debug for TokenAsk {
    /// Without the subject, which may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAsk").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl TokenAsk {
    /// The subject. Left out, it is the caller's own user if there is one and the connector serves users; else the
    /// application.
    pub(crate) fn subject(&self, caller: &Caller, abilities: &Abilities) -> Result<Subject, Fault> {
        let own = caller.user().map(|user| user.to_string());
        let Some(value) = &self.subject else {
            return Ok(match own {
                Some(id)
                    if matches!(caller, Caller::Member(_))
                        && abilities.subjects.contains(&SubjectKind::User) =>
                {
                    Subject::User { id, issuer: None }
                }
                _ => Subject::App,
            });
        };
        Subject::parse(value, own.as_deref())
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "subject"))
    }

    /// Reads the rest of the request against what the connector can do.
    pub(crate) fn wanted(
        &self,
        caller: &Caller,
        entry: &Entry,
        subject: &Subject,
        subject_key: String,
    ) -> Result<Wanted, Fault> {
        let connector = &entry.row.connector;
        let abilities = match subject {
            Subject::App => entry.abilities.app.as_ref(),
            Subject::User { .. } => entry.abilities.user.as_ref(),
            Subject::JwtBearer { .. } => entry.abilities.asserted.as_ref(),
            Subject::Token { .. } => entry.abilities.exchanged.as_ref(),
        };
        let abilities = abilities.ok_or_else(|| unsupported(entry, subject))?;
        let scopes = ScopeRequest::parse(self.scopes.as_deref())
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "scopes"))?;
        let bounded = abilities.bounded && !abilities.scopes.is_empty();
        if let (true, ScopeRequest::Exactly(named)) = (bounded, &scopes) {
            let beyond = named.without(&abilities.scopes);
            if !beyond.is_empty() {
                return Err(Fault::new(
                    Code::InvalidScope,
                    format!("{} gives this kind of subject none of these scopes: {beyond}.", connector.uid),
                )
                .with("excess", beyond.iter().map(str::to_owned).collect::<Vec<_>>()));
            }
        }
        self.check_targets(connector.uid.as_str(), abilities)?;
        let installation = self.installation(entry, abilities)?;
        let place = if abilities.left_by_installation {
            installation_place(caller.team(), connector.id, installation)
        } else {
            Place {
                team: caller.team(),
                connector: connector.id,
                project: caller.project(),
                environment: caller.environment(),
                subject: subject_key,
                installation,
            }
        };
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list.dedup();
            list
        };
        let (resources, audience) = (sorted(&self.resources), sorted(&self.audience));
        let details: Vec<String> = self.details.iter().map(ToString::to_string).collect();
        let key = Parts::new("token-ask/1")
            .add(place.team.bytes())
            .add(place.connector.bytes())
            .add(&connector.version.to_be_bytes())
            .maybe(id_bytes(place.project.as_ref()))
            .add(place.environment.to_string().as_bytes())
            .add(place.subject.as_bytes())
            .maybe(id_bytes(installation.as_ref()))
            .maybe(match &scopes {
                ScopeRequest::Defaults => Some(b"*".as_slice()),
                ScopeRequest::Unscoped => None,
                ScopeRequest::Exactly(_) => Some(b"=".as_slice()),
            })
            .list(match &scopes {
                ScopeRequest::Exactly(scopes) => scopes.iter().collect::<Vec<_>>().into_iter(),
                _ => Vec::new().into_iter(),
            })
            .list(resources.iter().map(String::as_str))
            .list(audience.iter().map(String::as_str))
            .list(details.iter().map(String::as_str))
            .finish();
        Ok(Wanted {
            subject: copy(subject),
            place,
            installation,
            scopes,
            defaults: abilities.scopes.clone(),
            bounded,
            adds_scopes: entry.adds_scopes,
            to_consent: ToConsent::of(entry, abilities, &resources, &audience, &self.details),
            resources,
            audience,
            details: self.details.clone(),
            buffer: self.validity_buffer.map_or(BUFFER, |ms| Duration::from_millis(ms.min(DAY_MS))),
            key,
        })
    }

    /// Refuses what the connector could not honour, instead of leaving it out.
    fn check_targets(&self, connector: &str, abilities: &TokenAbilities) -> Result<(), Fault> {
        let unfit = |field: &str, why: &str| {
            Err(Fault::new(Code::InvalidRequest, format!("{field} {why}.")).with("field", field))
        };
        for (field, count) in [
            ("resources", self.resources.len()),
            ("audience", self.audience.len()),
            ("authorizationDetails", self.details.len()),
        ] {
            if count > 20 {
                return unfit(field, "has at most 20 entries");
            }
        }
        if !self.resources.iter().all(|text| is_resource(text)) {
            return unfit(
                "resources",
                "holds absolute URIs of at most 2048 characters, without a fragment (RFC 8707 §2)",
            );
        }
        let odd = |text: &String| {
            text.is_empty() || text.len() > 2048 || text.chars().any(|c| c.is_control() || c == ' ')
        };
        if self.audience.iter().any(odd) {
            return unfit("audience", "holds texts of 1 to 2048 characters without spaces");
        }
        let is_typed =
            |detail: &Value| detail.get("type").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
        if !self.details.iter().all(is_typed) {
            return Err(Fault::new(
                Code::InvalidRequest,
                "Each of authorizationDetails has a type, which is a text (RFC 9396 §2).",
            )
            .with("field", "authorizationDetails"));
        }
        let details_unknown = self.details.iter().any(|detail| {
            let kind = detail.get("type").and_then(Value::as_str);
            kind.is_none_or(|kind| !abilities.details.iter().any(|known| known == kind))
        });
        if details_unknown {
            let fault = Fault::new(
                Code::InvalidTarget,
                format!(
                    "{connector} does not know this type of authorization detail, and would give more than asked."
                ),
            );
            return Err(fault.with("supported", abilities.details.clone()));
        }
        match (abilities.resources.foreign(&self.resources), &abilities.resources) {
            (None, _) => Ok(()),
            // Never asked of the provider: it may know this resource too, or spend a refresh token to say no.
            (Some(foreign), Resources::Only(own)) => Err(Fault::new(
                Code::InvalidTarget,
                format!(
                    "{connector} is for {own}; it gives no token for {:?}.",
                    foreign.chars().take(200).collect::<String>()
                ),
            )
            .next("carnet create <URL>", "to register a connector for the other resource")),
            (Some(_), _) => Err(Fault::new(
                Code::InvalidTarget,
                format!("{connector} cannot bind a token to a resource, and would give more than asked."),
            )),
        }
    }

    pub(crate) fn installation(
        &self,
        entry: &Entry,
        abilities: &TokenAbilities,
    ) -> Result<Option<Id<kind::Installation>>, Fault> {
        let connector = &entry.row.connector;
        let install = |fault: Fault| {
            fault.next(
                format!("carnet token {} --subject app --yes", connector.uid),
                "to install it, in a browser",
            )
        };
        if entry.abilities.installation && !abilities.per_installation {
            return match self.installation.as_deref() {
                None => Ok(None),
                Some("*") if abilities.cross_installation => Ok(None),
                Some(_) => Err(Fault::new(
                    Code::InvalidRequest,
                    format!(
                        "A token of {} for this kind of subject is not bound to an installation; ask without one.",
                        connector.uid
                    ),
                )
                .with("field", "installationId")),
            };
        }
        // A detail that names a tenant is about the installation there, and says so even where none is named.
        let tenant = entry.driver().tenant_in(&self.details);
        let Some(name) = self.installation.as_deref() else {
            if let Some(tenant) = tenant {
                return entry.installation_at(tenant).map(Some).ok_or_else(|| {
                    if entry.was_installed_at(tenant) {
                        return installation_required(entry, Some(Cause::ClientChanged));
                    }
                    install(Fault::new(
                        Code::InstallationRequired,
                        format!(
                            "{} is not installed at {:?}.",
                            connector.uid,
                            tenant.chars().take(64).collect::<String>()
                        ),
                    ))
                });
            }
            if entry.abilities.installation && connector.default_installation.is_none() {
                if !entry.ended.is_empty() {
                    return Err(installation_required(entry, Some(Cause::ClientChanged)));
                }
                return Err(install(Fault::new(
                    Code::InstallationRequired,
                    format!("{} is not installed at any tenant of the provider yet.", connector.uid),
                )));
            }
            return Ok(connector.default_installation);
        };
        if name == "*" {
            return if abilities.cross_installation {
                Ok(None)
            } else {
                Err(Fault::new(
                    Code::InvalidRequest,
                    format!("{} has no token that reaches every installation; name one.", connector.uid),
                )
                .with("field", "installationId"))
            };
        }
        entry.installation(name).map(Some).ok_or_else(|| {
            if entry.ended_installation(name).is_some() {
                return installation_required(entry, Some(Cause::ClientChanged));
            }
            Fault::new(
                Code::InstallationRequired,
                format!(
                    "{} has no installation {:?}.",
                    connector.uid,
                    name.chars().take(64).collect::<String>()
                ),
            )
            .next(format!("carnet installations list {}", connector.uid), "to see which it has")
        })
    }
}

/// Where the grant of an installation is kept: the installation has one, for every project and environment that may ask.
pub(crate) fn installation_place(
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    installation: Option<Id<kind::Installation>>,
) -> Place {
    Place {
        team,
        connector,
        project: None,
        environment: Environment::Production,
        subject: Subject::App.key().unwrap_or_default(),
        installation,
    }
}

/// The connector makes no tokens for this kind of subject.
pub(crate) fn unsupported(entry: &Entry, subject: &Subject) -> Fault {
    let kinds: Vec<&str> = entry.abilities.subjects.iter().map(|kind| kind.as_str()).collect();
    Fault::new(
        Code::UnresolvedToken,
        format!(
            "{} does not make tokens for the subject {}; it makes them for: {}.",
            entry.row.connector.uid,
            subject.kind().as_str(),
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
        ),
    )
    .with("supportedSubjectTypes", kinds)
}

/// The environment in words, for faults.
pub(crate) fn in_environment(environment: Environment) -> String {
    match environment {
        Environment::Custom(id) => format!("the custom environment {id}"),
        built_in => format!("{built_in}"),
    }
}

/// No token is asked to live longer than a day more.
const DAY_MS: u64 = 24 * 3600 * 1000;
