//! Managed connectors: made from an application that the operator registered at the provider, once for the whole
//! deployment.
//!
//! The application's secrets stay where the operator keeps them: in a file that the configuration names, or sealed in a
//! row of no team's ([`registry`]). A connector that is made from it has its public configuration and, in the places of
//! its secrets, nothing: they are put in when a driver needs them, from what the operator says now. So no row, no export
//! and no backup of a team has them, a secret that the operator changes is changed for everybody, and a team from whom
//! the operator takes the application away cannot use it any more.
//!
//! What is offered is read anew with every revision of the rules, as connectors are: a decision that was made by an
//! application of before is not recorded. Of two for one service, that of the configuration is offered.
//!
//! What the team may say about such a connector is how it is called and looks. With `eject` it takes it over: with a
//! client of its own; or, where the operator lets go of the application that way, with this one.

mod behind;
mod registry;
mod view;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use carnet_catalog::{Catalog, Field};
use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::{Code, Fault, Id, kind};
use carnet_providers::ConnectorSecrets;
use carnet_store::managed_apps::{self, ManagedAppRow};
use carnet_store::{DbError, Revision, same_rules};
use serde_json::{Map, Value};

use crate::broker::{Broker, Inner};
use crate::directory::Entry;
use crate::sealing::Unsealable;

pub use registry::{ManagedAppChange, NewManagedApp, OfferedTo};
pub use view::{ManagedAppHistory, ManagedAppSource, ManagedAppView};

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

/// Whether this may name the service of an application: it becomes a part of an address, and of UIDs.
fn is_service(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 100 && text.chars().all(sound)
}

/// What does not fit together about an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitApp {
    /// `service`, `type`, `method` or `params`.
    pub field: &'static str,
    /// What is wrong with it, as it follows the name of the field.
    pub why: String,
}

impl ManagedService {
    /// The driver of an application, by what is said about it.
    pub fn driver(
        catalog: &Catalog,
        service: &str,
        r#type: Option<&str>,
        method: Option<&str>,
    ) -> Result<ConnectorType, UnfitApp> {
        let unfit = |field, why: String| UnfitApp { field, why };
        if !is_service(service) {
            return Err(unfit("service", "has small letters, digits, dashes and dots".to_owned()));
        }
        let named = match method {
            None => None,
            Some(name) => {
                let entry = catalog
                    .get(service)
                    .ok_or_else(|| unfit("method", "needs a service of the catalog".to_owned()))?;
                let found = entry.methods.iter().find(|method| method.method.as_str() == name);
                Some(found.ok_or_else(|| unfit("method", format!("{name:?} is no way of that service")))?)
            }
        };
        let given = match r#type {
            None => None,
            Some(text) => Some(ConnectorType::parse(text).ok_or_else(|| {
                let known: Vec<&str> = ConnectorType::ALL.iter().map(|known| known.as_str()).collect();
                unfit("type", format!("is one of {}", known.join(", ")))
            })?),
        };
        match (given, named) {
            (Some(given), Some(method)) if given != method.driver => {
                Err(unfit("type", format!("is {} by that connection method", method.driver.as_str())))
            }
            (Some(given), _) => Ok(given),
            (None, Some(method)) => Ok(method.driver),
            (None, None) => Ok(ConnectorType::Oauth),
        }
    }
}

