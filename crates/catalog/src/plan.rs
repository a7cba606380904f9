//! From a way to connect, what a person filled in and what they brought from the service, to the `data` of a connector.
//!
//! What the file says is written down as if the person had, so that a connector does not change when the file does. What
//! they bring is laid over it, except for where the server is: that is the file's to say. What is missing is named with
//! the page where it is had.

mod choose;
mod complete;
mod data;

use std::collections::BTreeMap;

use carnet_model::connector::ConnectorType;
use serde_json::{Map, Value, json};
use toml::Spanned;

use crate::entry::{Entry, Field, Method};
use crate::template::Template;

pub(crate) use choose::SERVER;
use complete::{complete, has_keys};
use data::{filled, key_data, laid_over, oauth_data};

/// What somebody wants to connect.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The way, by name; where none is named, the usual one of those that fit.
    pub method: Option<String>,
    /// What of the service.
    pub target: Option<String>,
    /// What was filled in.
    pub params: BTreeMap<String, String>,
    /// The driver, if it was named.
    pub driver: Option<ConnectorType>,
    /// What was brought along.
    pub data: Map<String, Value>,
}

/// A connector as it can be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The way that was taken, by name.
    pub method: String,
    /// What of the service.
    pub target: Option<String>,
    /// The driver.
    pub driver: ConnectorType,
    /// Its configuration.
    pub data: Map<String, Value>,
    /// Where its server is found out about, if it is.
    pub address: Option<String>,
}

/// Why no connector can be made this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The member of the request that is wrong or missing: `data.clientId`, `params.subdomain`, `connectionMethod`.
    pub field: String,
    /// What is wrong with it, in a sentence.
    pub why: String,
    /// Where a person gets what is missing, and what for.
    pub page: Option<(String, String)>,
}

impl Entry {
    /// The connector that comes of this; `None` if the file has nothing to say about it, because the request describes
    /// its own server or the service is only a kind of server.
    pub fn plan(&self, ask: &Ask) -> Result<Option<Plan>, Unfit> {
        let Some(method) = self.choose(ask)? else { return Ok(None) };
        if method.is_foregone_by(ask) {
            return Ok(None);
        }
        let target = self.target(method, ask.target.as_deref())?;
        let values = method.fill(ask)?;
        let address = |template: &Spanned<Template>| {
            let why = |why: String| unfit("params", format!("{why}."));
            Ok(template.get_ref().fill(&values).map_err(why)?.to_string())
        };
        let (mut data, server) = if let Some(oauth) = &method.oauth {
            oauth_data(self, method, oauth, target, &address)?
        } else if method.driver == ConnectorType::ApiKey {
            (key_data(method, &ask.data, &address)?, None)
        } else {
            (Map::new(), None)
        };
        for (name, value) in &method.data {
            data.insert(name.clone(), filled(value, &values));
        }
        // A driver of its own has the scopes of people under its own name, and the target's go before the way's there too.
        let own = target.map(|target| &target.scopes).filter(|scopes| !scopes.is_empty());
        if let (Some(scopes), Some(under)) = (own, data.get_mut("userScopes")) {
            *under = json!(scopes);
        }
        let data = laid_over(data, &ask.data);
        complete(self, method, &data)?;
        if method.driver == ConnectorType::ApiKey {
            has_keys(self, method, &data)?;
        }
        Ok(Some(Plan {
            method: method.method.to_string(),
            target: target.map(|target| target.target.to_string()),
            driver: method.driver,
            data,
            address: server,
        }))
    }
}

impl Method {
    /// Whether whatever a field would fill in is brought instead: members of the data of a driver of its own.
    fn is_brought(&self, field: &Field, ask: &Ask) -> bool {
        let place = format!("{{{}}}", field.key.as_str());
        let mut filled = self.data.iter().filter(|(_, value)| value.to_string().contains(&place)).peekable();
        let brought = |name: &String| ask.data.get(name).is_some_and(|value| !value.is_null());
        let is_driver = !matches!(self.driver, ConnectorType::Oauth | ConnectorType::ApiKey);
        is_driver && filled.peek().is_some() && filled.all(|(name, value)| value.is_str() && brought(name))
    }

    /// What stands in each place, found sound. What has nothing to fill in is left out.
    fn fill(&self, ask: &Ask) -> Result<BTreeMap<&str, String>, Unfit> {
        let params = &ask.params;
        if let Some(unknown) =
            params.keys().find(|name| self.fields().all(|field| field.key.as_str() != *name))
        {
            let names: Vec<&str> = self.fields().map(|field| field.key.as_str()).collect();
            let shown: String = unknown.chars().filter(|c| !c.is_control()).take(100).collect();
            return Err(unfit(
                "params",
                if names.is_empty() {
                    format!("{} has nothing to fill in, and {shown:?} was given.", self.method)
                } else {
                    format!("{} has no field {shown:?}; there are: {}.", self.method, names.join(", "))
                },
            ));
        }
        self.fields()
            .filter(|field| params.contains_key(field.key.as_str()) || !self.is_brought(field, ask))
            .map(|field| {
                let name = field.key.as_str();
                let member = format!("params.{name}");
                let value = params.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
                let value = value.or(field.default.as_deref()).ok_or_else(|| {
                    let help = field.help.as_ref().map(|help| format!(" {help}")).unwrap_or_default();
                    unfit(
                        &member,
                        format!("{} is missing: {}, such as {}.{help}", name, field.label, field.example),
                    )
                })?;
                field.check(value).map_err(|why| unfit(&member, format!("{name} {why}.")))?;
                Ok((name, value.to_owned()))
            })
            .collect()
    }
}

fn page(method: &Method, entry: &Entry) -> String {
    let pages = [&method.console, &method.docs, &entry.homepage];
    let page = pages.into_iter().flatten().next().or(entry.docs.first()).or(entry.source.first());
    page.map(ToString::to_string).unwrap_or_default()
}

fn unfit(field: &str, why: String) -> Unfit {
    Unfit { field: field.to_owned(), why, page: None }
}
