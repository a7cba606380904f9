//! Connectors: registering, showing, changing, removing; [`list`] finds them.
//!
//! What the provider knows about a connector's client is the business of [`upkeep`]; what its server says about itself,
//! that of [`server`].

mod code;
mod contacts;
mod eject;
mod list;
mod provision;
mod server;
mod upkeep;

use std::collections::BTreeMap;

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Slug, Uid, kind};
use carnet_providers::{Abilities, NewConnector};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::{DbError, Write, creations, grants, links, pictures};
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::connector_keys::KeyChange;
use crate::directory::Entry;
use crate::faults;

pub use list::{LinkedProjects, ListQuery, Sort};
pub(crate) use list::{read_time_cursor, time_cursor};
pub use server::{Difference, ServerCheck};
pub use upkeep::ServiceSync;

/// A connector that somebody wants to make.
#[derive(Clone, Debug, Default)]
pub struct NewConnectorAsk {
    /// The service, by name or address.
    pub service: String,
    /// What people will call it.
    pub name: Option<String>,
    /// Its UID; `service/name` if left out.
    pub uid: Option<String>,
    /// Its driver; `oauth` if left out.
    pub r#type: Option<String>,
    /// Its configuration, secrets included.
    pub data: Map<String, Value>,
    /// The way of the catalog by which it is connected.
    pub method: Option<String>,
    /// What of the service.
    pub target: Option<String>,
    /// What was filled into the addresses of that way.
    pub params: BTreeMap<String, String>,
    /// Taken from the operator's registration instead of from `data`.
    pub managed: bool,
    /// A project to link it to at once.
    pub project: Option<String>,
    /// In these environments; all three built-in ones if left out.
    pub environments: Option<Vec<String>>,
    /// How it looks.
    pub branding: Branding,
    /// What its maker calls this create: the same create again makes no second connector.
    pub code: Option<String>,
}

/// A change of how a connector looks and is called.
#[derive(Clone, Debug, Default)]
pub struct ConnectorChange {
    /// What people call it.
    pub name: Option<String>,
    /// Its UID.
    pub uid: Option<String>,
    /// Another configuration: the members named here replace those before, `null` removes one.
    pub data: Option<Map<String, Value>>,
    /// SHA-1 of an uploaded picture.
    pub icon: Option<String>,
    /// `#RRGGBB`
    pub background_color: Option<String>,
    /// `#RRGGBB`
    pub accent_color: Option<String>,
    /// That its client is from now on the team's own business.
    pub own: bool,
}

/// What a change came to.
#[derive(Clone, Debug)]
pub struct ConnectorUpdated {
    /// The connector as it is now.
    pub connector: ConnectorView,
    /// What became of the provider's own record of the client; `None` where it has none.
    pub sync: Option<ServiceSync>,
    /// Whether people who consented before have to do so again, because what they gave does not cover the scopes that
    /// the connector asks for now.
    pub reconsent: bool,
}

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
}

impl Broker {
    /// Registers a connector, and links it to a project if one is named. It goes on if the caller hangs up: a client
    /// that a server registered meanwhile is not lost.
    pub async fn create_connector(
        &self,
        caller: &Caller,
        ask: NewConnectorAsk,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        self.may(caller, Right::ConnectorCreate)?;
        if ask.project.is_some() {
            self.may(caller, Right::LinkUpdate)?;
        }
        let (broker, caller) = (self.clone(), caller.clone());
        let work = self.track(async move { broker.make_connector(&caller, ask, request).await });
        work.await.map_err(faults::internal)?
    }