impl ManagedService {
    /// Whether this may be filled into the addresses of a way. What is any host at all has to be filled in: no team says
    /// where the operator's secret is sent.
    pub fn fits(
        catalog: &Catalog,
        service: &str,
        method: Option<&str>,
        params: &BTreeMap<String, String>,
    ) -> Result<(), UnfitApp> {
        let unfit = |why: String| UnfitApp { field: "params", why };
        let named = method.and_then(|method| catalog.get(service).and_then(|entry| entry.method(method)));
        let fields: Vec<&Field> = named.iter().flat_map(|method| method.fields()).collect();
        if let Some(name) = params.keys().find(|name| fields.iter().all(|field| field.key.as_str() != *name))
        {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            return Err(unfit(format!("has {shown:?}, which is no field of that connection method")));
        }
        for field in fields {
            let name = field.key.as_str();
            match params.get(name) {
                Some(value) => field.check(value).map_err(|why| unfit(format!("{name} {why}")))?,
                None if field.is_any_host() && field.default.is_none() => {
                    return Err(unfit(format!(
                        "lacks {name}, {}, such as {}: the operator says where the application is",
                        field.label, field.example
                    )));
                }
                None => {}
            }
        }
        Ok(())
    }
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
    /// The secret of the application that would itself be given out as a token, if there is one.
    pub fn shown_as_token(&self) -> Option<&'static str> {
        shown_as_token(self.r#type, &self.data)
    }
}

/// The secret of an application that would itself be given out as a token, if there is one: to share that is to show it
/// to every team, and to let each reach what the application reaches for the others.
fn shown_as_token(r#type: ConnectorType, data: &Map<String, Value>) -> Option<&'static str> {
    let installation = data.get("installation").and_then(Value::as_object);
    if r#type == ConnectorType::ApiKey && data.contains_key("values") {
        Some("values")
    } else if installation.is_some_and(|one| one.contains_key("token")) {
        Some("installation.token")
    } else {
        None
    }
}

/// Every application that is offered.
pub(crate) struct Apps {
    configured: BTreeMap<String, Arc<ManagedService>>,
    stored: RwLock<Option<(Revision, Arc<Stored>)>>,
}

type Stored = BTreeMap<String, Arc<ManagedAppRow>>;

impl Apps {
    pub(crate) fn new(configured: BTreeMap<String, ManagedService>) -> Self {
        let configured = configured.into_iter().map(|(service, app)| (service, Arc::new(app))).collect();
        Self { configured, stored: RwLock::new(None) }
    }
}

/// One of them.
#[derive(Clone)]
pub(crate) enum App {
    /// The configuration names it.
    Configured(Arc<ManagedService>),
    /// It was registered while the server ran.
    Stored(Arc<ManagedAppRow>),
}

impl App {
    pub(crate) fn r#type(&self) -> ConnectorType {
        match self {
            Self::Configured(app) => app.r#type,
            Self::Stored(app) => app.r#type,
        }
    }

    pub(crate) fn method(&self) -> Option<&str> {
        match self {
            Self::Configured(app) => app.method.as_deref(),
            Self::Stored(app) => app.method.as_deref(),
        }
    }

    /// What the operator filled into the addresses of the way.
    pub(crate) fn params(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Configured(app) => &app.params,
            Self::Stored(app) => &app.params,
        }
    }

    pub(crate) fn goes_along(&self) -> bool {
        match self {
            Self::Configured(app) => app.goes_along,
            Self::Stored(app) => app.goes_along,
        }
    }

    pub(crate) fn one_callback(&self) -> bool {
        match self {
            Self::Configured(app) => app.one_callback,
            Self::Stored(_) => true,
        }
    }

    /// When it last became another, in milliseconds; the configuration's is the same for as long as the process lives.
    pub(crate) fn changed_at(&self) -> i64 {
        match self {
            Self::Configured(_) => 0,
            Self::Stored(app) => app.updated_at.millis(),
        }
    }

    fn is_for(&self, team: Id<kind::Team>) -> bool {
        let teams = match self {
            Self::Configured(app) => &app.teams,
            Self::Stored(app) => &app.teams,
        };
        teams.as_ref().is_none_or(|teams| teams.contains(&team))
    }

    /// Where it is said by what the provider knows it; no more of this than that is looked at.
    fn known(&self) -> &Map<String, Value> {
        match self {
            Self::Configured(app) => &app.data,
            Self::Stored(app) => &app.data,
        }
    }
}

