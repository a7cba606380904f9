//! An event goes out: claimed in its row, sent once, and what came of it recorded.

use std::collections::HashSet;
use std::time::Duration;

use carnet_egress::{Call, EgressError, Limits, Purpose};
use carnet_model::Time;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_store::deliveries::{self, Attempt, TriggerDelivery};
use carnet_store::destinations::{self, Destination};
use carnet_store::{DbError, Write};
use http::Method;
use http::header::RETRY_AFTER;

use super::lines::{Place, Turn};
use super::request::Ready;
use super::schedule::{self, Verdict};
use crate::broker::Broker;

/// What one attempt came to.
pub(super) struct End {
    verdict: Verdict,
    status: Option<u16>,
    error: Option<String>,
    /// Whether the destination is to blame, or to be thanked.
    asked: bool,
}

impl End {
    /// Nothing was sent, and nothing will be.
    pub(super) fn never(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Refused, status: None, error: Some(why.into()), asked: false }
    }

    /// Nothing was sent; another time it may.
    pub(super) fn not_now(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Again(None), status: None, error: Some(why.into()), asked: false }
    }
}

impl Broker {
    /// Forwards what was just written down without waiting for the next round.
    pub(crate) fn forward_soon(&self) {
        let broker = self.clone();
        self.track(async move {
            if let Err(error) = broker.deliver_triggers().await {
                tracing::warn!(%error, "provider events are left to the next round");
            }
        });
    }

    /// Begins what is due, unless somebody is at it, who then looks once more.
    pub(crate) async fn deliver_triggers(&self) -> Result<(), DbError> {
        let lines = &self.inner.trigger_lines;
        if !lines.begin() {
            return Ok(());
        }
        loop {
            if let Err(error) = self.begin_due().await {
                lines.give_up();
                return Err(error);
            }
            if !lines.goes_on() {
                return Ok(());
            }
        }
    }

    /// Begins as many attempts as may be under way, each in a task of its own.
    async fn begin_due(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        if inner.turning.is_shut() {
            return Ok(());
        }
        let mut paused = HashSet::new();
        for mut delivery in deliveries::due(&inner.db, inner.env.now(), EACH, BATCH).await? {
            if inner.stop.is_cancelled() {
                break;
            }
            let now = inner.env.now();
            let place = match inner.trigger_lines.enter(delivery.destination, now) {
                Turn::Go(place) => place,
                Turn::Full => continue,
                Turn::Busy => break,
                Turn::Paused(until) => {
                    if paused.insert(delivery.destination) {
                        let put_off = deliveries::put_off(delivery.destination, now, until);
                        inner.db.write(Write::new().step(put_off)).await?;
                    }
                    continue;
                }
            };
            let claim = Write::new().step(deliveries::claim(&delivery, now, now.plus(CLAIM)));
            match inner.db.write(claim).await {
                Ok(_) => delivery.attempts += 1,
                // Another node, or the round before, has it.
                Err(DbError::Unmet(_)) => continue,
                Err(error) => return Err(error),
            }
            let broker = self.clone();
            self.track(async move {
                let id = delivery.id;
                if let Err(error) = broker.attempt(&delivery, place).await {
                    tracing::warn!(delivery = %id, %error, "what became of an attempt could not be recorded; it may be made again");
                }
            });
        }
        Ok(())
    }

    /// One attempt, and what is recorded of it.
    async fn attempt(&self, delivery: &TriggerDelivery, place: Place) -> Result<(), DbError> {
        let inner = &self.inner;
        let begun = inner.env.now();
        let found = destinations::find(&inner.db, delivery.team, delivery.connector, delivery.destination);
        let destination = found.await?;
        let end = match &destination {
            None => End::never("the destination was removed"),
            Some(gone) if gone.disabled_at.is_some() => {
                End::never("the destination said that it is gone (410)")
            }
            Some(destination) => self.forward(delivery, destination).await?,
        };
        let now = inner.env.now();
        if end.asked {
            match end.verdict {
                Verdict::Again(_) => place.failed(now),
                Verdict::Taken | Verdict::Refused | Verdict::Gone => place.answered(),
            }
        }
        let written = self.write_end(delivery, destination.as_ref(), &end, begun, now).await;
        drop(place);
        written?;
        // What stood behind it need not wait for the next round.
        if end.verdict == Verdict::Taken {
            self.forward_soon();
        }
        Ok(())
    }

