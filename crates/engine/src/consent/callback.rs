//! The way back from the provider, and the end.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, Outcome};
use carnet_model::failpoint::Point;
use carnet_model::grant::{Grant, GrantState};
use carnet_model::{ConnectorRef, Fault, Id, Scopes, SecretString, Slug, Time, kind};
use carnet_providers::{Callback, CallbackFault, DriverError, Granted, Kept, Vendor, catalog};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::grants::{self, GrantRow};
use carnet_store::{DbError, Write, connectors, minted, pass, people, projects};
use url::Url;

use super::page::{event, place, remembered};
use super::request::{Remembered, Stored, result_of};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;
use crate::refresh::ahead_of_time;
use crate::sealing::{Facts, GrantSecret};

/// How a request ended, for the person.
#[derive(Debug)]
pub struct Ending {
    /// Which request.
    pub request: Id<kind::AuthorizationRequest>,
    /// How.
    pub kind: EndingKind,
    /// The application that asked; `None` when a person asked for itself.
    pub project: Option<Slug>,
    /// The team.
    pub team: String,
    /// The service in words.
    pub service: String,
    /// Where the browser goes now, with the outcome in the query.
    pub return_to: Option<Url>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndingKind {
    /// Consent was given and recorded.
    Connected,
    /// The person said no.
    Canceled,
    /// It did not work.
    Failed {
        /// A stable code.
        code: String,
        /// Our sentence.
        message: String,
        /// The provider's words.
        vendor: Option<Vendor>,
    },
}

/// Why a page of a request cannot be shown.
#[derive(Debug)]
pub enum ConsentEnd {
    /// There is no such request.
    Unknown,
    /// It was used.
    Used,
    /// Its time is over.
    Expired,
    /// It was begun in another browser.
    OtherBrowser,
    /// Something failed.
    Fault(Fault),
}

impl Broker {
    /// The provider sent the browser back. `via` is the connector in the path, if there was one.
    pub async fn callback(
        &self,
        via: Option<&str>,
        params: Vec<(String, String)>,
        browser: Option<&SecretString>,
    ) -> Result<Ending, ConsentEnd> {
        let mut states = params.iter().filter(|(name, _)| name == "state").map(|(_, value)| value);
        let (Some(state), None) = (states.next(), states.next()) else { return Err(ConsentEnd::Unknown) };
        let digest = sha256(state.as_bytes());
        let consent = consents::by_state(&self.inner.db, digest).await?.ok_or(ConsentEnd::Unknown)?;
        let entry = self.entry_of(&consent).await?;
        let bound = consent.browser_digest.zip(browser).is_some_and(|(bound, browser)| {
            carnet_vault::equal(&bound, &sha256(browser.expose().as_bytes()))
        });
        if !bound {
            return Err(ConsentEnd::OtherBrowser);
        }
        // The redirect URI of one connector does not serve another: a mixed-up answer ends here (RFC 9700 §4.4.2).
        if let Some(via) = via {
            let connector = &entry.row.connector;
            let same = match ConnectorRef::parse(via) {
                Some(ConnectorRef::Id(id)) => id == connector.id,
                Some(ConnectorRef::Uid(uid)) => uid == connector.uid,
                None => false,
            };
            if !same {
                return Err(ConsentEnd::Unknown);
            }
        }
        let remembered = remembered(&consent)?;
        match consent.state {
            ConsentState::Sent => {}
            // The browser was reloaded: the same answer again, and no second exchange.
            ConsentState::Done => return self.ending_again(&consent, &entry, &remembered).await,
            ConsentState::Exchanging => return self.wait_for_end(&consent, &entry, &remembered).await,
            ConsentState::Pending => return Err(ConsentEnd::Unknown),
        }
        let inner = &self.inner;
        let sealed = consent.kept.as_deref().ok_or(ConsentEnd::Unknown)?;
        let kept =
            inner.open_kept(&consent, sealed).map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        let taken =
            inner.db.write(Write::new().step(consents::take(consent.id, digest, inner.env.now()))).await;
        match taken {
            Ok(_) => {}
            Err(DbError::Unmet(_)) if consent.expires_at <= inner.env.now() => {
                return Err(ConsentEnd::Expired);
            }
            Err(DbError::Unmet(_)) => return self.wait_for_end(&consent, &entry, &remembered).await,
            Err(error) => return Err(error.into()),
        }
        self.clone().complete(consent, entry, remembered, Callback::Redirected { params }, kept).await
    }

