//! Registering a connector, and linking it to a project with the same write.

use std::collections::BTreeMap;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Slug, Uid, kind};
use carnet_providers::webhook::scheme_of;
use carnet_providers::{NewConnector, events_url};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::{DbError, Write, creations, links, managed_apps, pictures};
use serde_json::{Map, Value};

use super::{Configuration, ConnectorView, called, code, none_has_ended, not_accepted, taken, view};
use crate::broker::Broker;
use crate::connector_keys::KeyChange;
use crate::faults;
use crate::managed::App;
use crate::triggers::NewDestination;

/// A connector that somebody wants to make.
#[derive(Clone, Debug, Default)]
pub struct NewConnectorAsk {
    /// Its identifier, where something was registered for it before it is made.
    pub id: Option<Id<kind::Connector>>,
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
    /// What it is to do with its provider's events, if it is to receive them.
    pub triggers: Option<TriggerAsk>,
    /// Where they are forwarded to.
    pub destination: Option<NewDestination>,
    /// What its maker calls this create: the same create again makes no second connector.
    pub code: Option<String>,
}

/// What a new connector is to do with its provider's events.
#[derive(Clone, Debug, Default)]
pub struct TriggerAsk {
    /// The names of those that are forwarded; empty for all.
    pub events: Vec<String>,
    /// With what they are signed, where its configuration does not say.
    pub signing_secret: Option<String>,
    /// Whether the connector is made without, where there is nothing to verify events with.
    pub if_possible: bool,
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

    pub(super) async fn make_connector(
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
        let mut environments = match (&project, &ask.environments) {
            (Some(project), Some(names)) => self.environments_of(caller, project.id, names).await?,
            _ => carnet_model::Environment::BUILT_IN.to_vec(),
        };
        let name = match (name, &project) {
            // Several keys of one project would be told apart by nothing.
            (None, Some(_)) if ask.r#type.as_deref() == Some(ConnectorType::ApiKey.as_str()) => {
                return Err(invalid(
                    "name",
                    "Give name: a connector of keys is not called by its project.".to_owned(),
                ));
            }
            (Some(name), _) => name.to_owned(),
            (None, Some(project)) => project.name.to_string(),
            (None, None) => {
                return Err(invalid("name", "Give name, or the projectId whose name to take.".to_owned()));
            }
        };
        let name = called(&name)?.to_owned();
        let branding = self.branding(team, ask.branding.clone()).await?;
        let uid = match ask.uid.as_deref().map(str::trim).filter(|uid| !uid.is_empty()) {
            Some(uid) => Uid::chosen(uid),
            None => Uid::chosen(&format!("{service}/{}", Slug::near(&name, "connector"))),
        }
        .map_err(|error| invalid("uid", format!("{error}.")))?;
        if let Some(made) = self.made_before(team, ask.code.as_deref(), &uid).await? {
            return Ok(made);
        }
        let fitting = self.fitting_app(&ask, team, &service).await?;
        if let (None, Some(kind)) = (&fitting, self.assisted(&ask, &service)) {
            return Err(self.start_registration(caller, &ask, kind, (&service, &uid), request).await?);
        }
        let Configuration { kind, data, app, address, way } =
            self.configuration(&ask, team, &service, fitting).await?;
        none_has_ended(kind, &data, inner.env.now())?;
        // Before a server is asked to register anything: who tries again has a connector already.
        let reference = ConnectorRef::Uid(uid.clone());
        if connectors::find(&inner.db, team, &reference).await.map_err(faults::store)?.is_some() {
            return Err(taken(&uid));
        }
        let id = ask.id.unwrap_or_else(|| inner.env.id());
        let named = Some(ask.service.trim()).filter(|name| name.contains("://"));
        let events = ask.triggers.as_ref().and_then(|_| events_url(inner.settings.base(), id));
        let mut accepted = carnet_providers::driver(kind)
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
                events: events.as_deref(),
                known: None,
            })
            .await
            .map_err(|bad| self.with_what_is_meant(&service, not_accepted(bad)))?;
        let managed = app.is_some();
        let verifying = scheme_of(&service).and_then(|scheme| scheme.secret_of(&accepted.secrets));
        if let Some(app) = &app {
            let whole = inner.whole_app(app).map_err(faults::internal)?;
            accepted.secrets = accepted.secrets.without(&whole);
            if app.one_callback() && accepted.redirect_uri.is_some() {
                accepted.redirect_uri = Some(self.one_callback(&service));
            }
        }
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
            .with("managed", managed)
            .with("service", row.connector.service.clone());
        let project_id = project.as_ref().map(|project| project.id);
        let receiving = self.first_triggers(caller, &ask, &row.connector, verifying, project_id, now).await?;
        receiving.enable(project_id, &mut environments);
        let mut write = Write::new();
        // Whoever takes the application away sees this connector, or nothing is made.
        if let Some(App::Stored(app)) = &app {
            write = write.step(managed_apps::is_still(app));
        }
        write = write.step(connectors::insert(&row)).event(&inner.env, &event).revises();
        if let Some(project) = &project {
            let linked = AuditEvent::of(caller, now, Action::LinkPut, Some(request))
                .on(id)
                .with("project", project.id.to_string())
                .with("environments", environments.iter().map(ToString::to_string).collect::<Vec<_>>());
            write =
                write.step(links::put(team, id, project.id, &environments, now)).event(&inner.env, &linked);
        }
        write =
            self.with_first_triggers(write, receiving, (caller, &row.connector), project_id, (request, now));
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
            return Ok(ConnectorView { way, ..self.with_triggers(view(row.connector)).await? });
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
