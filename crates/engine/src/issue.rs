//! The main job: a token for a caller.
//!
//! Recognised caller → connector and link by the caller's team → the decision → the token (from memory, from the store,
//! by refreshing, or made anew) → the audit event is durable → the answer. If the rules change on the way, the event is
//! refused by the store and everything begins again under the new rules; so a revoked or unlinked token is not answered
//! on any node once the change was acknowledged.

mod ask;
mod exchange;
mod made;
mod to_consent;
mod unnarrowed;
mod user;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet_model::access::{self, Ask, Rules};
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::connector::ConnectorType;
use carnet_model::failpoint::Point;
use carnet_model::{Code, ConnectorRef, Fault, Id, SecretString, Subject, Time, Uid, kind};
use carnet_providers::Asserted;
use carnet_store::{DbError, Revision, Write, pass};
use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::audit::with_proof;
use crate::broker::Broker;
use crate::cache::{AskKey, Recalled};
use crate::callers::Credential;
use crate::directory::Entry;
use crate::faults;
use crate::sealing::{Facts, MadeToken};

pub use ask::TokenAsk;
pub(crate) use ask::installation_place;
use made::Trouble;
pub(crate) use to_consent::ToConsent;
pub(crate) use unnarrowed::Unnarrowed;
pub(crate) use user::{GRANT_RULES, Given, PATIENT, Unmet, consent_required, only_as_granted, spent, stray};
pub(crate) use wanted::{Plan, Wanted, ambient, is_another_name};

/// A token, as it is answered.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: SecretString,
    /// `stk_…`, the same for as long as the token lives.
    pub token_id: Id<kind::Token>,
    /// When it ends; [`Time::FAR_FUTURE`] if it does not, or nobody says.
    pub expires_at: Time,
    /// The connector it came from.
    pub connector: Id<kind::Connector>,
    /// Its UID.
    pub uid: Uid,
    /// Its driver.
    pub r#type: ConnectorType,
    /// What the provider calls the person.
    pub name: Option<String>,
    /// The installation, where the connector has them.
    pub installation: Option<Id<kind::Installation>>,
    /// The provider's account at which it is.
    pub tenant: Option<String>,
    /// The account at the provider.
    pub external_subject: Option<String>,
    /// Further facts of the driver.
    pub metadata: Map<String, Value>,
    /// Claims about the person that the connector forwards.
    pub claims: Map<String, Value>,
}

/// How one try ended.
enum Tried {
    Issued(Box<Issued>),
    /// The rules changed meanwhile.
    Stale {
        /// Whether the provider made a token for it.
        made: bool,
    },
}

/// One making of an application's token at a time, per request.
pub(crate) type Mints = Mutex<HashMap<AskKey, Arc<tokio::sync::Mutex<Option<Trouble>>>>>;

/// Where a token came from, for the log.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Memory,
    Store,
    Provider,
}

/// A token found for a request, before it is recorded.
pub(crate) struct Found {
    pub(crate) made: MadeToken,
    pub(crate) source: Source,
    /// Changes to be committed together with the event.
    pub(crate) changes: Vec<carnet_store::Step>,
    /// The turn in which it was made: given up when the changes are committed, so that whoever comes next finds them.
    pub(crate) turn: Option<OwnedMutexGuard<Option<Trouble>>>,
    /// How long it may be served from memory; `None` for as long as it lives.
    pub(crate) until: Option<Time>,
    /// The grant whose own token it is, if it is one.
    pub(crate) grant: Option<Id<kind::Grant>>,
}

impl Found {
    /// A token that was there already.
    pub(crate) const fn kept(made: MadeToken, source: Source) -> Self {
        Self { made, source, changes: Vec::new(), turn: None, until: None, grant: None }
    }
}

