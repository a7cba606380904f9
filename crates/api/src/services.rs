//! `GET /v1/connect/services/{service}`: how a service can be connected.

use axum::Json as Answer;
use axum::extract::{Path, State};
use carnet_engine::Broker;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape::{Shape, anything, flag, list_of, map, object_of, text};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Params {
    /// Whether to say what the `data` of each type holds.
    schemas: Option<bool>,
}

pub(crate) fn shape() -> Shape {
    let kind = || {
        object_of([
            ("type", text()),
            ("createInputSchema?", map(anything())),
            ("encryptedFields?", list_of(text())),
        ])
    };
    let method = object_of([
        ("connectionMethod", text()),
        ("label", text()),
        ("description", text().or_null()),
        ("instructions?", text()),
        ("create", object_of([("managed", flag()), ("manual", flag())])),
        ("type", kind()),
    ]);
    object_of([
        ("id", text()),
        ("name", text()),
        ("types", list_of(kind())),
        ("connectionMethods", list_of(method)),
        ("resolvedConnectionMethod?", text()),
    ])
    .named("Service")
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
    Query(params): Query<Params>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(broker.service(&call.caller, &service, params.schemas.unwrap_or(false))?))
}
