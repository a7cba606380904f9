//! A token request as it is meant: what exactly is wanted, and what a grant must be asked for to give it.

use std::time::Duration;

use carnet_model::audit::AuditEvent;
use carnet_model::caller::Caller;
use carnet_model::grant::Place;
use carnet_model::{Id, ScopeRequest, Scopes, Subject, kind};
use carnet_store::grants::GrantRow;
use serde_json::{Value, json};

use super::ToConsent;
use crate::audit::with_proof;
use crate::cache::AskKey;
use crate::sealing::GrantSecret;

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
    /// Whether the provider is known to answer with scopes of its own besides.
    pub(crate) adds_scopes: bool,
    pub(crate) resources: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) details: Vec<Value>,
    /// What of these a grant must be for.
    pub(crate) to_consent: ToConsent,
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

impl Wanted {
    /// What a grant with these scopes needs for what is wanted. `at_consent` is what the person was asked for; nothing is
    /// known of it where a grant was imported, and nothing in particular where no scopes were named.
    ///
    /// The defaults mean what was granted of them: a person may have left some out, and asking again would ask for
    /// ever; and whatever the provider calls what it gave, if no more than the defaults was asked for at consent. Named
    /// scopes mean exactly those. Neither ever gives more than was asked for, nor more than the person was asked for: a
    /// provider may give what it remembers from another time, and the page that the person saw did not say so.
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
        let beyond = at_consent.map(|then| self.beyond(granted, then)).unwrap_or_default();
        let asked = match &self.scopes {
            ScopeRequest::Exactly(scopes) => {
                let missing = scopes.without(&granted.without(&beyond));
                if !missing.is_empty() {
                    return Plan::Missing(missing);
                }
                scopes.clone()
            }
            ScopeRequest::Defaults if !self.defaults.is_empty() => {
                let unasked = self.not_given(beyond);
                let no_more =
                    at_consent.is_some_and(|then| then.without(&ambient()).is_within(&self.defaults));
                if no_more && unasked.is_empty() && !targets {
                    return Plan::AsGranted;
                }
                let left = self.defaults.both(granted).without(&unasked);
                if left.is_empty() && !unasked.is_empty() {
                    // What is missing is the person's word for the connector's scopes, and never for others.
                    let meant = unasked.both(&self.defaults);
                    return Plan::Missing(if meant.is_empty() { self.defaults.clone() } else { meant });
                }
                left
            }
            // Whatever there is, except what is known to be more than that.
            ScopeRequest::Unscoped | ScopeRequest::Defaults => {
                let unasked = self.not_given(beyond);
                if !unasked.is_empty() {
                    let left = granted.without(&unasked);
                    // A request that names none would be answered with all of it once more.
                    return match at_consent {
                        Some(then) if left.is_within(&ambient()) => Plan::Missing(then.without(granted)),
                        _ => Plan::Narrow(left),
                    };
                }
                return if targets { Plan::Narrow(Scopes::empty()) } else { Plan::AsGranted };
            }
        };
        let powers = granted.without(&ambient());
        if powers.is_within(&asked) && !targets { Plan::AsGranted } else { Plan::Narrow(asked) }
    }

    /// The same of a grant as it is there. Where its own token was made for just the target that is wanted, no other has to
    /// be made for it.
    pub(crate) fn plan_of(&self, row: &GrantRow, secret: &GrantSecret) -> Plan {
        let (granted, at_consent) = (row.grant.scopes.as_ref(), secret.facts.asked.as_ref());
        if !secret.held.is_for(&self.resources, &self.audience, &self.details) {
            return self.plan(granted, at_consent);
        }
        let (resources, audience, details) = Default::default();
        Self { resources, audience, details, ..self.duplicate() }.plan(granted, at_consent)
    }

    /// What a provider gave beyond what it was asked for. Where all that was asked for came back by its name, that is all
    /// the rest. Else some of the rest may be another name for it: of a service that is known to use such names, only the
    /// names that the connector itself uses are sure to be none; of any other server, all are that do not look like one. So
    /// a server that gives one power in place of another does not have it handed out (RFC 6749 §3.3 lets it do so, and has
    /// it say so).
    fn beyond(&self, granted: &Scopes, asked: &Scopes) -> Scopes {
        let rest = granted.without(asked).without(&ambient());
        let unnamed = asked.without(&ambient()).without(granted);
        if unnamed.is_empty() {
            return rest;
        }
        if self.adds_scopes {
            return rest.both(&self.defaults);
        }
        let is_meant = |given: &str| {
            !self.defaults.contains(given) && unnamed.iter().any(|asked| is_another_name(asked, given))
        };
        let renamed = Scopes::parse(rest.iter().filter(|given| is_meant(given))).unwrap_or_default();
        rest.without(&renamed)
    }

    /// What a provider gave the application beyond the defaults, which it was asked for, and which is not handed out
    /// either.
    pub(super) fn beyond_defaults(&self, given: &Scopes) -> Scopes {
        if self.defaults.is_empty() {
            Scopes::empty()
        } else {
            self.not_given(self.beyond(given, &self.defaults))
        }
    }

    /// What of that a request that names no scopes is not given either: all of it, or, of a service that is known to add
    /// names of its own to every answer, what the connector itself uses.
    fn not_given(&self, beyond: Scopes) -> Scopes {
        if self.adds_scopes { beyond.both(&self.defaults) } else { beyond }
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
            adds_scopes: self.adds_scopes,
            resources: self.resources.clone(),
            to_consent: self.to_consent.clone(),
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
        event = with_proof(event, caller);
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

/// Whether one is the other with an address before it, as some servers write the names of their scopes:
/// `https://api.example/auth/read`, `api://id/read`; or in other letters.
fn is_another_name(one: &str, other: &str) -> bool {
    let is_addressed = |short: &str, long: &str| {
        let address = long.strip_suffix(short).and_then(|rest| rest.strip_suffix('/'));
        !short.contains('/') && address.is_some_and(|address| address.contains(['.', ':']))
    };
    one.eq_ignore_ascii_case(other) || is_addressed(one, other) || is_addressed(other, one)
}

/// Scopes that shape the ceremony and give a token no power at the provider's API (OpenID Connect Core §11, §5.4).
pub(crate) fn ambient() -> Scopes {
    Scopes::parse(["offline_access", "openid", "profile", "email"]).unwrap_or_default()
}

pub(super) fn copy(subject: &Subject) -> Subject {
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

#[cfg(test)]
mod tests;
