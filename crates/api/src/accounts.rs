//! Accounts of people, across teams.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, User};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, id, list_of, object_of, text, time};

pub(crate) fn shape() -> Shape {
    object_of([
        ("userId", id("usr")),
        ("email", text()),
        ("name", text()),
        ("createdAt", time()),
        ("disabledAt", time().or_null()),
    ])
    .named("Account")
}

pub(crate) fn all_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("accounts", list_of(shape())), ("pagination", pagination)])
}

fn object(user: &User) -> Value {
    json!({
        "userId": user.id,
        "email": user.email,
        "name": user.name,
        "createdAt": user.created_at,
        "disabledAt": user.disabled_at,
    })
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    limit: Option<Limit>,
    from: Option<String>,
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let limit = page_of(params.limit)?.unwrap_or(100);
    let found = broker.accounts(&call.caller, params.from.as_deref(), limit).await?;
    let full = found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = found.last().filter(|_| full).map(|user| user.email.clone());
    Ok(Answer(
        json!({"accounts": found.iter().map(object).collect::<Vec<_>>(), "pagination": {"next": next}}),
    ))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBody {
    disabled: bool,
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path(user): Path<String>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let found = broker.set_account_disabled(&call.caller, &user, body.disabled, call.request).await?;
    Ok(Answer(object(&found)))
}
