//! Importing tokens that were obtained elsewhere: from another broker, or from the application's own table.
//!
//! Each token is judged and written for itself, with its event: one that cannot be taken says why and keeps no other
//! from its place. What is imported is a grant like any other from then on, refreshed and revoked by the same rules. A
//! grant that works is replaced only if the import is of the same account or says so; one that needs consent again is
//! mended. What came of the same token before is left as it is. A refresh of the old grant that is under way does not land on the new one. Nothing here is told to the
//! provider except that a replaced account's tokens are no longer wanted.

mod target;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::grant::{GrantState, Place};
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Scopes, SecretString, Subject, SubjectKind, Time, kind};
use carnet_providers::{Bound, Import};
use carnet_store::grants::{self, GrantRow};
use carnet_store::{DbError, Write, connectors, projects};
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::{Given, is_another_account};
use crate::directory::Entry;
use crate::faults;
use crate::sealing::{Facts, GrantSecret};

/// A token to import, as it was sent.
#[derive(Debug)]
pub struct TokenToImport {
    /// The access token, or the key.
    pub access_token: SecretString,
    /// When it ends; a key may have none.
    pub expires_at: Option<Time>,
    /// What renews it.
    pub refresh_token: Option<SecretString>,
    /// When that ends.
    pub refresh_token_expires_at: Option<Time>,
    /// Whose it is: a user.
    pub subject: Value,
    /// Where it is used: a built-in environment, or the identifier of a custom one.
    pub environment: String,
    /// Whose workloads use it; needed where the connector is linked to several projects.
    pub project: Option<String>,
    /// For which installation.
    pub installation: Option<String>,
    /// The tenant of that installation.
    pub tenant: Option<String>,
    /// What was granted; `["*"]` for the connector's own.
    pub scopes: Option<Vec<String>>,
    /// What it was given for, if for something in particular.
    pub bound: Bound,
    /// What the provider calls the person.
    pub name: Option<String>,
    /// The account at the provider.
    pub external_subject: Option<String>,
    /// Further facts for callers.
    pub metadata: Map<String, Value>,
}

/// What became of an import.
#[derive(Debug)]
pub struct Imported {
    /// For each token, in the order in which they were sent.
    pub tokens: Vec<ImportedToken>,
}

/// What became of one token.
#[derive(Debug)]
pub struct ImportedToken {
    /// The grant, or why there is none.
    pub outcome: Result<Id<kind::Grant>, Fault>,
    /// Whether the grant came of the same token before, and was left as it is.
    pub was_there: bool,
    /// How long it lives from now, in milliseconds.
    pub expires_in: Option<u64>,
}

/// A grant that an import has made, or has found.
struct Put {
    grant: Id<kind::Grant>,
    was_there: bool,
}

impl Broker {
    /// Imports tokens for a connector. `replace` lets them take the place of other accounts' grants that work.
    pub async fn import_tokens(
        &self,
        caller: &Caller,
        connector: &str,
        tokens: Vec<TokenToImport>,
        replace: bool,
        request: Id<kind::Request>,
    ) -> Result<Imported, Fault> {
        let entry = self.managed(caller, connector, Right::GrantImport).await?;
        if tokens.is_empty() || tokens.len() > MOST {
            return Err(Fault::new(Code::InvalidRequest, format!("tokens holds 1 to {MOST} tokens."))
                .with("field", "tokens"));
        }
        let mut out = Vec::with_capacity(tokens.len());
        for token in tokens {
            let now = self.inner.env.now();
            let expires_in =
                token.expires_at.map(|end| u64::try_from(now.until(end).as_millis()).unwrap_or(0));
            let event = AuditEvent::of(caller, now, Action::TokensImport, Some(request))
                .on(entry.row.connector.id)
                .with("connector", entry.row.connector.uid.as_str())
                .with("environment", shortened(&token.environment));
            let outcome = match self.import_one(caller, &entry, token, replace, event.clone()).await {
                Err(fault) if fault.code == Code::StoreUnavailable => return Err(fault),
                Err(fault) => Err(self.refuse(event, Outcome::Failed, fault, None).await?),
                Ok(put) => Ok(put),
            };
            let was_there = outcome.as_ref().is_ok_and(|put| put.was_there);
            out.push(ImportedToken { outcome: outcome.map(|put| put.grant), was_there, expires_in });
        }
        Ok(Imported { tokens: out })
    }

