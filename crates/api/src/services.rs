//! `GET /v1/connect/services/{service}`: how a service can be connected.

use axum::Json as Answer;
use axum::extract::{Path, State};
use carnet_engine::Broker;
use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::problem::Problem;
use crate::query::Query;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Params {
    schemas: Option<bool>,
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
    Query(params): Query<Params>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(broker.service(&call.caller, &service, params.schemas.unwrap_or(false))?))
}