impl Inner {
    /// The operator's application for a service, if the team may use it.
    pub(crate) async fn app_for(&self, team: Id<kind::Team>, service: &str) -> Result<Option<App>, DbError> {
        let app = match self.apps.configured.get(service) {
            Some(app) => Some(App::Configured(app.clone())),
            None => self.stored_apps().await?.get(service).cloned().map(App::Stored),
        };
        Ok(app.filter(|app| app.is_for(team)))
    }

    /// Those in the store, as they are at the present revision.
    async fn stored_apps(&self) -> Result<Arc<Stored>, DbError> {
        // Read before the rows, as in the directory.
        let revision = self.db.revision();
        {
            let held = self.apps.stored.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, apps)) = &*held
                && same_rules(*at, revision)
            {
                return Ok(apps.clone());
            }
        }
        let rows = managed_apps::all(&self.db).await?;
        let apps: Arc<Stored> =
            Arc::new(rows.into_iter().map(|row| (row.service.clone(), Arc::new(row))).collect());
        let mut held = self.apps.stored.write().unwrap_or_else(PoisonError::into_inner);
        *held = Some((revision, apps.clone()));
        Ok(apps)
    }

    /// The `data` of an application, secrets included.
    pub(crate) fn whole_app<'a>(&self, app: &'a App) -> Result<Cow<'a, Map<String, Value>>, Unsealable> {
        match app {
            App::Configured(app) => Ok(Cow::Borrowed(&app.data)),
            App::Stored(row) => {
                let mut data = row.data.clone();
                data.extend(self.open_app(row)?);
                Ok(Cow::Owned(data))
            }
        }
    }

    /// The application behind a connector, if it is still the one from which the connector was made and the team may
    /// still use it.
    pub(crate) fn app_behind<'a>(&self, entry: &'a Entry) -> Option<&'a App> {
        entry.app.as_ref()
    }

    /// The secrets of a connector, those of the operator's application among them.
    pub(crate) fn secrets(&self, entry: &Entry) -> Result<ConnectorSecrets, Unsealable> {
        let own = self.own_secrets(entry)?;
        let connector = &entry.row.connector;
        // Nobody else's gaps are filled, however they came to be.
        if !connector.managed || !own.has_gaps() {
            return Ok(own);
        }
        let gone = Unsealable("connectors whose application the operator has taken away");
        let Some(app) = self.app_behind(entry) else { return Err(gone) };
        let whole = self.whole_app(app)?;
        own.filled(&whole).ok_or(gone)
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
        if !connector.managed || self.inner.app_behind(entry).is_some() {
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
        .next(eject(connector), "to go on with an application of your own"))
    }

    /// What a team may not change about a connector that is made from the operator's application.
    pub(crate) fn is_the_operators(connector: &Connector) -> Fault {
        Fault::new(
            Code::InvalidConnector,
            format!(
                "{} is managed: its configuration is the operator's. Eject it to have one of your own.",
                connector.uid
            ),
        )
        .with("field", "data")
        .next(eject(connector), "to go on with an application of your own")
    }

    /// Where people come back to, for all connectors of an application.
    pub(crate) fn one_callback(&self, service: &str) -> String {
        format!("{}/callback/{service}", self.inner.settings.base())
    }
}

/// As what the connector is known at its provider, if it is by anything.
pub(crate) fn client_of(data: &Map<String, Value>) -> Option<String> {
    IDENTITY.iter().find_map(|name| plain(data, name))
}

/// GitHub's number is written as a number or as a text.
fn plain(data: &Map<String, Value>, name: &str) -> Option<String> {
    data.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Whether both are one client at the provider, as far as both name one.
pub(crate) fn is_same_client(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let same = |name: &&str| match (plain(one, name), plain(other, name)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    IDENTITY.iter().all(same)
}

fn eject(connector: &Connector) -> String {
    format!("carnet eject {} --data @client.json", connector.uid)
}

/// By what an application is known at its provider.
const IDENTITY: [&str; 3] = ["clientId", "appId", "consumerKey"];
