//! Whether the operator's application for a service is still the one from which a connector was made: the same client, at
//! the same server.
//!
//! Each server names clients as it likes, so that the same name at two servers means two applications, and the secret of
//! the one is nobody's business at the other. Where the application is comes of its configuration and of what the operator
//! filled into the addresses of its way. A field that teams fill in themselves may hold anything that it allows.

use carnet_catalog::{Ask, Method};
use carnet_model::connector::Connector;
use serde_json::{Map, Value};
use url::Url;

use super::{App, is_same_client};
use crate::broker::Inner;

impl Inner {
    /// Whether a connector was made from this application.
    pub(crate) fn is_made_from(&self, connector: &Connector, app: &App) -> bool {
        app.r#type() == connector.r#type
            && is_same_client(app.known(), &connector.data)
            && self.is_same_server(connector, app)
    }

    fn is_same_server(&self, connector: &Connector, app: &App) -> bool {
        let Some((known, method)) = app.method().and_then(|name| {
            let known = self.settings.catalog.get(&connector.service)?;
            Some((known, known.method(name)?))
        }) else {
            return agrees(connector, app.known().clone());
        };
        if teams_say_where(method, app) {
            let token = connector.data.get("serverConfig").and_then(|config| config.get("token_endpoint"));
            let token = token.and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
            return token.is_none_or(|url| method.can_be_at(&url, app.params()));
        }
        // What cannot be opened is said where it is opened.
        let Ok(data) = self.whole_app(app) else { return true };
        let ask = Ask {
            method: Some(method.method.to_string()),
            target: None,
            params: app.params().clone(),
            driver: Some(app.r#type()),
            data: data.into_owned(),
        };
        match known.plan(&ask) {
            Ok(Some(mut plan)) => {
                if let Some(address) = plan.address {
                    plan.data.insert("serverUrl".to_owned(), address.into());
                }
                agrees(connector, plan.data)
            }
            // It says by itself where it is.
            Ok(None) => agrees(connector, app.known().clone()),
            // Nothing could be made from it any more.
            Err(_) => false,
        }
    }
}

/// Whether a part of the addresses is left to those who make connectors.
fn teams_say_where(method: &Method, app: &App) -> bool {
    method.fields().any(|field| !app.params().contains_key(field.key.as_str()) && !field.is_any_host())
}

/// Whether a connector is where one would be that is made with this `data` now. What the data does not say is not compared,
/// and not what only one of the two says: an address that was added since changes nothing about whose client it is.
fn agrees(connector: &Connector, data: Map<String, Value>) -> bool {
    let at = |data: &Map<String, Value>, [top, inner]: [&str; 2]| {
        let value = data.get(top)?;
        let text = if inner.is_empty() { value.as_str()? } else { value.get(inner)?.as_str()? };
        Some(Url::parse(text).ok()?.origin())
    };
    let apart = |place: &[&str; 2]| {
        let both = at(&data, *place).zip(at(&connector.data, *place));
        both.is_some_and(|(ours, theirs)| ours != theirs)
    };
    if PLACES.iter().any(apart) {
        return false;
    }
    let driver = carnet_providers::driver(connector.r#type);
    let there = driver.recipients(connector);
    let anew = driver.recipients(&Connector { data, ..connector.clone() });
    anew.is_empty() || !anew.is_disjoint(&there)
}

/// Where a configuration says where its server is.
const PLACES: [[&str; 2]; 3] =
    [["serverUrl", ""], ["discoveryServerUrl", ""], ["serverConfig", "token_endpoint"]];
