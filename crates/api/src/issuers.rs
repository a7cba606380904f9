//! Trusted issuers of workload identities.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, IssuerRow};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;

/// The configuration as it was given, with its identifier and times.
fn object(row: &IssuerRow) -> Value {
    let mut out: Map<String, Value> = serde_json::from_str(&row.config).unwrap_or_default();
    out.insert("id".to_owned(), row.id.to_string().into());
    out.insert("createdAt".to_owned(), row.created_at.millis().into());
    out.insert("updatedAt".to_owned(), row.updated_at.millis().into());
    Value::Object(out)
}

pub(crate) async fn list(State(broker): State<Broker>, call: Call) -> Result<Answer<Value>, Problem> {
    let found = broker.trusted_issuers(&call.caller).await?;
    Ok(Answer(json!({"trustedIssuers": found.iter().map(object).collect::<Vec<_>>()})))
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let made = broker.trust_issuer(&call.caller, &body, call.request).await?;
    Ok((StatusCode::CREATED, Answer(object(&made))))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.trusted_issuer(&call.caller, &id).await?)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.distrust_issuer(&call.caller, &id, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
