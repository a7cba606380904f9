//! From what a provider gave to a grant: at once, or parked until somebody confirms it.
//!
//! The grant, the result, the webhook and the event are one write, and new consent takes the place of the old. Two things
//! hold it back: the provider names another account than the one connected before, which a person must want; and a
//! connector that [requires completion](carnet_store::consent_rules::ConsentRules), which the application must give.
//! What is held back is sealed in the request's own row: whoever stops in between loses nothing, and nobody gets a token.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::failpoint::Point;
use carnet_model::grant::{Grant, GrantState, Place};
use carnet_model::{ConnectorRef, Id, Scopes, Time, kind};
use carnet_providers::{CallbackFault, Granted};
use carnet_store::consents::Consent;
use carnet_store::grants::{self, GrantRow};
use carnet_store::{DbError, Step, Write, connectors, minted, pass};

use super::ending::{ConsentEnd, EndingKind, over, sentence};
use super::page::{event, place};
use super::parked::WaitsFor;
use super::request::{Remembered, Stored};
use crate::broker::{Broker, Inner};
use crate::directory::Entry;
use crate::faults;
use crate::managed::is_same_client;
use crate::refresh::due;
use crate::sealing::{Facts, GrantSecret, Unsealable};

/// What was given for a place, and has no row yet.
pub(crate) struct Given {
    pub(crate) secret: GrantSecret,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) access_expires_at: Option<Time>,
}

/// What was confirmed already.
#[derive(Clone, Copy, Default)]
pub(crate) struct Confirmed {
    /// That another account takes the place of the one before.
    pub(crate) account: bool,
    /// That the application has its person back.
    pub(crate) completion: bool,
}

/// A grant that can be written.
pub(crate) struct Ready {
    pub(crate) row: GrantRow,
    due: Option<Time>,
    replaces: Option<i64>,
}

impl Given {
    /// What a driver brought back from a consent.
    pub(super) fn of(
        granted: Granted,
        asked: Option<Scopes>,
        remembered: &Remembered,
        request: Id<kind::AuthorizationRequest>,
        inner: &Inner,
    ) -> Self {
        let Granted { held, scopes, external_subject, access_expires_at, name, metadata, profile, .. } =
            granted;
        let facts = Facts {
            token_id: Some(inner.env.id()),
            asked,
            named: Scopes::parse(remembered.scopes.iter().flatten()).unwrap_or_default(),
            resources: remembered.resources.clone(),
            audience: remembered.audience.clone(),
            details: remembered.details.clone(),
            given_by: Some(request),
            imported: None,
            name,
            external_subject,
            metadata,
            claims: held.claims(),
            profile,
        };
        Self { secret: GrantSecret { facts, held }, scopes, access_expires_at }
    }

    /// What was parked.
    pub(super) fn parked(secret: GrantSecret) -> Self {
        let access_expires_at = secret.held.access().and_then(|access| access.expires_at);
        Self { scopes: secret.held.scopes().cloned(), access_expires_at, secret }
    }

    /// The account, in the provider's words.
    pub(super) fn account(&self) -> Option<String> {
        self.secret.facts.name.clone().or_else(|| self.secret.facts.external_subject.clone())
    }
}

impl Ready {
    /// The steps that write it; the first is the one that another writer can have made impossible.
    pub(crate) fn steps(&self) -> [Step; 2] {
        let Grant { id, place, .. } = &self.row.grant;
        [grants::put(&self.row, self.due, self.replaces), minted::delete_of_grant(place.team, *id)]
    }
}

