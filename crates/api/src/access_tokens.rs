//! Access tokens of this API.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{AccessTokenRow, Broker, NewToken, Whose};
use carnet_model::rights::{Breadth, Right};
use carnet_model::{AccessToken, Code, Fault};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, either, id, list_of, object_of, one_of, text, time};
use crate::token::millis;

/// A token as it is shown once it has been handed out.
fn shape() -> Shape {
    let names: Vec<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
    object_of([
        ("id", id("atk")),
        ("name", text()),
        ("last4", text()),
        ("userId", id("usr")),
        ("access", either([one_of(&["full", "usual", "read"]), list_of(one_of(&names))])),
        ("projectId", id("prj").or_null()),
        ("createdAt", time()),
        ("expiresAt", time()),
        ("lastUsedAt", time().or_null()),
    ])
}

/// Those that work.
pub(crate) fn all_shape() -> Shape {
    object_of([("tokens", list_of(shape().named("AccessToken")))])
}

/// The one answer in which the token stands.
pub(crate) fn made_shape() -> Shape {
    shape().with([("token", text())]).named("NewAccessToken")
}

fn object(row: &AccessTokenRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "last4": row.last4,
        "userId": row.user,
        "access": access(&row.access.breadth),
        "projectId": row.access.project,
        "createdAt": row.created_at,
        "expiresAt": row.expires_at,
        "lastUsedAt": row.last_used_at,
    })
}

/// `"full"`, `"usual"`, `"read"`, or a list of rights.
fn access(breadth: &Breadth) -> Value {
    match breadth {
        Breadth::Full | Breadth::Usual | Breadth::Read => breadth.to_text().into(),
        Breadth::Only(rights) => rights.iter().map(|right| right.as_str()).collect::<Vec<_>>().into(),
    }
}

/// A token that was just made, as its maker sees it once.
pub(crate) fn created(token: &AccessToken, row: &AccessTokenRow) -> Value {
    let mut answer = object(row);
    if let Some(members) = answer.as_object_mut() {
        members.insert("token".to_owned(), token.expose().into());
    }
    answer
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    everybody: bool,
    /// 1 to 100; the list comes whole all the same.
    limit: Option<Limit>,
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    page_of(params.limit)?;
    let whose = if params.everybody { Whose::Everybodys } else { Whose::Own };
    let found = broker.access_tokens(&call.caller, whose).await?;
    Ok(Answer(json!({"tokens": found.iter().map(object).collect::<Vec<_>>()})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateBody {
    name: String,
    expires_in_ms: Option<f64>,
    access: Option<AccessBody>,
    project_id: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum AccessBody {
    Word(String),
    Rights(Vec<String>),
}

impl AccessBody {
    fn breadth(&self) -> Result<Breadth, Problem> {
        let invalid = |why: String| Problem(Fault::new(Code::InvalidRequest, why).with("field", "access"));
        match self {
            Self::Word(word) if word == "full" => Ok(Breadth::Full),
            Self::Word(word) if word == "usual" => Ok(Breadth::Usual),
            Self::Word(word) if word == "read" => Ok(Breadth::Read),
            Self::Word(_) => Err(invalid("access is full, usual, read, or a list of rights.".to_owned())),
            Self::Rights(names) if names.is_empty() => {
                Err(invalid("access names at least one right.".to_owned()))
            }
            Self::Rights(names) => {
                let read = |name: &String| {
                    let short: String = name.chars().take(64).collect();
                    Right::parse(name).ok_or_else(|| {
                        invalid(format!("There is no right {short:?}; docs/people.md has all."))
                    })
                };
                names.iter().map(read).collect::<Result<BTreeSet<_>, _>>().map(Breadth::Only)
            }
        }
    }
}

/// The token stands in this answer and nowhere else.
pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let life =
        body.expires_in_ms.map(|life| millis("expiresInMs", life)).transpose()?.map(Duration::from_millis);
    let breadth = body.access.as_ref().map(AccessBody::breadth).transpose()?;
    let ask = NewToken { name: body.name, life, breadth, project: body.project_id };
    let made = broker.create_access_token(&call.caller, &ask, call.request).await?;
    Ok((StatusCode::CREATED, Answer(created(&made.token, &made.row))))
}

pub(crate) async fn revoke(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.revoke_access_token(&call.caller, &id, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
