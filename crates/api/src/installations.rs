//! Installations of a connector.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Installation, NewInstallation};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::links::PageParams;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Query, page_of};
use crate::shape::{Shape, id, list_of, object_of, text, time};

pub(crate) fn object(installation: &Installation) -> Value {
    let mut out = json!({
        "id": installation.id,
        "connectorId": installation.connector,
        "createdAt": installation.created_at,
        "updatedAt": installation.updated_at,
    });
    if let Some(out) = out.as_object_mut() {
        if let Some(at) = installation.ended_at {
            out.insert("endedAt".to_owned(), json!(at));
        }
        let texts = [
            ("externalId", &installation.external_id),
            ("tenantId", &installation.tenant_id),
            ("name", &installation.name),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                out.insert(name.to_owned(), text.clone().into());
            }
        }
    }
    out
}

pub(crate) fn shape() -> Shape {
    described().named("Installation")
}

/// The same before it has a name, for what says more of an installation.
pub(crate) fn described() -> Shape {
    object_of([
        ("id", id("sci")),
        ("connectorId", id("scl")),
        ("createdAt", time()),
        ("updatedAt", time()),
        ("endedAt?", time()),
        ("externalId?", text()),
        ("tenantId?", text()),
        ("name?", text()),
    ])
}

pub(crate) fn all_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("installations", list_of(shape())), ("pagination", pagination)])
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(PageParams { limit, cursor }): Query<PageParams>,
) -> Result<Answer<Value>, Problem> {
    let limit = page_of(limit)?;
    let (found, next) = broker.installations(&call.caller, &connector, cursor.as_deref(), limit).await?;
    let found: Vec<Value> = found.iter().map(object).collect();
    Ok(Answer(json!({"installations": found, "pagination": {"next": next}})))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct CreateBody {
    external_id: Option<String>,
    tenant_id: Option<String>,
    name: Option<String>,
    default: Option<bool>,
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let CreateBody { external_id, tenant_id, name, default } = body;
    let ask = NewInstallation { external_id, tenant_id, name, default };
    let made = broker.create_installation(&call.caller, &connector, &ask, call.request).await?;
    Ok((StatusCode::CREATED, Answer(object(&made))))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path((connector, installation)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.delete_installation(&call.caller, &connector, &installation, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
