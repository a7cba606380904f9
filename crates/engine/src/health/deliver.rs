//! Sending what projects are told, and looking for what will break.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{ConnectorRef, SecretString};
use carnet_store::health::{self, Notice};
use carnet_store::{DbError, Write};
use serde_json::{Map, Value, json};

use super::notice::Ending;
use super::places::Turn;
use crate::broker::Broker;
use crate::consent::{CLAIM, Delivery};

impl Broker {
    /// Notes for their projects which grants end soon, although they work.
    pub(crate) async fn tell_of_endings(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        let now = inner.env.now();
        for row in health::ending(&inner.db, now, now.plus(AHEAD), ENDINGS).await? {
            let grant = &row.grant;
            let end = if grant.refreshable { grant.refresh_expires_at } else { grant.access_expires_at };
            let reference = ConnectorRef::Id(grant.place.connector);
            let (Some(end), Some(entry)) = (end, inner.entry(grant.place.team, &reference).await?) else {
                continue;
            };
            let steps = self.tell_ending(&entry, grant, Ending::Expiry(end), now);
            inner.db.write(Write::new().steps(steps)).await?;
        }
        Ok(())
    }

    /// Sends what is due, each in a task of its own, as far as there are places.
    pub(crate) async fn deliver_notices(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        let places = &inner.notice_places;
        if !places.has_room() {
            return Ok(());
        }
        let mut due = health::due(&inner.db, inner.env.now(), EACH, BATCH).await?;
        due.sort_by_key(|notice| places.taken_by(notice.team));
        for mut notice in due {
            if inner.stop.is_cancelled() {
                break;
            }
            let place = match places.enter(notice.team) {
                Turn::Go(place) => place,
                Turn::Full => continue,
                Turn::Busy => break,
            };
            let now = inner.env.now();
            match inner.db.write(Write::new().step(health::claim(&notice, now, now.plus(CLAIM)))).await {
                Ok(_) => notice.attempts += 1,
                // Another node, or the round before, has it.
                Err(DbError::Unmet(_)) => continue,
                Err(error) => return Err(error),
            }
            let broker = self.clone();
            self.track(async move {
                if let Err(error) = broker.deliver_notice(&notice).await {
                    tracing::warn!(delivery = %notice.id, %error, "what became of a health webhook could not be recorded; it may be sent again");
                }
                drop(place);
            });
        }
        Ok(())
    }

    /// One attempt, and what is recorded of it.
    async fn deliver_notice(&self, notice: &Notice) -> Result<(), DbError> {
        let inner = &self.inner;
        let body = self.whole_body(notice).await?;
        let end = self
            .send(&Delivery {
                id: notice.id,
                team: notice.team,
                project: notice.project,
                environment: notice.environment,
                url: &notice.url,
                body: body.expose(),
            })
            .await;
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::HealthDeliver)
            .in_team(notice.team)
            .on(notice.connector)
            .with("delivery", notice.id.to_string())
            .with("project", notice.project.to_string())
            .with("what", notice.what.clone())
            .with("attempts", notice.attempts);
        let write = match end {
            Ok(()) => Write::new().step(health::taken(notice.id, now)).event(&inner.env, &event),
            Err(untaken) => {
                let (due, why) = (untaken.again(&inner.env, notice.attempts), untaken.why);
                tracing::info!(delivery = %notice.id, why, "a health webhook was not taken");
                match due {
                    Some(due) => Write::new().step(health::postpone(notice.id, notice.attempts, due, &why)),
                    None => Write::new()
                        .step(health::give_up(notice.id, now, &why))
                        .event(&inner.env, &event.ended(Outcome::Failed).with("why", why)),
                }
            }
        };
        inner.db.write(write).await.map(drop)
    }
}

impl Broker {
    /// What is sent: with the link, where one was kept. One that does not open is left out, for the rest is worth telling.
    async fn whole_body(&self, notice: &Notice) -> Result<SecretString, DbError> {
        let Some(sealed) = &notice.mend else { return Ok(notice.body.clone().into()) };
        self.inner.load_team_keys(notice.team).await?;
        let link = self.inner.open_mend(notice, sealed);
        let mut body: Map<String, Value> = serde_json::from_str(&notice.body)
            .map_err(|_| DbError::Corrupt { table: "health_notices", column: 10 })?;
        match link {
            Ok(link) => {
                body.insert("mend".to_owned(), json!({"url": link.expose()}));
            }
            Err(error) => tracing::warn!(delivery = %notice.id, %error, "a link that mends does not open"),
        }
        Ok(Value::Object(body).to_string().into())
    }
}

/// How long before its end a grant is told of at the earliest; the last quarter of its life, if that is shorter.
const AHEAD: Duration = Duration::from_hours(7 * 24);
/// Looked at in one round, in all and of one team.
const BATCH: i64 = 128;
const EACH: i64 = 8;
/// Told of in one round.
const ENDINGS: i64 = 64;
