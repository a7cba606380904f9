//! The deployment's keys: how they stand, turning them, looking whether everything opens.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, Examined, KekStep, KeyKind, KeysStatus, RotateAsk, Rotated};
use serde::Deserialize;

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;

pub(crate) async fn status(State(broker): State<Broker>, call: Call) -> Result<Answer<KeysStatus>, Problem> {
    Ok(Answer(broker.keys_status(&call.caller).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RotateBody {
    kind: KeyKind,
    #[serde(default)]
    step: KekStep,
}

pub(crate) async fn rotate(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<RotateBody>,
) -> Result<Answer<Rotated>, Problem> {
    let ask = RotateAsk { kind: body.kind, step: body.step };
    Ok(Answer(broker.rotate_key(&call.caller, ask, call.request).await?))
}

pub(crate) async fn verify(State(broker): State<Broker>, call: Call) -> Result<Answer<Examined>, Problem> {
    Ok(Answer(broker.verify_keys(&call.caller).await?))
}