    /// How a request ended, for the browser in which it did.
    pub async fn consent_ending(&self, request: &str, browser: &SecretString) -> Result<Ending, ConsentEnd> {
        let id = Id::parse(request).map_err(|_| ConsentEnd::Unknown)?;
        let consent = consents::find(&self.inner.db, id).await?.ok_or(ConsentEnd::Unknown)?;
        let digest = sha256(browser.expose().as_bytes());
        let same = consent.browser_digest.is_some_and(|bound| carnet_vault::equal(&bound, &digest));
        if !same || consent.state != ConsentState::Done {
            return Err(ConsentEnd::Used);
        }
        let entry = self.entry_of(&consent).await?;
        let remembered = remembered(&consent)?;
        self.ending_again(&consent, &entry, &remembered).await
    }

    /// Turns what came back into a grant, in a task of its own: a closed tab does not lose the code.
    pub(super) async fn complete(
        self,
        consent: Consent,
        entry: Arc<Entry>,
        remembered: Remembered,
        back: Callback,
        kept: Kept,
    ) -> Result<Ending, ConsentEnd> {
        let broker = self.clone();
        let work = self.track(async move {
            let kind = broker.exchange(&consent, &entry, &back, &kept).await?;
            broker.announce(&consent, &entry, remembered.webhook.as_deref(), &kind);
            broker.ending(&consent, &entry, &remembered, kind).await
        });
        work.await.map_err(|error| ConsentEnd::Fault(faults::internal(error)))?
    }

    async fn exchange(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        back: &Callback,
        kept: &Kept,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let secrets = inner.secrets(entry).map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        let at = self.inner.at(entry, &secrets);
        pass(&inner.env, Point::ConsentTaken).await?;
        let result = entry.driver().finish(&at, back, kept).await;
        self.concluded(consent, entry, result, kept.scopes.clone()).await
    }

    /// What the provider said about a request becomes its end.
    pub(super) async fn concluded(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        result: Result<Granted, DriverError>,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        let connector = &entry.row.connector;
        match result {
            Ok(granted) => self.record_grant(consent, entry, granted, asked).await,
            // A mistyped key can be typed again.
            Err(DriverError::Callback(CallbackFault::InvalidKey)) => Err(ConsentEnd::Fault(
                Fault::new(
                    carnet_model::Code::InvalidRequest,
                    "A key has 1 to 16384 printable ASCII characters.",
                )
                .with("field", "key"),
            )),
            Err(DriverError::Denied) => self.finish(consent, Stored::Canceled, Outcome::Denied).await,
            Err(error) => {
                let (code, message, vendor) = explain(&error, entry);
                tracing::info!(request = %consent.id, connector = %connector.id, code, "a consent could not be completed");
                let vendor_json = vendor.as_ref().and_then(|vendor| serde_json::to_value(vendor).ok());
                let stored = Stored::Error { code, message, vendor: vendor_json };
                self.finish(consent, stored, Outcome::Failed).await
            }
        }
    }

