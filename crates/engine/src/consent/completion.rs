//! The completion webhook: tells the application that a request for consent is over.
//!
//! It is written down in the same write as the end of its request, so whatever ends a request (consent, refusal, failure,
//! expiry) ends it with its webhook or not at all. From there it is sent until the receiver answers with 2xx, at longer
//! and longer distances, for half a day; a restart goes on where the last process stopped. Each attempt is claimed in
//! the store before it is made. So it arrives at least once, and its identifier tells a repetition.
//!
//! `POST` of `{"request","status","error"?,"connector":{"id","uid"},"installationId"?}`, `status` one of `success`,
//! `canceled`, `error`, with its identifier as `webhook-id`; signed with an identity token of the project and environment
//! that asked, with the webhook's address as audience, `jti` the identifier and `body_sha256` the digest of the body in
//! hexadecimal. It says that asking for a token is worth while now; it holds no secret and opens nothing.

use std::time::Duration;

use carnet_egress::{Call, Purpose};
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::{Code, Env, Environment, Fault, Id, SecretString, Time, kind};
use carnet_store::completions::{self, Completion};
use carnet_store::consents::{self, Consent};
use carnet_store::{DbError, Step, Write, people, projects};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use url::Url;

use super::page::remembered;
use super::request::{LONGEST_URL, Remembered, Stored};
use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// A completion webhook is an https address, of a workload: only for one can it be signed.
    pub(super) fn completion_url(&self, caller: &Caller, text: &str) -> Result<Url, Fault> {
        let url = self.receiver(text)?;
        match caller {
            Caller::Workload(_) => Ok(url),
            Caller::Member(_) => {
                Err(unsent("webhook needs a workload identity: it is signed for its project."))
            }
        }
    }

    /// An address to which something signed can be sent.
    pub(crate) fn receiver(&self, text: &str) -> Result<Url, Fault> {
        if text.len() > LONGEST_URL {
            return Err(unsent("webhook has at most 2048 characters."));
        }
        let url = self
            .inner
            .egress
            .check(text, Purpose::Completion)
            .map_err(|error| unsent(format!("webhook cannot be called: {error}.")))?;
        if url.scheme() != "https" && !self.inner.settings.development {
            return Err(unsent("webhook is an https address."));
        }
        if url.origin() == self.inner.settings.url.origin() {
            // The token in it has this address as audience; an address of ours would make it a credential here.
            return Err(unsent("webhook is an address of the application, not of this server."));
        }
        Ok(url)
    }

    /// What must be written together with the end of a request that named a webhook.
    pub(super) fn completion(
        &self,
        consent: &Consent,
        connector: &Connector,
        remembered: &Remembered,
        end: &Stored,
        now: Time,
    ) -> Option<Step> {
        let (url, project) = remembered.webhook.clone().zip(consent.project)?;
        let id = self.inner.env.id();
        let status = match end {
            Stored::Success { .. } => "success",
            Stored::Canceled => "canceled",
            Stored::Error { .. } => "error",
        };
        let mut body = json!({
            "request": consent.id,
            "status": status,
            "connector": {"id": connector.id, "uid": connector.uid},
        });
        if let Some(body) = body.as_object_mut() {
            if let Stored::Error { code, message, .. } = end {
                body.insert("error".to_owned(), json!({"code": code, "message": message}));
            }
            let made = match end {
                Stored::Success { installation, .. } => *installation,
                _ => None,
            };
            if let Some(installation) = made.or(consent.installation) {
                body.insert("installationId".to_owned(), installation.to_string().into());
            }
        }
        Some(completions::insert(&Completion {
            id,
            team: consent.team,
            connector: consent.connector,
            project,
            environment: consent.environment,
            request: consent.id,
            url,
            body: body.to_string(),
            attempts: 0,
            created_at: now,
        }))
    }

    /// The webhooks of requests that end because their connector is removed.
    pub(crate) async fn completions_of_removed(&self, connector: &Connector) -> Result<Vec<Step>, Fault> {
        let open = consents::open_of_connector(&self.inner.db, connector.team, connector.id).await;
        let now = self.inner.env.now();
        let end = Stored::Error {
            code: "not_found".to_owned(),
            message: "The connector was removed.".to_owned(),
            vendor: None,
            reason: None,
        };
        let steps = open.map_err(faults::store)?.into_iter().filter_map(|consent| {
            let remembered = remembered(&consent).ok()?;
            self.completion(&consent, connector, &remembered, &end, now)
        });
        Ok(steps.collect())
    }

    /// Sends what was just written down without waiting for the next round.
    pub(crate) fn deliver_soon(&self) {
        let broker = self.clone();
        self.track(async move {
            if let Err(error) = broker.deliver_completions().await {
                tracing::warn!(%error, "completion webhooks are left to the next round");
            }
        });
    }

    /// Sends what is due, each in a task of its own.
    pub(crate) async fn deliver_completions(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        for mut completion in completions::due(&inner.db, inner.env.now(), BATCH).await? {
            if inner.stop.is_cancelled() {
                break;
            }
            let now = inner.env.now();
            let claim = Write::new().step(completions::claim(&completion, now, now.plus(CLAIM)));
            match inner.db.write(claim).await {
                Ok(_) => completion.attempts += 1,
                // Another node, or the round before, has it.
                Err(DbError::Unmet(_)) => continue,
                Err(error) => return Err(error),
            }
            let broker = self.clone();
            self.track(async move {
                if let Err(error) = broker.deliver(&completion).await {
                    tracing::warn!(delivery = %completion.id, %error, "what became of a completion webhook could not be recorded; it may be sent again");
                }
            });
        }
        Ok(())
    }

    /// One attempt, and what is recorded of it.
    async fn deliver(&self, completion: &Completion) -> Result<(), DbError> {
        let inner = &self.inner;
        let end = self
            .send(&Delivery {
                id: completion.id,
                team: completion.team,
                project: completion.project,
                environment: completion.environment,
                url: &completion.url,
                body: &completion.body,
            })
            .await;
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::CompletionDeliver)
            .in_team(completion.team)
            .on(completion.connector)
            .with("delivery", completion.id.to_string())
            .with("request", completion.request.to_string())
            .with("attempts", completion.attempts);
        let write = match end {
            Ok(()) => Write::new().step(completions::taken(completion.id, now)).event(&inner.env, &event),
            Err(untaken) => {
                let (due, why) = (untaken.again(&inner.env, completion.attempts), untaken.why);
                tracing::info!(delivery = %completion.id, request = %completion.request, why, "a completion webhook was not taken");
                match due {
                    Some(due) => Write::new().step(completions::postpone(
                        completion.id,
                        completion.attempts,
                        due,
                        &why,
                    )),
                    None => Write::new()
                        .step(completions::give_up(completion.id, now, &why))
                        .event(&inner.env, &event.ended(Outcome::Failed).with("why", why)),
                }
            }
        };
        inner.db.write(write).await.map(drop)
    }

    /// One `POST` of something signed. That it is sent again if it is not taken is the caller's to see to.
    pub(crate) async fn send(&self, delivery: &Delivery<'_>) -> Result<(), Untaken> {
        let inner = &self.inner;
        // Judged again: what may be connected to can have changed since it was asked for.
        let url = inner.egress.check(delivery.url, Purpose::Completion).map_err(Untaken::now)?;
        let bearer = self.proof_of(delivery, &url).await?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", bearer.expose())).map_err(Untaken::now)?;
        let id = HeaderValue::from_str(&delivery.id.to_string()).map_err(Untaken::now)?;
        let call = Call::post_json(url, delivery.body.to_owned(), Purpose::Completion, delivery.team)
            .header(AUTHORIZATION, bearer)
            .header(WEBHOOK_ID, id);
        let answer = inner.egress.send(call).await.map_err(Untaken::now)?;
        match answer.status {
            status if status.is_success() => Ok(()),
            // The receiver says that it is gone for good (RFC 9110 §15.5.11).
            StatusCode::GONE => Err(Untaken { why: "status 410".to_owned(), for_good: true }),
            status => Err(Untaken { why: format!("status {}", status.as_u16()), for_good: false }),
        }
    }

    /// The token by which the receiver knows where the webhook comes from, fresh for each attempt.
    async fn proof_of(&self, delivery: &Delivery<'_>, url: &Url) -> Result<SecretString, Untaken> {
        let db = &self.inner.db;
        let gone = |what: &str| Untaken { why: format!("the {what} is gone"), for_good: true };
        let team = people::team(db, delivery.team).await.map_err(Untaken::now)?;
        let project = projects::find(db, delivery.team, delivery.project).await.map_err(Untaken::now)?;
        let runtime = self.runtime_of(delivery.team, delivery.environment).await;
        let runtime = match runtime {
            Err(fault) if fault.code == Code::NotFound => return Err(gone("environment")),
            other => other.map_err(Untaken::now)?,
        };
        let (team, project) = (team.ok_or_else(|| gone("team"))?, project.ok_or_else(|| gone("project"))?);
        let (id, body) = (delivery.id, delivery.body.as_bytes());
        let proof = self.sign_delivery(&team, &project, runtime, url.as_str(), id, body);
        proof.map(|proof| proof.token).map_err(Untaken::now)
    }
}

