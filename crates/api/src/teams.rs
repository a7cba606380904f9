//! Teams: making and changing them.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, TeamChange};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access_tokens;
use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::platform::{team_object, team_shape};
use crate::problem::Problem;
use crate::shape::{Shape, object_of};

/// A team with an access token for it.
pub(crate) fn made_shape() -> Shape {
    object_of([("team", team_shape()), ("accessToken", access_tokens::made_shape())])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBody {
    name: String,
    slug: Option<String>,
}

/// The access token for the new team stands in this answer and nowhere else.
pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let made = broker.create_team(&call.caller, &body.name, body.slug.as_deref(), call.request).await?;
    let token = access_tokens::created(&made.token, &made.row);
    Ok((StatusCode::CREATED, Answer(json!({"team": team_object(&made.team), "accessToken": token}))))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateBody {
    name: Option<String>,
    strict_connectors: Option<bool>,
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path(team): Path<String>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let change = TeamChange { name: body.name, strict_connectors: body.strict_connectors };
    Ok(Answer(team_object(&broker.update_team(&call.caller, &team, &change, call.request).await?)))
}