impl Broker {
    /// Answers a token request, within [`crate::Settings::answer_within`]. The caller is recognised anew whenever the
    /// rules have changed on the way, so that a credential that was withdrawn meanwhile gets nothing.
    pub async fn issue(
        &self,
        credential: &Credential,
        ask: &TokenAsk,
        request: Id<kind::Request>,
    ) -> Result<Issued, Fault> {
        let end = Instant::now() + self.inner.settings.answer_within;
        // The last of it is for the record.
        let late = end - RECORD.min(self.inner.settings.answer_within / 4);
        let mut made_at = None;
        for _ in 0..TRIES {
            let revision = self.inner.db.revision();
            let caller =
                timeout_at(late, self.recognise(credential)).await.unwrap_or_else(|_| Err(too_late()))?;
            let tried = self.issue_once(&caller, ask, request, revision, made_at);
            let Ok(tried) = timeout_at(late, tried).await else {
                let event = AuditEvent::of(&caller, self.inner.env.now(), Action::TokenIssue, Some(request))
                    .with("connector", ask.connector.chars().take(200).collect::<String>());
                let refused = self.refuse(event, Outcome::Failed, too_slow(&ask.connector), None);
                return Err(timeout_at(end, refused).await.unwrap_or_else(|_| Err(too_late()))?);
            };
            match tried? {
                Tried::Issued(issued) => return Ok(*issued),
                Tried::Stale { made } => {
                    made_at = made.then_some(revision);
                    tokio::task::yield_now().await;
                }
            }
        }
        Err(Fault::new(Code::Unavailable, "The rules are being changed faster than requests can be decided.")
            .retry_after(1))
    }