impl Inner {
    /// The row that puts this at its place, after whatever is there.
    pub(crate) fn ready(
        &self,
        entry: &Entry,
        place: &Place,
        before: Option<&GrantRow>,
        given: &Given,
        now: Time,
    ) -> Result<Ready, Unsealable> {
        let (id, version, rt_version, created_at, replaces) = match before {
            None => (self.env.id(), 1, 1, now, None),
            Some(row) => (
                row.grant.id,
                row.grant.version + 1,
                row.grant.rt_version + 1,
                row.grant.created_at,
                Some(row.grant.version),
            ),
        };
        let grant = Grant {
            id,
            place: place.clone(),
            state: GrantState::Active,
            scopes: given.scopes.clone(),
            external_subject: given.secret.facts.external_subject.clone(),
            access_expires_at: given.access_expires_at,
            refresh_expires_at: given.secret.held.refresh_expires_at(),
            refreshable: given.secret.held.refresh().is_some(),
            version,
            rt_version,
            created_at,
            updated_at: now,
        };
        let held = self.seal_grant(&grant, &given.secret)?;
        let due = due(&grant, entry.idle());
        let row = GrantRow {
            grant,
            held,
            fence: 0,
            lease_until: Time::default(),
            last_used_at: now,
            leaked: false,
        };
        Ok(Ready { row, due, replaces })
    }
}

impl Inner {
    /// What the person was asked for now and in the consent that is being replaced, of the same account, as far as the
    /// provider still gives it: who asks for one thing after the other has not lost the first by the second.
    fn asked_in_all(&self, mut now: Asked, before: &GrantRow, given: &Given) -> Asked {
        let (Some(scopes), granted) = (&now.scopes, given.scopes.as_ref()) else { return now };
        // What does not open is replaced all the same.
        let Ok(secret) = self.open_grant(&before.grant, &before.held) else { return now };
        // Where nothing in particular was asked for, it was whatever the provider gave.
        let then = secret.facts.asked.or_else(|| before.grant.scopes.clone()).unwrap_or_default();
        let all = granted.map_or_else(|| scopes.clone(), |granted| scopes.union(&then.both(granted)));
        now.named = now.named.union(&secret.facts.named).both(&all);
        now.scopes = Some(all);
        now
    }
}

/// What a person was asked for, and what of it callers named.
#[derive(Clone)]
struct Asked {
    scopes: Option<Scopes>,
    named: Scopes,
}

/// Whether both accounts are known and are not the same.
pub(crate) fn is_another_account(before: &GrantRow, given: &Given) -> bool {
    let (old, new) = (&before.grant.external_subject, &given.secret.facts.external_subject);
    old.as_ref().zip(new.as_ref()).is_some_and(|(old, new)| old != new)
}

impl Broker {
    /// Takes what the provider gave: makes it a grant, or parks it.
    pub(super) async fn take_in(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        granted: Granted,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        let given = Given::of(granted, asked, remembered, consent.id, &self.inner);
        self.record_grant(consent, entry, remembered, given, Confirmed::default()).await
    }