    async fn write_end(
        &self,
        delivery: &TriggerDelivery,
        destination: Option<&Destination>,
        end: &End,
        begun: Time,
        now: Time,
    ) -> Result<(), DbError> {
        let inner = &self.inner;
        let attempt = Attempt {
            number: delivery.attempts,
            at: begun,
            millis: i64::try_from(begun.until(now).as_millis()).unwrap_or(i64::MAX),
            status: end.status.map(i64::from),
            error: end.error.clone(),
        };
        let event = AuditEvent::of_system(now, Action::TriggerDeliver)
            .in_team(delivery.team)
            .on(delivery.connector)
            .with("delivery", delivery.id.to_string())
            .with("event", delivery.event.to_string())
            .with("project", delivery.project.to_string())
            .with("environment", delivery.environment.to_string())
            .with("attempts", delivery.attempts);
        let mut write = Write::new().step(deliveries::note(delivery.id, &attempt));
        let again = match end.verdict {
            Verdict::Again(asked) => {
                schedule::next(&inner.env, delivery.attempts - delivery.round_from, asked)
            }
            _ => None,
        };
        write = match (end.verdict, again) {
            (Verdict::Taken, _) => {
                write.step(deliveries::taken(delivery.id, &attempt, now)).event(&inner.env, &event)
            }
            (_, Some(due)) => {
                tracing::info!(delivery = %delivery.id, status = end.status, why = end.error, "a provider event was not taken");
                write.step(deliveries::postpone(delivery.id, &attempt, due))
            }
            (_, None) => {
                let why = end.error.clone().unwrap_or_default();
                tracing::info!(delivery = %delivery.id, status = end.status, why, "a provider event is given up");
                let event = event.ended(Outcome::Failed).with("why", why);
                write.step(deliveries::give_up(delivery.id, &attempt, now)).event(&inner.env, &event)
            }
        };
        if let (Verdict::Gone, Some(destination)) = (end.verdict, destination) {
            let event = AuditEvent::of_system(now, Action::TriggerDisable)
                .in_team(delivery.team)
                .on(delivery.connector)
                .with("project", destination.project.to_string())
                .with("environment", destination.environment.to_string())
                .with("why", "status 410");
            write = write
                .step(destinations::disable(delivery.team, destination.id, now))
                .event(&inner.env, &event)
                .revises();
        }
        match inner.db.write(write).await {
            // The connector was removed with everything while this was under way.
            Ok(_) | Err(DbError::Unmet(_) | DbError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One `POST`.
    async fn forward(&self, delivery: &TriggerDelivery, destination: &Destination) -> Result<End, DbError> {
        let Ready { url, headers, body } = match self.ready(delivery, destination).await? {
            Ok(ready) => ready,
            Err(end) => return Ok(end),
        };
        let mut call = Call::new(Method::POST, url, Purpose::Forward, delivery.team).limits(LIMITS);
        (call.headers, call.body) = (headers, body.into());
        Ok(match self.inner.egress.send(call).await {
            Ok(answer) => {
                let asked = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let verdict = schedule::judge(answer.status, asked);
                let status = answer.status.as_u16();
                let error = (verdict != Verdict::Taken).then(|| format!("status {status}"));
                End { verdict, status: Some(status), error, asked: true }
            }
            // It answered, and with more than anybody reads.
            Err(EgressError::TooLarge) => End {
                verdict: Verdict::Refused,
                status: None,
                error: Some("the answer is larger than 1 MiB".to_owned()),
                asked: true,
            },
            Err(error) => End {
                verdict: Verdict::Again(None),
                status: None,
                error: Some(error.to_string()),
                asked: true,
            },
        })
    }
}

/// Nothing is read of an answer but its status and when to come back.
const LIMITS: Limits =
    Limits { total: Duration::from_secs(15), connect: Duration::from_secs(5), body: 1024 * 1024 };
/// Longer than a call may take, and what is recorded of it.
const CLAIM: Duration = Duration::from_secs(30);
/// Looked at in one round.
const BATCH: i64 = 128;
/// Of one destination, in one round.
const EACH: i64 = 4;
