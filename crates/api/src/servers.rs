//! What the server behind a connector says about itself, and the documents by which our clients describe themselves.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ServerCheck, ServiceSync};
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors::changed;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, anything, id, list_of, map, object_of, one_of, text};

/// What was read, and how far it differs from what is pinned.
pub(crate) fn check_shape() -> Shape {
    let difference = object_of([("member", text()), ("pinned", anything()), ("present", anything())]);
    object_of([
        ("connector", object_of([("id", id("scl")), ("uid", text())])),
        ("differences", list_of(difference)),
        ("digest", text()),
    ])
    .named("ServerCheck")
}

pub(crate) fn sync_shape() -> Shape {
    object_of([("status", one_of(&["done", "required"])), ("errors?", list_of(text()))])
}

/// Client metadata as servers read it.
pub(crate) fn document_shape() -> Shape {
    map(anything())
}

pub(crate) async fn check(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(told(&broker.check_server(&call.caller, &name).await?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptBody {
    digest: String,
}

pub(crate) async fn accept(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<AcceptBody>,
) -> Result<Answer<Value>, Problem> {
    let (view, sync) = broker.accept_server(&call.caller, &name, &body.digest, call.request).await?;
    Ok(Answer(changed(&view, sync.as_ref())))
}

/// For servers, which fetch it without a credential and may keep it for a few minutes.
pub(crate) async fn client_document(
    State(broker): State<Broker>,
    Path((team, connector)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mut response = Answer(broker.client_document(&team, &connector).await?).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

fn told(check: &ServerCheck) -> Value {
    let differences: Vec<Value> = check
        .differences
        .iter()
        .map(|found| json!({"member": found.member, "pinned": found.pinned, "present": found.present}))
        .collect();
    let connector = &check.connector.connector;
    json!({
        "connector": {"id": connector.id, "uid": connector.uid},
        "differences": differences,
        "digest": check.digest,
    })
}

/// `serviceSync` of the wire.
pub(crate) fn sync(sync: &ServiceSync) -> Value {
    match sync {
        ServiceSync::Done => json!({"status": "done"}),
        ServiceSync::Required(errors) => json!({"status": "required", "errors": errors}),
    }
}
