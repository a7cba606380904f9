//! `PATCH /v1/connect/connectors/{connector}/trigger-destinations`. No type of connector receives provider events so far
//! (`supportsTriggers` is false): the empty list is what every connector has, and any other is refused with the reason.
//! It is read first, so that what could never be a list of destinations is told as such.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::Broker;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::body::Json;
use crate::call::Call;
use crate::connectors::{self, refused};
use crate::path::Path;
use crate::problem::Problem;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceBody {
    destinations: Vec<Destination>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Destination {
    project_id: String,
    path: Option<String>,
    branch: Option<String>,
    custom_environment_id: Option<String>,
}

pub(crate) async fn replace(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<ReplaceBody>,
) -> Result<Answer<Value>, Problem> {
    let view = broker.manageable_connector(&call.caller, &name).await?;
    if body.destinations.len() > 3 {
        return Err(refused("destinations", "A connector has at most three destinations."));
    }
    for destination in &body.destinations {
        if destination.branch.is_some() && destination.custom_environment_id.is_some() {
            return Err(refused(
                "destinations",
                "A destination names a branch or a custom environment, not both.",
            ));
        }
        if destination.path.as_ref().is_some_and(|path| !(1..=2048).contains(&path.chars().count())) {
            return Err(refused("destinations", "The path of a destination has 1 to 2048 characters."));
        }
        broker.project(&call.caller, &destination.project_id).await?;
    }
    if body.destinations.is_empty() {
        return Ok(Answer(connectors::connector(&view)));
    }
    Err(refused(
        "destinations",
        "Connectors of this type receive no provider events, so there is nothing to forward.",
    ))
}
