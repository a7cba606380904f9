//! Which way a request takes, and what of the service it is for.

use carnet_model::connector::ConnectorType;

use super::{Ask, Unfit, unfit};
use crate::entry::{Entry, Method, Target};

/// Members that say where a server is.
pub(crate) const SERVER: &[&str] = &["serverConfig", "serverUrl", "discoveryServerUrl"];

impl Entry {
    pub(super) fn choose(&self, ask: &Ask) -> Result<Option<&Method>, Unfit> {
        let own = SERVER.iter().find(|name| ask.data.get(**name).is_some_and(|value| !value.is_null()));
        if let Some(name) = &ask.method {
            let method = self.method(name).ok_or_else(|| {
                unfit("connectionMethod", format!("{} is connected by one of: {}.", self.name, self.ways()))
            })?;
            if ask.driver.is_some_and(|driver| driver != method.driver) {
                return Err(unfit(
                    "type",
                    format!("{name} makes a connector of the type {}.", method.driver.as_str()),
                ));
            }
            return match own {
                Some(own) if method.oauth.is_some() => Err(unfit(
                    &format!("data.{own}"),
                    format!(
                        "The catalog says where the server of {} is. To describe another, leave connectionMethod out.",
                        self.name
                    ),
                )),
                _ => Ok(Some(method)),
            };
        }
        if own.is_some() {
            if ask.target.is_some() || !ask.params.is_empty() {
                return Err(unfit(
                    "connectionMethod",
                    "target and params belong to a connectionMethod.".to_owned(),
                ));
            }
            return Ok(None);
        }
        let keys = ["values", "subjectType"].iter().any(|name| ask.data.contains_key(*name));
        let wanted = ask.driver.or_else(|| keys.then_some(ConnectorType::ApiKey));
        let needed = |method: &Method| {
            let named = method.needs.iter().chain(&method.instead);
            let mut tops = named.filter_map(|name| name.as_str().split('.').next());
            method.needs.is_empty() || tops.any(|top| ask.data.contains_key(top))
        };
        let fits = |method: &&Method| {
            let target = ask.target.as_deref().is_none_or(|target| method.serves(target));
            let driver = match wanted {
                Some(driver) => method.driver == driver,
                // A client of one's own is not for a server that registers one.
                None => {
                    (!ask.data.contains_key("clientId") || method.driver == ConnectorType::Oauth)
                        && (ask.data.is_empty() || needed(method))
                }
            };
            let brought =
                !ask.data.contains_key("clientId") || !method.registers_itself() || self.methods.len() == 1;
            target && driver && brought
        };
        let found = self.methods.iter().find(fits);
        match (found, ask.driver) {
            (Some(method), _) => Ok(Some(method)),
            // A driver that the file has no way for: the request stands on its own.
            (None, Some(_)) => Ok(None),
            (None, None) => Err(unfit(
                "connectionMethod",
                format!("{} is connected by one of: {}.", self.name, self.ways()),
            )),
        }
    }

    fn ways(&self) -> String {
        self.methods.iter().map(|method| method.method.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn target(&self, method: &Method, name: Option<&str>) -> Result<Option<&Target>, Unfit> {
        let Some(name) = name else { return Ok(None) };
        let served: Vec<&Target> =
            self.targets.iter().filter(|target| method.serves(target.target.as_str())).collect();
        match served.iter().find(|target| target.target.as_str() == name) {
            Some(target) => Ok(Some(target)),
            None if served.is_empty() => {
                Err(unfit("target", format!("{} has one target only; leave it out.", self.name)))
            }
            None => {
                let names: Vec<&str> = served.iter().map(|target| target.target.as_str()).collect();
                Err(unfit("target", format!("{} serves: {}.", method.method, names.join(", "))))
            }
        }
    }
}

impl Method {
    /// Whether a request that names a driver of its own says by itself what the file would have filled in: then it
    /// stands on its own, with whatever else that driver knows and the file does not say.
    pub(super) fn is_foregone_by(&self, ask: &Ask) -> bool {
        let is_own = |driver| !matches!(driver, ConnectorType::Oauth | ConnectorType::ApiKey);
        let is_filled = |value: &toml::Value| value.as_str().is_some_and(|text| text.contains('{'));
        ask.method.is_none()
            && ask.params.is_empty()
            && ask.driver.is_some_and(is_own)
            && self.data.iter().any(|(name, value)| is_filled(value) && ask.data.contains_key(name))
    }
}
