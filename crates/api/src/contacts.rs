//! `POST /v1/connect/connectors/{connector}/contacts`.

use axum::extract::State;
use carnet_engine::Broker;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ContactBody {
    phone_number: String,
}

pub(crate) async fn add(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<ContactBody>,
) -> Result<(), Problem> {
    match broker.add_contact(&call.caller, &connector, &body.phone_number).await? {}
}
