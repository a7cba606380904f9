//! Telling of a budget that is reached: an audit event, and a signed webhook if one is set. Once a month and budget,
//! whichever process sees it first; the event and what is to be sent are one write.
//!
//! `POST` of `{"type":"budget.reached","team","month","budget","requests"}`, with its identifier as `webhook-id`, signed
//! like a completion webhook: an identity token of the project and environment that the budget names, with the address
//! as audience, `jti` the identifier and `body_sha256` the digest of the body. It is sent until it is taken, for half a
//! day; it may arrive twice, and its identifier tells a repetition.

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{Id, Month, kind};
use carnet_store::usage::{self, Alert, Reached};
use carnet_store::{DbError, Write};
use serde_json::json;

use super::reached;
use crate::broker::Broker;
use crate::consent::{CLAIM, Delivery};

impl Broker {
    /// Tells of budgets that were reached, and sends what is due.
    pub(crate) async fn tell_of_budgets(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        let month = Month::of(now);
        for Reached { budget, used } in usage::reached(&inner.db, month, BATCH).await? {
            let id: Id<kind::Delivery> = inner.env.id();
            let body = json!({
                "type": "budget.reached",
                "team": budget.team,
                "month": month.to_string(),
                "budget": budget.requests,
                "requests": used,
            })
            .to_string();
            let alert = budget.webhook.as_ref().map(|_| (id, body.as_str()));
            let mut event = reached(&budget, month, used, now);
            if alert.is_some() {
                event = event.with("delivery", id.to_string());
            }
            let write = Write::new().step(usage::tell(&budget, month, alert, now)).event(&inner.env, &event);
            match inner.db.write(write).await {
                // Another node was faster, or the budget is another one by now.
                Ok(_) | Err(DbError::Unmet(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for alert in usage::due(&inner.db, now, BATCH).await? {
            let claim = Write::new().step(usage::claim(&alert, now, now.plus(CLAIM)));
            match inner.db.write(claim).await {
                Ok(_) => {}
                Err(DbError::Unmet(_)) => continue,
                Err(error) => return Err(error),
            }
            let broker = self.clone();
            self.track(async move {
                if let Err(error) = broker.send_alert(alert).await {
                    tracing::warn!(%error, "what became of a budget's webhook could not be recorded; it may be sent again");
                }
            });
        }
        Ok(())
    }

    /// One attempt, and what is recorded of it.
    async fn send_alert(&self, alert: Alert) -> Result<(), DbError> {
        let inner = &self.inner;
        let attempts = alert.attempts + 1;
        let delivery = Delivery {
            id: alert.id,
            team: alert.team,
            project: alert.webhook.project,
            environment: alert.webhook.environment,
            url: &alert.webhook.url,
            body: &alert.body,
        };
        let end = self.send(&delivery).await;
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::BudgetDeliver)
            .in_team(alert.team)
            .on(alert.team)
            .with("delivery", alert.id.to_string())
            .with("attempts", attempts);
        let write = match end {
            Ok(()) => Write::new().step(usage::again(alert.id, None)).event(&inner.env, &event),
            Err(untaken) => match untaken.again(&inner.env, attempts) {
                Some(due) => Write::new().step(usage::again(alert.id, Some(due))),
                None => Write::new()
                    .step(usage::again(alert.id, None))
                    .event(&inner.env, &event.ended(Outcome::Failed).with("why", untaken.why)),
            },
        };
        inner.db.write(write).await.map(drop)
    }
}

/// Begun in one round.
const BATCH: i64 = 64;