    /// The grant, the result and the event: one write. New consent takes the place of the old.
    async fn record_grant(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        granted: Granted,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let place = place(consent);
        let Granted { held, scopes, external_subject, access_expires_at, refresh_expires_at, name, metadata } =
            granted;
        let claims = held.claims();
        let facts = Facts {
            token_id: Some(inner.env.id()),
            asked,
            name,
            external_subject: external_subject.clone(),
            metadata,
            claims,
        };
        let secret = GrantSecret { facts, held };
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
            if let Some(before) = &before
                && let (Some(old), Some(new)) = (&before.grant.external_subject, &external_subject)
                && old != new
            {
                return self.another_account(consent, entry, secret).await;
            }
            let (id, version, rt_version, created_at, replaces) = match &before {
                None => (inner.env.id(), 1, 1, now, None),
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
                scopes: scopes.clone(),
                external_subject: external_subject.clone(),
                access_expires_at,
                refresh_expires_at,
                refreshable: secret.held.refresh().is_some(),
                version,
                rt_version,
                created_at,
                updated_at: now,
            };
            let sealed = inner
                .seal_grant(&grant, &secret)
                .map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
            let due = ahead_of_time(id, now, access_expires_at);
            let row =
                GrantRow { grant, held: sealed, fence: 0, lease_until: Time::default(), last_used_at: now };
            let result = serde_json::to_value(Stored::Success).unwrap_or_default();
            let mut event = event(consent, now, Action::AuthorizationComplete)
                .with("status", "success")
                .with("grant", id.to_string());
            if let Some(scopes) = &scopes {
                event = event.with("scopes", scopes.to_string());
            }
            let version = present.row.connector.version;
            let write = Write::new()
                .step(connectors::still_at(consent.team, consent.connector, version))
                .step(grants::put(&row, due, replaces))
                .step(minted::delete_of_grant(consent.team, id))
                .step(consents::finish(consent.id, &result, now))
                .event(&inner.env, &event)
                .revises();
            match inner.db.write(write).await {
                Ok(_) => {
                    // There is nothing left that could fail.
                    let _ = pass(&inner.env, Point::ConsentRecorded).await;
                    if inner.brakes.consented(present.line(), now) {
                        self.brake_ended(&present, "a new consent works").await;
                    }
                    return Ok(EndingKind::Connected);
                }
                // What this server gave is kept only by a connector that would not take it to another one.
                Err(DbError::Unmet(0)) => match self.unmoved(consent, entry).await {
                    Ok(Some(changed)) => present = changed,
                    Ok(None) => return self.another_server(consent, entry, secret).await,
                    Err(error) if error.is_unavailable() && now < deadline => {
                        tokio::time::sleep(RETRY).await;
                    }
                    Err(error) => return Err(error.into()),
                },
                // A refresh or another consent was faster; with the row as it is now.
                Err(DbError::Unmet(1) | DbError::Conflict) => {}
                Err(DbError::Unmet(_)) => return Err(ConsentEnd::Used),
                Err(error) if error.is_unavailable() && now < deadline => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The connector as it is now, unless it is gone or sends secrets elsewhere than when the person was sent away.
    async fn unmoved(&self, consent: &Consent, entry: &Arc<Entry>) -> Result<Option<Arc<Entry>>, DbError> {
        self.inner.db.refresh_revision().await?;
        let present = self.inner.entry(consent.team, &ConnectorRef::Id(consent.connector)).await?;
        Ok(present.filter(|present| self.new_recipients(entry, &present.row.connector).is_empty()))
    }

    /// The connector was pointed at another server, or removed, while a code was being exchanged.
    async fn another_server(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        secret: GrantSecret,
    ) -> Result<EndingKind, ConsentEnd> {
        self.tell_now(entry, &secret.held).await;
        let stored = Stored::Error {
            code: "authorization_failed".to_owned(),
            message: sentence(&CallbackFault::ServerChanged.to_string()),
            vendor: None,
        };
        self.finish(consent, stored, Outcome::Failed).await
    }

    /// The person signed in to another account than before. Taking it silently would turn one account's agent into
    /// another's; so nothing changes, and the provider is told to forget what it just gave.
    async fn another_account(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        secret: GrantSecret,
    ) -> Result<EndingKind, ConsentEnd> {
        self.tell_now(entry, &secret.held).await;
        let stored = Stored::Error {
            code: "account_changed".to_owned(),
            message: "You signed in to another account than the one connected before. Remove the existing connection \
                      first, or sign in to the same account."
                .to_owned(),
            vendor: None,
        };
        self.finish(consent, stored, Outcome::Denied).await
    }

    /// Records an end that is not a grant.
    async fn finish(
        &self,
        consent: &Consent,
        stored: Stored,
        outcome: Outcome,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let now = inner.env.now();
        let mut event = event(consent, now, Action::AuthorizationComplete).ended(outcome);
        if let Stored::Error { code, .. } = &stored {
            event = event.with("code", code.clone());
        }
        let result = serde_json::to_value(&stored).unwrap_or_default();
        let write = Write::new().step(consents::finish(consent.id, &result, now)).event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(kind_of(stored)),
            Err(DbError::Unmet(_)) => Err(ConsentEnd::Used),
            Err(error) => Err(error.into()),
        }
    }

    async fn ending_again(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<Ending, ConsentEnd> {
        let stored = result_of(consent).ok_or(ConsentEnd::Used)?;
        self.ending(consent, entry, remembered, kind_of(stored)).await
    }

    /// The same answer arrived twice at once: waits for the other to finish.
    async fn wait_for_end(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<Ending, ConsentEnd> {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = consents::find(&self.inner.db, consent.id).await?.ok_or(ConsentEnd::Unknown)?;
            if now.state == ConsentState::Done {
                return self.ending_again(&now, entry, remembered).await;
            }
        }
        Err(ConsentEnd::Used)
    }

    pub(super) async fn ending(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        kind: EndingKind,
    ) -> Result<Ending, ConsentEnd> {
        let connector = &entry.row.connector;
        let team =
            people::team(&self.inner.db, consent.team).await?.map(|team| team.name).unwrap_or_default();
        let project = match consent.project {
            Some(id) => projects::find(&self.inner.db, consent.team, id).await?.map(|project| project.name),
            None => None,
        };
        Ok(Ending {
            request: consent.id,
            return_to: remembered.return_url.as_deref().and_then(|url| with_outcome(url, consent.id, &kind)),
            kind,
            project,
            team,
            service: catalog::service(&connector.service)
                .map_or_else(|| connector.name.clone(), |definition| definition.name.clone()),
        })
    }
}

fn kind_of(stored: Stored) -> EndingKind {
    match stored {
        Stored::Success => EndingKind::Connected,
        Stored::Canceled => EndingKind::Canceled,
        Stored::Error { code, message, vendor } => EndingKind::Failed {
            code,
            message,
            vendor: vendor.and_then(|vendor| serde_json::from_value(vendor).ok()),
        },
    }
}

/// The return address with `request` and `status`, and `error` if it failed. Nothing in it is a secret or a proof: the
/// application learns the truth by asking for a token.
fn with_outcome(url: &str, request: Id<kind::AuthorizationRequest>, kind: &EndingKind) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("request", &request.to_string());
        match kind {
            EndingKind::Connected => query.append_pair("status", "success"),
            EndingKind::Canceled => query.append_pair("status", "canceled"),
            EndingKind::Failed { code, .. } => {
                query.append_pair("status", "error").append_pair("error", code)
            }
        };
    }
    Some(url)
}

fn explain(error: &DriverError, entry: &Entry) -> (String, String, Option<Vendor>) {
    let uid = entry.row.connector.uid.as_str();
    match error {
        DriverError::Callback(fault) => {
            let vendor = match fault {
                CallbackFault::CodeRefused { vendor } => Some(vendor.clone()),
                _ => None,
            };
            ("authorization_failed".to_owned(), sentence(&fault.to_string()), vendor)
        }
        DriverError::Refused { vendor } => (
            "provider_refused".to_owned(),
            "The provider refused the request.".to_owned(),
            Some(vendor.clone()),
        ),
        DriverError::ClientRejected { vendor } => {
            let fault = faults::driver(error, uid);
            (fault.code.as_str().to_owned(), fault.message, Some(vendor.clone()))
        }
        other => {
            let fault = faults::driver(other, uid);
            (fault.code.as_str().to_owned(), fault.message, None)
        }
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

/// The code is spent: the store gets this long to take what it brought.
const TRY_TO_RECORD: Duration = Duration::from_mins(1);
const RETRY: Duration = Duration::from_millis(250);
