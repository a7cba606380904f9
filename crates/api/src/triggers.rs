//! What a connector does with its provider's events, and what became of them:
//! `/v1/connect/connectors/{connector}/triggers` and `…/deliveries`.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Attempt, Broker, DeliveriesQuery, DeliveryView, TriggerChange, TriggerView};
use carnet_model::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, count, flag, id, list_of, object_of, one_of, text, time};
use crate::trigger_destinations;

pub(crate) fn shape() -> Shape {
    let secret = object_of([
        ("from", one_of(&["data", "triggers"])),
        ("setAt", time().or_null()),
        ("until", time().or_null()),
    ]);
    object_of([
        ("enabled", flag()),
        ("events", list_of(text())),
        ("url", text()),
        ("signingSecrets", list_of(secret)),
        ("destinations", list_of(trigger_destinations::shape())),
    ])
    .named("Triggers")
}

fn object(view: &TriggerView) -> Value {
    let secrets: Vec<Value> = view
        .secrets
        .iter()
        .map(|secret| {
            let from = if secret.set_at.is_some() { "triggers" } else { "data" };
            json!({"from": from, "setAt": secret.set_at, "until": secret.until})
        })
        .collect();
    let triggers = &view.triggers;
    let destinations: Vec<_> = triggers.destinations.iter().map(trigger_destinations::object).collect();
    json!({
        "enabled": triggers.enabled,
        "events": triggers.events,
        "url": triggers.url,
        "signingSecrets": secrets,
        "destinations": destinations,
    })
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.triggers(&call.caller, &connector).await?)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ChangeBody {
    enabled: Option<bool>,
    /// The names of the events that are forwarded; an empty list for all.
    events: Option<Vec<String>>,
    /// With what the provider signs from now on. It is not shown again.
    #[schemars(with = "Option<String>")]
    signing_secret: Option<SecretString>,
    /// For how long the secret before is good beside it, in milliseconds; a day if left out.
    keep_previous_ms: Option<u64>,
}

pub(crate) async fn change(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<ChangeBody>,
) -> Result<Answer<Value>, Problem> {
    let ChangeBody { enabled, events, signing_secret, keep_previous_ms } = body;
    let keep_previous = keep_previous_ms.map(Duration::from_millis);
    let change = TriggerChange { enabled, events, signing_secret, keep_previous };
    Ok(Answer(object(&broker.change_triggers(&call.caller, &connector, change, call.request).await?)))
}

fn delivery_with(more: Vec<(&'static str, Shape)>) -> Shape {
    let event = object_of([
        ("id", id("evt")),
        ("name", text()),
        ("tenant?", text()),
        ("size", count()),
        ("receivedAt", time()),
    ]);
    let destination = object_of([("projectId", id("prj")), ("environment", text()), ("branch?", text())]);
    object_of([
        ("id", id("dlv")),
        ("event", event),
        ("destination", destination),
        ("state", one_of(&["waiting", "taken", "dead"])),
        ("attemptCount", count()),
        ("createdAt", time()),
        ("nextAttemptAt?", time()),
        ("endedAt?", time()),
        ("status?", count()),
        ("error?", text()),
    ])
    .with(more)
}

pub(crate) fn delivery_shape() -> Shape {
    let attempt = object_of([
        ("number", count()),
        ("at", time()),
        ("durationMs", count()),
        ("status?", count()),
        ("error?", text()),
    ]);
    delivery_with(vec![("attempts", list_of(attempt))]).named("Delivery")
}

pub(crate) fn deliveries_shape() -> Shape {
    let pagination = object_of([("next", text().or_null())]);
    object_of([("deliveries", list_of(delivery_with(Vec::new()))), ("pagination", pagination)])
}

fn told(view: &DeliveryView) -> Value {
    let DeliveryView { delivery, event, attempts } = view;
    let mut about = json!({
        "id": event.id,
        "name": event.name,
        "size": event.size,
        "receivedAt": event.received_at,
    });
    let mut destination = json!({
        "projectId": delivery.project,
        "environment": delivery.environment,
    });
    put(&mut about, "tenant", event.tenant.clone());
    put(&mut destination, "branch", delivery.branch.clone());
    let mut out = json!({
        "id": delivery.id,
        "event": about,
        "destination": destination,
        "state": delivery.state.as_str(),
        "attemptCount": delivery.attempts,
        "createdAt": delivery.created_at,
    });
    let waits = delivery.ended_at.is_none();
    put(&mut out, "nextAttemptAt", waits.then(|| delivery.due_at.millis()));
    put(&mut out, "endedAt", delivery.ended_at.map(carnet_model::Time::millis));
    put(&mut out, "status", delivery.last_status);
    put(&mut out, "error", delivery.last_error.clone());
    put(&mut out, "attempts", attempts.as_ref().map(|all| all.iter().map(attempt).collect::<Vec<_>>()));
    out
}

fn attempt(attempt: &Attempt) -> Value {
    let mut out = json!({"number": attempt.number, "at": attempt.at, "durationMs": attempt.millis});
    put(&mut out, "status", attempt.status);
    put(&mut out, "error", attempt.error.clone());
    out
}

fn put(object: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value.into());
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    #[schemars(schema_with = "states")]
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<Limit>,
}

fn states(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    one_of(&["waiting", "taken", "dead"]).inside()
}

pub(crate) async fn deliveries(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let ListParams { state, cursor, limit } = params;
    let query = DeliveriesQuery { state, cursor, limit: page_of(limit)? };
    let (found, next) = broker.deliveries(&call.caller, &connector, &query).await?;
    let found: Vec<_> = found.iter().map(told).collect();
    Ok(Answer(json!({"deliveries": found, "pagination": {"next": next}})))
}

pub(crate) async fn delivery(
    State(broker): State<Broker>,
    Path((connector, name)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(told(&broker.delivery(&call.caller, &connector, &name).await?)))
}

pub(crate) async fn replay(
    State(broker): State<Broker>,
    Path((connector, name)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(told(&broker.replay_delivery(&call.caller, &connector, &name, call.request).await?)))
}