/// A webhook that cannot be one.
fn unsent(why: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidRequest, why).with("field", "webhook")
}

/// Something that is sent to an application, signed for one of its projects.
pub(crate) struct Delivery<'a> {
    /// The same for every attempt.
    pub(crate) id: Id<kind::Delivery>,
    pub(crate) team: Id<kind::Team>,
    pub(crate) project: Id<kind::Project>,
    pub(crate) environment: Environment,
    pub(crate) url: &'a str,
    pub(crate) body: &'a str,
}

/// Why an attempt did not end with a 2xx.
pub(crate) struct Untaken {
    pub(crate) why: String,
    /// Whether trying again is of no use.
    pub(crate) for_good: bool,
}

impl Untaken {
    /// When it is tried again after so many attempts; `None` if it is given up.
    pub(crate) fn again(&self, env: &Env, attempts: i64) -> Option<Time> {
        let pause =
            usize::try_from(attempts - 1).ok().and_then(|n| PAUSES.get(n)).filter(|_| !self.for_good)?;
        Some(env.now().plus(*pause + env.jitter(*pause / 8)))
    }

    fn now(error: impl std::error::Error) -> Self {
        Self { why: error.to_string(), for_good: false }
    }
}

/// Between attempts; after the last there is none. Half a day in all: an agent that waits for longer has given up.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(20),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(5),
];
/// Longer than a call may take.
pub(crate) const CLAIM: Duration = Duration::from_secs(30);
/// Begun in one round.
const BATCH: i64 = 16;
/// As Standard Webhooks names it.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