    async fn import_one(
        &self,
        caller: &Caller,
        entry: &Arc<Entry>,
        token: TokenToImport,
        replace: bool,
        event: AuditEvent,
    ) -> Result<Put, Fault> {
        let place = self.place_of(caller, entry, &token).await?;
        check_ends(&token, entry, self.inner.env.now())?;
        check_letters("accessToken", Some(&token.access_token))?;
        check_letters("refreshToken", token.refresh_token.as_ref())?;
        let bound = target::checked(entry, token.bound)?;
        let Bound { resources, audience, details } = target::consented(entry, &bound);
        let event = described(event, &bound);
        let (external_subject, name) =
            (text("externalSubject", token.external_subject)?, text("name", token.name)?);
        // What renews the grant says which connection it is; the access token comes and goes.
        let lasting = token.refresh_token.as_ref().unwrap_or(&token.access_token);
        let digest = URL_SAFE_NO_PAD.encode(sha256(lasting.expose().as_bytes()));
        let import = Import {
            access: token.access_token,
            access_expires_at: token.expires_at.filter(|end| *end < Time::FAR_FUTURE),
            refresh: token.refresh_token,
            refresh_expires_at: token.refresh_token_expires_at,
            scopes: scopes_of(entry, token.scopes.as_deref())?,
            bound,
            external_subject,
            name,
            metadata: token.metadata,
        };
        let connector = &entry.row.connector;
        let secrets = self.inner.secrets(entry).map_err(faults::internal)?;
        let granted = entry.driver().import(&self.inner.at(entry, &secrets), import).map_err(|error| {
            let why = error.to_string();
            let fault = faults::driver(&error, connector.uid.as_str());
            // A token that cannot be one is the request's fault, not the provider's.
            if fault.code == Code::Internal { invalid("accessToken", &why) } else { fault }
        })?;
        let facts = Facts {
            token_id: Some(self.inner.env.id()),
            asked: None,
            named: Scopes::empty(),
            resources,
            audience,
            details,
            given_by: None,
            imported: Some(digest),
            name: granted.name,
            external_subject: granted.external_subject,
            metadata: granted.metadata,
            claims: Map::new(),
            profile: granted.profile,
        };
        let given = Given {
            secret: GrantSecret { facts, held: granted.held },
            scopes: granted.scopes,
            access_expires_at: granted.access_expires_at,
        };
        self.put_imported(entry, &place, given, replace, event).await
    }

    /// Writes it, after whatever is at its place by then.
    async fn put_imported(
        &self,
        entry: &Arc<Entry>,
        place: &Place,
        given: Given,
        replace: bool,
        event: AuditEvent,
    ) -> Result<Put, Fault> {
        let inner = &self.inner;
        let connector = &entry.row.connector;
        for _ in 0..TRIES {
            let now = inner.env.now();
            let before = grants::at(&inner.db, place).await.map_err(faults::store)?;
            if let (Some(before), false) = (&before, replace)
                && self.is_imported(before, &given)?
            {
                let event = event
                    .with("subject", place.subject.clone())
                    .with("environment", place.environment.to_string())
                    .with("grant", before.grant.id.to_string())
                    .with("unchanged", true);
                self.record(event).await?;
                return Ok(Put { grant: before.grant.id, was_there: true });
            }
            let other = before.as_ref().is_some_and(|before| is_another_account(before, &given));
            if before.as_ref().is_some_and(|before| stands_in_the_way(before, &given)) && !replace {
                return Err(Fault::new(
                    Code::Conflict,
                    format!(
                        "{} has given {} consent in this environment already, and it is not known to be the same account; \
                         the import can say that it replaces what is there.",
                        place.subject, connector.uid
                    ),
                ));
            }
            let ready = inner.ready(entry, place, before.as_ref(), &given, now).map_err(faults::internal)?;
            let id = ready.row.grant.id;
            let mut event = event
                .clone()
                .with("subject", place.subject.clone())
                .with("environment", place.environment.to_string())
                .with("grant", id.to_string())
                .with("replaced", before.is_some());
            if let Some(project) = place.project {
                event = event.with("project", project.to_string());
            }
            if let Some(scopes) = &given.scopes {
                event = event.with("scopes", scopes.to_string());
            }
            let write = Write::new()
                .step(connectors::still_at(place.team, connector.id, connector.version))
                .steps(ready.steps())
                .event(&inner.env, &event)
                .revises();
            match inner.db.write(write).await {
                Ok(_) => {
                    if let Some(before) = before.filter(|_| other) {
                        self.forget_replaced(entry.clone(), before);
                    }
                    return Ok(Put { grant: id, was_there: false });
                }
                // A refresh or a consent was faster; with the row as it is now.
                Err(DbError::Unmet(1) | DbError::Conflict) => {}
                Err(error) => return Err(faults::store(error)),
            }
        }
        Err(Fault::new(Code::Unavailable, "The grant is being changed faster than it can be replaced.")
            .retry_after(1))
    }

