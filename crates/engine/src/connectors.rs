//! Connectors: what may be seen of one. [`create`] registers, [`change`] changes, [`remove`] removes, [`list`] finds them.
//!
//! What the provider knows about a connector's client is the business of [`upkeep`]; what its server says about itself,
//! that of [`server`]; that its secret does not end unnoticed, that of [`renewal`].

mod another_client;
mod branding;
mod change;
mod code;
mod configuration;
mod contacts;
mod create;
mod eject;
mod list;
mod moved;
mod provision;
mod remove;
mod renewal;
mod server;
mod upkeep;

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::shown::is_name;
use carnet_model::{Code, Fault, Id, Time, Uid, kind};
use carnet_providers::Abilities;
use carnet_providers::webhook::scheme_of;
use serde_json::{Map, Value};

use crate::audit::with_proof;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::triggers::Triggers;

pub use change::{ConnectorChange, ConnectorUpdated};
pub(crate) use configuration::Configuration;
pub use create::{NewConnectorAsk, TriggerAsk};
pub use list::{LinkedProjects, ListQuery, Sort};
pub(crate) use list::{read_time_cursor, time_cursor};
pub use server::{Difference, ServerCheck};
pub use upkeep::ServiceSync;

/// A connector as it may be seen.
#[derive(Clone, Debug)]
pub struct ConnectorView {
    /// The connector, without secrets.
    pub connector: Connector,
    /// What it can do.
    pub abilities: Abilities,
    /// The projects it is linked to, where that was asked for.
    pub projects: Option<LinkedProjects>,
    /// The way of the catalog by which it was connected and what of the service, where it was made just now.
    pub way: Option<(String, Option<String>)>,
    /// The variable in which the service's own tools look for a token, where one connector was asked about.
    pub variable: Option<String>,
    /// What it does with its provider's events; `None` where it receives none, or nobody looked.
    pub triggers: Option<Triggers>,
    /// Whether its provider's events can be received here.
    pub receives: bool,
    /// Where people are sent back to, where the provider was told another address of this server.
    pub moved: Option<String>,
}

impl Broker {
    /// A connector, for a linked workload or a member of the team.
    pub async fn connector(
        &self,
        caller: &Caller,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let entry = self.find_connector(caller, name).await?;
        if let Err((fault, rule)) = self.permit(caller, &entry, Ask::Metadata) {
            let event = AuditEvent::of(caller, self.inner.env.now(), Action::ConnectorRead, Some(request))
                .on(entry.row.connector.id);
            let event = with_proof(event, caller);
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        let variable = self.inner.entry_of(&entry.row.connector).and_then(|known| known.env.as_ref());
        let variable = variable.map(ToString::to_string);
        Ok(ConnectorView { variable, ..self.view_of(&entry) })
    }

    /// As it may be seen, with what it does with its provider's events.
    pub(crate) fn view_of(&self, entry: &Entry) -> ConnectorView {
        let moved = self.inner.redirect_moved(&entry.row.connector);
        let mut view = ConnectorView { moved, ..entry.view() };
        if view.receives {
            view.triggers = Some(self.shown(view.connector.id, &entry.triggers));
        }
        view
    }
}

fn taken(uid: &Uid) -> Fault {
    Fault::new(Code::Conflict, format!("There is a connector {uid} in this team already."))
        .next(format!("carnet show {uid}"), "to see it, or choose another name")
}

fn view(connector: Connector) -> ConnectorView {
    ConnectorView::from(connector)
}

impl From<Connector> for ConnectorView {
    fn from(connector: Connector) -> Self {
        let abilities = carnet_providers::driver(connector.r#type).abilities(&connector);
        let receives = scheme_of(&connector.service).is_some();
        Self {
            connector,
            abilities,
            projects: None,
            way: None,
            variable: None,
            triggers: None,
            receives,
            moved: None,
        }
    }
}

impl Entry {
    /// As it may be seen.
    pub(crate) fn view(&self) -> ConnectorView {
        ConnectorView {
            connector: self.row.connector.clone(),
            abilities: self.abilities.clone(),
            projects: None,
            way: None,
            variable: None,
            triggers: None,
            receives: scheme_of(&self.row.connector.service).is_some(),
            moved: None,
        }
    }
}

pub(crate) fn bad_configuration(bad: carnet_providers::BadConfiguration) -> Fault {
    Fault::new(Code::InvalidConnector, format!("data.{}: {}.", bad.field, bad.why.trim_end_matches('.')))
        .with("field", format!("data.{}", bad.field))
}

/// The same of one that may only have to be tried again.
pub(crate) fn not_accepted(refused: carnet_providers::NotAccepted) -> Fault {
    match refused {
        carnet_providers::NotAccepted::Bad(bad) => bad_configuration(bad),
        carnet_providers::NotAccepted::Later { why, retry_after } => {
            let why = why.trim_end_matches('.');
            let message = format!(
                "No client could be registered for the connector: {why}. Nothing was made or changed."
            );
            let wait = retry_after.unwrap_or(5).clamp(1, crate::breaker::LONGEST_NAMED.as_secs());
            Fault::new(Code::ProviderUnavailable, message).retry_after(wait)
        }
    }
}

/// Refuses a key whose end is over by the time it is stored: nobody would ever get it.
fn none_has_ended(kind: ConnectorType, data: &Map<String, Value>, now: Time) -> Result<(), Fault> {
    let values = data.get("values").and_then(Value::as_array).filter(|_| kind == ConnectorType::ApiKey);
    let end = |value: &Value| value.get("expiresAt").and_then(Value::as_i64);
    let ended = |value: &Value| end(value).is_some_and(|end| end <= now.millis());
    match values.and_then(|values| values.iter().position(ended)) {
        Some(place) => Err(bad_configuration(carnet_providers::BadConfiguration {
            field: format!("values.{place}.expiresAt"),
            why: "is over already; store the key's successor".to_owned(),
        })),
        None => Ok(()),
    }
}

/// What people call a connector, if it is fit to be shown.
fn called(name: &str) -> Result<&str, Fault> {
    let name = name.trim();
    if !is_name(name, 100) {
        let why = "name has 1 to 100 characters, none of them a control character or invisible.";
        return Err(Fault::new(Code::InvalidRequest, why).with("field", "name"));
    }
    Ok(name)
}
