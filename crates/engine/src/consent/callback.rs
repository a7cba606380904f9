//! The way back from the provider.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::Outcome;
use carnet_model::connector::Connector;
use carnet_model::failpoint::Point;
use carnet_model::{ConnectorRef, Fault, Scopes, SecretString};
use carnet_providers::{Callback, CallbackFault, DriverError, Granted, Kept};
use carnet_store::consents::{self, Consent, ConsentState};
use carnet_store::{DbError, Write, pass};
use url::Url;

use super::ending::{ConsentEnd, Ending, EndingKind, explain};
use super::page::{has_expired, remembered};
use super::request::{Remembered, Stored};
use super::still::outdated;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;

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
        let entry = self.entry_now(&consent).await?;
        let bound = consent.browser_digest.zip(browser).is_some_and(|(bound, browser)| {
            carnet_vault::equal(&bound, &sha256(browser.expose().as_bytes()))
        });
        if !bound {
            return Err(ConsentEnd::OtherBrowser);
        }
        // The redirect URI of one connector does not serve another: a mixed-up answer ends here (RFC 9700 §4.4.2).
        if !came_to(&entry.row.connector, via) {
            return Err(ConsentEnd::Unknown);
        }
        let remembered = remembered(&consent)?;
        match consent.state {
            ConsentState::Sent => {}
            // The browser was reloaded: the same answer again, and no second exchange.
            ConsentState::Done if has_expired(&consent) => return Err(ConsentEnd::Expired),
            ConsentState::Done | ConsentState::Parked => {
                return self.ending_again(&consent, &entry, &remembered).await;
            }
            ConsentState::Exchanging => return self.wait_for_end(&consent, &entry, &remembered).await,
            ConsentState::Pending => return Err(ConsentEnd::Unknown),
        }
        let inner = &self.inner;
        // The connector moved while the person was away.
        let sealed = consent.kept.as_deref().ok_or(ConsentEnd::Expired)?;
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
        // The code is nobody's any more, and is not redeemed.
        if let Some(stored) = outdated(&consent, &kept, &entry) {
            let kind = self.finish(&consent, &entry, &remembered, stored, Outcome::Failed).await?;
            return self.ending(&consent, &entry, &remembered, kind).await;
        }
        self.clone().complete(consent, entry, remembered, Callback::Redirected { params }, kept).await
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
            let kind = broker.exchange(&consent, &entry, &remembered, &back, &kept).await?;
            broker.ending(&consent, &entry, &remembered, kind).await
        });
        work.await.map_err(|error| ConsentEnd::Fault(faults::internal(error)))?
    }

    async fn exchange(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        back: &Callback,
        kept: &Kept,
    ) -> Result<EndingKind, ConsentEnd> {
        let inner = &self.inner;
        let secrets = inner.secrets(entry).map_err(|error| ConsentEnd::Fault(faults::internal(error)))?;
        let at = self.inner.at(entry, &secrets);
        pass(&inner.env, Point::ConsentTaken).await?;
        let result = entry.driver().finish(&at, back, kept).await;
        self.concluded(consent, entry, remembered, result, kept.scopes.clone()).await
    }

    /// What the provider said about a request becomes its end, or is parked.
    pub(super) async fn concluded(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        result: Result<Granted, DriverError>,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        match result {
            Ok(granted) if remembered.installs => {
                self.record_installation(consent, entry, remembered, granted, asked).await
            }
            Ok(granted) if remembered.sign_in.is_some() => {
                self.sign_in_with(consent, entry, remembered, granted, asked).await
            }
            Ok(granted) => self.take_in(consent, entry, remembered, granted, asked).await,
            // A mistyped key can be typed again.
            Err(DriverError::Callback(CallbackFault::InvalidKey)) => Err(ConsentEnd::Fault(
                Fault::new(
                    carnet_model::Code::InvalidRequest,
                    "A key has 1 to 16384 printable ASCII characters.",
                )
                .with("field", "key"),
            )),
            Err(DriverError::Callback(CallbackFault::KeyRefused)) => Err(ConsentEnd::Fault(
                Fault::new(
                    carnet_model::Code::InvalidRequest,
                    "The service does not accept this key. Copy it once more, or make another one.",
                )
                .with("field", "key"),
            )),
            Err(DriverError::Denied) => {
                self.finish(consent, entry, remembered, Stored::Canceled, Outcome::Denied).await
            }
            Err(error) => {
                tracing::info!(request = %consent.id, connector = %consent.connector, %error, "a consent could not be completed");
                let stored = explain(&error, entry);
                self.finish(consent, entry, remembered, stored, Outcome::Failed).await
            }
        }
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
            if matches!(now.state, ConsentState::Done | ConsentState::Parked) {
                return self.ending_again(&now, entry, remembered).await;
            }
        }
        Err(ConsentEnd::Used)
    }
}

/// Whether an answer that came to `/callback`, or to `/callback/{via}`, came to where this connector's people are sent
/// back: its own address, by either of its names; or the one that is registered for it.
fn came_to(connector: &Connector, via: Option<&str>) -> bool {
    match via.and_then(ConnectorRef::parse) {
        Some(ConnectorRef::Id(id)) if id == connector.id => return true,
        Some(ConnectorRef::Uid(uid)) if uid == connector.uid => return true,
        _ => {}
    }
    let registered = connector.redirect_uri.as_deref().and_then(|uri| Url::parse(uri).ok());
    let came = via.map_or_else(|| "/callback".to_owned(), |via| format!("/callback/{via}"));
    registered.is_some_and(|registered| registered.path() == came)
}
