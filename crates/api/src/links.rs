//! Project links. Both shapes that clients read, in one object.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Link, Project};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors;
use crate::problem::Problem;

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

pub(crate) async fn of_connector(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let mut found = Vec::new();
    for link in broker.links(&call.caller, &connector).await? {
        let project = broker.project(&call.caller, &link.project.to_string()).await?;
        found.push(object(&link, &project));
    }
    Ok(Answer(json!({"projects": found, "pagination": {"next": null}})))
}

pub(crate) async fn of_project(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let mut found = Vec::new();
    for link in broker.links_of_project(&call.caller, &project).await? {
        let view = broker.connector(&call.caller, &link.connector.to_string(), call.request).await?;
        found.push(connectors::connector(&view));
    }
    Ok(Answer(json!({"connectors": found, "pagination": {"next": null}})))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let link = broker.link(&call.caller, &connector, &project).await?;
    let project = broker.project(&call.caller, &project).await?;
    Ok(Answer(object(&link, &project)))
}

#[derive(Default, Deserialize)]
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
    Ok(Answer(object(&link, &project)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_link(&call.caller, &connector, &project, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
