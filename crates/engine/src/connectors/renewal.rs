//! The secret of a client that a provider registered, where the provider has set it an end: another is had ahead of that,
//! in the background, as [`crate::ahead`] does with grants.
//!
//! One process has it: the time at which it is looked after next is moved before the provider is asked, and whoever finds
//! it moved goes on. So a process that ends in between leaves it to the next time, and a store that takes no writes costs
//! no secret. What the provider answers is kept whatever else was changed meanwhile. Where no other secret is had, the
//! projects are told while the present one still works, and it is tried on.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::connector::Connector;
use carnet_model::{ConnectorRef, Time};
use carnet_providers::{ConnectorSecrets, Registered, Renewal, Synced};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::{DbError, Write};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::sealing::Unsealable;

/// Why what a provider gave is not kept.
pub(super) enum NotKept {
    /// The connector is gone, or has another client, or is changed by others all the time.
    Changed,
    Store(DbError),
}

impl Broker {
    /// Looks after the secrets that are due.
    pub(crate) async fn renew_clients(&self) -> Result<(), DbError> {
        let inner = &self.inner;
        if inner.turning.is_shut() {
            return Ok(());
        }
        let now = inner.env.now();
        for due in connectors::to_renew(&inner.db, now, AT_ONCE).await? {
            let Some(entry) = inner.entry(due.team, &ConnectorRef::Id(due.connector)).await? else {
                continue;
            };
            let renewal = renewal_of(&entry.row.connector);
            let next = renewal.map(|renewal| next_look(renewal, now));
            match inner.db.write(Write::new().step(connectors::put_off(&due, next))).await {
                Ok(_) => {}
                // By another process, or it was changed.
                Err(DbError::Unmet(_)) => continue,
                Err(error) => return Err(error),
            }
            let Some(renewal) = renewal.filter(|renewal| renewal.at <= now) else { continue };
            let broker = self.clone();
            self.track(async move {
                let Err(why) = broker.renew_client(&entry).await else { return };
                tracing::warn!(connector = %entry.row.connector.id, why, "no other client secret is had so far");
                let now = broker.inner.env.now();
                let margin = renewal.at.until(renewal.end);
                // What fails once is no news.
                if now >= renewal.at.plus(margin / 4) {
                    broker.tell_later(broker.tell_secret_ending(&entry, renewal.end, now));
                }
            });
        }
        Ok(())
    }

    /// Has another secret for the client, or a later end of the present one. Else why not.
    async fn renew_client(&self, entry: &Arc<Entry>) -> Result<(), String> {
        let inner = &self.inner;
        let secrets = inner.secrets(entry).map_err(|error| error.to_string())?;
        let pace = inner.paces.of(entry.line());
        let place = pace.call().await;
        let synced = entry.driver().sync(&inner.at(entry, &secrets), true).await;
        drop(place);
        let (kept, left) = match synced {
            Synced::Done(kept) => (kept, None),
            Synced::Required(why, Some(kept)) => (kept, Some(why)),
            Synced::Required(why, None) => return Err(why),
            Synced::Nothing => return Err("there is no registration to renew".to_owned()),
        };
        let event = |connector: &Connector| {
            AuditEvent::of_system(connector.updated_at, Action::ConnectorUpdate)
                .in_team(connector.team)
                .on(connector.id)
                .with("fields", vec!["data.clientRegistration"])
        };
        let update = |connector: &mut Connector| connector.updated_by = Principal::System;
        let row =
            self.keep_registered(&entry.row, &secrets, &kept, update, event).await.map_err(|error| {
                match error {
                    NotKept::Changed => "the connector was changed meanwhile".to_owned(),
                    NotKept::Store(error) => error.to_string(),
                }
            })?;
        if let Some(why) = left {
            return Err(why);
        }
        let now = inner.env.now();
        match renewal_of(&row.connector).filter(|renewal| renewal.at <= now) {
            None => Ok(()),
            Some(_) => Err("the server gives no other end than before".to_owned()),
        }
    }

