//! Connectors: `/v1/connect/connectors…` and the v2 list.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{
    Broker, ConnectorChange, ConnectorUpdated, ConnectorView, ListQuery, NewConnectorAsk, ServiceSync, Sort,
};
use carnet_model::connector::{Branding, ConnectorType};
use carnet_model::{Code, Fault, SubjectKind};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audit;
use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, comma_list, page_of};
use crate::servers;
use crate::shape::{Shape, anything, count, flag, id, list_of, map, object_of, one_of, text, time};
use crate::trigger_destinations;
use crate::trigger_wishes::{self, TriggerDestination, Wished};

/// The body of a create: what the official CLI sends, and what the documentation says.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct CreateBody {
    service: Option<String>,
    r#type: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    data: Option<Map<String, Value>>,
    project_id: Option<String>,
    environments: Option<Vec<String>>,
    #[schemars(schema_with = "trigger_wishes::schema")]
    triggers: Option<Value>,
    events: Option<Vec<String>>,
    trigger_destination: Option<TriggerDestination>,
    icon: Option<String>,
    background_color: Option<String>,
    accent_color: Option<String>,
    connection_method: Option<String>,
    target: Option<String>,
    params: Option<Map<String, Value>>,
    #[serde(rename = "request_code")]
    request_code: Option<String>,
}

impl CreateBody {
    fn ask(self, managed: bool) -> Result<NewConnectorAsk, Problem> {
        let triggers = Wished::read(self.triggers.as_ref(), self.events)?.for_new()?;
        let destination =
            self.trigger_destination.map(|asked| asked.of(self.project_id.as_deref())).transpose()?;
        let params = self
            .params
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                _ => Err(refused("params", "params is an object of texts.")),
            })
            .collect::<Result<_, _>>()?;
        let service = self.service.filter(|text| !text.trim().is_empty());
        let service = service.or_else(|| self.r#type.clone().filter(|_| self.data.is_some()));
        let Some(service) = service else {
            return Err(Problem(
                Fault::new(
                    Code::InvalidRequest,
                    "Name the service: a short name or the address of a server.",
                )
                .with("field", "service"),
            ));
        };
        Ok(NewConnectorAsk {
            id: None,
            service,
            name: self.name,
            uid: self.uid,
            r#type: self.r#type,
            data: self.data.unwrap_or_default(),
            method: self.connection_method,
            target: self.target,
            params,
            managed,
            project: self.project_id,
            environments: self.environments,
            branding: Branding {
                icon: self.icon,
                background_color: self.background_color,
                accent_color: self.accent_color,
            },
            triggers,
            destination,
            code: self.request_code,
        })
    }
}

pub(crate) fn refused(field: &str, why: &str) -> Problem {
    Problem(Fault::new(Code::InvalidRequest, why).with("field", field))
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let created = broker.create_connector(&call.caller, body.ask(false)?, call.request).await?;
    Ok((StatusCode::CREATED, Answer(connector(&created))))
}