    async fn make_connector(
        &self,
        caller: &Caller,
        ask: NewConnectorAsk,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let (team, inner) = (caller.team(), &self.inner);
        let invalid = |field: &str, why: String| Fault::new(Code::InvalidRequest, why).with("field", field);
        let service = service_name(&ask.service)
            .ok_or_else(|| invalid("service", "service is a name, or the host of an address.".to_owned()))?;
        let name = ask.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let project = match &ask.project {
            Some(project) => Some(self.find_project(caller, project).await?),
            None if ask.environments.is_some() => {
                return Err(invalid(
                    "environments",
                    "environments says where a project may ask, so it needs projectId.".to_owned(),
                ));
            }
            None => None,
        };
        let environments = match (&project, &ask.environments) {
            (Some(project), Some(names)) => self.environments_of(caller, project.id, names).await?,
            _ => carnet_model::Environment::BUILT_IN.to_vec(),
        };
        let name = match (name, &project) {
            (Some(name), _) => name.to_owned(),
            (None, Some(project)) => project.name.to_string(),
            (None, None) => {
                return Err(invalid("name", "Give name, or the projectId whose name to take.".to_owned()));
            }
        };
        if name.len() > 100 || name.chars().any(char::is_control) {
            return Err(invalid("name", "name has 1 to 100 characters and no control character.".to_owned()));
        }
        let branding = self.branding(team, ask.branding.clone()).await?;
        let uid = match &ask.uid {
            Some(uid) => Uid::parse(uid),
            None => Uid::parse(&format!("{service}/{}", Slug::near(&name, "connector"))),
        }
        .map_err(|error| invalid("uid", format!("{error}.")))?;
        if let Some(made) = self.made_before(team, ask.code.as_deref(), &uid).await? {
            return Ok(made);
        }
        let Configuration { kind, data, managed, address, way } = self.configuration(&ask, &service)?;
        // Before a server is asked to register anything: who tries again has a connector already.
        let reference = ConnectorRef::Uid(uid.clone());
        if connectors::find(&inner.db, team, &reference).await.map_err(faults::store)?.is_some() {
            return Err(taken(&uid));
        }
        let id = inner.env.id();
        let named = Some(ask.service.trim()).filter(|name| name.contains("://"));
        let accepted = carnet_providers::driver(kind)
            .accept(NewConnector {
                service: &service,
                address: address.as_deref().or(named),
                name: &name,
                data,
                http: &inner.egress,
                env: &inner.env,
                tenant: team,
                callback_base: inner.settings.base(),
                connector: id,
                icon: branding.icon.as_deref(),
                client_document: &self.client_document_url(team, id),
            })
            .await
            .map_err(bad_configuration)?;
        let now = inner.env.now();
        let connector = Connector {
            id,
            team,
            uid,
            service,
            r#type: kind,
            name,
            data: accepted.data,
            branding,
            default_installation: None,
            redirect_uri: accepted.redirect_uri,
            created_at: now,
            updated_at: now,
            created_by: caller.principal(),
            updated_by: caller.principal(),
            version: 1,
            managed,
        };
        inner.load_team_keys(team).await.map_err(faults::store)?;
        let secrets = inner.seal_connector(&connector, &accepted.secrets).map_err(faults::internal)?;
        let row = ConnectorRow { connector, secrets };
        let event = AuditEvent::of(caller, now, Action::ConnectorCreate, Some(request))
            .on(id)
            .with("uid", row.connector.uid.as_str())
            .with("type", kind.as_str())
            .with("service", row.connector.service.clone());
        let mut write = Write::new().step(connectors::insert(&row)).event(&inner.env, &event).revises();
        if let Some(project) = &project {
            let linked = AuditEvent::of(caller, now, Action::LinkPut, Some(request))
                .on(id)
                .with("project", project.id.to_string())
                .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
            write =
                write.step(links::put(team, id, project.id, &environments, now)).event(&inner.env, &linked);
        }
        let change = KeyChange { caller, request, connector: &row.connector };
        let signs = carnet_providers::driver(kind).abilities(&row.connector).signs;
        write = self.first_key(write, &change, signs).await?;
        if let Some(code) = &ask.code {
            write = write.step(creations::insert(team, code, id, now)).step(code::forget_old(team, now));
        }
        if let Some(icon) = &row.connector.branding.icon {
            write = write.step(pictures::still_there(team, icon));
        }
        let Err(error) = inner.db.write(write).await else {
            return Ok(ConnectorView { way, ..view(row.connector) });
        };
        self.retire_client(&row.connector, &accepted.secrets).await;
        match error {
            // The same create came twice at the same moment, and the other was faster.
            DbError::Conflict => {
                let made = self.made_before(team, ask.code.as_deref(), &row.connector.uid).await?;
                made.ok_or_else(|| taken(&row.connector.uid))
            }
            error => Err(faults::store(error)),
        }
    }

