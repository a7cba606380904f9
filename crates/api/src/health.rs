//! `/livez`: the process answers. `/readyz`: it can do its work.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ProviderState};
use http::StatusCode;
use serde_json::json;

use crate::shape::{Shape, object_of, one_of, text};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// What stands in the way, if anything.
pub(crate) fn shape(status: &str) -> Shape {
    object_of([
        ("status", one_of(&[status])),
        // The description of the API says it to everybody as well.
        ("version", text()),
        ("checks", object_of([("store", text()), ("rootKey", text())])),
    ])
}

pub(crate) async fn ready(State(broker): State<Broker>) -> Response {
    let readiness = broker.readiness().await;
    let store = match &readiness.store {
        Ok(()) => "ok".to_owned(),
        Err(why) => format!("takes no write: {why}"),
    };
    let provider = match &readiness.provider {
        ProviderState::Fine => "ok".to_owned(),
        // Not answering is tolerated while the keys are in memory.
        ProviderState::Silent => "does not answer; the keys in memory are used".to_owned(),
        ProviderState::Refused(why) => format!("refuses: {why}"),
    };
    let checks = json!({"store": store, "rootKey": provider});
    if readiness.is_ready() {
        return Answer(json!({"status": "ready", "version": VERSION, "checks": checks})).into_response();
    }
    let body = json!({"status": "not ready", "version": VERSION, "checks": checks});
    (StatusCode::SERVICE_UNAVAILABLE, Answer(body)).into_response()
}
