//! How a request ended: what is recorded of it, and what the person and the application are told.

use std::sync::Arc;

use carnet_model::audit::{Action, Outcome};
use carnet_model::{Fault, Id, SecretString, Slug, Time, kind};
use carnet_providers::CallbackFault;
use carnet_providers::{DriverError, Vendor};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, Step, Write, grants, people, projects};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::page::{event, place, remembered};
use super::request::{Remembered, Stored, result_of};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;

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
    /// Whether an installation was asked for, rather than to act for a person.
    pub installs: bool,
    /// Proves that the form to undo it came from our page in the browser that consented.
    pub form_token: Option<SecretString>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndingKind {
    /// Consent was given and recorded.
    Connected {
        /// The account at the provider, in its words.
        account: Option<String>,
    },
    /// Not yet: the person must say whether another account takes the place of the one before.
    AnotherAccount,
    /// Not yet: the application must confirm with the code in its return address.
    Completing,
    /// It was, and the person took it back.
    Undone,
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
        /// What an installation lacks.
        reason: Option<NotYet>,
    },
}

/// Why an installation cannot be recorded yet, although nothing failed here or at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotYet {
    /// An administrator at the provider has to approve it.
    AwaitsApproval,
    /// The provider did not say who installed, because the application there is not set to ask.
    InstallerUnknown,
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
    /// The connector asks for something else by now than the page did on which the person said yes.
    Changed,
    /// The person has signed in to another account than before, and must say whether that was meant.
    AnotherAccount,
    /// Something failed.
    Fault(Fault),
}

impl From<Stored> for EndingKind {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Success { account, .. } => Self::Connected { account },
            Stored::Canceled => Self::Canceled,
            Stored::Error { code, message, vendor, reason } => Self::Failed {
                code,
                message,
                reason,
                vendor: vendor.and_then(|vendor| serde_json::from_value(vendor).ok()),
            },
        }
    }
}

impl Broker {
    /// How a request ended, for the browser in which it did.
    pub async fn consent_ending(&self, request: &str, browser: &SecretString) -> Result<Ending, ConsentEnd> {
        let consent = self.ended_here(request, browser).await?;
        let entry = self.entry_of(&consent).await?;
        let remembered = remembered(&consent)?;
        let mut ending = self.ending_again(&consent, &entry, &remembered).await?;
        if matches!(ending.kind, EndingKind::Connected { .. }) && self.grant_of(&consent).await?.is_some() {
            ending.form_token = Some(self.form_token(consent.id, browser));
        }
        Ok(ending)
    }

    /// Takes back what this browser consented to, if it is still what is kept: here at once, and at the provider.
    pub async fn undo_consent(
        &self,
        request: &str,
        browser: &SecretString,
        form_token: &str,
    ) -> Result<Ending, ConsentEnd> {
        let consent = self.ended_here(request, browser).await?;
        if !self.is_form_token(consent.id, browser, form_token) {
            return Err(ConsentEnd::OtherBrowser);
        }
        let entry = self.entry_of(&consent).await?;
        let remembered = remembered(&consent)?;
        let Some(row) = self.grant_of(&consent).await? else { return Err(ConsentEnd::Used) };
        let inner = &self.inner;
        let now = inner.env.now();
        let event = event(&consent, now, Action::AuthorizationUndo).with("grant", row.grant.id.to_string());
        let write = Write::new()
            .step(grants::withdraw(consent.team, row.grant.id, now))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await?;
        self.tell_providers_later(vec![row]);
        let mut ending = self.ending(&consent, &entry, &remembered, EndingKind::Undone).await?;
        ending.return_to = None;
        Ok(ending)
    }

    async fn ended_here(&self, request: &str, browser: &SecretString) -> Result<Consent, ConsentEnd> {
        let id = Id::parse(request).map_err(|_| ConsentEnd::Unknown)?;
        let consent = consents::find(&self.inner.db, id).await?.ok_or(ConsentEnd::Unknown)?;
        let digest = sha256(browser.expose().as_bytes());
        let same = consent.browser_digest.is_some_and(|bound| carnet_vault::equal(&bound, &digest));
        if same && consent.state == ConsentState::Done { Ok(consent) } else { Err(ConsentEnd::Used) }
    }

    /// The grant that this very consent gave, if nothing has taken its place.
    async fn grant_of(&self, consent: &Consent) -> Result<Option<grants::GrantRow>, ConsentEnd> {
        let Some(row) = grants::at(&self.inner.db, &place(consent)).await? else { return Ok(None) };
        let secret = self
            .inner
            .open_grant(&row.grant, &row.held)
            .map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        Ok(Some(row).filter(|_| secret.facts.given_by == Some(consent.id)))
    }

