//! Provider events: received, verified, made durable, forwarded.
//!
//! An event that a provider sends to `/connect/trigger/{connector}` is verified by the service's own scheme, sealed, and
//! committed with one delivery for each of at most three destinations before it is acknowledged ([`receive`]). From there
//! it is forwarded until it is taken ([`deliver`]), by whichever process is there: with the same bytes, and with an
//! identity token of the destination's project and environment that names the connector and the body's digest.
//!
//! Promised: what was acknowledged is forwarded at least once, or is a dead letter that can be seen and replayed
//! ([`log`]). `webhook-id` is the same for every attempt, so that a receiver can tell a repetition. Not promised: an
//! order, and that an event comes only once.
//!
//! Whoever may not be told whether there is such a connector learns nothing: an unknown connector, one that receives no
//! events, and a signature that is wrong are one refusal.

mod addresses;
mod content;
mod deliver;
mod destinations;
mod first;
mod lines;
mod log;
mod receive;
mod request;
mod schedule;
mod setting;

use carnet_model::{Fault, Id, kind};
use carnet_providers::webhook::scheme_of;
use carnet_store::destinations::{self as stored, Destination};
use carnet_store::triggers::{self, TriggerSetting};

use crate::broker::Broker;
use crate::connectors::ConnectorView;
use crate::faults;

pub(crate) use addresses::Addresses;
pub use destinations::NewDestination;
pub(crate) use lines::Lines;
pub use log::{DeliveriesQuery, DeliveryView};
pub use receive::{Intake, Posted};
pub(crate) use request::{BRANCH, has_branches};
pub use setting::{SigningSecret, TriggerChange, TriggerView};

/// What a connector does with provider events, as it may be seen.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    /// Whether they are received.
    pub enabled: bool,
    /// The names of those that are forwarded; empty for all.
    pub events: Vec<String>,
    /// Where to.
    pub destinations: Vec<Destination>,
    /// Where the provider sends them.
    pub url: String,
}

/// The same with the secrets, as the directory keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) setting: Option<TriggerSetting>,
    pub(crate) destinations: Vec<Destination>,
}

impl Kept {
    pub(crate) fn enabled(&self) -> bool {
        self.setting.as_ref().is_some_and(|setting| setting.enabled)
    }
}

impl Broker {
    /// Where the provider of a connector sends its events.
    pub(crate) fn intake_url(&self, connector: Id<kind::Connector>) -> String {
        format!("{}/connect/trigger/{connector}", self.inner.settings.base())
    }

    /// A view with what is known of its events.
    pub(crate) async fn with_triggers(&self, view: ConnectorView) -> Result<ConnectorView, Fault> {
        let mut views = vec![view];
        self.add_triggers(&mut views).await?;
        views.pop().ok_or_else(|| faults::internal("a view was lost"))
    }

    /// The same for many, of one team.
    pub(crate) async fn add_triggers(&self, views: &mut [ConnectorView]) -> Result<(), Fault> {
        let receiving = |view: &&ConnectorView| scheme_of(&view.connector.service).is_some();
        let ids: Vec<_> = views.iter().filter(receiving).map(|view| view.connector.id).collect();
        let Some(team) = views.first().map(|view| view.connector.team).filter(|_| !ids.is_empty()) else {
            return Ok(());
        };
        let db = &self.inner.db;
        let settings = triggers::of_connectors(db, team, &ids).await.map_err(faults::store)?;
        let all = stored::of_connectors(db, team, &ids).await.map_err(faults::store)?;
        for view in views.iter_mut().filter(|view| ids.contains(&view.connector.id)) {
            let id = view.connector.id;
            let setting = settings.iter().find(|setting| setting.connector == id);
            let of_it = |one: &&Destination| one.connector == id;
            let kept =
                Kept { setting: setting.cloned(), destinations: all.iter().filter(of_it).cloned().collect() };
            view.triggers = Some(self.shown(id, &kept));
        }
        Ok(())
    }

    pub(crate) fn shown(&self, connector: Id<kind::Connector>, kept: &Kept) -> Triggers {
        let setting = kept.setting.as_ref();
        Triggers {
            enabled: kept.enabled(),
            events: setting.map(|setting| setting.events.clone()).unwrap_or_default(),
            destinations: kept.destinations.clone(),
            url: self.intake_url(connector),
        }
    }
}
