//! How consent is asked for: a connector's rules, and where a project's people may be sent back to.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ConsentRules, ConsentRulesChange};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, flag, list_of, object_of, text};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RulesBody {
    device_codes: Option<bool>,
    require_completion: Option<bool>,
}

pub(crate) fn shape() -> Shape {
    object_of([("deviceCodes", flag()), ("requireCompletion", flag())]).named("ConsentRules")
}

pub(crate) fn origins_shape() -> Shape {
    object_of([("origins", list_of(text()))])
}

fn object(rules: ConsentRules) -> Answer<Value> {
    Answer(json!({"deviceCodes": rules.device_codes, "requireCompletion": rules.require_completion}))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(object(broker.consent_rules(&call.caller, &connector).await?))
}

pub(crate) async fn change(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<RulesBody>,
) -> Result<Answer<Value>, Problem> {
    let RulesBody { device_codes, require_completion } = body;
    let change = ConsentRulesChange { device_codes, require_completion };
    Ok(object(broker.change_consent_rules(&call.caller, &connector, change, call.request).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginsBody {
    origins: Vec<String>,
}

pub(crate) async fn origins(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"origins": broker.return_origins(&call.caller, &project).await?})))
}

pub(crate) async fn set_origins(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<OriginsBody>,
) -> Result<Answer<Value>, Problem> {
    let set = broker.set_return_origins(&call.caller, &project, &body.origins, call.request).await?;
    Ok(Answer(json!({"origins": set})))
}
