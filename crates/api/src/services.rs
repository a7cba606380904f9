//! `GET /v1/connect/services/{service}`: how a service can be connected.

use axum::Json as Answer;
use axum::extract::{Path, State};
use carnet_engine::Broker;
use serde_json::Value;

use crate::call::Call;
use crate::problem::Problem;

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(broker.service(&call.caller, &service)?))
}
