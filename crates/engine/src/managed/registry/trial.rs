//! An application is tried before it is kept.

use carnet_catalog::Ask;
use carnet_model::caller::Caller;
use carnet_model::connector::ConnectorType;
use carnet_model::{Code, Fault};
use carnet_providers::NewConnector;
use carnet_store::managed_apps::ManagedAppRow;
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::connectors::not_accepted;
use crate::managed::shown_as_token;

impl Broker {
    /// Whether a connector could be made of it: its driver is asked, and asks the provider. Nothing is registered
    /// anywhere. Where each connector fills in an address of its own, there is nothing to ask yet.
    pub(super) async fn try_app(
        &self,
        caller: &Caller,
        app: &ManagedAppRow,
        data: &Map<String, Value>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let (service, r#type, method) = (app.service.as_str(), app.r#type, app.method.as_deref());
        let missing = |name: &str, why: &str| {
            Err(Fault::new(Code::InvalidConnector, format!("data.{name} {why}."))
                .with("field", format!("data.{name}")))
        };
        if let Some(maker) = MAKERS.iter().find(|name| data.contains_key(**name)) {
            return missing(
                maker,
                "makes an application for one connector: bring the one that you registered",
            );
        }
        if matches!(r#type, ConnectorType::Oauth | ConnectorType::Slack) && !data.contains_key("clientId") {
            return missing("clientId", "is missing: that of the application that you registered");
        }
        if let Some(member) = shown_as_token(r#type, data) {
            return missing(
                member,
                "is itself the token, which every team would be given: let each bring its own",
            );
        }
        let mut made = data.clone();
        let mut address = None;
        if let Some(entry) = method.and_then(|_| inner.settings.catalog.get(service)) {
            let ask = Ask {
                method: method.map(str::to_owned),
                target: None,
                params: app.params.clone(),
                driver: Some(r#type),
                data: data.clone(),
            };
            match entry.plan(&ask) {
                Ok(Some(plan)) => (made, address) = (plan.data, plan.address),
                Ok(None) => {}
                Err(wrong) if wrong.field.starts_with("params") => return Ok(()),
                Err(wrong) => return Err(self.refused(service, wrong)),
            }
        }
        let id = inner.env.id();
        let ask = NewConnector {
            service,
            address: address.as_deref(),
            name: service,
            data: made,
            http: &inner.egress,
            env: &inner.env,
            tenant: caller.team(),
            callback_base: inner.settings.base(),
            connector: id,
            icon: None,
            client_document: &self.client_document_url(caller.team(), id),
            events: None,
            // What goes elsewhere than before was given anew, or refused.
            known: None,
        };
        carnet_providers::driver(r#type).accept(ask).await.map(drop).map_err(not_accepted)
    }
}

/// Members by which a driver makes an application at the provider.
const MAKERS: [&str; 2] = ["configurationToken", "initialAccessToken"];
