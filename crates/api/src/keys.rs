//! The deployment's keys: how they stand, turning them, looking whether everything opens.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, Examined, KekStep, KeyKind, KeysStatus, RotateAsk, Rotated};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::Json;
use crate::call::Call;
use crate::problem::Problem;
use crate::shape::{Shape, count, flag, id, list_of, object_of, one_of, text, time};

fn kind_shape() -> Shape {
    one_of(&["kek", "root", "team", "pepper", "signing", "compromised"])
}

fn kinds(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    kind_shape().inside()
}

fn steps(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    one_of(&["begin", "finish", "cancel"]).inside()
}

pub(crate) fn status_shape() -> Shape {
    let key = object_of([
        ("id", text()),
        ("role", text()),
        ("version", count()),
        ("state", one_of(&["pending", "active", "superseded", "empty"])),
        ("createdAt", time()),
        ("activatesAt", time()),
        ("left", count().or_null()),
    ]);
    let wrap = object_of([
        ("name", text()),
        ("key", text()),
        ("wrappedBy", text()),
        ("next", flag()),
        ("configuredAs", one_of(&["present", "next"]).or_null()),
        ("notOpenedBy", list_of(text())),
    ]);
    let node = object_of([
        ("id", text()),
        ("startedAt", time()),
        ("seenAt", time()),
        ("knowsAll", flag()),
        ("this", flag()),
    ]);
    let signing = object_of([
        ("kid", text()),
        ("state", one_of(&["pending", "active", "retiring"])),
        ("activatesAt", time()),
        ("goneAt", time().or_null()),
    ]);
    let unseen = object_of([
        ("id", id("atk")),
        ("name", text()),
        ("last4", text()),
        ("user", id("usr")),
        ("expiresAt", time()),
    ]);
    object_of([
        ("deployment", text()),
        ("providers", list_of(text())),
        ("provider", text()),
        ("keys", list_of(key)),
        ("wraps", list_of(wrap)),
        ("nodes", list_of(node)),
        ("signing", list_of(signing)),
        ("unseenTokens", list_of(unseen)),
        ("unseenElsewhere", count()),
        ("unseenUntil", time().or_null()),
    ])
    .named("Keys")
}

pub(crate) fn rotated_shape() -> Shape {
    let step = object_of([("what", text()), ("command", text().or_null())]);
    let entry = object_of([("about", text()), ("grants", count()), ("steps", list_of(step))]);
    object_of([
        ("kind", kind_shape()),
        ("activatesAt", time()),
        ("made", list_of(text())),
        ("runbook?", list_of(entry)),
    ])
    .named("RotatedKey")
}

pub(crate) fn examined_shape() -> Shape {
    let column =
        object_of([("name", text()), ("opened", count()), ("refused", count()), ("abandoned", count())]);
    object_of([
        ("deployment", text()),
        ("columns", list_of(column)),
        ("events", count()),
        ("lastEvent", count()),
    ])
    .named("ExaminedKeys")
}

pub(crate) async fn status(State(broker): State<Broker>, call: Call) -> Result<Answer<KeysStatus>, Problem> {
    Ok(Answer(broker.keys_status(&call.caller).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RotateBody {
    #[schemars(schema_with = "kinds")]
    kind: KeyKind,
    #[serde(default)]
    #[schemars(schema_with = "steps")]
    step: KekStep,
}

pub(crate) async fn rotate(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<RotateBody>,
) -> Result<Answer<Rotated>, Problem> {
    let ask = RotateAsk { kind: body.kind, step: body.step };
    Ok(Answer(broker.rotate_key(&call.caller, ask, call.request).await?))
}

pub(crate) async fn verify(State(broker): State<Broker>, call: Call) -> Result<Answer<Examined>, Problem> {
    Ok(Answer(broker.verify_keys(&call.caller).await?))
}
