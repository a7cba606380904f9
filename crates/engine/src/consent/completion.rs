//! The completion webhook: tells the application that a request for consent is over.
//!
//! A `POST` of `{"request","status","error"?,"connector":{"id","uid"}}` with `status` one of `success`, `canceled` and
//! `error`, and an identity token of the project and environment that asked, with the webhook's address as audience. It
//! says that asking for a token is worth while now; it is no proof, and is sent at least once if the receiver answers
//! with 2xx within three attempts. It does not survive the end of the process: an application that must know asks.

use std::time::Duration;

use carnet_egress::{Call, Purpose};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault};
use carnet_store::consents::Consent;
use carnet_store::{people, projects};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::json;
use url::Url;

use super::callback::EndingKind;
use crate::broker::Broker;
use crate::directory::Entry;

impl Broker {
    /// A completion webhook is an https address, of a workload: only for one can it be signed.
    pub(super) fn completion_url(&self, caller: &Caller, text: &str) -> Result<Url, Fault> {
        let refused = |why: String| Fault::new(Code::InvalidRequest, why).with("field", "webhook");
        let url = self
            .inner
            .egress
            .check(text, Purpose::Completion)
            .map_err(|error| refused(format!("webhook cannot be called: {error}.")))?;
        if url.scheme() != "https" && !self.inner.settings.development {
            return Err(refused("webhook is an https address.".to_owned()));
        }
        if url.origin() == self.inner.settings.url.origin() {
            // The token in it has this address as audience; an address of ours would make it a credential here.
            return Err(refused("webhook is an address of the application, not of this server.".to_owned()));
        }
        match caller {
            Caller::Workload(_) => Ok(url),
            Caller::Member(_) => {
                Err(refused("webhook needs a workload identity: it is signed for its project.".to_owned()))
            }
        }
    }

    /// Tells the application, in the background.
    pub(super) fn announce(
        &self,
        consent: &Consent,
        entry: &Entry,
        webhook: Option<&str>,
        kind: &EndingKind,
    ) {
        let Some(url) = webhook.and_then(|text| self.inner.egress.check(text, Purpose::Completion).ok())
        else {
            return;
        };
        let connector = &entry.row.connector;
        let mut body = json!({
            "request": consent.id,
            "status": match kind {
                EndingKind::Connected => "success",
                EndingKind::Canceled => "canceled",
                EndingKind::Failed { .. } => "error",
            },
            "connector": {"id": connector.id, "uid": connector.uid},
        });
        if let (EndingKind::Failed { code, message, .. }, Some(body)) = (kind, body.as_object_mut()) {
            body.insert("error".to_owned(), json!({"code": code, "message": message}));
        }
        let (broker, consent) = (self.clone(), consent.clone());
        self.track(async move {
            for pause in ATTEMPTS {
                tokio::time::sleep(pause).await;
                match broker.announce_once(&consent, &url, &body.to_string()).await {
                    Ok(()) => return,
                    Err(why) => {
                        tracing::info!(request = %consent.id, why, "a completion webhook was not taken");
                    }
                }
            }
        });
    }

    async fn announce_once(&self, consent: &Consent, url: &Url, body: &str) -> Result<(), String> {
        let inner = &self.inner;
        let team = people::team(&inner.db, consent.team)
            .await
            .map_err(|e| e.to_string())?
            .ok_or("the team is gone")?;
        let project = consent.project.ok_or("no project")?;
        let project = projects::find(&inner.db, consent.team, project).await.map_err(|e| e.to_string())?;
        let project = project.ok_or("the project is gone")?;
        let runtime =
            self.runtime_of(consent.team, consent.environment).await.map_err(|fault| fault.to_string())?;
        let token = self
            .sign_identity(&team, &project, runtime, url.as_str(), SIGNED_FOR)
            .map_err(|f| f.to_string())?;
        let bearer =
            HeaderValue::from_str(&format!("Bearer {}", token.token.expose())).map_err(|e| e.to_string())?;
        let call = Call::post_json(url.clone(), body.to_owned(), Purpose::Completion, consent.team)
            .header(AUTHORIZATION, bearer);
        let answer = inner.egress.send(call).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("status {}", answer.status.as_u16())) }
    }
}

const ATTEMPTS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(20)];
/// How long the receiver may take to look at the token.
const SIGNED_FOR: Duration = Duration::from_mins(5);
