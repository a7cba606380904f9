//! The signing keys of a connector: their public halves, and turning them.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ConnectorKeyView, ConnectorKeysView};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::Whole;
use crate::shape::{Shape, anything, list_of, map, object_of, one_of, text, time};

fn object(key: &ConnectorKeyView) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "publicJwk": key.public,
        "state": key.state,
        "createdAt": key.created_at,
        "activatesAt": key.activates_at,
        "goneAt": key.gone_at,
    })
}

pub(crate) fn shape() -> Shape {
    let key = object_of([
        ("kid", text()),
        ("algorithm", one_of(&["RS256", "ES256"])),
        ("publicJwk", map(anything())),
        ("state", text()),
        ("createdAt", time()),
        ("activatesAt", time()),
        ("goneAt", time().or_null()),
    ]);
    object_of([("jwksUri", text()), ("keys", list_of(key))]).named("ConnectorKeys")
}

fn answer(view: &ConnectorKeysView) -> Answer<Value> {
    Answer(json!({"jwksUri": view.url, "keys": view.keys.iter().map(object).collect::<Vec<_>>()}))
}

/// Nothing can be said about a new key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnBody {}

pub(crate) async fn list(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    Ok(answer(&broker.connector_keys(&call.caller, &connector).await?))
}

pub(crate) async fn turn(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(TurnBody {}): Json<TurnBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let turned = broker.turn_connector_key(&call.caller, &connector, call.request).await?;
    Ok((StatusCode::CREATED, answer(&turned)))
}
