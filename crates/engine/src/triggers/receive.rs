//! An event comes in: how fast, whose, genuine, wanted, new; then one durable write, then the answer.

use std::num::NonZeroU32;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{Code, ConnectorRef, Fault, Id, kind};
use carnet_providers::webhook::{self, Received, Reply, Scheme, Verdict, scheme_of};
use carnet_store::deliveries::{self, DeliveryState, TriggerDelivery};
use carnet_store::trigger_events::{self, TriggerEvent};
use carnet_store::{DbError, Write, usage};
use http::HeaderMap;

use super::content;
use super::setting::is_wanted;
use crate::broker::Broker;
use crate::cache::Parts;
use crate::directory::Entry;
use crate::faults;
use crate::rates::TooFast;

/// What arrived at a connector's intake.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    /// Whether it is a question (`GET`) and no event.
    pub asks: bool,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The query as it was written.
    pub query: Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// What the provider is answered.
pub type Intake = Reply;

impl Broker {
    /// Lets an event in, or says when it can come again. Before anything of it is read, and before anything is looked up: a
    /// connector that this process has not seen yet is counted together with all that are not there, so that whoever makes
    /// up addresses costs the store no more than a connector may, and keeps nobody out who is there.
    pub async fn trigger_pace(&self, connector: &str) -> Result<(), Fault> {
        let inner = &self.inner;
        let id = Id::<kind::Connector>::parse(connector).ok();
        let mut team = id.and_then(|id| inner.known_team(id));
        if team.is_none() {
            if let Err(too_fast) = self.one_more_event(Id::from_bytes([0; 16]), None).await {
                let now = inner.env.now();
                let is_there = match id {
                    Some(id) => {
                        inner.trigger_addresses.has(&inner.db, id, now).await.map_err(faults::store)?
                    }
                    None => false,
                };
                if !is_there {
                    return Err(too_fast);
                }
            }
            team = match id {
                Some(id) => inner.team_of(id).await.map_err(faults::store)?,
                None => None,
            };
        }
        match id.filter(|_| team.is_some()) {
            Some(id) => self.one_more_event(id, team).await,
            None => Ok(()),
        }
    }

    /// Counts an event of a connector, or of all together that are not known.
    async fn one_more_event(
        &self,
        counted: Id<kind::Connector>,
        team: Option<Id<kind::Team>>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let Err(TooFast { wait, is_news }) = inner.trigger_rates.take(counted, PER_MINUTE, now) else {
            return Ok(());
        };
        if let (true, Some(team)) = (is_news, team) {
            let event = AuditEvent::of_system(now, Action::LimitReach)
                .in_team(team)
                .on(counted)
                .ended(Outcome::Denied)
                .with("kind", "triggers")
                .with("perMinute", PER_MINUTE.get())
                .with("code", Code::RateLimited.as_str());
            self.record(event).await?;
        }
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(60);
        let message = format!("A connector takes {PER_MINUTE} events a minute.");
        Err(Fault::new(Code::RateLimited, message).with("limit", PER_MINUTE.get()).retry_after(seconds))
    }

    /// Takes an event. When this returns `Ok` it is durable, or was no event that is forwarded.
    pub async fn receive_trigger(
        &self,
        connector: &str,
        posted: Posted<'_>,
        request: Id<kind::Request>,
    ) -> Result<Intake, Fault> {
        let inner = &self.inner;
        let id = Id::<kind::Connector>::parse(connector).map_err(|_| unknown())?;
        let team = inner.team_of(id).await.map_err(faults::store)?.ok_or_else(unknown)?;
        let entry = inner.entry(team, &ConnectorRef::Id(id)).await.map_err(faults::store)?;
        let entry = entry.ok_or_else(unknown)?;
        let of = &entry.row.connector;
        let setting =
            entry.triggers.setting.as_ref().filter(|setting| setting.enabled).ok_or_else(unknown)?;
        let scheme = scheme_of(&of.service).ok_or_else(unknown)?;
        let now = inner.env.now();
        let secrets = inner.signing_of(&entry, setting, scheme, now).map_err(faults::internal)?;
        let Posted { asks, headers, query, body } = posted;
        let received = Received { headers, query, body, at: now };
        let verdict = if asks {
            webhook::challenge(scheme, &secrets, &received)
        } else {
            webhook::verify(scheme, &secrets, &received)
        };
        let event = match verdict {
            Verdict::Handshake(reply) => return Ok(reply),
            Verdict::Refused(refusal) => {
                self.reject_trigger(team, id, refusal.as_str()).await?;
                return Err(unknown());
            }
            Verdict::Event(event) => event,
        };
        if !is_of(&entry, &event) {
            self.reject_trigger(team, id, "tenant_unknown").await?;
        } else if is_wanted(&setting.events, &event.name) {
            let write = self.kept(&entry, scheme, &event, posted, request).map_err(faults::internal)?;
            match inner.db.write(write).await {
                Ok(_) => self.forward_soon(),
                // The provider sent it again; it is on its way.
                Err(DbError::Conflict) => {
                    tracing::debug!(connector = %id, event = event.name, "a provider event is there already");
                }
                Err(error) => return Err(faults::store(error)),
            }
        } else {
            tracing::debug!(connector = %id, event = event.name, "a provider event is not among those that are forwarded");
        }
        // Whether or not somebody wants to hear of it.
        if let Some(signal) = event.signal {
            self.provider_signal(team, id, signal);
        }
        Ok(event.answer)
    }

