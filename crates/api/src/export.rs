//! `POST /v1/export/secrets`: a team's secrets, for nobody but the holder of the operator's recovery key.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::Broker;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;
use crate::shape::{Shape, count, object_of, text};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExportBody {
    recovery_key: String,
}

pub(crate) async fn secrets(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<ExportBody>,
) -> Result<Answer<Value>, Problem> {
    let done = broker.export_secrets(&call.caller, &body.recovery_key, call.request).await?;
    Ok(Answer(json!({
        "recoveryKey": done.recovery_key,
        "file": done.file,
        "connectors": done.connectors,
        "grants": done.grants,
    })))
}

pub(crate) fn shape() -> Shape {
    object_of([("recoveryKey", text()), ("file", text()), ("connectors", count()), ("grants", count())])
        .said("`file` is an age file, armored, for the recovery key.")
}
