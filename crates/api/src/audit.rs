//! The audit log of the caller's team.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{AuditQuery, Broker};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, anything, count, either, flag, id, list_of, map, object_of, one_of, text, time};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ListParams {
    limit: Option<Limit<1000>>,
    before: Option<i64>,
    after: Option<i64>,
    action: Option<String>,
    target: Option<String>,
    connector: Option<String>,
    #[schemars(schema_with = "outcomes")]
    outcome: Option<String>,
}

fn outcomes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    one_of(&["success", "denied", "failed"]).inside()
}

pub(crate) fn shape() -> Shape {
    let event = object_of([
        ("seq", count()),
        ("at", time()),
        ("actor", principal()),
        ("action", text()),
        ("target", text().or_null()),
        ("outcome", one_of(&["success", "denied", "failed"])),
        ("requestId", id("req").or_null()),
        ("detail", map(anything())),
    ]);
    object_of([
        ("events", list_of(event.named("AuditEvent"))),
        (
            "next",
            count()
                .or_null()
                .said("Where to go on, also behind a page with fewer events than were asked for, or none."),
        ),
    ])
}

/// Who did something.
pub(crate) fn principal() -> Shape {
    either([
        object_of([("type", one_of(&["user"])), ("id", id("usr"))]),
        object_of([("type", one_of(&["project"])), ("id", id("prj")), ("environment", text())]),
        object_of([("type", one_of(&["system"]))]),
    ])
    .named("Principal")
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let target = match params.connector {
        // Events name a connector by its identifier, people by its UID.
        Some(name) => {
            Some(broker.connector(&call.caller, &name, call.request).await?.connector.id.to_string())
        }
        None => params.target,
    };
    let query = AuditQuery {
        before: params.before,
        after: params.after,
        action: params.action,
        target,
        outcome: params.outcome,
        limit: page_of(params.limit)?,
    };
    let page = broker.audit_events(&call.caller, &query).await?;
    let events: Vec<Value> = page
        .events
        .iter()
        .map(|event| {
            json!({
                "seq": event.seq,
                "at": event.at,
                "actor": event.actor,
                "action": event.action,
                "target": event.target,
                "outcome": event.outcome,
                "requestId": event.request,
                "detail": event.detail,
            })
        })
        .collect();
    Ok(Answer(json!({"events": events, "next": page.next})))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct VerifyParams {
    after: i64,
}

pub(crate) fn verified_shape() -> Shape {
    let gap = object_of([("from", count()), ("to", count())]);
    object_of([
        ("checked", count()),
        ("last", count()),
        ("whole", flag()),
        ("gaps", list_of(gap)),
        ("altered", list_of(count())),
        ("erased", count()),
        ("next", count().or_null()),
    ])
}

pub(crate) async fn verify(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<VerifyParams>,
) -> Result<Answer<Value>, Problem> {
    let found = broker.verify_audit(&call.caller, params.after).await?;
    Ok(Answer(json!({
        "checked": found.checked,
        "last": found.last,
        "whole": found.whole,
        "gaps": found.gaps.iter().map(|(from, to)| json!({"from": from, "to": to})).collect::<Vec<_>>(),
        "altered": found.altered,
        "erased": found.erased,
        "next": found.next,
    })))
}