    /// The one write of an event: what came, a delivery for each destination, what is counted, the record.
    fn kept(
        &self,
        entry: &Entry,
        scheme: Scheme,
        event: &webhook::Event,
        posted: Posted<'_>,
        request: Id<kind::Request>,
    ) -> Result<Write, crate::sealing::Unsealable> {
        let inner = &self.inner;
        let now = inner.env.now();
        let of = &entry.row.connector;
        let dedupe = match &event.delivery {
            Some(delivery) => Parts::new("trigger-delivery/1").add(delivery.as_bytes()).finish(),
            None => Parts::new("trigger-body/1").add(posted.body).finish(),
        };
        let mut row = TriggerEvent {
            id: inner.env.id(),
            team: of.team,
            connector: of.id,
            dedupe,
            name: event.name.clone(),
            tenant: event.tenant.clone(),
            size: i64::try_from(posted.body.len()).unwrap_or(i64::MAX),
            content: Vec::new(),
            received_at: now,
        };
        row.content = inner.seal_trigger_event(&row, content::pack(scheme, posted.headers, posted.body))?;
        let open: Vec<_> =
            entry.triggers.destinations.iter().filter(|one| one.disabled_at.is_none()).collect();
        let deliveries: Vec<TriggerDelivery> = open
            .iter()
            .map(|destination| TriggerDelivery {
                id: inner.env.id(),
                team: of.team,
                connector: of.id,
                event: row.id,
                destination: destination.id,
                project: destination.project,
                environment: destination.environment,
                branch: destination.branch.clone(),
                state: DeliveryState::Waiting,
                attempts: 0,
                round_from: 0,
                due_at: now,
                last_status: None,
                last_error: None,
                created_at: now,
                ended_at: None,
            })
            .collect();
        // In one order for everybody, so that no two writes wait for each other.
        let mut counted: Vec<_> = deliveries.iter().map(|delivery| Some(delivery.project)).collect();
        counted.sort_unstable();
        if counted.is_empty() {
            counted.push(None);
        }
        let mut told = AuditEvent::of_system(now, Action::TriggerReceive)
            .in_team(of.team)
            .on(of.id)
            .with("event", row.id.to_string())
            .with("name", row.name.clone())
            .with("size", row.size)
            .with("deliveries", deliveries.iter().map(|one| one.id.to_string()).collect::<Vec<_>>());
        told.request = Some(request);
        if let Some(tenant) = &row.tenant {
            told = told.with("tenant", tenant.clone());
        }
        Ok(Write::new()
            .step(trigger_events::insert(&row))
            .steps(deliveries.iter().map(deliveries::insert))
            .steps(counted.into_iter().map(|project| usage::count_trigger(of.team, of.id, project, now)))
            .event(&inner.env, &told))
    }

    /// One event a minute for each connector and reason: whoever knows an address could fill the log.
    async fn reject_trigger(
        &self,
        team: Id<kind::Team>,
        connector: Id<kind::Connector>,
        why: &'static str,
    ) -> Result<(), Fault> {
        let now = self.inner.env.now();
        let Some(unrecorded) = self.inner.rejections.fold_trigger(connector, why, now) else { return Ok(()) };
        let mut event = AuditEvent::of_system(now, Action::TriggerReject)
            .in_team(team)
            .on(connector)
            .ended(Outcome::Denied)
            .with("why", why);
        if unrecorded > 0 {
            event = event.with("unrecorded", unrecorded);
        }
        self.record(event).await
    }
}

/// Whether an event is the connector's. An application of the operator's serves several teams, and its provider sends the
/// events of all of them to one address: each team hears of the tenants at which it installed the application, and of no
/// other's.
fn is_of(entry: &Entry, event: &webhook::Event) -> bool {
    let known = |tenant: &str| {
        let named = |name: &Option<String>| name.as_deref() == Some(tenant);
        entry.installations.iter().any(|one| named(&one.external_id) || named(&one.tenant_id))
    };
    !entry.row.connector.managed || event.tenant.as_deref().is_some_and(known)
}

/// The same for whatever is not taken.
fn unknown() -> Fault {
    Fault::new(
        Code::Unauthorized,
        "This is no event of a provider that is known here: no such connector, or not signed with its secret.",
    )
}

/// Of the vendor whose clients these are.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5999);