    /// Whether what is there works and came of this very import. Its token may have been renewed since, so that the one that
    /// is imported again would end it.
    fn is_imported(&self, before: &GrantRow, given: &Given) -> Result<bool, Fault> {
        if before.grant.state != GrantState::Active {
            return Ok(false);
        }
        let kept = self.inner.open_grant(&before.grant, &before.held).map_err(faults::internal)?;
        Ok(kept.facts.imported.is_some() && kept.facts.imported == given.secret.facts.imported)
    }

    /// Where it is kept: whose workloads will find it.
    async fn place_of(&self, caller: &Caller, entry: &Entry, token: &TokenToImport) -> Result<Place, Fault> {
        let connector = &entry.row.connector;
        let subject = Subject::parse(&token.subject, None).map_err(|error| {
            Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "subject")
        })?;
        let key = subject.key().filter(|_| matches!(subject, Subject::User { .. }));
        if !entry.abilities.subjects.contains(&SubjectKind::User) {
            return Err(Fault::new(
                Code::UnresolvedToken,
                format!("{} keeps nothing for users, so there is nothing to import.", connector.uid),
            ));
        }
        let subject = key.ok_or_else(|| {
            invalid("subject", "is a user: tokens of an application are made when they are asked for")
        })?;
        let environment = Environment::parse(&token.environment).map_err(|_| {
            invalid("environment", "is production, preview, development or the identifier of a custom one")
        })?;
        let project = self.project_of(caller, entry, token.project.as_deref(), environment).await?;
        let linked = entry.linked(Some(project));
        if !linked.is_some_and(|environments| environments.contains(&environment)) {
            return Err(Fault::new(
                if linked.is_some() { Code::EnvironmentNotLinked } else { Code::Forbidden },
                format!(
                    "{} is not linked to the project in this environment, so nobody could ask for it.",
                    connector.uid
                ),
            )
            .next(
                faults::attach(connector.uid.as_str(), project, linked.unwrap_or_default(), environment),
                "to link it",
            ));
        }
        let installation = token
            .installation
            .as_deref()
            .map(|name| entry.installation(name).ok_or_else(|| faults::not_found("installation", name)));
        let installation = installation.transpose()?.or(connector.default_installation);
        if let Some(tenant) = &token.tenant {
            let known = entry.installations.iter().find(|one| Some(one.id) == installation);
            if known.and_then(|one| one.tenant_id.as_ref()) != Some(tenant) {
                return Err(invalid("tenant", "is not that of the installation"));
            }
        }
        Ok(Place {
            team: caller.team(),
            connector: connector.id,
            project: Some(project),
            environment,
            subject,
            installation,
        })
    }

    /// The project that is named, that owns the custom environment, or that alone is linked.
    async fn project_of(
        &self,
        caller: &Caller,
        entry: &Entry,
        named: Option<&str>,
        environment: Environment,
    ) -> Result<Id<kind::Project>, Fault> {
        let named = match named {
            Some(name) => Some(self.find_project(caller, name).await?.id),
            None => None,
        };
        if let Environment::Custom(id) = environment {
            let found =
                projects::environment(&self.inner.db, caller.team(), id).await.map_err(faults::store)?;
            let owner = found.ok_or_else(|| faults::not_found("environment", &id.to_string()))?.project;
            return match named {
                Some(project) if project != owner => {
                    Err(invalid("environment", "belongs to another project"))
                }
                _ => Ok(owner),
            };
        }
        let mut linked = entry.links.keys();
        match (named, linked.next(), linked.next()) {
            (Some(project), ..) => Ok(project),
            (None, Some(only), None) => Ok(*only),
            (None, None, _) => Err(Fault::new(
                Code::Forbidden,
                format!("{} is linked to no project, so nobody could ask for it.", entry.row.connector.uid),
            )),
            (None, Some(_), Some(_)) => {
                Err(invalid("projectId", "is needed: the connector is linked to several projects"))
            }
        }
    }
}

