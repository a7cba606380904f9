//! How a new connector is configured: by the operator, by the catalog, or by the team.

use std::collections::BTreeMap;

use carnet_model::connector::ConnectorType;
use carnet_model::{Code, Fault, Id, kind};
use serde_json::{Map, Value};

use super::NewConnectorAsk;
use crate::broker::Broker;
use crate::faults;
use crate::managed::App;

/// How a new connector is configured.
pub(crate) struct Configuration {
    pub(crate) kind: ConnectorType,
    pub(crate) data: Map<String, Value>,
    /// With the operator's client: of this application.
    pub(crate) app: Option<App>,
    /// Where its server is found out about, if not at the service's own address.
    pub(crate) address: Option<String>,
    /// The way of the catalog, and what of the service.
    pub(crate) way: Option<(String, Option<String>)>,
}

impl Configuration {
    fn of(kind: ConnectorType, data: Map<String, Value>) -> Self {
        Self { kind, data, app: None, address: None, way: None }
    }
}

impl Broker {
    /// The driver and the configuration: the operator's where it is managed, else what the catalog makes of the request,
    /// else the team's own.
    pub(super) async fn configuration(
        &self,
        ask: &NewConnectorAsk,
        team: Id<kind::Team>,
        service: &str,
        fitting: Option<App>,
    ) -> Result<Configuration, Fault> {
        if let Some(app) = fitting {
            let data = self.inner.whole_app(&app).map_err(faults::internal)?.into_owned();
            let planned = match app.method() {
                None => None,
                Some(method) => {
                    let ask = NewConnectorAsk {
                        data: data.clone(),
                        method: Some(method.to_owned()),
                        params: self.params_of(app.params(), method, ask, service)?,
                        managed: false,
                        ..ask.clone()
                    };
                    self.planned(&ask, service, Some(app.r#type()))?
                }
            };
            let configuration = planned.unwrap_or_else(|| Configuration::of(app.r#type(), data));
            return Ok(Configuration { app: Some(app), ..configuration });
        }
        // The address of a server that registers clients by itself needs nobody to have done so before.
        let offered = self.inner.app_for(team, service).await.map_err(faults::store)?.is_some();
        let by_itself = !offered && ask.r#type.is_none() && service.contains(['.', ':']);
        let kind = match &ask.r#type {
            None => None,
            Some(text) => Some(self.kind_of(text, ask, service)?),
        };
        if let Some(planned) = self.planned(ask, service, kind)? {
            return Ok(planned);
        }
        if ask.managed && !by_itself {
            return Err(Fault::new(
                Code::InvalidConnector,
                format!("The operator of this server has registered no client at {service}; bring your own."),
            )
            .next(
                format!("carnet create {service} --name NAME --data @file.json"),
                "with the client you registered",
            )
            .next(format!("carnet catalog search {service}"), "to see whether it is known by another name"));
        }
        Ok(Configuration::of(kind.unwrap_or(ConnectorType::Oauth), ask.data.clone()))
    }

    /// The driver that is meant by a type, if it is one for this service. What the catalog does not know may be of any;
    /// what it knows is of one of its ways, or is described whole by who brings it.
    fn kind_of(&self, word: &str, ask: &NewConnectorAsk, service: &str) -> Result<ConnectorType, Fault> {
        let refused = |of: &str, known: &[ConnectorType]| {
            let known: Vec<&str> = known.iter().map(|kind| kind.as_str()).collect();
            Fault::new(Code::InvalidRequest, format!("type{of} is one of: {}.", known.join(", ")))
                .with("field", "type")
        };
        let kind = self.kind_called(word, ask);
        let Some(entry) = self.inner.settings.catalog.get(service) else {
            return kind.ok_or_else(|| refused("", &ConnectorType::ALL));
        };
        let own = entry.methods.iter().map(|method| method.driver);
        let mut known: Vec<ConnectorType> = Vec::new();
        for kind in own.chain([ConnectorType::Oauth, ConnectorType::ApiKey]) {
            if !known.contains(&kind) {
                known.push(kind);
            }
        }
        // By the name of another service somebody means that one, unless the two are run the same way.
        let is_general = |kind| matches!(kind, ConnectorType::Oauth | ConnectorType::ApiKey);
        let is_of_another = |kind| {
            let is_own = word == service || word == "custom" || ConnectorType::parse(word).is_some();
            is_general(kind) && !is_own
        };
        kind.filter(|kind| known.contains(kind) && !is_of_another(*kind)).ok_or_else(|| {
            refused(&format!(" of {service}"), &known)
                .next(format!("carnet catalog show {service}"), "to see how it is connected")
        })
    }

    /// Adds the member that is likely meant, where one is brought that no driver knows, but that is called like one that a
    /// way of the service has deeper: `botToken` for `installation.token`.
    pub(super) fn with_what_is_meant(&self, service: &str, fault: Fault) -> Fault {
        let field = fault.extra.get("field").and_then(Value::as_str);
        let field = field.filter(|_| fault.message.contains(": is not a field "));
        let brought = field.and_then(|field| field.strip_prefix("data.")).filter(|name| !name.contains('.'));
        let Some((entry, brought)) = self.inner.settings.catalog.get(service).zip(brought) else {
            return fault;
        };
        let brought = brought.to_lowercase();
        let deeper = |name: &&str| {
            name.rsplit_once('.').is_some_and(|(_, leaf)| brought.ends_with(&leaf.to_lowercase()))
        };
        let found = entry.methods.iter().find_map(|method| {
            let needs = method.needs(false);
            needs.into_iter().find(deeper).map(|name| (method, name))
        });
        let Some((method, name)) = found else { return fault };
        let way = method.method.to_string();
        let message = format!("{} For the connection method {way} it is data.{name}.", fault.message);
        Fault { message, ..fault }.next(
            format!("carnet create {service} --connection-method {way} --data @FILE"),
            format!("with {name} in the file"),
        )
    }

    /// What an official client means by a type: the name of a driver, or of a service of the catalog, whose driver is meant
    /// then; `custom` is OAuth by metadata.
    fn kind_called(&self, word: &str, ask: &NewConnectorAsk) -> Option<ConnectorType> {
        if word == "custom" {
            return Some(ConnectorType::Oauth);
        }
        let of_service = || {
            let entry = self.inner.settings.catalog.get(word)?;
            let drivers = || entry.methods.iter().map(|method| method.driver);
            let has_keys = ask.data.contains_key("values");
            drivers()
                .find(|driver| (*driver == ConnectorType::ApiKey) == has_keys)
                .or_else(|| drivers().next())
        };
        ConnectorType::parse(word).or_else(of_service)
    }

    /// What is filled into the addresses: what the operator says, and what a team may say besides. Where a field is any
    /// host at all, whoever fills it in says who is sent the operator's secret, so that is the operator's alone.
    fn params_of(
        &self,
        fixed: &BTreeMap<String, String>,
        method: &str,
        ask: &NewConnectorAsk,
        service: &str,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let method = self.inner.settings.catalog.get(service).and_then(|entry| entry.method(method));
        let is_anywhere = |name: &str| {
            method.is_some_and(|method| {
                method.fields().any(|field| field.key.as_str() == name && field.is_any_host())
            })
        };
        let mut params = fixed.clone();
        for (name, value) in &ask.params {
            let said = fixed.get(name);
            if said.is_some_and(|said| said != value) || (said.is_none() && is_anywhere(name)) {
                return Err(Fault::new(
                    Code::InvalidConnector,
                    format!(
                        "{name} of {service} says where the operator's application is, which is the operator's to say. \
                         Leave it out, or bring an application of your own."
                    ),
                )
                .with("field", format!("params.{name}"))
                .next(format!("carnet catalog show {service}"), "to see how one is registered"));
            }
            params.insert(name.clone(), value.clone());
        }
        Ok(params)
    }

    /// The operator's application from which this connector is to be made. Another way of the service than the
    /// application's is not the application's business.
    pub(super) async fn fitting_app(
        &self,
        ask: &NewConnectorAsk,
        team: Id<kind::Team>,
        service: &str,
    ) -> Result<Option<App>, Fault> {
        if !ask.managed {
            return Ok(None);
        }
        let fits = |app: &App| match (ask.method.as_deref(), app.method()) {
            (None, _) => true,
            (Some(asked), Some(own)) => asked == own,
            (Some(asked), None) => {
                let entry = self.inner.settings.catalog.get(service);
                entry.is_some_and(|entry| {
                    entry.methods.iter().any(|m| m.method.as_str() == asked && m.driver == app.r#type())
                })
            }
        };
        Ok(self.inner.app_for(team, service).await.map_err(faults::store)?.filter(fits))
    }
}