    pub(super) async fn record_grant(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        mut given: Given,
        confirmed: Confirmed,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let place = place(consent);
        let facts = &given.secret.facts;
        let asked_now = Asked { scopes: facts.asked.clone(), named: facts.named.clone() };
        let result = Stored::Success { account: given.account(), installation: None };
        let result_json = serde_json::to_value(&result).unwrap_or_default();
        let deadline = inner.env.now().plus(TRY_TO_RECORD);
        let mut present = entry.clone();
        loop {
            let now = inner.env.now();
            let there = match pass(&inner.env, Point::ConsentExchanged).await {
                Ok(()) => grants::at(&inner.db, &place).await,
                Err(error) => Err(error),
            };
            let before = match there {
                Ok(before) => before,
                Err(error) if error.is_unavailable() && now < deadline => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let other = before.as_ref().is_some_and(|before| is_another_account(before, &given));
            let waits_for = if other && !confirmed.account {
                Some(WaitsFor::Account)
            } else if present.consent_rules.require_completion && !confirmed.completion {
                Some(WaitsFor::Completion)
            } else {
                None
            };
            if let Some(what) = waits_for {
                if let Some(kind) = self.park(consent, &present, &given, what).await? {
                    return Ok(kind);
                }
                let Some(changed) = self.unmoved(consent, entry, deadline).await? else {
                    return self.another_server(consent, entry, remembered, given.secret).await;
                };
                present = changed;
                continue;
            }
            let asked = match before.as_ref().filter(|_| !other) {
                Some(before) => inner.asked_in_all(asked_now.clone(), before, &given),
                None => asked_now.clone(),
            };
            given.secret.facts.asked = asked.scopes;
            given.secret.facts.named = asked.named;
            let ready = inner
                .ready(entry, &place, before.as_ref(), &given, now)
                .map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
            let mut event = event(consent, now, Action::AuthorizationComplete)
                .with("status", "success")
                .with("grant", ready.row.grant.id.to_string());
            if let Some(scopes) = &given.scopes {
                event = event.with("scopes", scopes.to_string());
            }
            if other {
                event = event.with("accountReplaced", true);
            }
            // What was parked has a time of its own; what comes from the provider was taken in time.
            let end = over(consent, &result_json, now);
            let connector = &present.row.connector;
            let write = Write::new()
                .step(connectors::still_at(consent.team, consent.connector, connector.version))
                .steps(ready.steps())
                .step(end)
                .steps(self.completion(consent, connector, remembered, &result, now))
                .steps(self.app_session(consent, remembered, now))
                .event(&inner.env, &event)
                .revises();
            match inner.db.write(write).await {
                Ok(_) => {
                    // There is nothing left that could fail.
                    let _ = pass(&inner.env, Point::ConsentRecorded).await;
                    self.deliver_soon();
                    if inner.brakes.consented(present.line(), now) {
                        self.brake_ended(&present, "a new consent works").await;
                    }
                    if let Some(before) = before.filter(|_| other) {
                        self.forget_replaced(present, before);
                    }
                    return Ok(result.into());
                }
                // What this server gave is kept only by a connector that would not take it to another one.
                Err(DbError::Unmet(0)) => match self.unmoved(consent, entry, deadline).await? {
                    Some(changed) => present = changed,
                    None => return self.another_server(consent, entry, remembered, given.secret).await,
                },
                // A refresh or another consent was faster; with the row as it is now.
                Err(DbError::Unmet(1) | DbError::Conflict) => {}
                Err(DbError::Unmet(_)) => return Err(ConsentEnd::Used),
                Err(error) if error.is_unavailable() && now < deadline => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Another account has taken the place of this one: what its provider gave for it is wanted no longer. That of the
    /// same account is left alone, because many providers end an account's newer tokens together with its older ones.
    pub(crate) fn forget_replaced(&self, entry: Arc<Entry>, before: GrantRow) {
        let broker = self.clone();
        self.track(async move {
            let told = broker.tell_provider(&entry, &before).await;
            let event = AuditEvent::of_system(broker.inner.env.now(), Action::TokenRevoke)
                .in_team(before.grant.place.team)
                .on(before.grant.id)
                .with("replaced", true)
                .with("provider", told.end.as_str());
            if let Err(error) = broker.inner.db.write(Write::new().event(&broker.inner.env, &event)).await {
                tracing::warn!(grant = %before.grant.id, %error, "that a replaced grant was given back could not be recorded");
            }
        });
    }

    /// The connector as it is now, unless it is gone, or sends secrets elsewhere or is another client than when the person
    /// was sent away.
    pub(super) async fn unmoved(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        deadline: Time,
    ) -> Result<Option<Arc<Entry>>, ConsentEnd> {
        let reference = ConnectorRef::Id(consent.connector);
        let present = loop {
            let read = async {
                self.inner.db.refresh_revision().await?;
                self.inner.entry(consent.team, &reference).await
            };
            match read.await {
                Err(error) if error.is_unavailable() && self.inner.env.now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                read => break read?,
            }
        };
        Ok(present.filter(|present| {
            is_same_client(&entry.row.connector.data, &present.row.connector.data)
                && !self.takes_elsewhere(entry, &present.row.connector)
        }))
    }

    /// The connector was pointed at another server, or removed, while a code was being exchanged.
    pub(super) async fn another_server(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        secret: GrantSecret,
    ) -> Result<EndingKind, ConsentEnd> {
        self.tell_now(entry, &secret.held).await;
        let stored = Stored::Error {
            code: "authorization_failed".to_owned(),
            message: sentence(&CallbackFault::ServerChanged.to_string()),
            vendor: None,
            reason: None,
        };
        self.finish(consent, entry, remembered, stored, Outcome::Failed).await
    }
}

/// The code is spent: the store gets this long to take what it brought.
pub(super) const TRY_TO_RECORD: Duration = Duration::from_mins(1);
pub(super) const RETRY: Duration = Duration::from_millis(250);