    /// One try, by the rules of `revision`. `made_at` is the revision at which the try before had a token made that could
    /// not be recorded any more.
    async fn issue_once(
        &self,
        caller: &Caller,
        ask: &TokenAsk,
        request: Id<kind::Request>,
        revision: Revision,
        made_at: Option<Revision>,
    ) -> Result<Tried, Fault> {
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::TokenIssue, Some(request));
        let entry = match self.allowed(caller, &ask.connector, &event).await? {
            Ok(entry) => entry,
            Err(fault) => return Err(fault),
        };
        let connector = &entry.row.connector;
        let event = event.on(connector.id).with("connector", connector.uid.as_str());
        let wanted = match self.decide(caller, &entry, ask) {
            Ok(wanted) => wanted,
            // A refusal too is made by the present rules: what was allowed a moment ago, on another node, is allowed here.
            Err((outcome, fault, rule)) => {
                let mut event = with_proof(event, caller);
                if let Ok(subject) = ask.subject(caller, &entry.abilities) {
                    event = event.with("subject", self.subject_key(&subject));
                }
                let write = Write::new().event(&self.inner.env, &refusal(event, outcome, &fault, rule));
                return match self.inner.db.write(write.only_at(revision)).await {
                    Ok(_) => Err(fault.recorded()),
                    Err(DbError::Stale(_)) => Ok(Tried::Stale { made: false }),
                    Err(error) => Err(faults::store(error)),
                };
            }
        };
        let event = wanted.describe(event, caller);
        let tally = self.tally(caller, connector.id, event.at);
        if let Err(fault) = self.has_requests_left(&tally).await? {
            return Err(self.refuse(event, Outcome::Denied, fault, Some(QUOTA)).await?);
        }
        let found = match self.find_token(&entry, &wanted, revision, made_at).await {
            Ok(found) => found,
            // A store that did not answer takes no event either; asking again would only keep the caller waiting.
            Err(fault) if fault.code == Code::StoreUnavailable => return Err(fault),
            Err(fault) => return Err(self.refuse(event, Outcome::Failed, fault, None).await?),
        };
        let Found { made, source, changes, turn, until: _, grant } = found;
        let token_id = made.facts.token_id.unwrap_or_else(|| self.inner.env.id());
        let expires_at = made.expires_at.unwrap_or(Time::FAR_FUTURE);
        let event = event
            .with("tokenId", token_id.to_string())
            .with("expiresAt", expires_at.millis())
            .with("source", source.as_str());
        pass(&self.inner.env, Point::TokenRecord).await.map_err(faults::store)?;
        let write = Write::new().steps(changes).event(&self.inner.env, &event).count(tally);
        // A grant's own token may be dead when the grant is renewed; others are not touched by that.
        let write = if grant.is_some() { write.only_just_at(revision) } else { write.only_at(revision) };
        let written = self.inner.db.write(write).await;
        let _ = pass(&self.inner.env, Point::TokenRecorded).await;
        drop(turn);
        match written {
            Ok(_) => {}
            Err(DbError::Stale(_)) => {
                return Ok(Tried::Stale { made: matches!(source, Source::Provider) });
            }
            // Others had the last ones meanwhile. What was made for it stays in memory, for the month to come.
            // Of several who presented the same token, which is taken once, another was faster.
            Err(DbError::Unmet(_)) if matches!(wanted.subject, Subject::Token { .. }) => {
                return Err(self.refuse(event, Outcome::Failed, exchange::used_before(), None).await?);
            }
            Err(DbError::Spent(_)) => {
                return Err(self.refuse(event, Outcome::Denied, self.used_up(&tally), Some(QUOTA)).await?);
            }
            Err(error) => return Err(faults::store(error)),
        }
        let MadeToken { token, facts, .. } = made;
        let Facts { name, external_subject, metadata, claims, .. } = facts;
        Ok(Tried::Issued(Box::new(Issued {
            token,
            token_id,
            expires_at,
            connector: connector.id,
            uid: connector.uid.clone(),
            r#type: connector.r#type,
            name,
            installation: wanted.installation,
            tenant: wanted.installation.and_then(|id| entry.installed(id)?.tenant_id.clone()),
            external_subject,
            metadata,
            claims,
        })))
    }

    /// The connector, if the caller's team has one of this name. The outer error is the store's.
    async fn allowed(
        &self,
        caller: &Caller,
        name: &str,
        event: &AuditEvent,
    ) -> Result<Result<Arc<Entry>, Fault>, Fault> {
        match self.find_connector(caller, name).await {
            Ok(entry) => Ok(Ok(entry)),
            Err(fault) if fault.code == Code::NotFound => {
                let event = event.clone().with("connector", name.chars().take(200).collect::<String>());
                let event = with_proof(event, caller);
                self.refuse(event, Outcome::Denied, fault, Some("connector-exists")).await.map(Err)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The connector of this name in the caller's team.
    pub(crate) async fn find_connector(&self, caller: &Caller, name: &str) -> Result<Arc<Entry>, Fault> {
        let reference = ConnectorRef::parse(name).ok_or_else(|| faults::no_connector(name))?;
        let entry = self.inner.entry(caller.team(), &reference).await.map_err(faults::store)?;
        entry.ok_or_else(|| faults::no_connector(name))
    }

    /// Reads the request and decides it: what exactly is wanted, or the refusal.
    fn decide(
        &self,
        caller: &Caller,
        entry: &Entry,
        ask: &TokenAsk,
    ) -> Result<Wanted, (Outcome, Fault, Option<&'static str>)> {
        let invalid = |fault: Fault| (Outcome::Failed, fault, None);
        let subject = ask.subject(caller, &entry.abilities).map_err(invalid)?;
        self.permit(caller, entry, Ask::Token(&subject))
            .map_err(|(fault, rule)| (Outcome::Denied, fault, Some(rule)))?;
        let key = self.subject_key(&subject);
        ask.wanted(caller, entry, &subject, key).map_err(invalid)
    }

    /// The access decision, against the rules of this entry.
    pub(crate) fn permit(
        &self,
        caller: &Caller,
        entry: &Entry,
        ask: Ask<'_>,
    ) -> Result<(), (Fault, &'static str)> {
        let connector = &entry.row.connector;
        let linked = entry.linked(caller.kept_to());
        let rules = Rules { team: connector.team, linked };
        let gives = matches!(ask, Ask::Token(_) | Ask::Install);
        access::decide(caller, rules, ask).map_err(|denied| {
            let fault = faults::denied(denied, connector.uid.as_str(), caller, linked.unwrap_or_default());
            (fault, denied.rule())
        })?;
        if gives { self.is_offered(entry).map_err(|fault| (fault, MANAGED_APP)) } else { Ok(()) }
    }

    /// Records a refusal; what comes back is the refusal, or that it cannot be recorded.
    pub(crate) async fn refuse(
        &self,
        event: AuditEvent,
        outcome: Outcome,
        fault: Fault,
        rule: Option<&'static str>,
    ) -> Result<Fault, Fault> {
        self.record(refusal(event, outcome, &fault, rule)).await?;
        Ok(fault.recorded())
    }

    /// Memory first, then whatever the kind of subject needs.
    async fn find_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        revision: Revision,
        made_at: Option<Revision>,
    ) -> Result<Found, Fault> {
        let beyond = self.inner.env.now().plus(wanted.buffer);
        let recall = |revision| self.inner.recall(&wanted.key, revision, beyond);
        // A token that this very request had made is good under the new rules too, if they allow the request and it hangs on
        // no grant. Making another each time would never end where rules change often.
        let of_grant = match wanted.subject {
            Subject::App => entry.abilities.app.as_ref().is_some_and(|app| app.left_by_installation),
            Subject::User { .. } => true,
            Subject::JwtBearer { .. } | Subject::Token { .. } => false,
        };
        let anew = exchange::is_never_served_again(entry, &wanted.subject);
        let own = made_at.filter(|_| !of_grant && !anew);
        if let Some(Recalled { made, grant }) = own.and_then(recall) {
            let end = wanted.inbound_end();
            self.inner.keep(&wanted.key, revision, &made, end, grant).map_err(faults::internal)?;
            return Ok(Found::kept(made, Source::Provider));
        }
        if let Some(Recalled { made, grant }) = recall(revision).filter(|_| !anew) {
            return Ok(Found { grant, ..Found::kept(made, Source::Memory) });
        }
        let found = match &wanted.subject {
            Subject::App | Subject::User { .. } if of_grant => {
                self.user_token(entry, wanted, made_at.is_some()).await?
            }
            Subject::App | Subject::User { .. } => self.app_token(entry, wanted).await?,
            Subject::JwtBearer { sub, iss, aud, additional_claims } => {
                let who = Asserted {
                    sub: sub.clone(),
                    iss: iss.clone(),
                    aud: aud.clone(),
                    claims: additional_claims.clone(),
                };
                self.asserted_token(entry, wanted, who).await?
            }
            Subject::Token { token } => self.exchanged_token(entry, wanted, token, revision, made_at).await?,
        };
        // A token whose refresh elsewhere kills it at once is not kept where that refresh is not seen.
        let may_die_unseen = entry.abilities.old_access_dies && self.inner.db.is_shared();
        if !may_die_unseen {
            let Found { made, until, grant, .. } = &found;
            self.inner.keep(&wanted.key, revision, made, *until, *grant).map_err(faults::internal)?;
        }
        Ok(found)
    }
}

/// It took too long to find out who asks, or to record that it took too long.
fn too_late() -> Fault {
    Fault::new(Code::Unavailable, "The request could not be decided in time.").retry_after(2)
}

/// It is known who asks, and what they wait for does not come.
fn too_slow(connector: &str) -> Fault {
    let connector: String = connector.chars().filter(|c| !c.is_control()).take(100).collect();
    Fault::new(
        Code::ProviderUnavailable,
        format!("No token of {connector} could be had in time. A refresh that was begun goes on."),
    )
    .retry_after(2)
}

/// The event, as one of a refusal.
fn refusal(event: AuditEvent, outcome: Outcome, fault: &Fault, rule: Option<&'static str>) -> AuditEvent {
    let mut event = event.ended(outcome).with("code", fault.code.as_str());
    if let Some(right) = fault.extra.get("right") {
        event = event.with("right", right.clone());
    }
    if let Some(flaw) = fault.extra.get("flaw") {
        event = event.with("flaw", flaw.clone());
    }
    match rule {
        Some(rule) => event.with("rule", rule),
        None => event,
    }
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Store => "store",
            Self::Provider => "provider",
        }
    }
}

/// How long the record of a refusal may take: as long as the store has for any write.
const RECORD: Duration = Duration::from_secs(2);
/// The rule that ends a month's requests, for the log and `explain`.
pub(crate) const QUOTA: &str = "quota";
/// How often a request begins again because the rules changed under it, within the time that it has for its answer.
const TRIES: usize = 64;
/// A token that ends sooner than this is renewed before it is handed out, unless the caller says otherwise. The same
/// as the official clients' own default.
pub(crate) const BUFFER: Duration = Duration::from_secs(30);

/// The rule by which the operator says who may use an application.
pub(crate) const MANAGED_APP: &str = "managed-app";
