//! What is granted at a connector, for its team. Never what is held.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, GrantView};
use carnet_model::Subject;
use carnet_model::grant::GrantState;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::connectors::refused;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, count, flag, id, list_of, object_of, one_of, text, time};
use crate::token;

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(grant): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.grant(&call.caller, &grant).await?)))
}

pub(crate) async fn revoke(
    State(broker): State<Broker>,
    Path(grant): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let done = broker.revoke_grant(&call.caller, &grant, call.request).await?;
    Ok(Answer(token::revocation(&done)))
}

pub(crate) fn object(view: &GrantView) -> Value {
    let grant = &view.grant;
    let (state, cause) = match &grant.state {
        GrantState::Active => ("active", None),
        GrantState::NeedsConsent { cause, .. } => ("needs_consent", Some(cause.as_str())),
        GrantState::Withdrawn { .. } => ("withdrawn", None),
    };
    let mut out = json!({
        "id": grant.id,
        "connectorId": grant.place.connector,
        "subject": Subject::wire_of_key(&grant.place.subject),
        "environment": grant.place.environment,
        "scopes": grant.scopes,
        "state": state,
        "refreshable": grant.refreshable,
        "lastUsedAt": view.last_used_at,
        "createdAt": grant.created_at,
        "updatedAt": grant.updated_at,
    });
    if let Some(out) = out.as_object_mut() {
        let mut put =
            |name: &str, value: Option<Value>| value.map(|value| out.insert(name.to_owned(), value));
        put("projectId", grant.place.project.map(|id| id.to_string().into()));
        put("installationId", grant.place.installation.map(|id| id.to_string().into()));
        put("externalSubject", grant.external_subject.clone().map(Value::from));
        put("expiresAt", grant.access_expires_at.map(|at| at.millis().into()));
        put("cause", cause.map(Value::from));
    }
    out
}

pub(crate) fn shape() -> Shape {
    described().named("Grant")
}

/// The same before it has a name, for what says more of a grant.
pub(crate) fn described() -> Shape {
    let subject = object_of([("type", text()), ("id?", text()), ("issuer?", text())]).or_null();
    object_of([
        ("id", id("grt")),
        ("connectorId", id("scl")),
        ("subject", subject),
        ("environment", text()),
        ("scopes", list_of(text()).or_null()),
        ("state", one_of(&["active", "needs_consent", "withdrawn"])),
        ("refreshable", flag()),
        ("lastUsedAt", time().or_null()),
        ("createdAt", time()),
        ("updatedAt", time()),
        ("projectId?", id("prj")),
        ("installationId?", text()),
        ("externalSubject?", text()),
        ("expiresAt?", time()),
        ("cause?", text()),
    ])
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct StandingParams {
    /// Of this connector only, by identifier or UID.
    connector: Option<String>,
}

pub(crate) fn standing_shape() -> Shape {
    let alike =
        object_of([("state", one_of(&["active", "needs_consent"])), ("cause?", text()), ("grants", count())]);
    let waiting = object_of([("uid", text()), ("grant", shape())]);
    object_of([
        ("connectors", count()),
        ("grants", count()),
        ("states", list_of(alike)),
        ("needConsent", list_of(waiting).said("The latest first, at most a hundred.")),
    ])
    .named("Standing")
}

pub(crate) async fn standing(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<StandingParams>,
) -> Result<Answer<Value>, Problem> {
    let standing = broker.standing(&call.caller, params.connector.as_deref()).await?;
    let states: Vec<Value> = standing
        .counts
        .iter()
        .map(|alike| match &alike.cause {
            Some(cause) => json!({"state": alike.state, "cause": cause, "grants": alike.grants}),
            None => json!({"state": alike.state, "grants": alike.grants}),
        })
        .collect();
    let waiting: Vec<Value> =
        standing.waiting.iter().map(|(uid, view)| json!({"uid": uid, "grant": object(view)})).collect();
    Ok(Answer(json!({
        "connectors": standing.connectors,
        "grants": standing.counts.iter().map(|alike| alike.grants).sum::<i64>(),
        "states": states,
        "needConsent": waiting,
    })))
}

pub(crate) fn all_shape() -> Shape {
    let made = object_of([("installationId?", text()), ("tokens", count())]);
    let made = list_of(made).said("Tokens that hang on no grant, on the first page.");
    object_of([("grants", list_of(shape())), ("cursor?", text()), ("madeTokens?", made)])
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    limit: Option<Limit>,
    cursor: Option<String>,
    user: Option<String>,
    issuer: Option<String>,
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let ListParams { limit, cursor, user, issuer } = params;
    if user.is_none() && issuer.is_some() {
        return Err(refused("issuer", "issuer says whose name user is, so it needs user."));
    }
    let user = user.map(|id| Subject::User { id, issuer });
    let limit = page_of(limit)?.unwrap_or(50);
    let (found, next) =
        broker.grants(&call.caller, &connector, user.as_ref(), cursor.as_deref(), limit).await?;
    let mut out = json!({"grants": found.iter().map(object).collect::<Vec<_>>()});
    if let (Some(next), Some(out)) = (next, out.as_object_mut()) {
        out.insert("cursor".to_owned(), next.into());
    }
    if let (None, None, Some(out)) = (&user, &cursor, out.as_object_mut()) {
        let made = broker.made_tokens(&call.caller, &connector).await?;
        let told = |(installation, tokens): (&Option<_>, &u64)| match installation {
            Some(id) => json!({"installationId": id, "tokens": tokens}),
            None => json!({"tokens": tokens}),
        };
        out.insert("madeTokens".to_owned(), made.iter().map(told).collect());
    }
    Ok(Answer(out))
}
