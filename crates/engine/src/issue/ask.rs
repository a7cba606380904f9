//! A token request: as it was asked, and as it is meant.

use std::fmt;
use std::time::Duration;

use carnet_model::audit::AuditEvent;
use carnet_model::caller::Caller;
use carnet_model::grant::Place;
use carnet_model::{Code, Environment, Fault, Id, ScopeRequest, Scopes, Subject, SubjectKind, kind};
use carnet_providers::{Abilities, TokenAbilities};
use serde_json::{Value, json};

use super::BUFFER;
use crate::cache::{AskKey, Parts, id_bytes};
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

/// A token request as it is meant, after the decision.
pub(crate) struct Wanted {
    pub(crate) subject: Subject,
    pub(crate) place: Place,
    pub(crate) installation: Option<Id<kind::Installation>>,
    pub(crate) scopes: ScopeRequest,
    /// The connector's default scopes for this kind of subject.
    pub(crate) defaults: Scopes,
    /// Whether nobody gets more than these.
    pub(crate) bounded: bool,
    pub(crate) resources: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) details: Vec<Value>,
    pub(crate) buffer: Duration,
    pub(crate) key: AskKey,
}

/// What must be done so that a grant gives what is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Hand out the grant's own token.
    AsGranted,
    /// Have one made with just these scopes.
    Narrow(Scopes),
    /// These scopes were never granted.
    Missing(Scopes),
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
            resources,
            audience,
            details: self.details.clone(),
            buffer: self.validity_buffer.map_or(BUFFER, |ms| Duration::from_millis(ms.min(DAY_MS))),
            key,
        })
    }

    /// Refuses what the connector could not honour, instead of leaving it out.
    fn check_targets(&self, connector: &str, abilities: &TokenAbilities) -> Result<(), Fault> {
        let too_many = self.resources.len() > 20 || self.audience.len() > 20 || self.details.len() > 20;
        let odd = |text: &String| {
            text.is_empty() || text.len() > 2048 || text.chars().any(|c| c.is_control() || c == ' ')
        };
        if too_many || self.resources.iter().chain(&self.audience).any(odd) {
            return Err(Fault::new(
                Code::InvalidRequest,
                "resources, audience and authorizationDetails have at most 20 entries; a resource or audience has 1 to \
                 2048 characters without spaces.",
            ));
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
        if !self.resources.is_empty() && !abilities.resources {
            return Err(Fault::new(
                Code::InvalidTarget,
                format!("{connector} cannot bind a token to a resource, and would give more than asked."),
            ));
        }
        Ok(())
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
            Fault::new(
                Code::InstallationRequired,
                format!(
                    "{} has no installation {:?}.",
                    connector.uid,
                    name.chars().take(64).collect::<String>()
                ),
            )
        })
    }
}

impl Wanted {
    /// What a grant with these scopes needs for what is wanted.
    ///
    /// The defaults mean what was granted of them: a person may have left some out, and asking again would ask for
    /// ever; and whatever the provider calls what it gave, if no more than the defaults was asked for at consent. Named
    /// scopes mean exactly those. Neither ever gives more than was asked for.
    pub(crate) fn plan(&self, granted: Option<&Scopes>, at_consent: Option<&Scopes>) -> Plan {
        let targets = !self.resources.is_empty() || !self.audience.is_empty() || !self.details.is_empty();
        let Some(granted) = granted else {
            return match &self.scopes {
                // The provider never says what it gave: only what was asked for is known, and that was the defaults.
                ScopeRequest::Exactly(scopes) => Plan::Narrow(scopes.clone()),
                _ if targets => Plan::Narrow(Scopes::empty()),
                _ => Plan::AsGranted,
            };
        };
        let powers = granted.without(&ambient());
        let asked = match &self.scopes {
            ScopeRequest::Unscoped => {
                return if targets { Plan::Narrow(Scopes::empty()) } else { Plan::AsGranted };
            }
            ScopeRequest::Defaults if self.defaults.is_empty() => {
                return if targets { Plan::Narrow(Scopes::empty()) } else { Plan::AsGranted };
            }
            ScopeRequest::Defaults => {
                let no_more =
                    at_consent.is_some_and(|then| then.without(&ambient()).is_within(&self.defaults));
                if no_more && !targets {
                    return Plan::AsGranted;
                }
                self.defaults.both(granted)
            }
            ScopeRequest::Exactly(scopes) => {
                let missing = scopes.without(granted);
                if !missing.is_empty() {
                    return Plan::Missing(missing);
                }
                scopes.clone()
            }
        };
        if powers.is_within(&asked) && !targets { Plan::AsGranted } else { Plan::Narrow(asked) }
    }

