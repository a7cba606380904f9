//! From a way to connect, what a person filled in and what they brought from the service, to the `data` of a connector.
//!
//! What the file says is written down as if the person had, so that a connector does not change when the file does. What
//! they bring is laid over it, except for where the server is: that is the file's to say. What is missing is named with
//! the page where it is had.

use std::collections::BTreeMap;

use carnet_model::connector::ConnectorType;
use serde_json::{Map, Value, json};
use toml::Spanned;

use crate::entry::{BasicPart, Entry, Field, Key, Method, Oauth, Pkce, RefreshClass, Target};
use crate::template::Template;

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

    fn choose(&self, ask: &Ask) -> Result<Option<&Method>, Unfit> {
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

    fn target(&self, method: &Method, name: Option<&str>) -> Result<Option<&Target>, Unfit> {
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
    fn is_foregone_by(&self, ask: &Ask) -> bool {
        let is_own = |driver| !matches!(driver, ConnectorType::Oauth | ConnectorType::ApiKey);
        let is_filled = |value: &toml::Value| value.as_str().is_some_and(|text| text.contains('{'));
        ask.method.is_none()
            && ask.params.is_empty()
            && ask.driver.is_some_and(is_own)
            && self.data.iter().any(|(name, value)| is_filled(value) && ask.data.contains_key(name))
    }

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

type Filled<'a> = dyn Fn(&Spanned<Template>) -> Result<String, Unfit> + 'a;

fn oauth_data(
    entry: &Entry,
    method: &Method,
    oauth: &Oauth,
    target: Option<&Target>,
    address: &Filled<'_>,
) -> Result<(Map<String, Value>, Option<String>), Unfit> {
    if let Some(beyond) = &oauth.beyond {
        return Err(Unfit {
            page: Some((page(method, entry), "about it".to_owned())),
            ..unfit(
                "connectionMethod",
                format!("{} of {} cannot be connected yet: {beyond}.", method.method, entry.name),
            )
        });
    }
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    let server = oauth.server.as_ref().map(address).transpose()?;
    if server.is_none() {
        if oauth.token.is_none() {
            return Err(unfit(
                "data.serverConfig",
                format!(
                    "The catalog does not know where {} gives out tokens. Describe its server in serverConfig, without \
                     connectionMethod.",
                    entry.name
                ),
            ));
        }
        let mut config = Map::new();
        for (name, template) in oauth.addresses() {
            let member = if name == "issuer" {
                name.to_owned()
            } else {
                format!("{}_endpoint", if name == "device" { "device_authorization" } else { name })
            };
            let mut text = address(template)?;
            // An issuer is compared byte for byte, and a name without a path is written without one.
            if name == "issuer" && !template.get_ref().as_str().ends_with('/') {
                text.truncate(text.trim_end_matches('/').len());
            }
            config.insert(member, text.into());
        }
        if matches!(oauth.pkce, Pkce::Yes | Pkce::Required) {
            config.insert("code_challenge_methods_supported".to_owned(), json!(["S256"]));
        }
        put("serverConfig", config.into());
        let people = oauth.authorization.is_some();
        let scopes =
            target.map(|target| &target.scopes).filter(|scopes| !scopes.is_empty()).unwrap_or(&oauth.scopes);
        put("userAuthorization", json!({"enabled": people, "scopes": scopes}));
    } else {
        let scopes =
            target.map(|target| &target.scopes).filter(|scopes| !scopes.is_empty()).unwrap_or(&oauth.scopes);
        if !scopes.is_empty() {
            put("userAuthorization", json!({"enabled": true, "scopes": scopes}));
        }
    }
    if oauth.pkce == Pkce::No {
        put("pkceRequired", false.into());
    }
    if let Some(app) = &oauth.app {
        put("clientCredentials", json!({"enabled": true, "scopes": app.scopes}));
    }
    if let Some(auth) = oauth.client_auth {
        put("tokenEndpointAuthMethod", auth.as_str().into());
    }
    if !oauth.authorization_params.is_empty() {
        put("authorizationUrlParams", json!(oauth.authorization_params));
    }
    if let Some(separator) = &oauth.separator {
        put("scopeSeparator", separator.clone().into());
    }
    if let Some(life) = oauth.life {
        put("defaultTokenExpiresIn", life.into());
    }
    if let Some(days) = oauth.refresh.idle_days {
        put("refreshTokens", json!({"enabled": true, "idleDays": days}));
    }
    match oauth.refresh.class {
        RefreshClass::None => put("rotation", json!({"class": "none"})),
        RefreshClass::Grace => put("rotation", json!({"class": "grace", "seconds": oauth.refresh.seconds})),
        RefreshClass::Strict | RefreshClass::Unknown => put("rotation", json!({"class": "strict"})),
        RefreshClass::Absent => None,
    };
    Ok((data, server))
}

fn key_data(
    method: &Method,
    brought: &Map<String, Value>,
    address: &Filled<'_>,
) -> Result<Map<String, Value>, Unfit> {
    let mut data = Map::new();
    let urls = method.api.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    if !urls.is_empty() {
        data.insert("serviceUrls".to_owned(), urls.into());
    }
    // What a person reads before pasting a key.
    if brought.get("subjectType").and_then(Value::as_str) == Some("user") {
        let page = method.console.as_ref().map(|page| format!("Make a key at {page}\n"));
        let words = method.instructions.as_ref().map(ToString::to_string);
        let text = page.into_iter().chain(words).collect::<Vec<_>>().join("\n");
        if !text.is_empty() {
            data.insert("instructions".to_owned(), text.into());
        }
    }
    Ok(data)
}

/// What was brought, over what the file says. Members of an object of parameters are laid over one by one.
fn laid_over(mut data: Map<String, Value>, brought: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in brought {
        match (data.get_mut(name), value) {
            (Some(Value::Object(under)), Value::Object(over))
                if matches!(
                    name.as_str(),
                    "authorizationUrlParams" | "userAuthorization" | "clientCredentials" | "installation"
                ) =>
            {
                under.extend(over.clone());
            }
            _ => {
                data.insert(name.clone(), value.clone());
            }
        }
    }
    data
}

/// Whether everything is there that only the service gives.
fn complete(entry: &Entry, method: &Method, data: &Map<String, Value>) -> Result<(), Unfit> {
    let has = |name: &&str| match at(data, name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if method.instead.as_ref().is_some_and(|name| has(&name.as_str())) {
        return Ok(());
    }
    // How a client proves itself may be said otherwise by who brings it.
    let auth = data.get("tokenEndpointAuthMethod").and_then(Value::as_str);
    let has_secret = auth.is_some_and(|auth| auth.starts_with("client_secret"));
    let missing: Vec<&str> = method.needs(has_secret).into_iter().filter(|name| !has(name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let is_client = missing.iter().all(|name| name.starts_with("client"));
    let (thing, when) = if is_client {
        ("a client that you register there", "to register a client there")
    } else {
        ("what only its own pages give", "to find what is missing")
    };
    Err(Unfit {
        page: Some((page(method, entry), when.to_owned())),
        ..unfit(
            &format!("data.{first}"),
            format!("{} wants {thing}. Give {} in data.", entry.name, list(&missing)),
        )
    })
}

/// The member of this dotted name.
fn at<'a>(data: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut steps = name.split('.');
    let top = data.get(steps.next()?)?;
    steps.try_fold(top, |value, step| value.get(step))
}

/// `a`, `a and b`, `a, b and c`
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

/// A value of the file, with what was filled in.
fn filled(value: &toml::Value, values: &BTreeMap<&str, String>) -> Value {
    match value {
        toml::Value::String(text) => {
            let fill =
                |text: String, (name, value): (&&str, &String)| text.replace(&format!("{{{name}}}"), value);
            values.iter().fold(text.clone(), fill).into()
        }
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        toml::Value::Table(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), filled(value, values)));
            Value::Object(members.collect())
        }
    }
}

fn has_keys(entry: &Entry, method: &Method, data: &Map<String, Value>) -> Result<(), Unfit> {
    let people = data.get("subjectType").and_then(Value::as_str) == Some("user");
    let some = data.get("values").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
    if people || some {
        return Ok(());
    }
    let names: Vec<&str> =
        method.keys.iter().filter_map(|key: &Key| Some(key.name.as_ref()?.as_str())).collect();
    let which = if names.is_empty() {
        r#"values: [{"value": KEY}]"#.to_owned()
    } else {
        let each: Vec<String> =
            names.iter().map(|name| format!(r#"{{"scope": "{name}", "value": KEY}}"#)).collect();
        format!("values: [{}]", each.join(", "))
    };
    // One that is two parts with a colon between looks like no key of the service.
    let form = if method.keys.iter().any(|key| key.basic == Some(BasicPart::Both)) {
        format!(" {}", method.description)
    } else {
        String::new()
    };
    Err(Unfit {
        page: Some((page(method, entry), "to make a key there".to_owned())),
        ..unfit(
            "data.values",
            format!(
                "{} wants a key that you make there.{form} Give {which} in data, or subjectType \"user\" to have each \
                 person paste their own.",
                entry.name
            ),
        )
    })
}

fn page(method: &Method, entry: &Entry) -> String {
    let pages = [&method.console, &method.docs, &entry.homepage];
    let page = pages.into_iter().flatten().next().or(entry.docs.first()).or(entry.source.first());
    page.map(ToString::to_string).unwrap_or_default()
}

fn unfit(field: &str, why: String) -> Unfit {
    Unfit { field: field.to_owned(), why, page: None }
}

/// Members that say where a server is.
pub(crate) const SERVER: &[&str] = &["serverConfig", "serverUrl", "discoveryServerUrl"];
