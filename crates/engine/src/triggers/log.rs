//! What became of the events: each delivery with its attempts, and forwarding one again.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::deliveries::{self, Attempt, DeliveryState, TriggerDelivery};
use carnet_store::trigger_events::{self, EventHead};
use carnet_store::{DbError, Write};

use crate::broker::Broker;
use crate::connectors::{read_time_cursor, time_cursor};
use crate::faults;

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveriesQuery {
    /// Those in this state: `waiting`, `taken`, `dead`.
    pub state: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// 1 to 100; 50 if left out.
    pub limit: Option<u32>,
}

/// A delivery as it may be seen: never what was in the event.
#[derive(Clone, Debug)]
pub struct DeliveryView {
    /// The delivery.
    pub delivery: TriggerDelivery,
    /// What is known about the event.
    pub event: EventHead,
    /// Its attempts, where one delivery was asked about.
    pub attempts: Option<Vec<Attempt>>,
}

impl Broker {
    /// The deliveries of a connector, the newest first, and the cursor of the next page.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        connector: &str,
        query: &DeliveriesQuery,
    ) -> Result<(Vec<DeliveryView>, Option<String>), Fault> {
        let entry = self.managed(caller, connector, Right::TriggerRead).await?;
        let state = match &query.state {
            None => None,
            Some(text) => Some(DeliveryState::parse(text).ok_or_else(|| {
                Fault::new(Code::InvalidRequest, "state is waiting, taken or dead.").with("field", "state")
            })?),
        };
        let after = query.cursor.as_deref().map(read_time_cursor).transpose()?;
        let limit = usize::try_from(query.limit.unwrap_or(50).clamp(1, 100)).unwrap_or(50);
        let one_more = i64::try_from(limit + 1).unwrap_or(101);
        let (db, id) = (&self.inner.db, entry.row.connector.id);
        let found = deliveries::page(db, caller.team(), id, state, after, one_more).await;
        let mut found = found.map_err(faults::store)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| time_cursor(last.created_at, last.id));
        Ok((self.delivery_views(caller.team(), found).await?, next))
    }

    /// One delivery with its attempts.
    pub async fn delivery(
        &self,
        caller: &Caller,
        connector: &str,
        name: &str,
    ) -> Result<DeliveryView, Fault> {
        let entry = self.managed(caller, connector, Right::TriggerRead).await?;
        self.with_attempts(caller, entry.row.connector.id, name).await
    }

    /// Forwards a delivery that has ended once more, from the first attempt on.
    pub async fn replay_delivery(
        &self,
        caller: &Caller,
        connector: &str,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<DeliveryView, Fault> {
        let entry = self.managed(caller, connector, Right::TriggerReplay).await?;
        // The answer shows it.
        self.may(caller, Right::TriggerRead)?;
        let connector = entry.row.connector.id;
        let delivery = self.find_delivery(caller, connector, name).await?;
        if !entry.triggers.destinations.iter().any(|one| one.id == delivery.destination) {
            return Err(Fault::new(
                Code::Conflict,
                "The destination of this delivery was removed, so there is nowhere to forward it to.",
            )
            .next(format!("carnet show {}", entry.row.connector.uid), "to see where its events go now"));
        }
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::TriggerReplay, Some(request))
            .on(connector)
            .with("delivery", delivery.id.to_string())
            .with("event", delivery.event.to_string());
        let write = Write::new()
            .step(deliveries::replay(caller.team(), delivery.id, now))
            .event(&self.inner.env, &event);
        match self.inner.db.write(write).await {
            Ok(_) => self.forward_soon(),
            Err(DbError::Unmet(_)) => {
                return Err(Fault::new(Code::Conflict, "The delivery is still being tried.").next(
                    format!("carnet deliveries show {} {name}", entry.row.connector.uid),
                    "to see when",
                ));
            }
            Err(error) => return Err(faults::store(error)),
        }
        self.with_attempts(caller, connector, name).await
    }

    async fn with_attempts(
        &self,
        caller: &Caller,
        connector: Id<kind::Connector>,
        name: &str,
    ) -> Result<DeliveryView, Fault> {
        let delivery = self.find_delivery(caller, connector, name).await?;
        let attempts = deliveries::attempts(&self.inner.db, delivery.id).await.map_err(faults::store)?;
        let view = self.delivery_views(caller.team(), vec![delivery]).await?.pop();
        let view = view.ok_or_else(|| no_delivery(name))?;
        Ok(DeliveryView { attempts: Some(attempts), ..view })
    }

    async fn find_delivery(
        &self,
        caller: &Caller,
        connector: Id<kind::Connector>,
        name: &str,
    ) -> Result<TriggerDelivery, Fault> {
        let id = Id::parse(name).map_err(|_| no_delivery(name))?;
        let found = deliveries::find(&self.inner.db, caller.team(), connector, id).await;
        found.map_err(faults::store)?.ok_or_else(|| no_delivery(name))
    }

    /// Those whose event was just swept away are left out.
    async fn delivery_views(
        &self,
        team: Id<kind::Team>,
        found: Vec<TriggerDelivery>,
    ) -> Result<Vec<DeliveryView>, Fault> {
        let ids: Vec<_> = found.iter().map(|delivery| delivery.event).collect();
        let events = trigger_events::heads(&self.inner.db, team, &ids).await.map_err(faults::store)?;
        let view = |delivery: TriggerDelivery| {
            let event = events.iter().find(|event| event.id == delivery.event)?.clone();
            Some(DeliveryView { delivery, event, attempts: None })
        };
        Ok(found.into_iter().filter_map(view).collect())
    }
}

fn no_delivery(name: &str) -> Fault {
    faults::not_found("delivery", name)
}
