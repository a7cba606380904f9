//! Projects and their custom environments.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, CustomEnvironment, Project};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, Whole, page_of};
use crate::shape::{Shape, id, list_of, object_of, text, time};

fn object(project: &Project) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "accountId": project.team,
        "createdAt": project.created_at,
        "updatedAt": project.updated_at,
    })
}

pub(crate) fn shape() -> Shape {
    object_of([
        ("id", id("prj")),
        ("name", text()),
        ("accountId", id("team")),
        ("createdAt", time()),
        ("updatedAt", time()),
    ])
    .named("Project")
}

pub(crate) fn all_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("projects", list_of(shape())), ("pagination", pagination)])
}

pub(crate) fn environment_shape() -> Shape {
    object_of([("id", id("env")), ("slug", text())]).named("CustomEnvironment")
}

pub(crate) fn environments_shape() -> Shape {
    object_of([("environments", list_of(environment_shape()))])
}

fn environment(environment: &CustomEnvironment) -> Value {
    json!({"id": environment.id, "slug": environment.slug})
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    /// At most so many, 1 to 100; 100 where nothing is said.
    limit: Option<Limit>,
    /// What `pagination.next` of the page before said.
    from: Option<String>,
    /// Only those with this text in the name.
    search: Option<String>,
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let limit = page_of(params.limit)?.unwrap_or(100);
    let found =
        broker.projects(&call.caller, params.search.as_deref(), params.from.as_deref(), limit).await?;
    let full = found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = found.last().filter(|_| full).map(|project| project.name.as_str().to_owned());
    Ok(Answer(
        json!({"projects": found.iter().map(object).collect::<Vec<_>>(), "pagination": {"next": next}}),
    ))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBody {
    name: String,
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.create_project(&call.caller, &body.name, call.request).await?)))
}

/// What the official CLI says of a project that it makes for a folder: how it is built, which is nobody's business here.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct FolderBody {
    name: String,
}

pub(crate) async fn create_for_folder(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<FolderBody>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.create_project(&call.caller, &body.name, call.request).await?)))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.project(&call.caller, &name).await?)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_project(&call.caller, &name, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn environments(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let found = broker.custom_environments(&call.caller, &project).await?;
    Ok(Answer(json!({"environments": found.iter().map(environment).collect::<Vec<_>>()})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentBody {
    slug: String,
}

pub(crate) async fn create_environment(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<EnvironmentBody>,
) -> Result<Answer<Value>, Problem> {
    let made = broker.create_environment(&call.caller, &project, &body.slug, call.request).await?;
    Ok(Answer(environment(&made)))
}

pub(crate) async fn remove_environment(
    State(broker): State<Broker>,
    Path((project, name)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_environment(&call.caller, &project, &name, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