    /// Records an end that is not a grant.
    pub(super) async fn finish(
        &self,
        consent: &Consent,
        entry: &Entry,
        remembered: &Remembered,
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
        let write = Write::new()
            .step(over(consent, &result, now))
            .steps(self.completion(consent, &entry.row.connector, remembered, &stored, now))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {
                self.deliver_soon();
                Ok(stored.into())
            }
            Err(DbError::Unmet(_)) => Err(ConsentEnd::Used),
            Err(error) => Err(error.into()),
        }
    }

    /// The end once more, or where it stands while it waits to be confirmed.
    pub(super) async fn ending_again(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<Ending, ConsentEnd> {
        let kind = match (result_of(consent), consent.state, consent.completion_digest) {
            (Some(stored), ..) => stored.into(),
            (None, ConsentState::Parked, Some(_)) => EndingKind::Completing,
            (None, ConsentState::Parked, None) => EndingKind::AnotherAccount,
            _ => return Err(ConsentEnd::Used),
        };
        self.ending(consent, entry, remembered, kind).await
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
        let return_url = remembered.return_url.as_deref().and_then(|url| Url::parse(url).ok());
        Ok(Ending {
            request: consent.id,
            return_to: match &remembered.sign_in {
                Some(app) => self.sign_in_answer(app, consent.id, &kind),
                None => return_url.and_then(|url| self.with_outcome(url, consent.id, &kind)),
            },
            kind,
            project,
            team,
            service: self.inner.service_name(connector),
            installs: remembered.installs,
            form_token: None,
        })
    }

    /// The return address with `request` and `status`, and `error` if it failed. Only where the connector requires
    /// completion is there a proof in it, the one-time `completion_code`; else the application learns the truth by asking
    /// for a token. While the person has something to say yet, there is no way back.
    fn with_outcome(
        &self,
        mut url: Url,
        request: Id<kind::AuthorizationRequest>,
        kind: &EndingKind,
    ) -> Option<Url> {
        let code = self.completion_code(request);
        let further: &[(&str, &str)] = match kind {
            EndingKind::AnotherAccount | EndingKind::Undone => return None,
            EndingKind::Connected { .. } => &[("status", "success")],
            EndingKind::Completing => &[("status", "completing"), ("completion_code", code.expose())],
            EndingKind::Canceled => &[("status", "canceled")],
            EndingKind::Failed { code, .. } => &[("status", "error"), ("error", code)],
        };
        url.query_pairs_mut().append_pair("request", &request.to_string()).extend_pairs(further);
        Some(url)
    }
}

/// What is stored of a driver's failure: a code, a sentence, the provider's words.
pub(super) fn explain(error: &DriverError, entry: &Entry) -> Stored {
    let uid = entry.row.connector.uid.as_str();
    let (code, message, vendor) = match error {
        DriverError::Callback(fault) => {
            let vendor = match fault {
                CallbackFault::CodeRefused { vendor } => Some(vendor),
                _ => None,
            };
            ("authorization_failed".to_owned(), sentence(&fault.to_string()), vendor)
        }
        DriverError::Refused { vendor } => {
            ("provider_refused".to_owned(), "The provider refused the request.".to_owned(), Some(vendor))
        }
        DriverError::ClientRejected { vendor } => {
            let fault = faults::driver(error, uid);
            (fault.code.as_str().to_owned(), fault.message, Some(vendor))
        }
        other => {
            let fault = faults::driver(other, uid);
            (fault.code.as_str().to_owned(), fault.message, None)
        }
    };
    let reason = match error {
        DriverError::Callback(CallbackFault::AwaitsApproval) => Some(NotYet::AwaitsApproval),
        DriverError::Callback(CallbackFault::InstallerUnknown(_)) => Some(NotYet::InstallerUnknown),
        _ => None,
    };
    Stored::Error {
        code,
        message,
        vendor: vendor.and_then(|vendor| serde_json::to_value(vendor).ok()),
        reason,
    }
}

pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

/// The step by which a request is over. What is parked has a time of its own; what comes from the provider was taken in
/// time.
pub(super) fn over(consent: &Consent, result: &Value, now: Time) -> Step {
    match consent.state {
        ConsentState::Parked => consents::finish_parked(consent.id, result, now),
        _ => consents::finish(consent.id, result, now),
    }
}
