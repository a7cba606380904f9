//! Managed connectors: made from an application that the operator registered at the provider, once for the whole
//! deployment.
//!
//! The application's secrets stay where the operator keeps them. A connector that is made from it has its public
//! configuration and, in the places of its secrets, nothing: they are put in when a driver needs them, from what the
//! operator says now. So no row, no export and no backup of a team has them, a secret that the operator changes is
//! changed for everybody, and a team from whom the operator takes the application away cannot use it any more.
//!
//! What the team may say about such a connector is how it is called and looks. With `eject` it takes it over: with a
//! client of its own; or, where the operator lets go of the application that way, with this one.

use std::collections::{BTreeMap, BTreeSet};

use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::{Code, Fault, Id, kind};
use carnet_providers::ConnectorSecrets;
use serde_json::{Map, Value};

use crate::broker::{Broker, Inner};
use crate::directory::Entry;
use crate::sealing::Unsealable;

/// An application that the operator registered at a provider.
#[derive(Clone)]
pub struct ManagedService {
    /// The driver.
    pub r#type: ConnectorType,
    /// The way of the catalog by which it is connected; none where `data` says everything.
    pub method: Option<String>,
    /// The connector's `data`, secrets included.
    pub data: Map<String, Value>,
    /// What the operator filled into the addresses of that way; no team says otherwise.
    pub params: BTreeMap<String, String>,
    /// Which teams may make connectors from it and use them; all, if nobody has said.
    pub teams: Option<BTreeSet<Id<kind::Team>>>,
    /// Whether a team that ejects a connector without a client of its own takes this one along.
    pub goes_along: bool,
    /// Whether people come back to one address for all teams, which is registered at the provider once:
    /// `{url}/callback/{service}`. Else to the address that the driver chooses.
    pub one_callback: bool,
}

impl std::fmt::Debug for ManagedService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagedService")
            .field("type", &self.r#type)
            .field("teams", &self.teams)
            .finish_non_exhaustive()
    }
}

impl ManagedService {
    /// The secret of the application that would itself be given out as a token, if there is one: to share that is to
    /// show it to every team, and to let each reach what the application reaches for the others.
    pub fn shown_as_token(&self) -> Option<&'static str> {
        let installation = self.data.get("installation").and_then(Value::as_object);
        if self.r#type == ConnectorType::ApiKey && self.data.contains_key("values") {
            Some("values")
        } else if installation.is_some_and(|one| one.contains_key("token")) {
            Some("installation.token")
        } else {
            None
        }
    }
}

impl Inner {
    /// The operator's application for a service, if the team may use it.
    pub(crate) fn app_for(&self, team: Id<kind::Team>, service: &str) -> Option<&ManagedService> {
        let app = self.settings.managed.get(service)?;
        app.teams.as_ref().is_none_or(|teams| teams.contains(&team)).then_some(app)
    }

    /// The application behind a connector, if it is still the one from which the connector was made and the team may
    /// still use it.
    pub(crate) fn app_behind(&self, connector: &Connector) -> Option<&ManagedService> {
        let app = self.app_for(connector.team, &connector.service)?;
        // GitHub's number is written as a number or as a text.
        let plain = |data: &Map<String, Value>, name: &str| {
            data.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let same = |name: &&str| match (plain(&app.data, name), plain(&connector.data, name)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        (app.r#type == connector.r#type && IDENTITY.iter().all(same)).then_some(app)
    }

    /// The secrets of a connector, those of the operator's application among them.
    pub(crate) fn secrets(&self, entry: &Entry) -> Result<ConnectorSecrets, Unsealable> {
        let own = self.own_secrets(entry)?;
        let connector = &entry.row.connector;
        // Nobody else's gaps are filled, however they came to be.
        if !connector.managed || !own.has_gaps() {
            return Ok(own);
        }
        let filled = self.app_behind(connector).and_then(|app| own.filled(&app.data));
        filled.ok_or(Unsealable("connectors whose application the operator has taken away"))
    }

    /// What the team's own row has of them.
    pub(crate) fn own_secrets(&self, entry: &Entry) -> Result<ConnectorSecrets, Unsealable> {
        self.open_connector(&entry.row.connector, &entry.row.secrets)
    }
}

impl Broker {
    /// Refuses what needs an application that the operator offers this team no longer.
    pub(crate) fn is_offered(&self, entry: &Entry) -> Result<(), Fault> {
        let connector = &entry.row.connector;
        if !connector.managed || self.inner.app_behind(connector).is_some() {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!(
                "{} was made from an application that the operator of this server offers your team no longer, or has \
                 replaced by another.",
                connector.uid
            ),
        )
        .with("reason", "managed_app_withdrawn")
        .next(
            format!("curl -X POST {}/v1/connect/connectors/{}/managed/eject", self.inner.settings.base(), connector.id),
            "with data of an application of your own",
        ))
    }

    /// What a team may not change about a connector that is made from the operator's application.
    pub(crate) fn is_the_operators(&self, connector: &Connector) -> Fault {
        Fault::new(
            Code::InvalidConnector,
            format!(
                "{} is managed: its configuration is the operator's. Eject it to have one of your own.",
                connector.uid
            ),
        )
        .with("field", "data")
        .next(
            format!(
                "curl -X POST {}/v1/connect/connectors/{}/managed/eject",
                self.inner.settings.base(),
                connector.id
            ),
            "with data of an application of your own",
        )
    }

    /// Where people come back to, for all connectors of an application.
    pub(crate) fn one_callback(&self, service: &str) -> String {
        format!("{}/callback/{service}", self.inner.settings.base())
    }
}

/// By what an application is known at its provider.
const IDENTITY: [&str; 3] = ["clientId", "appId", "consumerKey"];