    /// The driver and the configuration: the operator's where it is managed, else what the catalog makes of the request,
    /// else the team's own.
    fn configuration(&self, ask: &NewConnectorAsk, service: &str) -> Result<Configuration, Fault> {
        let managed = self.inner.settings.managed.get(service);
        // The address of a server that registers clients by itself needs nobody to have done so before.
        let by_itself = managed.is_none() && ask.r#type.is_none() && service.contains(['.', ':']);
        if let Some(managed) = managed.filter(|_| ask.managed) {
            let configuration = Configuration::of(ConnectorType::Oauth, managed.data.clone());
            return Ok(Configuration { managed: true, ..configuration });
        }
        let kind = match &ask.r#type {
            None => None,
            Some(text) => Some(ConnectorType::parse(text).ok_or_else(|| {
                let known: Vec<&str> = ConnectorType::ALL.iter().map(|t| t.as_str()).collect();
                Fault::new(Code::InvalidRequest, format!("type is one of: {}.", known.join(", ")))
                    .with("field", "type")
            })?),
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
            ));
        }
        Ok(Configuration::of(kind.unwrap_or(ConnectorType::Oauth), ask.data.clone()))
    }

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
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        let variable = self.inner.entry_of(&entry.row.connector).and_then(|known| known.env.as_ref());
        let variable = variable.map(ToString::to_string);
        Ok(ConnectorView { variable, ..view(entry.row.connector.clone()) })
    }

    /// A connector, for a person who may say to whom its events are forwarded.
    pub async fn manageable_connector(&self, caller: &Caller, name: &str) -> Result<ConnectorView, Fault> {
        Ok(self.managed(caller, name, Right::TriggerUpdate).await?.view())
    }

    /// Changes a connector, and tells the provider what it has to know.
    pub async fn update_connector(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
    ) -> Result<ConnectorUpdated, Fault> {
        let told = Told { action: Action::ConnectorUpdate, members: Vec::new(), renew: false };
        self.change_connector(caller, name, change, request, told).await
    }

    /// The same, in a task that goes on if the caller hangs up: what a provider answers is kept.
    async fn change_connector(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
        told: Told,
    ) -> Result<ConnectorUpdated, Fault> {
        let (broker, caller, name) = (self.clone(), caller.clone(), name.to_owned());
        let work = self.track(async move {
            let renew = told.renew;
            let (before, row) = broker.write_change(&caller, &name, change, request, told).await?;
            let (row, sync) = broker.tell_of_change(&caller, &before, row, request, renew).await?;
            let connector = view(row.connector);
            let reconsent = broker.asks_people_for_more(before, &connector).await?;
            Ok(ConnectorUpdated { connector, sync, reconsent })
        });
        work.await.map_err(faults::internal)?
    }

    async fn write_change(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
        told: Told,
    ) -> Result<(Connector, ConnectorRow), Fault> {
        let entry = self.managed(caller, name, Right::ConnectorUpdate).await?;
        let inner = &self.inner;
        let mut row = entry.row.clone();
        let secrets = inner.secrets(&entry).map_err(faults::internal)?;
        let now = inner.env.now();
        let mut fields = Vec::new();
        if let Some(name) = &change.name {
            let name = name.trim();
            if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
                return Err(Fault::new(
                    Code::InvalidRequest,
                    "name has 1 to 100 characters and no control character.",
                )
                .with("field", "name"));
            }
            name.clone_into(&mut row.connector.name);
            fields.push("name");
        }
        if let Some(uid) = &change.uid {
            row.connector.uid = Uid::parse(uid).map_err(|error| {
                Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "uid")
            })?;
            fields.push("uid");
        }
        for (field, from, to) in [
            ("icon", &change.icon, &mut row.connector.branding.icon),
            ("backgroundColor", &change.background_color, &mut row.connector.branding.background_color),
            ("accentColor", &change.accent_color, &mut row.connector.branding.accent_color),
        ] {
            if let Some(value) = from {
                *to = Some(value.clone()).filter(|value| !value.is_empty());
                fields.push(field);
            }
        }
        check_branding(&row.connector.branding)?;
        if change.icon.is_some() {
            row.connector.branding = self.branding(row.connector.team, row.connector.branding).await?;
        }
        if change.own {
            row.connector.managed = false;
            fields.push("managed");
        }
        row.connector.version += 1;
        row.connector.updated_at = now;
        row.connector.updated_by = caller.principal();
        let mut outlasts = false;
        row.secrets = match &change.data {
            None => inner.seal_connector(&row.connector, &secrets),
            Some(changed) => {
                fields.push("data");
                let mut data = row.connector.data.clone();
                secrets.put_back(&mut data, changed);
                for (name, value) in changed {
                    if value.is_null() {
                        data.remove(name)
                    } else {
                        data.insert(name.clone(), value.clone())
                    };
                }
                let accepted = entry
                    .driver()
                    .accept(NewConnector {
                        service: &row.connector.service,
                        address: None,
                        name: &row.connector.name,
                        data,
                        http: &inner.egress,
                        env: &inner.env,
                        tenant: row.connector.team,
                        callback_base: inner.settings.base(),
                        connector: row.connector.id,
                        icon: row.connector.branding.icon.as_deref(),
                        client_document: &self.client_document_url(row.connector.team, row.connector.id),
                    })
                    .await
                    .map_err(bad_configuration)?;
                if accepted.data.get("clientId") != row.connector.data.get("clientId") {
                    // With a client of its own it is not the operator's any more.
                    row.connector.managed = false;
                }
                row.connector.data = accepted.data;
                row.connector.redirect_uri = accepted.redirect_uri;
                outlasts = secrets.outlast(changed, &accepted.secrets);
                inner.seal_connector(&row.connector, &accepted.secrets)
            }
        }
        .map_err(faults::internal)?;
        let strangers = self.new_recipients(&entry, &row.connector);
        if let Some(stranger) = strangers.first().filter(|_| outlasts) {
            // Nobody reads a stored secret back, not even by having it sent to a server of one's own.
            return Err(Fault::new(
                Code::InvalidConnector,
                format!(
                    "The change would send the stored secrets of {} to {stranger}. Give the secrets for that server \
                     in the same change.",
                    row.connector.uid
                ),
            )
            .with("field", "data"));
        }
        let mut event = AuditEvent::of(caller, now, told.action, Some(request))
            .on(row.connector.id)
            .with("fields", fields);
        if !told.members.is_empty() {
            event = event.with("members", told.members);
        }
        let mut write = Write::new().step(connectors::update(&row)).event(&inner.env, &event).revises();
        // What people granted at one server is not presented to another. A developer's own server may move, though:
        // its port changes. Looked at behind the update, which a grant that is being recorded waits for or makes wait.
        let moves = !strangers.is_empty() && !inner.settings.development;
        if moves {
            write = write.step(grants::none_left(row.connector.team, row.connector.id));
        }
        if change.data.is_some() {
            // Made by another configuration.
            write =
                write.step(carnet_store::minted::delete_of_connector(row.connector.team, row.connector.id));
            if entry.driver().idle(&row.connector) != entry.idle() {
                write = write.step(grants::consider(row.connector.team, row.connector.id, now));
            }
            let change = KeyChange { caller, request, connector: &row.connector };
            let signs = entry.driver().abilities(&row.connector).signs;
            write = self.changed_key(write, &change, &entry, signs, !strangers.is_empty()).await?;
        }
        if let Some(icon) = row.connector.branding.icon.as_ref().filter(|_| change.icon.is_some()) {
            write = write.step(pictures::still_there(row.connector.team, icon));
        }
        match inner.db.write(write).await {
            Ok(_) => Ok((entry.row.connector.clone(), row)),
            Err(DbError::Unmet(1)) if moves => Err(Fault::new(
                Code::Conflict,
                format!(
                    "People granted access to {} at its present server, and that is not taken to another one.",
                    row.connector.uid
                ),
            )
            .next(format!("carnet revoke-tokens {} --all-tokens", row.connector.uid), "to end what was granted; then change it")
            .next("carnet create --help", "to make a connector for the other server beside it")),
            Err(DbError::Conflict) => Err(taken(&row.connector.uid)),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Whether the connector asks people for scopes that it did not ask for `before`, and somebody has consented.
    async fn asks_people_for_more(&self, before: Connector, now: &ConnectorView) -> Result<bool, Fault> {
        let scopes = |view: &ConnectorView| view.abilities.user.as_ref().map(|user| user.scopes.clone());
        let (before, after) = (scopes(&view(before)).unwrap_or_default(), scopes(now).unwrap_or_default());
        if after.iter().all(|scope| before.iter().any(|known| known == scope)) {
            return Ok(false);
        }
        let Connector { team, id, .. } = now.connector;
        let some = grants::of_connector(&self.inner.db, team, id, None, 1).await.map_err(faults::store)?;
        Ok(!some.is_empty())
    }

    /// The branding as it is stored, if every part of it is well-formed and the picture was uploaded.
    async fn branding(&self, team: Id<kind::Team>, branding: Branding) -> Result<Branding, Fault> {
        check_branding(&branding)?;
        let icon = branding.icon.map(|sha1| sha1.to_ascii_lowercase());
        if let Some(sha1) = &icon
            && !pictures::is_there(&self.inner.db, team, sha1).await.map_err(faults::store)?
        {
            return Err(Fault::new(
                Code::InvalidRequest,
                "icon names no picture of this team. Upload it to /v2/files first.",
            )
            .with("field", "icon"));
        }
        Ok(Branding { icon, ..branding })
    }

    /// The origins that would be sent secrets after a change and were not before.
    pub(crate) fn new_recipients(&self, entry: &Entry, changed: &Connector) -> Vec<String> {
        let before = entry.driver().recipients(&entry.row.connector);
        entry.driver().recipients(changed).difference(&before).cloned().collect()
    }

    /// Removes a connector with everything that hangs on it; what was granted is revoked at the provider first.
    pub async fn delete_connector(
        &self,
        caller: &Caller,
        name: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let entry = self.managed(caller, name, Right::ConnectorDelete).await?;
        let inner = &self.inner;
        let connector = &entry.row.connector;
        let given = self.every_grant(connector.team, connector.id).await?;
        let now = inner.env.now();
        if !given.is_empty() {
            let event = AuditEvent::of(caller, now, Action::TokenRevoke, Some(request))
                .on(connector.id)
                .with("subject", "*")
                .with("tokensFound", given.len());
            let write = Write::new()
                .step(grants::withdraw_of_connector(connector.team, connector.id, None, now))
                .event(&inner.env, &event)
                .revises();
            inner.db.write(write).await.map_err(faults::store)?;
        }
        let broker = self.clone();
        let event = AuditEvent::of(caller, now, Action::ConnectorDelete, Some(request))
            .on(connector.id)
            .with("uid", connector.uid.as_str());
        let work = self.track(async move {
            let connector = entry.row.connector.clone();
            broker.revoke_everywhere(&entry, given).await;
            let told = broker.completions_of_removed(&connector).await?;
            let secrets = broker.inner.secrets(&entry);
            let write = Write::new()
                .steps(connectors::delete(connector.team, connector.id))
                .steps(told)
                .event(&broker.inner.env, &event)
                .revises();
            match broker.inner.db.write(write).await {
                Ok(_) => {
                    broker.deliver_soon();
                    if let Ok(secrets) = secrets {
                        broker.retire_client(&connector, &secrets).await;
                    }
                    Ok(())
                }
                Err(DbError::Unmet(_)) => Err(faults::no_connector(connector.uid.as_str())),
                Err(error) => Err(faults::store(error)),
            }
        });
        work.await.map_err(faults::internal)?
    }
}

