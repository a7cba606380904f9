//! What the person decides: yes, no, or with this key.

use std::sync::Arc;

use carnet_model::SecretString;
use carnet_model::audit::{Action, Outcome};
use carnet_providers::{Callback, ConnectorSecrets, DriverError, Step};
use carnet_store::consents::{self, Consent};
use carnet_store::{DbError, Write};
use url::Url;

use super::elsewhere::awaited;
use super::ending::{ConsentEnd, Ending, explain};
use super::page::{ask, event, hex, shown_scopes};
use super::request::{Remembered, Stored};
use super::still::{signed, withdrawn};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;

/// What the person decided.
#[derive(Debug)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// Yes, with this key.
    Key(SecretString),
}

/// What happens next.
#[derive(Debug)]
pub enum After {
    /// The browser goes to the provider.
    Provider(Url),
    /// The same page again: it has a code for the provider's now.
    Code,
    /// It is over.
    Ended(Box<Ending>),
}

impl Broker {
    /// Takes the person's decision. `browser` is the binding secret in the cookie, `form_token` what the page held.
    pub async fn decide_consent(
        &self,
        request: &str,
        browser: &SecretString,
        form_token: &str,
        decision: Decision,
    ) -> Result<After, ConsentEnd> {
        let (consent, _, remembered) = self.open_consent(request, browser).await?;
        let entry = self.entry_now(&consent).await?;
        let (token, shown) = form_token.split_once('.').unwrap_or((form_token, ""));
        if !self.is_form_token(consent.id, browser, token) {
            return Err(ConsentEnd::OtherBrowser);
        }
        if !matches!(decision, Decision::Deny)
            && let Some(stored) = withdrawn(&consent, &entry)
        {
            let ending = self.over(&consent, &entry, &remembered, stored, Outcome::Denied).await?;
            return Ok(After::Ended(Box::new(ending)));
        }
        let (asked, _) = self.beside_held(&consent, &entry, &remembered).await?;
        // Yes is said to what was read, and to nothing that was added since.
        if !matches!(decision, Decision::Deny) && shown != shown_scopes(&asked, &entry) {
            return Err(ConsentEnd::Changed);
        }
        match decision {
            Decision::Deny => {
                self.deny(&consent, &entry, &remembered).await.map(|ending| After::Ended(Box::new(ending)))
            }
            Decision::Allow => self.approve(&consent, &entry, &asked, browser).await,
            Decision::Key(key) => {
                let kept = carnet_providers::Kept::default();
                self.clone()
                    .complete(consent, entry, remembered, Callback::Pasted { key }, kept)
                    .await
                    .map(|ending| After::Ended(Box::new(ending)))
            }
        }
    }

    async fn approve(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        browser: &SecretString,
    ) -> Result<After, ConsentEnd> {
        let inner = &self.inner;
        let state = SecretString::new(hex(&inner.env.bytes::<32>()));
        let secrets = self.opened(entry)?;
        let begun = match self.begin(entry, &secrets, remembered, &state).await {
            Ok(begun) => begun,
            Err(error) if passes(&error) => {
                let connector = entry.row.connector.uid.as_str();
                return Err(ConsentEnd::Fault(faults::driver(&error, connector)));
            }
            // Nobody can mend it on this page, and the application waits.
            Err(error) => {
                let stored = explain(&error, entry);
                let ending = self.over(consent, entry, remembered, stored, Outcome::Failed).await?;
                return Ok(After::Ended(Box::new(ending)));
            }
        };
        let (after, kept) = match begun {
            Step::Redirect { url, kept } => (After::Provider(url), kept),
            Step::Device { kept } => (After::Code, kept),
            Step::PasteKey { .. } => return Err(ConsentEnd::Unknown),
        };
        let kept = signed(kept, &entry.row.connector);
        let sealed =
            inner.seal_kept(consent, &kept).map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        let now = inner.env.now();
        let event = event(consent, now, Action::AuthorizationApprove);
        let awaited = awaited(consent.id, &kept, now);
        let write = Write::new()
            .step(consents::approve(
                consent.id,
                sha256(state.expose().as_bytes()),
                sha256(browser.expose().as_bytes()),
                sealed,
                now,
            ))
            .steps(awaited.map(carnet_store::awaited::put))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {
                if let Some(awaited) = awaited {
                    self.await_person(awaited);
                }
                Ok(after)
            }
            Err(DbError::Unmet(_)) => Err(self.why_ended(consent.id).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn deny(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<Ending, ConsentEnd> {
        self.over(consent, entry, remembered, Stored::Canceled, Outcome::Denied).await
    }

    /// It ends before anybody was sent to the provider.
    async fn over(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        stored: Stored,
        outcome: Outcome,
    ) -> Result<Ending, ConsentEnd> {
        let inner = &self.inner;
        let now = inner.env.now();
        let result = serde_json::to_value(&stored).unwrap_or_default();
        let mut event = event(consent, now, Action::AuthorizationComplete).ended(outcome);
        event = match &stored {
            Stored::Error { code, .. } => event.with("code", code.clone()),
            _ => event.with("status", "canceled"),
        };
        let webhook = self.completion(consent, &entry.row.connector, remembered, &stored, now);
        let write = Write::new()
            .step(consents::finish_pending(consent.id, &result, now))
            .steps(webhook)
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => {
                self.deliver_soon();
                self.ending(consent, entry, remembered, stored.into()).await
            }
            Err(DbError::Unmet(_)) => Err(self.why_ended(consent.id).await),
            Err(error) => Err(error.into()),
        }
    }

    /// The driver's first step, which may ask the provider. Nothing is written meanwhile.
    async fn begin(
        &self,
        entry: &Arc<Entry>,
        secrets: &ConnectorSecrets,
        remembered: &Remembered,
        state: &SecretString,
    ) -> Result<Step, DriverError> {
        let at = self.inner.at(entry, secrets);
        let ask = ask(entry, remembered, state);
        let begun = tokio::time::timeout(PATIENCE, entry.driver().begin(&at, &ask)).await;
        let late = DriverError::Later { retry_after: None, in_doubt: false };
        begun.unwrap_or(Err(late))
    }
}

/// Whether saying yes again in a moment can help. What a provider refuses, and what a connector cannot ask, stays so.
const fn passes(error: &DriverError) -> bool {
    matches!(
        error,
        DriverError::Later { .. }
            | DriverError::Lost
            | DriverError::Garbage { .. }
            | DriverError::Pending { .. }
    )
}

/// A person waits for the page. The way out gives up on one request before that.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(12);
