//! `GET /v1/usage`: how many token requests the team has had, and what they cost. And the team's budget.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Budget, By, Month, NewBudget, NewWebhook, Plan, Share, Usage, UsageQuery};
use carnet_model::{Id, kind};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;
use crate::query::Query;
use crate::shape::{Shape, count, flag, id, list_of, object_of, one_of, text, time};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct UsageParams {
    /// From which month on, `2026-09`; the present one if left out.
    since: Option<String>,
    /// By what it is told apart; connectors if left out.
    by: Option<Kind>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Kind {
    Connector,
    Project,
    User,
}

impl Kind {
    const fn by(self) -> (By, &'static str) {
        match self {
            Self::Connector => (By::Connector, "connector"),
            Self::Project => (By::Project, "project"),
            Self::User => (By::User, "user"),
        }
    }
}

pub(crate) fn shape() -> Shape {
    let price = object_of([("cents", count()), ("requests", count())]);
    let plan = object_of([
        ("name", text()),
        ("included", count().or_null()),
        ("price", price.or_null()),
        ("stops", flag()),
        ("readsPerMinute", count().or_null()),
        ("writesPerMinute", count().or_null()),
    ]);
    let share = object_of([("id", text().or_null()), ("name", text().or_null()), ("requests", count())]);
    let forwarded = object_of([("id", text().or_null()), ("name", text().or_null()), ("forwarded", count())]);
    let triggers = object_of([("month", text()), ("forwarded", count()), ("shares", list_of(forwarded))]);
    object_of([
        ("plan", plan),
        ("month", month_shape().with([("resetsAt", time())])),
        ("since", text()),
        ("months", list_of(month_shape())),
        ("by", one_of(&["connector", "project", "user"])),
        ("shares", list_of(share)),
        ("triggers", triggers),
        ("budget", budget_shape().or_null()),
    ])
    .named("Usage")
}

fn month_shape() -> Shape {
    object_of([("month", text()), ("requests", count()), ("estimatedCents", count())])
}

pub(crate) fn budget_shape() -> Shape {
    let webhook = object_of([("url", text()), ("projectId", id("prj")), ("environment", text())]);
    object_of([("requests", count()), ("webhook", webhook.or_null()), ("reachedIn", text().or_null())])
        .named("Budget")
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<UsageParams>,
) -> Result<Answer<Value>, Problem> {
    let since = params.since.as_deref().map(Month::parse).transpose();
    let since = since.map_err(|error| Problem::field("since", format!("since: {error}.")))?;
    let (by, name) = params.by.unwrap_or(Kind::Connector).by();
    let usage = broker.usage(&call.caller, UsageQuery { since, by }).await?;
    Ok(Answer(told(&usage, by, name)))
}

fn told(usage: &Usage, by: By, name: &str) -> Value {
    let Plan { included, price, stops, reads, writes } = usage.terms;
    let month = |month: Month, requests: i64| {
        json!({
            "month": month.to_string(),
            "requests": requests,
            "estimatedCents": usage.terms.cents(requests),
        })
    };
    let mut present = month(usage.month, usage.used);
    if let Some(present) = present.as_object_mut() {
        present.insert("resetsAt".to_owned(), usage.month.next().begins().millis().into());
    }
    json!({
        "plan": {
            "name": usage.plan,
            "included": included,
            "price": price,
            "stops": stops,
            "readsPerMinute": reads,
            "writesPerMinute": writes,
        },
        "month": present,
        "since": usage.since.to_string(),
        "months": usage.months.iter().map(|(of, requests)| month(*of, *requests)).collect::<Vec<_>>(),
        "by": name,
        "triggers": {
            "month": usage.month.to_string(),
            "forwarded": usage.triggers,
            "shares": usage.trigger_shares.iter().map(|share| forwarded(share, by)).collect::<Vec<_>>(),
        },
        "shares": usage.shares.iter().map(|share| share_of(share, by)).collect::<Vec<_>>(),
        "budget": usage.budget.as_ref().map(budget),
    })
}

fn share_of(share: &Share, by: By) -> Value {
    json!({"id": id_of(share, by), "name": share.name, "requests": share.requests})
}

fn forwarded(share: &Share, by: By) -> Value {
    json!({"id": id_of(share, by), "name": share.name, "forwarded": share.requests})
}

fn id_of(share: &Share, by: By) -> Option<String> {
    share.id.map(|id| match by {
        By::Connector => Id::<kind::Connector>::from_bytes(id).to_string(),
        By::Project => Id::<kind::Project>::from_bytes(id).to_string(),
        By::User => Id::<kind::User>::from_bytes(id).to_string(),
    })
}

fn budget(budget: &Budget) -> Value {
    let webhook = budget.webhook.as_ref().map(|webhook| {
        json!({"url": webhook.url, "projectId": webhook.project, "environment": webhook.environment})
    });
    json!({
        "requests": budget.requests,
        "webhook": webhook,
        "reachedIn": budget.alerted.map(|month| month.to_string()),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BudgetBody {
    /// At how many token requests of a month somebody is told.
    #[schemars(range(min = 1))]
    requests: u32,
    /// Where to say so besides the audit log.
    webhook: Option<WebhookBody>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookBody {
    /// An https address.
    url: String,
    /// The project for which it is signed.
    project_id: String,
    /// Its environment; production if left out.
    environment: Option<String>,
}

pub(crate) async fn set_budget(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<BudgetBody>,
) -> Result<Answer<Value>, Problem> {
    let webhook = body.webhook.map(|webhook| NewWebhook {
        url: webhook.url,
        project: webhook.project_id,
        environment: webhook.environment,
    });
    let ask = NewBudget { requests: body.requests, webhook };
    Ok(Answer(budget(&broker.set_budget(&call.caller, ask, call.request).await?)))
}

pub(crate) async fn remove_budget(State(broker): State<Broker>, call: Call) -> Result<Response, Problem> {
    broker.remove_budget(&call.caller, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