    /// Keeps what a provider gave a registered client, in the connector as it is by now: `before` is as it was when the
    /// provider was asked, and what others have changed since stays.
    pub(super) async fn keep_registered(
        &self,
        before: &ConnectorRow,
        secrets: &ConnectorSecrets,
        kept: &Registered,
        update: impl Fn(&mut Connector),
        event: impl Fn(&Connector) -> AuditEvent,
    ) -> Result<ConnectorRow, NotKept> {
        let inner = &self.inner;
        let (data, given) = kept;
        let sealing = |error: Unsealable| NotKept::Store(DbError::Refused(Box::new(error)));
        let mut present = before.clone();
        for pause in PAUSES {
            let mut row = present.clone();
            let opened = inner.open_connector(&row.connector, &row.secrets).map_err(sealing)?;
            for (name, value) in data {
                if before.connector.data.get(name) != Some(value) {
                    row.connector.data.insert(name.clone(), value.clone());
                }
            }
            let now = inner.env.now();
            row.connector.version += 1;
            row.connector.updated_at = now;
            update(&mut row.connector);
            let opened = opened.overlaid(secrets, given);
            row.secrets = inner.seal_connector(&row.connector, &opened).map_err(sealing)?;
            let next = renewal_of(&row.connector).map(|renewal| next_look(renewal, now));
            let (team, id) = (row.connector.team, row.connector.id);
            let write = Write::new()
                .step(connectors::update(&row))
                .step(connectors::look_at(team, id, next))
                .event(&inner.env, &event(&row.connector))
                .revises();
            match inner.db.write(write).await {
                Ok(_) => return Ok(row),
                Err(DbError::Unmet(_) | DbError::Unavailable(_)) => {}
                Err(error) => return Err(NotKept::Store(error)),
            }
            tokio::time::sleep(pause).await;
            let client = |connector: &Connector| connector.data.get("clientId").cloned();
            match connectors::find(&inner.db, team, &ConnectorRef::Id(id)).await {
                Ok(Some(found)) if client(&found.connector) == client(&before.connector) => present = found,
                Ok(_) => return Err(NotKept::Changed),
                // What the provider gave is in no other place: the store is waited for.
                Err(_) => {}
            }
        }
        Err(NotKept::Changed)
    }
}

/// What the operator has registered for all teams is the operator's to look after.
fn renewal_of(connector: &Connector) -> Option<Renewal> {
    if connector.managed {
        return None;
    }
    carnet_providers::driver(connector.r#type).renewal(connector)
}

/// When it is looked after next: when it is due, or from then on the more often the nearer the end is, before and behind it.
fn next_look(renewal: Renewal, now: Time) -> Time {
    if renewal.at > now {
        return renewal.at;
    }
    let away = now.until(renewal.end) + renewal.end.until(now);
    now.plus((away / 64).clamp(SHORTEST, LONGEST))
}

/// Begun with in one round.
const AT_ONCE: i64 = 16;
/// Between two tries.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// Before what was given is written again, where the store or somebody else was in the way.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_at_when_it_is_due_and_more_often_towards_the_end() {
        let now = Time::from_secs(1_000_000);
        let days = |days: u64| Duration::from_hours(24 * days);
        let renewal = |at: Time, end: Time| Renewal { at, end };
        let ahead = renewal(now.plus(days(1)), now.plus(days(8)));
        assert_eq!(next_look(ahead, now), ahead.at);
        for (left, pause) in [
            (days(7), LONGEST),
            (Duration::from_hours(32), Duration::from_mins(30)),
            (Duration::from_secs(6), SHORTEST),
            (Duration::ZERO, SHORTEST),
        ] {
            let until_then = renewal(now.minus(days(7)), now.plus(left));
            assert_eq!(next_look(until_then, now), now.plus(pause), "{left:?}");
            let over = renewal(now.minus(days(20)), now.minus(left));
            assert_eq!(next_look(over, now), now.plus(pause), "{left:?} over");
        }
    }
}