/// What it is for is part of what was granted, and stands in the log as scopes do. Of details, their types.
fn described(event: AuditEvent, bound: &Bound) -> AuditEvent {
    let kinds: Vec<&str> = bound.details.iter().filter_map(|detail| detail.get("type")?.as_str()).collect();
    let texts = [("resources", &bound.resources), ("audience", &bound.audience)];
    let event = texts
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .fold(event, |event, (name, list)| event.with(name, list.clone()));
    if kinds.is_empty() { event } else { event.with("authorizationDetails", kinds) }
}

/// Whether what is there works, and is not known to be of the same account.
fn stands_in_the_way(before: &GrantRow, given: &Given) -> bool {
    let (old, new) = (&before.grant.external_subject, &given.secret.facts.external_subject);
    let same = old.is_some() && old == new;
    before.grant.state == GrantState::Active && !same
}

/// A token goes into a header as it is (RFC 6750 §2.1). What cannot is the request's fault, whatever the driver.
fn check_letters(field: &'static str, token: Option<&SecretString>) -> Result<(), Fault> {
    let is_one = |token: &SecretString| {
        let text = token.expose();
        (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if token.is_none_or(is_one) {
        return Ok(());
    }
    Err(invalid(field, "has 1 to 16384 printable ASCII characters and no space"))
}

/// What has ended already is of no use, unless it can be renewed.
fn check_ends(token: &TokenToImport, entry: &Entry, now: Time) -> Result<(), Fault> {
    let manual = entry.abilities.user.as_ref().is_some_and(|user| user.manual_credential);
    if token.expires_at.is_none() && !manual {
        return Err(invalid("expiresAt", "is missing: when the access token ends, in milliseconds"));
    }
    if token.expires_at.is_some_and(|end| end <= now) && token.refresh_token.is_none() {
        return Err(invalid("expiresAt", "is past, and there is no refresh token to renew it with"));
    }
    if token.refresh_token_expires_at.is_some_and(|end| end <= now) {
        return Err(invalid("refreshTokenExpiresAt", "is past"));
    }
    Ok(())
}

/// Nothing said is nothing known; `*` is what the connector asks for by itself.
fn scopes_of(entry: &Entry, names: Option<&[String]>) -> Result<Option<Scopes>, Fault> {
    match names {
        None => Ok(None),
        Some([star]) if star == "*" => Ok(entry
            .abilities
            .user
            .as_ref()
            .map(|user| user.scopes.clone())
            .filter(|scopes| !scopes.is_empty())),
        Some(names) => Scopes::parse(names)
            .map(Some)
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "scopes")),
    }
}

fn text(field: &'static str, value: Option<String>) -> Result<Option<String>, Fault> {
    let sound =
        |text: &String| (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if value.as_ref().is_some_and(|text| !sound(text)) {
        return Err(invalid(field, "has 1 to 256 characters and no control character"));
    }
    Ok(value)
}

fn invalid(field: &'static str, why: &str) -> Fault {
    Fault::new(Code::InvalidRequest, format!("{field} {why}.")).with("field", field)
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Tokens in one request: each is a durable write of its own, and the caller waits for all of them.
const MOST: usize = 100;

/// The longest token that is imported, as the drivers have it.
const LONGEST_TOKEN: usize = 16384;
const TRIES: usize = 8;
