//! Confirming what is parked: by the person, that another account takes the place of the one before; by the
//! application, that the person who consented is back in its hands.

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault, Id, SecretString, kind};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, Write, grants};
use carnet_vault::Purpose;

use super::ending::{ConsentEnd, Ending, EndingKind};
use super::page::{event, hex, place, remembered};
use super::record::Confirmed;
use super::request::{Remembered, Stored};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use std::sync::Arc;

/// What a person is asked who signed in to another account than before.
#[derive(Debug)]
pub struct AccountQuestion {
    /// Which request.
    pub request: Id<kind::AuthorizationRequest>,
    /// The application that asked; `None` when a person asked for itself.
    pub project: Option<carnet_model::Slug>,
    /// The team.
    pub team: String,
    /// The service in words.
    pub service: String,
    /// The account that is connected now, in the provider's words.
    pub before: String,
    /// The account that the person signed in to.
    pub now: String,
    /// Proves that a decision came from this page in this browser.
    pub form_token: SecretString,
}

impl Broker {
    /// The question, for the browser in which the person signed in.
    pub async fn account_question(
        &self,
        request: &str,
        browser: &SecretString,
    ) -> Result<AccountQuestion, ConsentEnd> {
        let consent = self.parked_here(request, browser).await?;
        let entry = self.entry_of(&consent).await?;
        let remembered = remembered(&consent)?;
        let facts = self.open_parked(&consent)?.facts;
        let before = grants::at(&self.inner.db, &place(&consent)).await?;
        let known = before.and_then(|row| {
            let name = self.inner.open_grant(&row.grant, &row.held).ok().and_then(|secret| secret.facts.name);
            name.or(row.grant.external_subject)
        });
        let ending = self.ending(&consent, &entry, &remembered, EndingKind::AnotherAccount).await?;
        Ok(AccountQuestion {
            request: consent.id,
            project: ending.project,
            team: ending.team,
            service: self.inner.service_name(&entry.row.connector),
            before: known.unwrap_or_default(),
            now: facts.name.or(facts.external_subject).unwrap_or_default(),
            form_token: self.form_token(consent.id, browser),
        })
    }

    /// Takes the person's answer.
    pub async fn decide_account(
        &self,
        request: &str,
        browser: &SecretString,
        form_token: &str,
        replace: bool,
    ) -> Result<Ending, ConsentEnd> {
        let consent = self.parked_here(request, browser).await?;
        if !self.is_form_token(consent.id, browser, form_token) {
            return Err(ConsentEnd::OtherBrowser);
        }
        let entry = self.entry_of(&consent).await?;
        let remembered = remembered(&consent)?;
        let kind = if replace {
            let confirmed = Confirmed { account: true, completion: false };
            self.take_parked(&consent, &entry, &remembered, confirmed).await?
        } else {
            self.decline(&consent, &entry, &remembered).await?
        };
        self.ending(&consent, &entry, &remembered, kind).await
    }

    /// Nothing has changed, and the provider is told to forget what it just gave.
    async fn decline(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let secret = self.open_parked(consent)?;
        let now = inner.env.now();
        let stored = Stored::Error {
            code: "account_changed".to_owned(),
            message: "Another account than the one connected before was used, and it was not meant to take its place."
                .to_owned(),
            vendor: None,
            reason: None,
        };
        let result = serde_json::to_value(&stored).unwrap_or_default();
        let event = event(consent, now, Action::AuthorizationComplete)
            .ended(Outcome::Denied)
            .with("code", "account_changed");
        let write = Write::new()
            .step(consents::finish_parked(consent.id, &result, now))
            .steps(self.completion(consent, &entry.row.connector, remembered, &stored, now))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {}
            Err(DbError::Unmet(_)) => return Err(ConsentEnd::Used),
            Err(error) => return Err(error.into()),
        }
        self.deliver_soon();
        self.tell_now(entry, &secret.held).await;
        Ok(stored.into())
    }

    /// A request that waits for the person in this browser.
    async fn parked_here(&self, request: &str, browser: &SecretString) -> Result<Consent, ConsentEnd> {
        let id = Id::parse(request).map_err(|_| ConsentEnd::Unknown)?;
        let consent = consents::find(&self.inner.db, id).await?.ok_or(ConsentEnd::Unknown)?;
        let digest = sha256(browser.expose().as_bytes());
        let same = consent.browser_digest.is_some_and(|bound| carnet_vault::equal(&bound, &digest));
        match consent.state {
            ConsentState::Parked if consent.completion_digest.is_none() => {}
            _ => return Err(ConsentEnd::Used),
        }
        if consent.expires_at <= self.inner.env.now() {
            return Err(ConsentEnd::Expired);
        }
        if same { Ok(consent) } else { Err(ConsentEnd::OtherBrowser) }
    }

    /// The application that asked redeems the code which came to its return address; only now does the grant hold.
    pub async fn complete_authorization(
        &self,
        caller: &Caller,
        code: &str,
        request: Id<kind::Request>,
    ) -> Result<EndingKind, Fault> {
        let inner = &self.inner;
        let unknown = || {
            Fault::new(
                Code::NotFound,
                "There is no consent that waits for this completion code here, or no longer.",
            )
        };
        let found = consents::by_completion(&inner.db, caller.team(), sha256(code.as_bytes())).await;
        let consent = found.map_err(crate::faults::store)?.ok_or_else(unknown)?;
        // Whoever did not ask cannot complete: the code of one application is worth nothing to another.
        if caller.principal() != consent.requested_by || consent.expires_at <= inner.env.now() {
            let event = AuditEvent::of(caller, inner.env.now(), Action::AuthorizationComplete, Some(request))
                .on(consent.connector)
                .with("request", consent.id.to_string());
            return Err(self.refuse(event, Outcome::Denied, unknown(), Some("completion-code")).await?);
        }
        let entry = self.entry_of(&consent).await.map_err(|end| end.fault_or(unknown))?;
        let remembered = remembered(&consent).map_err(|end| end.fault_or(unknown))?;
        // A person was asked about another account before the code was given out.
        let confirmed = Confirmed { account: true, completion: true };
        let work = {
            let broker = self.clone();
            self.track(async move { broker.take_parked(&consent, &entry, &remembered, confirmed).await })
        };
        let kind = work.await.map_err(crate::faults::internal)?;
        kind.map_err(|end| end.fault_or(unknown))
    }

    /// The one-time code with which the application completes a consent: the same however often it is asked for, so that
    /// a browser that is reloaded brings it again.
    pub(super) fn completion_code(&self, request: Id<kind::AuthorizationRequest>) -> SecretString {
        let text = [b"completion-code/1".as_slice(), request.bytes()].concat();
        hex(&self.inner.keyring.hash(Purpose::State, &text).digest).into()
    }
}

impl ConsentEnd {
    fn fault_or(self, otherwise: impl FnOnce() -> Fault) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            _ => otherwise(),
        }
    }
}