pub(crate) async fn create_managed(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let created = broker.create_connector(&call.caller, body.ask(true)?, call.request).await?;
    Ok((StatusCode::CREATED, Answer(connector(&created))))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(connector(&broker.connector(&call.caller, &name, call.request).await?)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct UpdateBody {
    name: Option<String>,
    data: Option<Map<String, Value>>,
    icon: Option<String>,
    background_color: Option<String>,
    accent_color: Option<String>,
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let UpdateBody { name: new_name, data, icon, background_color, accent_color } = body;
    let change = ConnectorChange {
        name: new_name,
        data,
        icon,
        background_color,
        accent_color,
        ..ConnectorChange::default()
    };
    let done = broker.update_connector(&call.caller, &name, change, call.request).await?;
    Ok(Answer(after(&done)))
}

/// The connector after a change, and whether the provider has to be told of it.
pub(crate) fn changed(view: &ConnectorView, sync: Option<&ServiceSync>) -> Value {
    let mut out = connector(view);
    if let (Some(sync), Some(object)) = (sync, out.as_object_mut()) {
        object.insert("serviceSync".to_owned(), servers::sync(sync));
    }
    out
}

/// The same, and what the change has ended: grants and installations of another client.
fn after(done: &ConnectorUpdated) -> Value {
    let mut out = changed(&done.connector, done.sync.as_ref());
    if let Some(object) = out.as_object_mut() {
        if done.reinstall {
            object.insert("reinstallNeeded".to_owned(), true.into());
        }
        if done.grants_ended > 0 {
            object.insert("grantsEnded".to_owned(), done.grants_ended.into());
        }
    }
    out
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EjectBody {
    data: Option<Map<String, Value>>,
}

/// From the operator's client to the team's own.
pub(crate) async fn eject(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<EjectBody>,
) -> Result<Answer<Value>, Problem> {
    let done = broker.eject_connector(&call.caller, &name, body.data, call.request).await?;
    Ok(Answer(after(&done)))
}

/// 204 without a content type: an official client tries to read anything that has one.
pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_connector(&call.caller, &name, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListParams {
    limit: Option<Limit>,
    cursor: Option<String>,
    include: Option<String>,
    project_id: Option<String>,
    r#type: Option<String>,
    service: Option<String>,
    search: Option<String>,
    sort: Option<String>,
}

impl ListParams {
    fn query(self) -> Result<ListQuery, Problem> {
        let sort = match self.sort.as_deref() {
            None | Some("createdAt") => Sort::Created,
            Some("updatedAt") => Sort::Updated,
            Some("name") => Sort::Name,
            Some(_) => return Err(refused("sort", "sort is name, createdAt or updatedAt.")),
        };
        Ok(ListQuery {
            sort,
            project: self.project_id,
            types: kinds(self.r#type.as_deref()),
            services: comma_list(self.service.as_deref()),
            search: self.search,
            cursor: self.cursor,
            limit: page_of(100, self.limit)?,
            with_projects: comma_list(self.include.as_deref()).iter().any(|part| part == "projects"),
        })
    }
}

pub(crate) async fn list_v1(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let (found, next) = broker.connectors(&call.caller, &params.query()?).await?;
    let mut out = json!({"clients": found.iter().map(connector).collect::<Vec<_>>()});
    if let (Some(next), Some(out)) = (next, out.as_object_mut()) {
        out.insert("cursor".to_owned(), next.into());
    }
    Ok(Answer(out))
}

pub(crate) async fn list_v2(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let (found, next) = broker.connectors(&call.caller, &params.query()?).await?;
    let found: Vec<_> = found.iter().map(connector).collect();
    Ok(Answer(json!({"connectors": found, "pagination": {"next": next}})))
}

/// The drivers that a list of types means. A word that means none stays, and finds nothing.
fn kinds(words: Option<&str>) -> Vec<String> {
    let meant = |word: String| {
        let meant: Vec<_> = ConnectorType::meant_by(&word).map(|kind| kind.as_str().to_owned()).collect();
        if meant.is_empty() { vec![word] } else { meant }
    };
    comma_list(words).into_iter().flat_map(meant).collect()
}

/// `type`, as official clients know it.
pub(crate) fn kind() -> Shape {
    let mut words = ConnectorType::ALL.map(ConnectorType::on_the_wire).to_vec();
    words.sort_unstable();
    words.dedup();
    one_of(&words)
}

fn driver() -> Shape {
    one_of(&ConnectorType::ALL.map(ConnectorType::as_str))
        .said("What runs it: `type`, and more exactly where that is `custom`.")
}

/// The shape of a connector.
pub(crate) fn shape() -> Shape {
    described([]).named("Connector")
}

/// The same after a change that its provider may have to hear of.
pub(crate) fn changed_shape() -> Shape {
    described([
        ("serviceSync?", servers::sync_shape()),
        ("reinstallNeeded?", flag()),
        ("grantsEnded?", count()),
    ])
    .named("ChangedConnector")
}

fn described<const N: usize>(more: [(&str, Shape); N]) -> Shape {
    let abilities = |more: Vec<(&'static str, Shape)>| {
        object_of([
            ("crossInstallation", flag()),
            ("supportsRefinement", flag()),
            ("supportsResources", flag()),
            ("scopes", list_of(text())),
            ("supportedAuthorizationDetails", list_of(text())),
        ])
        .with(more)
    };
    let project =
        object_of([("projectId", id("prj")), ("project", object_of([("id", id("prj")), ("name", text())]))]);
    let projects = object_of([("items", list_of(project)), ("hasMore", flag()), ("cursor?", text())]);
    object_of([
        ("id", id("scl")),
        ("uid", text()),
        ("name", text()),
        ("displayName", text()),
        ("type", kind()),
        ("driver", driver()),
        ("typeName", text()),
        ("service", text()),
        ("createdAt", time()),
        ("updatedAt", time()),
        ("createdBy", audit::principal()),
        ("updatedBy", audit::principal()),
        ("creationMode", one_of(&["manual", "managed"])),
        ("supportedSubjectTypes", list_of(one_of(&["app", "user", "jwt-bearer", "token"]))),
        ("supportsInstallation", flag()),
        ("supportsRevocation", flag()),
        ("supportsTriggers", flag()),
        ("supportsIcon", text()),
        ("data", map(anything())),
        ("redirectUri?", text()),
        ("managed?", map(anything())),
        ("connectionMethod?", text()),
        ("target?", text()),
        ("tokenVariable?", text()),
        ("defaultInstallationId?", text()),
        ("icon?", text()),
        ("backgroundColor?", text()),
        ("accentColor?", text()),
        ("appTokens?", abilities(Vec::new())),
        ("userTokens?", abilities(vec![("manualCredentialInput", flag())])),
        ("triggers?", object_of([("enabled", flag())])),
        ("triggerUrl?", text()),
        ("events?", list_of(text())),
        ("triggerDestinations?", list_of(trigger_destinations::shape())),
        ("includes?", object_of([("projects", projects)])),
    ])
    .with(more)
}

pub(crate) fn list_v1_shape() -> Shape {
    object_of([("clients", list_of(shape())), ("cursor?", text())])
}

pub(crate) fn list_v2_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("connectors", list_of(shape())), ("pagination", pagination)])
}

/// The connector object. Never a secret: there is none in a view.
pub(crate) fn connector(view: &ConnectorView) -> Value {
    let ConnectorView { connector: c, abilities, projects, way, variable, triggers, receives } = view;
    let subjects: Vec<&str> = abilities.subjects.iter().map(|kind| kind.as_str()).collect();
    let mut out = json!({
        "id": c.id,
        "uid": c.uid,
        "name": c.name,
        "displayName": c.name,
        "type": c.r#type.on_the_wire(),
        "driver": c.r#type,
        "typeName": c.r#type.label(),
        "service": c.service,
        "createdAt": c.created_at,
        "updatedAt": c.updated_at,
        "createdBy": c.created_by,
        "updatedBy": c.updated_by,
        "creationMode": if c.managed { "managed" } else { "manual" },
        "supportedSubjectTypes": subjects,
        "supportsInstallation": abilities.installation,
        "supportsRevocation": abilities.revocation,
        "supportsTriggers": receives,
        "supportsIcon": "maybe",
        "data": c.data,
    });
    let Some(object) = out.as_object_mut() else { return out };
    let mut put = |name: &str, value: Option<Value>| value.map(|value| object.insert(name.to_owned(), value));
    if let Some((method, target)) = way {
        put("connectionMethod", Some(method.clone().into()));
        put("target", target.clone().map(Value::from));
    }
    put("tokenVariable", variable.clone().map(Value::from));
    put("redirectUri", c.redirect_uri.clone().map(Value::from));
    put("defaultInstallationId", c.default_installation.map(|id| id.to_string().into()));
    put("managed", c.managed.then(|| json!({})));
    put("icon", c.branding.icon.clone().map(Value::from));
    put("backgroundColor", c.branding.background_color.clone().map(Value::from));
    put("accentColor", c.branding.accent_color.clone().map(Value::from));
    for (name, kind, tokens) in
        [("appTokens", SubjectKind::App, &abilities.app), ("userTokens", SubjectKind::User, &abilities.user)]
    {
        put(
            name,
            tokens.as_ref().map(|tokens| {
                let mut value = json!({
                    "crossInstallation": tokens.cross_installation,
                    "supportsRefinement": tokens.refinement,
                    "supportsResources": tokens.resources.can_be_named(),
                    "scopes": tokens.scopes,
                    "supportedAuthorizationDetails": tokens.details,
                });
                if let (SubjectKind::User, Some(value)) = (kind, value.as_object_mut()) {
                    value.insert("manualCredentialInput".to_owned(), tokens.manual_credential.into());
                }
                value
            }),
        );
    }
    if let Some(triggers) = triggers {
        // Only where they are received: that is how the clients know.
        put("triggers", triggers.enabled.then(|| json!({"enabled": true})));
        put("triggerUrl", triggers.enabled.then(|| triggers.url.clone().into()));
        put("events", (!triggers.events.is_empty()).then(|| triggers.events.clone().into()));
        let destinations: Vec<_> = triggers.destinations.iter().map(trigger_destinations::object).collect();
        put("triggerDestinations", (!destinations.is_empty()).then(|| destinations.into()));
    }
    put("includes", projects.as_ref().map(|projects| {
        let items: Vec<Value> = projects
            .items
            .iter()
            .map(|project| json!({"projectId": project.id, "project": {"id": project.id, "name": project.name}}))
            .collect();
        let mut shown = json!({"items": items, "hasMore": projects.more.is_some()});
        if let (Some(cursor), Some(shown)) = (&projects.more, shown.as_object_mut()) {
            shown.insert("cursor".to_owned(), cursor.clone().into());
        }
        json!({"projects": shown})
    }));
    out
}
