//! Who is in a team, and as what.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, TeamMember};
use carnet_model::caller::Role;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::Whole;
use crate::shape::{Shape, flag, id, list_of, object_of, role, text, time};

pub(crate) fn shape() -> Shape {
    object_of([
        ("userId", id("usr")),
        ("email", text()),
        ("name", text()),
        ("role", role()),
        ("joinedAt", time()),
        ("disabled", flag()),
    ])
    .named("Member")
}

/// The one answer in which the link stands.
pub(crate) fn reset_shape() -> Shape {
    object_of([("userId", id("usr")), ("email", text()), ("url", text()), ("expiresAt", time())])
        .named("PassphraseReset")
}

pub(crate) fn all_shape() -> Shape {
    object_of([("members", list_of(shape()))])
}

fn object(member: &TeamMember) -> Value {
    json!({
        "userId": member.user.id,
        "email": member.user.email,
        "name": member.user.name,
        "role": member.role,
        "joinedAt": member.joined_at,
        "disabled": member.user.disabled_at.is_some(),
    })
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    Path(team): Path<String>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let found = broker.members(&call.caller, &team).await?;
    Ok(Answer(json!({"members": found.iter().map(object).collect::<Vec<_>>()})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBody {
    #[schemars(schema_with = "crate::shape::role_schema")]
    role: Role,
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path((team, user)): Path<(String, String)>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let found = broker.update_member(&call.caller, &team, &user, body.role, call.request).await?;
    Ok(Answer(object(&found)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path((team, user)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.remove_member(&call.caller, &team, &user, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The link by which the member chooses another passphrase stands in this answer and nowhere else.
pub(crate) async fn reset_passphrase(
    State(broker): State<Broker>,
    Path((team, user)): Path<(String, String)>,
    call: Call,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let link = broker.reset_passphrase(&call.caller, &team, &user, call.request).await?;
    let answer = json!({
        "userId": link.user.id,
        "email": link.user.email,
        "url": link.at(broker.settings().base()),
        "expiresAt": link.expires_at,
    });
    Ok((StatusCode::CREATED, Answer(answer)))
}
