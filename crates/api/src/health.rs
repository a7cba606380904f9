//! `/livez`: the process answers. `/readyz`: it can do its work.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::Broker;
use http::StatusCode;
use serde_json::json;

pub(crate) async fn live() -> &'static str {
    "ok\n"
}

pub(crate) async fn ready(State(broker): State<Broker>) -> Response {
    if broker.is_ready().await {
        return Answer(json!({"status": "ready", "checks": {"store": "ok"}})).into_response();
    }
    let body = json!({"status": "not ready", "checks": {"store": "does not answer"}});
    (StatusCode::SERVICE_UNAVAILABLE, Answer(body)).into_response()
}
