//! `POST /v1/connect/connectors/managed/oauth`, by which a workload makes a connector for itself, and
//! `/v1/projects/{project}/provisioning`, by which its team says whether it may.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::Broker;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, list_of, object_of, text};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProvisionBody {
    server_url: String,
    uid: String,
}

pub(crate) async fn provision(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<ProvisionBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let (view, new) =
        broker.provision_connector(&call.caller, &body.server_url, &body.uid, call.request).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Answer(connectors::connector(&view))))
}

pub(crate) fn shape() -> Shape {
    object_of([("environments", list_of(text()))])
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"environments": broker.provisioning(&call.caller, &project).await?})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBody {
    environments: Vec<String>,
}

pub(crate) async fn set(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<SetBody>,
) -> Result<Answer<Value>, Problem> {
    let said = broker.set_provisioning(&call.caller, &project, &body.environments, call.request).await?;
    Ok(Answer(json!({"environments": said})))
}
