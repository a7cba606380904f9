//! Invitations: for the owners of a team who make them, and for whoever has one.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Invitation, NewInvitation};
use carnet_model::SecretString;
use carnet_model::caller::Role;
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
use crate::query::Whole;
use crate::shape::{Shape, id, list_of, object_of, role, text, time};
use crate::token::millis;

fn shape() -> Shape {
    object_of([
        ("id", id("inv")),
        ("role", role()),
        ("email", text().or_null()),
        ("createdBy", id("usr")),
        ("createdAt", time()),
        ("expiresAt", time()),
    ])
}

pub(crate) fn all_shape() -> Shape {
    object_of([("invitations", list_of(shape().named("Invitation")))])
}

/// The one answer in which it stands.
pub(crate) fn made_shape() -> Shape {
    shape().with([("invitation", text()), ("url", text())]).named("NewInvitation")
}

/// What whoever has one may know.
pub(crate) fn shown_shape() -> Shape {
    let team = object_of([("id", id("team")), ("slug", text()), ("name", text())]);
    object_of([("team", team), ("role", role()), ("email", text().or_null()), ("expiresAt", time())])
}

pub(crate) fn joined_shape() -> Shape {
    object_of([("team", team_shape()), ("role", role()), ("accessToken", access_tokens::made_shape())])
}

fn object(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id,
        "role": invitation.role,
        "email": invitation.email,
        "createdBy": invitation.by,
        "createdAt": invitation.created_at,
        "expiresAt": invitation.expires_at,
    })
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    Path(team): Path<String>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let found = broker.invitations(&call.caller, &team).await?;
    Ok(Answer(json!({"invitations": found.iter().map(object).collect::<Vec<_>>()})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateBody {
    #[schemars(schema_with = "crate::shape::role_schema")]
    role: Role,
    email: Option<String>,
    expires_in_ms: Option<f64>,
}

/// What has to be shown to join stands in this answer and nowhere else.
pub(crate) async fn create(
    State(broker): State<Broker>,
    Path(team): Path<String>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let life =
        body.expires_in_ms.map(|life| millis("expiresInMs", life)).transpose()?.map(Duration::from_millis);
    let ask = NewInvitation { role: body.role, email: body.email, life };
    let made = broker.invite(&call.caller, &team, &ask, call.request).await?;
    let mut answer = object(&made.invitation);
    if let Some(members) = answer.as_object_mut() {
        let secret = made.secret.expose().as_str();
        members.insert("invitation".to_owned(), secret.into());
        members.insert("url".to_owned(), format!("{}/invitation/{secret}", broker.settings().base()).into());
    }
    Ok((StatusCode::CREATED, Answer(answer)))
}

pub(crate) async fn withdraw(
    State(broker): State<Broker>,
    Path((team, invitation)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Problem> {
    broker.withdraw_invitation(&call.caller, &team, &invitation, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// In the body, because paths stand in logs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    #[schemars(with = "String")]
    invitation: SecretString,
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<Shown>,
) -> Result<Answer<Value>, Problem> {
    let found = broker.invitation(&call.caller, body.invitation.expose()).await?;
    Ok(Answer(json!({
        "team": {"id": found.team.id, "slug": found.team.slug, "name": found.team.name},
        "role": found.role,
        "email": found.email,
        "expiresAt": found.expires_at,
    })))
}

/// The access token for the joined team stands in this answer and nowhere else.
pub(crate) async fn accept(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<Shown>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let joined = broker.accept_invitation(&call.caller, body.invitation.expose(), call.request).await?;
    let token = access_tokens::created(&joined.token, &joined.row);
    Ok((
        StatusCode::CREATED,
        Answer(json!({"team": team_object(&joined.team), "role": joined.role, "accessToken": token})),
    ))
}
