//! Project links. Both shapes that clients read, in one object.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Link, LinkedProject, Project};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, id, list_of, object_of, text, time};

/// A link with everything that any client reads of it.
fn object(link: &Link, project: &Project) -> Value {
    json!({
        "clientId": link.connector,
        "connectorId": link.connector,
        "projectId": link.project,
        "environments": link.environments,
        "enabledEnvironments": link.environments,
        "project": {"id": project.id, "name": project.name},
        "createdAt": link.created_at,
        "updatedAt": link.updated_at,
    })
}

/// The same with the custom environments that the project has, linked or not.
async fn with_environments(
    broker: &Broker,
    call: &Call,
    link: &Link,
    project: &Project,
) -> Result<Value, Problem> {
    let mut out = object(link, project);
    let custom = broker.custom_environments(&call.caller, &project.id.to_string()).await?;
    if let Some(project) = out.get_mut("project").and_then(Value::as_object_mut) {
        let custom: Vec<Value> = custom.iter().map(|one| json!({"id": one.id, "slug": one.slug})).collect();
        project.insert("customEnvironments".to_owned(), custom.into());
    }
    Ok(out)
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PageParams {
    pub(crate) limit: Option<Limit>,
    pub(crate) cursor: Option<String>,
}

/// A link, as it is listed.
fn listed<const N: usize>(project: [(&str, Shape); N]) -> Shape {
    object_of([
        ("clientId", id("scl")),
        ("connectorId", id("scl")),
        ("projectId", id("prj")),
        ("environments", list_of(text())),
        ("enabledEnvironments", list_of(text())),
        ("project", object_of([("id", id("prj")), ("name", text())]).with(project)),
        ("createdAt", time()),
        ("updatedAt", time()),
    ])
}

pub(crate) fn shape() -> Shape {
    let custom = object_of([("id", id("env")), ("slug", text())]);
    listed([("customEnvironments", list_of(custom))]).named("ProjectLink")
}

pub(crate) fn of_connector_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("projects", list_of(listed([]))), ("pagination", pagination)])
}

pub(crate) fn of_project_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    let link = listed([]).with([("connector", connectors::shape())]);
    object_of([("connectors", list_of(link)), ("pagination", pagination)])
}

/// In v1 and v2 alike: what the CLI counts and what the documentation says are one object.
pub(crate) async fn of_connector(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(PageParams { limit, cursor }): Query<PageParams>,
) -> Result<Answer<Value>, Problem> {
    let limit = page_of(limit)?;
    let (found, next) = broker.links(&call.caller, &connector, cursor.as_deref(), limit).await?;
    let found: Vec<Value> =
        found.iter().map(|LinkedProject { link, project }| object(link, project)).collect();
    Ok(Answer(json!({"projects": found, "pagination": {"next": next}})))
}

pub(crate) async fn of_project(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Query(PageParams { limit, cursor }): Query<PageParams>,
) -> Result<Answer<Value>, Problem> {
    let project = broker.project(&call.caller, &project).await?;
    let limit = page_of(limit)?;
    let (found, next) = broker.links_of_project(&call.caller, &project, cursor.as_deref(), limit).await?;
    let mut out = Vec::with_capacity(found.len());
    for (link, view) in found {
        let mut about = object(&link, &project);
        if let Some(about) = about.as_object_mut() {
            about.insert("connector".to_owned(), connectors::connector(&view));
        }
        out.push(about);
    }
    Ok(Answer(json!({"connectors": out, "pagination": {"next": next}})))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let link = broker.link(&call.caller, &connector, &project).await?;
    let project = broker.project(&call.caller, &project).await?;
    Ok(Answer(with_environments(&broker, &call, &link, &project).await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PutBody {
    environments: Option<Vec<String>>,
}

pub(crate) async fn put(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
    Json(body): Json<PutBody>,
) -> Result<Answer<Value>, Problem> {
    let all = || ["production", "preview", "development"].map(str::to_owned).to_vec();
    let environments = body.environments.unwrap_or_else(all);
    let link = broker.put_link(&call.caller, &connector, &project, &environments, call.request).await?;
    let project = broker.project(&call.caller, &project).await?;
    Ok(Answer(with_environments(&broker, &call, &link, &project).await?))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_link(&call.caller, &connector, &project, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn cut(
    State(broker): State<Broker>,
    Path((connector, project, environment)): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.cut_link(&call.caller, &connector, &project, &environment, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