    /// The scopes to ask a provider for, where no grant says which there are; `None` to name none.
    pub(crate) fn sent_scopes(&self) -> Option<Scopes> {
        match &self.scopes {
            ScopeRequest::Defaults => Some(self.defaults.clone()).filter(|defaults| !defaults.is_empty()),
            ScopeRequest::Unscoped => None,
            ScopeRequest::Exactly(scopes) => Some(scopes.clone()),
        }
    }

    /// The same request once more.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            subject: copy(&self.subject),
            place: self.place.clone(),
            installation: self.installation,
            scopes: self.scopes.clone(),
            defaults: self.defaults.clone(),
            bounded: self.bounded,
            resources: self.resources.clone(),
            audience: self.audience.clone(),
            details: self.details.clone(),
            buffer: self.buffer,
            key: self.key,
        }
    }

    /// Adds to the event what was wanted.
    pub(crate) fn describe(&self, event: AuditEvent, caller: &Caller) -> AuditEvent {
        let mut event = event
            .with("subject", self.place.subject.clone())
            .with("environment", self.place.environment.to_string())
            .with(
                "scopes",
                match &self.scopes {
                    ScopeRequest::Defaults => "*".to_owned(),
                    ScopeRequest::Unscoped => String::new(),
                    ScopeRequest::Exactly(scopes) => scopes.to_string(),
                },
            );
        if let Caller::Workload(workload) = caller {
            event = event
                .with("issuer", workload.proof.issuer.clone())
                .with("sub", workload.proof.subject.clone());
            if let Some(issuer) = workload.proof.trusted_issuer {
                event = event.with("trustedIssuer", issuer.to_string());
            }
            if !workload.proof.claims.is_empty() {
                event = event.with("claims", workload.proof.claims.clone());
            }
        }
        if let Subject::JwtBearer { sub, iss, aud, additional_claims } = &self.subject {
            let claims: Vec<&str> = additional_claims.keys().map(String::as_str).collect();
            event = event.with("asserted", json!({"sub": sub, "iss": iss, "aud": aud, "claims": claims}));
        }
        if let Some(installation) = self.installation {
            event = event.with("installationId", installation.to_string());
        }
        if !self.resources.is_empty() {
            event = event.with("resources", self.resources.clone());
        }
        if !self.audience.is_empty() {
            event = event.with("audience", self.audience.clone());
        }
        event
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

/// Scopes that shape the ceremony and give a token no power at the provider's API (OpenID Connect Core §11, §5.4).
pub(crate) fn ambient() -> Scopes {
    Scopes::parse(["offline_access", "openid", "profile", "email"]).unwrap_or_default()
}

fn copy(subject: &Subject) -> Subject {
    match subject {
        Subject::App => Subject::App,
        Subject::User { id, issuer } => Subject::User { id: id.clone(), issuer: issuer.clone() },
        Subject::JwtBearer { sub, iss, aud, additional_claims } => Subject::JwtBearer {
            sub: sub.clone(),
            iss: iss.clone(),
            aud: aud.clone(),
            additional_claims: additional_claims.clone(),
        },
        Subject::Token { token } => Subject::Token { token: token.duplicate() },
    }
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

#[cfg(test)]
mod tests;
