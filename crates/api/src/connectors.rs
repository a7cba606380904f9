//! Connectors: `/v1/connect/connectors…` and the v2 list.

mod object;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{
    Broker, ConnectorChange, ConnectorUpdated, ConnectorView, ListQuery, NewConnectorAsk, ServiceSync, Sort,
};
use carnet_model::connector::{Branding, ConnectorType};
use carnet_model::{Code, Fault};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, comma_list, page_of};
use crate::servers;
use crate::shape::one_of;
use crate::trigger_wishes::{self, TriggerDestination, Wished};

pub(crate) use object::{changed_shape, connector, kind, list_v1_shape, list_v2_shape, shape};

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
        let project = self.project_id.as_deref();
        let destination = match self.trigger_destination {
            Some(asked) => Some(asked.of(project)?),
            // Production of the project, as if `{}` were said: but no environment is enabled that was left out by name.
            None if triggers.is_some()
                && project.is_some()
                && reaches_production(self.environments.as_deref()) =>
            {
                Some(TriggerDestination::default().of(project)?)
            }
            None => None,
        };
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

/// Whether a link to these environments has production among them; without any named it has all.
fn reaches_production(environments: Option<&[String]>) -> bool {
    environments.is_none_or(|named| named.iter().any(|one| one == "production"))
}

pub(crate) fn refused(field: &str, why: &str) -> Problem {
    Problem::field(field, why)
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
    #[schemars(schema_with = "sorts")]
    sort: Option<String>,
}

fn sorts(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    one_of(&["createdAt", "updatedAt", "name"]).inside()
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
            limit: page_of(self.limit)?,
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
