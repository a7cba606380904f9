//! Access tokens of this API.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, NewToken};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;
use crate::shape::{Shape, id, list_of, object_of, text, time};
use crate::token::millis;

/// What is shown of a token once it has been handed out.
pub(crate) fn all_shape() -> Shape {
    let token = object_of([
        ("id", id("atk")),
        ("name", text()),
        ("last4", text()),
        ("createdAt", time()),
        ("expiresAt", time()),
    ]);
    object_of([("tokens", list_of(token.named("AccessToken")))])
}

/// The one answer in which the token stands.
pub(crate) fn made_shape() -> Shape {
    object_of([
        ("id", id("atk")),
        ("token", text()),
        ("name", text()),
        ("last4", text()),
        ("createdAt", time()),
        ("expiresAt", time()),
    ])
    .named("NewAccessToken")
}

pub(crate) async fn list(State(broker): State<Broker>, call: Call) -> Result<Answer<Value>, Problem> {
    let found = broker.access_tokens(&call.caller).await?;
    let tokens: Vec<Value> = found
        .iter()
        .map(|row| {
            json!({"id": row.id, "name": row.name, "last4": row.last4, "createdAt": row.created_at, "expiresAt": row.expires_at})
        })
        .collect();
    Ok(Answer(json!({"tokens": tokens})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateBody {
    name: String,
    expires_in_ms: Option<f64>,
}

/// The token stands in this answer and nowhere else.
pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let life = body.expires_in_ms.map(millis).transpose()?.map(Duration::from_millis);
    let made =
        broker.create_access_token(&call.caller, &NewToken { name: body.name, life }, call.request).await?;
    let row = &made.row;
    Ok((
        StatusCode::CREATED,
        Answer(json!({
            "id": row.id,
            "token": made.token.expose(),
            "name": row.name,
            "last4": row.last4,
            "createdAt": row.created_at,
            "expiresAt": row.expires_at,
        })),
    ))
}

pub(crate) async fn revoke(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.revoke_access_token(&call.caller, &id, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
