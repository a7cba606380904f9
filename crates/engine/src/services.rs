//! Services: what the catalog knows of them, how they can be connected, and what comes of it for a new connector.

use carnet_catalog::{Ask, Entry, Method, Unfit, Verified};
use carnet_model::caller::Caller;
use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, Fault};
use carnet_providers::{DataSchema, data_schema, usual_rotation};
use serde_json::{Map, Value, json};
use url::Url;

use crate::broker::{Broker, Inner};
use crate::connectors::{Configuration, ConnectorView, NewConnectorAsk};
use crate::faults;
use crate::managed::App;
use crate::registrations::is_assisted;

/// Which services to list.
#[derive(Clone, Debug, Default)]
pub struct ServicesQuery {
    /// Those in which all of these words stand.
    pub search: Option<String>,
    /// Those of this category.
    pub category: Option<String>,
    /// At most so many; all if left out.
    pub limit: Option<u32>,
}

impl Broker {
    /// What is known of a service, with the schemas of `data` if they are asked for. An unknown one is no mistake: it is
    /// connected by its address.
    pub async fn service(&self, caller: &Caller, name: &str, schemas: bool) -> Result<Value, Fault> {
        self.may(caller, Right::ConnectorRead)?;
        let unknown = || {
            let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            Fault::new(
                Code::NotFound,
                format!("The catalog has no service {name:?}; it can be connected by its address."),
            )
            .next("carnet catalog search", "to see what there is")
        };
        let (entry, at_address) = self.inner.settings.catalog.named(name).ok_or_else(unknown)?;
        let app = self.inner.app_for(caller.team(), entry.slug.as_str()).await.map_err(faults::store)?;
        let methods: Vec<Value> =
            entry.methods.iter().map(|method| described(app.as_ref(), entry, method, schemas)).collect();
        let mut types: Vec<Value> = Vec::new();
        for method in &entry.methods {
            let r#type = method.driver.as_str();
            if types.iter().all(|known| known.get("type").and_then(Value::as_str) != Some(r#type)) {
                let known = schemas.then(|| data_schema(method.driver));
                let (schema, secrets) = known.map(|DataSchema { schema, secrets }| (schema, secrets)).unzip();
                types.push(object([
                    ("type", Some(r#type.into())),
                    ("createInputSchema", schema),
                    ("encryptedFields", secrets.map(Value::from)),
                ]));
            }
        }
        let mut out = outline(entry);
        let scopes: Vec<Value> =
            entry.scopes.iter().map(|(scope, words)| json!({"scope": scope, "description": words})).collect();
        let targets: Vec<Value> = entry
            .targets
            .iter()
            .map(|target| {
                object([
                    ("target", Some(json!(target.target))),
                    ("label", Some(json!(target.label))),
                    ("description", target.description.as_ref().map(|text| json!(text))),
                    ("docsUrl", target.docs.as_ref().map(|page| json!(page))),
                ])
            })
            .collect();
        let usual = at_address.or_else(|| usual(app.as_ref(), entry)).map(|method| json!(method.method));
        let own = self.inner.settings.catalog.is_own(entry.slug.as_str());
        let more = [
            ("types", Some(types.into())),
            ("connectionMethods", Some(methods.into())),
            ("resolvedConnectionMethod", usual),
            ("targets", Some(targets).filter(|targets| !targets.is_empty()).map(Value::from)),
            ("docs", Some(json!(entry.docs))),
            ("scopes", Some(scopes.into())),
            ("hosts", Some(entry.hosts.iter().map(ToString::to_string).collect())),
            ("env", entry.env.as_ref().map(|name| json!(name))),
            ("source", Some(json!(entry.source))),
            ("ownFile", own.then(|| true.into())),
        ];
        out.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(out.into())
    }

    /// The services in which some words stand, the ones with the words in their names first.
    pub fn services(&self, caller: &Caller, query: &ServicesQuery) -> Result<Vec<Value>, Fault> {
        self.may(caller, Right::ConnectorRead)?;
        let search = query.search.as_deref().unwrap_or_default();
        if search.chars().count() > 100 {
            let fault = Fault::new(Code::InvalidRequest, "search has at most 100 characters.");
            return Err(fault.with("field", "search"));
        }
        let found = self.inner.settings.catalog.search(search, query.category.as_deref());
        let most = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Ok(found.into_iter().take(most).map(|entry| outline(entry).into()).collect())
    }

    /// The service of a connector in words, as far as it is known.
    pub fn service_name(&self, view: &ConnectorView) -> String {
        self.inner.service_name(&view.connector)
    }

    /// What the catalog makes of a request for a new connector; `None` if it has nothing to say about it.
    pub(crate) fn planned(
        &self,
        ask: &NewConnectorAsk,
        service: &str,
        kind: Option<ConnectorType>,
    ) -> Result<Option<Configuration>, Fault> {
        // An address stands on its own, unless a way of the service that is known there is named.
        let at_address =
            || ask.method.as_ref().and(self.inner.settings.catalog.named(service)).map(|(entry, _)| entry);
        let Some(entry) = self.inner.settings.catalog.get(service).or_else(at_address) else {
            let foreign = [
                ("connectionMethod", ask.method.is_some()),
                ("target", ask.target.is_some()),
                ("params", !ask.params.is_empty()),
            ];
            return match foreign.into_iter().find(|(_, given)| *given) {
                Some((field, _)) => Err(Fault::new(
                    Code::InvalidRequest,
                    format!("The catalog does not know {service}, so {field} means nothing; put its configuration into data."),
                )
                .with("field", field)
                .next("carnet catalog search", "to see what there is")),
                None => Ok(None),
            };
        };
        let by_itself = entry.methods.iter().find(|method| method.registers_itself());
        let method =
            ask.method.clone().or_else(|| by_itself.filter(|_| ask.managed).map(|m| m.method.to_string()));
        let wanted = Ask {
            method,
            target: ask.target.clone(),
            params: ask.params.clone(),
            driver: kind,
            data: ask.data.clone(),
        };
        let plan = entry.plan(&wanted).map_err(|unfit| self.refused(service, unfit))?;
        Ok(plan.map(|plan| Configuration {
            kind: plan.driver,
            data: plan.data,
            app: None,
            address: plan.address,
            way: Some((plan.method, plan.target)),
        }))
    }

    pub(crate) fn refused(&self, service: &str, unfit: Unfit) -> Fault {
        let Unfit { field, why, page } = unfit;
        let is_client = ["data.client", "data.appId"].iter().any(|name| field.starts_with(name));
        let (code, why) = if is_client {
            let base = self.inner.settings.base();
            let redirect = format!(
                "{why} The redirect URI to enter there begins with {base}/callback; the whole of it is shown when the \
                 connector is made."
            );
            (Code::InvalidConnector, redirect)
        } else if field.starts_with("data.") {
            (Code::InvalidConnector, why)
        } else {
            (Code::InvalidRequest, why)
        };
        let mut fault = Fault::new(code, why).with("field", field);
        if let Some((page, when)) = page {
            fault = fault.next(page, when);
        }
        fault.next(format!("carnet catalog show {service}"), "to see how it is connected")
    }
}

impl Inner {
    /// What is known of the service of a connector, if the connector speaks to that service's hosts: words about the
    /// scopes of one server say nothing about those of another.
    pub(crate) fn entry_of(&self, connector: &Connector) -> Option<&Entry> {
        let catalog = &self.settings.catalog;
        let entry = catalog.get(&connector.service).or_else(|| catalog.of_server(&connector.service))?;
        let recipients = carnet_providers::driver(connector.r#type).recipients(connector);
        let at_home = |origin: &String| {
            Url::parse(origin).ok().is_some_and(|url| url.host_str().is_some_and(|host| entry.has_host(host)))
        };
        recipients.iter().all(at_home).then_some(entry)
    }

    /// The service in words, or the connector's own name.
    pub(crate) fn service_name(&self, connector: &Connector) -> String {
        self.entry_of(connector).map_or_else(|| connector.name.clone(), |entry| entry.name.to_string())
    }
}

/// The way that is meant where nobody names one: the only one, or one that needs nothing to be brought along, the
/// operator's application before one that is registered on the way. `None` where somebody has to choose.
fn usual<'a>(app: Option<&App>, entry: &'a Entry) -> Option<&'a Method> {
    if let [only] = entry.methods.as_slice() {
        return Some(only);
    }
    let first = |fits: &dyn Fn(&Method) -> bool| entry.methods.iter().find(|method| fits(method));
    first(&|method| is_of(app, method)).or_else(|| first(&|method| is_assisted(method.driver)))
}

/// Whether the operator's application is for this way, of several.
fn is_of(app: Option<&App>, method: &Method) -> bool {
    app.is_some_and(|app| match app.method() {
        Some(named) => named == method.method.as_str(),
        None => app.r#type() == method.driver,
    })
}

/// A way of a service. `app` is the operator's application for it.
fn described(app: Option<&App>, entry: &Entry, method: &Method, schemas: bool) -> Value {
    let fits = is_of(app, method);
    let assisted = is_assisted(method.driver);
    let managed = fits || assisted || method.registers_itself();
    let known = data_schema(method.driver);
    let auth = method.oauth.as_ref().and_then(|oauth| oauth.client_auth);
    let keys: Vec<&str> = method.keys.iter().filter_map(|key| Some(key.name.as_ref()?.as_str())).collect();
    let needs = method.needs(auth.is_some_and(carnet_catalog::ClientAuth::has_secret));
    let defaults = method.oauth.as_ref().map(|oauth| {
        json!({"userAuthorization": {"enabled": oauth.authorization.is_some() || oauth.server.is_some(), "scopes": oauth.scopes}})
    });
    let fields: Vec<Value> = method
        .fields()
        .map(|field| {
            object([
                ("key", Some(json!(field.key))),
                ("label", Some(json!(field.label))),
                ("placeholder", Some(json!(field.example))),
                ("help", field.help.as_ref().map(|text| json!(text))),
                ("default", field.default.as_ref().map(|text| json!(text))),
                ("choices", Some(&field.choices).filter(|all| !all.is_empty()).map(|all| json!(all))),
            ])
        })
        .collect();
    let refresh = method.oauth.as_ref().map(|oauth| {
        let refresh = &oauth.refresh;
        object([
            ("class", Some(json!(refresh.class))),
            ("seconds", refresh.seconds.map(Value::from)),
            ("idleDays", refresh.idle_days.map(Value::from)),
            ("lifeDays", refresh.life_days.map(Value::from)),
            ("note", refresh.note.as_ref().map(|text| json!(text))),
        ])
    });
    let refresh = refresh.or_else(|| {
        serde_json::to_value(usual_rotation(method.driver).filter(|_| asks_people(method))?).ok()
    });
    object([
        ("connectionMethod", Some(json!(method.method))),
        ("label", Some(json!(method.label))),
        ("description", Some(json!(method.description))),
        ("docUrl", method.docs.as_ref().map(|page| json!(page))),
        ("settingsUrl", method.console.as_ref().map(|page| json!(page))),
        ("instructions", method.instructions.as_ref().map(|text| json!(text))),
        ("verified", Some(json!(method.verified.unwrap_or(entry.verified)))),
        ("targets", Some(&method.targets).filter(|all| !all.is_empty()).map(|all| json!(all))),
        (
            "create",
            Some(object([
                ("managed", Some(managed.into())),
                ("manual", Some(true.into())),
                ("assisted", assisted.then(|| true.into())),
                ("application", fits.then(|| true.into())),
            ])),
        ),
        (
            "type",
            Some(object([
                ("type", Some(json!(method.driver))),
                ("encryptedFields", Some(json!(known.secrets))),
                ("createInputDefaults", defaults),
                ("createInputSchema", schemas.then(|| method.narrow(known.schema))),
            ])),
        ),
        ("keys", Some(keys).filter(|names| !names.is_empty()).map(|names| json!(names))),
        ("needs", Some(needs).filter(|names| !names.is_empty()).map(|names| json!(names))),
        ("templateFields", Some(fields).filter(|all| !all.is_empty()).map(Value::from)),
        ("refresh", refresh),
        ("accessTokenLife", method.oauth.as_ref().and_then(|oauth| oauth.life).map(Value::from)),
    ])
}

/// Whether there is anybody whose refresh token would be held: some ways of these drivers are the application's own.
fn asks_people(method: &Method) -> bool {
    match method.driver {
        ConnectorType::Salesforce | ConnectorType::MicrosoftEntra | ConnectorType::Okta => {
            method.data.contains_key("userScopes")
        }
        ConnectorType::Snowflake => method.needs.iter().any(|name| name.as_str() == "clientId"),
        _ => true,
    }
}

/// What stands in a list.
fn outline(entry: &Entry) -> Map<String, Value> {
    let methods: Vec<&str> = entry.methods.iter().map(|method| method.method.as_str()).collect();
    let badge = (entry.verified == Verified::Unverified).then(|| "Unverified".into());
    [
        ("id", Some(json!(entry.slug))),
        ("name", Some(json!(entry.name))),
        ("description", Some(json!(entry.description))),
        ("categories", Some(json!(entry.categories))),
        ("methods", Some(json!(methods))),
        ("website", entry.homepage.as_ref().map(|page| json!(page))),
        ("monogram", Some(entry.monogram().into())),
        ("backgroundColor", entry.color.as_ref().map(|color| json!(color))),
        ("verified", Some(json!(entry.verified))),
        ("checked", Some(json!(entry.checked))),
        ("badge", badge),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// The members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}
