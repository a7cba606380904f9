//! `/v1/projects/{project}/health-webhook`: where a project is told that what it was granted breaks. And
//! `POST /v1/connect/connectors/{connector}/check`, which asks the provider now.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{
    Broker, CheckedApplication, CheckedGrant, CheckedInstallation, Health, HealthWebhook, Verdict,
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, flag, id, list_of, object_of, one_of, text, time};
use crate::{grants, installations};

pub(crate) fn shape() -> Shape {
    object_of([("webhook", webhook_shape().or_null())])
}

pub(crate) fn webhook_shape() -> Shape {
    object_of([("projectId", id("prj")), ("url", text()), ("updatedAt", time())]).named("HealthWebhook")
}

fn webhook(webhook: &HealthWebhook) -> Value {
    json!({"projectId": webhook.project, "url": webhook.url, "updatedAt": webhook.updated_at})
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let found = broker.health_webhook(&call.caller, &project).await?;
    Ok(Answer(json!({"webhook": found.as_ref().map(webhook)})))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBody {
    /// An https address of the application.
    url: String,
}

pub(crate) async fn set(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<SetBody>,
) -> Result<Answer<Value>, Problem> {
    let set = broker.set_health_webhook(&call.caller, &project, &body.url, call.request).await?;
    Ok(Answer(webhook(&set)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.remove_health_webhook(&call.caller, &project, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CheckParams {
    limit: Option<Limit<50>>,
    cursor: Option<String>,
}

pub(crate) fn check_shape() -> Shape {
    let verdict = || {
        one_of(&[
            "holds",
            "needs_consent",
            "suspended",
            "gone",
            "client_rejected",
            "secret_ended",
            "unreachable",
            "not_asked",
        ])
    };
    let more = || vec![("standing", verdict()), ("message?", text())];
    object_of([
        ("connector", object_of([("id", id("scl")), ("uid", text())])),
        ("holds", flag()),
        ("application?", object_of([("standing", verdict()), ("message?", text())])),
        ("installations", list_of(installations::described().with(more()))),
        ("grants", list_of(grants::described().with(more()))),
        ("cursor?", text()),
    ])
    .named("Health")
}

pub(crate) async fn check(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Query(params): Query<CheckParams>,
) -> Result<Answer<Value>, Problem> {
    let CheckParams { limit, cursor } = params;
    let limit = page_of(limit)?.unwrap_or(20);
    let health =
        broker.check_health(&call.caller, &connector, cursor.as_deref(), limit, call.request).await?;
    Ok(Answer(told(&health)))
}

fn told(health: &Health) -> Value {
    let connector = &health.connector.connector;
    let verdicts = health
        .grants
        .iter()
        .map(|one| &one.verdict)
        .chain(health.installations.iter().map(|one| &one.verdict))
        .chain(health.application.iter().map(|one| &one.verdict));
    let holds = verdicts.clone().all(|verdict| matches!(verdict, Verdict::Holds | Verdict::NotAsked));
    let installation =
        |one: &CheckedInstallation| with(installations::object(&one.installation), &one.verdict);
    let grant = |one: &CheckedGrant| with(grants::object(&one.grant), &one.verdict);
    let mut out = json!({
        "connector": {"id": connector.id, "uid": connector.uid},
        "holds": holds,
        "installations": health.installations.iter().map(installation).collect::<Vec<_>>(),
        "grants": health.grants.iter().map(grant).collect::<Vec<_>>(),
    });
    if let (Some(application), Some(out)) = (&health.application, out.as_object_mut()) {
        out.insert("application".to_owned(), of_application(application));
    }
    if let (Some(next), Some(out)) = (&health.next, out.as_object_mut()) {
        out.insert("cursor".to_owned(), next.clone().into());
    }
    out
}

fn of_application(one: &CheckedApplication) -> Value {
    let mut object = json!({"standing": one.verdict.as_str()});
    if let (Some(message), Some(members)) = (&one.message, object.as_object_mut()) {
        members.insert("message".to_owned(), message.clone().into());
    }
    object
}

fn with(mut object: Value, verdict: &Verdict) -> Value {
    let Some(members) = object.as_object_mut() else { return object };
    members.insert("standing".to_owned(), verdict.as_str().into());
    let message = match verdict {
        Verdict::NeedsConsent(cause) => Some(cause.sentence().to_owned()),
        Verdict::Unreachable(why) | Verdict::SecretEnded(why) => Some(why.clone()),
        _ => None,
    };
    if let Some(message) = message {
        members.insert("message".to_owned(), message.into());
    }
    object
}
