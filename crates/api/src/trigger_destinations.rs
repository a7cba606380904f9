//! `PATCH /v1/connect/connectors/{connector}/trigger-destinations`: where a connector's events are forwarded to.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, Destination as Known, NewDestination};
use carnet_model::Environment;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::body::Json;
use crate::call::Call;
use crate::connectors;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, flag, id, object_of, text};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceBody {
    destinations: Vec<Destination>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Destination {
    project_id: String,
    path: Option<String>,
    branch: Option<String>,
    custom_environment_id: Option<String>,
}

pub(crate) async fn replace(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<ReplaceBody>,
) -> Result<Answer<Value>, Problem> {
    let asked = body
        .destinations
        .into_iter()
        .map(|one| NewDestination {
            project: one.project_id,
            path: one.path,
            branch: one.branch,
            custom_environment: one.custom_environment_id,
        })
        .collect();
    let view = broker.replace_destinations(&call.caller, &name, asked, call.request).await?;
    Ok(Answer(connectors::connector(&view)))
}

pub(crate) fn shape() -> Shape {
    object_of([
        ("projectId", id("prj")),
        ("path?", text()),
        ("branch?", text()),
        ("customEnvironmentId?", id("env")),
        ("disabled?", flag()),
    ])
}

/// A destination as the clients compare it: what it does not have is not there.
pub(crate) fn object(destination: &Known) -> Value {
    let mut out = Map::from_iter([("projectId".to_owned(), destination.project.to_string().into())]);
    let custom = match destination.environment {
        Environment::Custom(id) => Some(id.to_string()),
        _ => None,
    };
    for (name, value) in [
        ("path", destination.path.clone()),
        ("branch", destination.branch.clone()),
        ("customEnvironmentId", custom),
    ] {
        if let Some(value) = value {
            out.insert(name.to_owned(), value.into());
        }
    }
    if destination.disabled_at.is_some() {
        out.insert("disabled".to_owned(), true.into());
    }
    Value::Object(out)
}
