//! What a connector that is being made is to do with its provider's events: part of the write that makes it.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::{Environment, Fault, Id, SecretString, Time, kind};
use carnet_store::destinations::{self, Destination};
use carnet_store::triggers::{self, TriggerSetting};
use carnet_store::{Write, links};

use super::destinations::link_event;
use super::setting::TriggerChange;
use crate::broker::Broker;
use crate::connectors::NewConnectorAsk;

/// What was asked for, looked up and sealed.
pub(crate) struct First {
    setting: Option<TriggerSetting>,
    destination: Option<Destination>,
}

impl Broker {
    /// `own` is what the connector's configuration has to verify events with, `linked` the project that may ask it.
    pub(crate) async fn first_triggers(
        &self,
        caller: &Caller,
        ask: &NewConnectorAsk,
        connector: &Connector,
        own: Option<SecretString>,
        linked: Option<Id<kind::Project>>,
        now: Time,
    ) -> Result<First, Fault> {
        let setting = match &ask.triggers {
            None => None,
            Some(wanted) if wanted.if_possible && wanted.signing_secret.is_none() && own.is_none() => None,
            Some(wanted) => {
                let change = TriggerChange {
                    enabled: Some(true),
                    events: Some(wanted.events.clone()),
                    signing_secret: wanted.signing_secret.clone().map(SecretString::new),
                    keep_previous: None,
                };
                Some(self.first_setting(connector, own, change, now)?)
            }
        };
        let destination = match &ask.destination {
            None => None,
            Some(asked) => Some(self.first_destination(caller, connector, asked.clone(), linked, now).await?),
        };
        Ok(First { setting, destination })
    }

    /// Adds it to the write that makes the connector.
    pub(crate) fn with_first_triggers(
        &self,
        mut write: Write,
        first: First,
        (caller, connector): (&Caller, &Connector),
        linked: Option<Id<kind::Project>>,
        (request, now): (Id<kind::Request>, Time),
    ) -> Write {
        let env = &self.inner.env;
        if let Some(setting) = &first.setting {
            let event = AuditEvent::of(caller, now, Action::TriggerPut, Some(request))
                .on(connector.id)
                .with("enabled", setting.enabled)
                .with("events", setting.events.clone());
            write = write.step(triggers::put(setting)).event(env, &event);
        }
        let Some(destination) = &first.destination else { return write };
        if linked != Some(destination.project) {
            let environments = [destination.environment];
            let event = link_event(caller, connector, destination.project, &environments, now, request);
            write = write
                .step(links::put(connector.team, connector.id, destination.project, &environments, now))
                .event(env, &event);
        }
        let event = AuditEvent::of(caller, now, Action::TriggerDestinationsPut, Some(request))
            .on(connector.id)
            .with("destinations", vec![super::destinations::told(destination)]);
        write.step(destinations::put(destination)).event(env, &event)
    }
}

impl First {
    /// The environments of the link that is made at the same time, with the destination's among them.
    pub(crate) fn enable(&self, linked: Option<Id<kind::Project>>, environments: &mut Vec<Environment>) {
        if let Some(destination) = self.destination.as_ref().filter(|one| Some(one.project) == linked)
            && !environments.contains(&destination.environment)
        {
            environments.push(destination.environment);
        }
    }
}