/// How a new connector is configured.
pub(crate) struct Configuration {
    pub(crate) kind: ConnectorType,
    pub(crate) data: Map<String, Value>,
    /// With the operator's client.
    pub(crate) managed: bool,
    /// Where its server is found out about, if not at the service's own address.
    pub(crate) address: Option<String>,
    /// The way of the catalog, and what of the service.
    pub(crate) way: Option<(String, Option<String>)>,
}

impl Configuration {
    fn of(kind: ConnectorType, data: Map<String, Value>) -> Self {
        Self { kind, data, managed: false, address: None, way: None }
    }
}

/// How a change is told in the audit log, and whether the provider is told even if nothing differs.
struct Told {
    action: Action,
    members: Vec<String>,
    renew: bool,
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
        Self { connector, abilities, projects: None, way: None, variable: None }
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
        }
    }
}

fn bad_configuration(bad: carnet_providers::BadConfiguration) -> Fault {
    Fault::new(Code::InvalidConnector, format!("data.{}: {}.", bad.field, bad.why.trim_end_matches('.')))
        .with("field", format!("data.{}", bad.field))
}

/// A service by name (`slack`) or address (`https://mcp.example.com/mcp`): lower-case, without scheme and final `/`.
/// No comma, because lists of services are written with commas between.
fn service_name(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let text = text.trim_end_matches('/').to_lowercase();
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':');
    let parts_sound = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (!text.is_empty() && text.len() <= 150 && text.chars().all(sound) && parts_sound).then_some(text)
}

fn check_branding(branding: &Branding) -> Result<(), Fault> {
    let colour = |text: &String| {
        text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
    };
    let sha1 = |text: &String| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bad = [
        (
            "icon",
            branding.icon.as_ref().is_none_or(sha1),
            "the SHA-1 of an uploaded picture, 40 hexadecimal digits",
        ),
        ("backgroundColor", branding.background_color.as_ref().is_none_or(colour), "#RRGGBB"),
        ("accentColor", branding.accent_color.as_ref().is_none_or(colour), "#RRGGBB"),
    ];
    match bad.into_iter().find(|(_, sound, _)| !sound) {
        Some((field, _, form)) => {
            Err(Fault::new(Code::InvalidRequest, format!("{field} is {form}.")).with("field", field))
        }
        None => Ok(()),
    }
}
