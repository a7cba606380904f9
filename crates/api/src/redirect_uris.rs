//! Where the people of a project's apps are sent back to who sign in with a connector.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, NewRedirectUri, RegisteredUri};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, list_of, object_of, text};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Body {
    redirect_uris: Vec<One>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    uri: String,
    environment: String,
}

pub(crate) fn shape() -> Shape {
    object_of([("redirectUris", list_of(object_of([("uri", text()), ("environment", text())])))])
}

fn object(uris: Vec<RegisteredUri>) -> Answer<Value> {
    let each = |one: RegisteredUri| json!({"uri": one.uri, "environment": one.environment.to_string()});
    Answer(json!({"redirectUris": uris.into_iter().map(each).collect::<Vec<_>>()}))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(object(broker.redirect_uris(&call.caller, &connector, &project).await?))
}

pub(crate) async fn set(
    State(broker): State<Broker>,
    Path((connector, project)): Path<(String, String)>,
    call: Call,
    Json(body): Json<Body>,
) -> Result<Answer<Value>, Problem> {
    let uris: Vec<_> = body
        .redirect_uris
        .into_iter()
        .map(|One { uri, environment }| NewRedirectUri { uri, environment })
        .collect();
    let set = broker.set_redirect_uris(&call.caller, &connector, &project, &uris, call.request).await?;
    Ok(object(set))
}
