//! `GET /v1/connect/services…`: the services of the catalog, and how each can be connected.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ServicesQuery};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Limit, Query, page_of};
use crate::shape::{Shape, anything, count, flag, list_of, map, object_of, one_of, text};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Params {
    /// Whether to say what the `data` of each type holds.
    schemas: Option<bool>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListParams {
    /// Words of the name or the description: all have to fit.
    search: Option<String>,
    /// Only of this category.
    category: Option<String>,
    /// At most so many, 1 to 500; all where nothing is said.
    limit: Option<Limit<500>>,
}

/// What stands in a list, and begins the description of one.
fn outline() -> Shape {
    object_of([
        ("id", text()),
        ("name", text()),
        ("description", text()),
        ("categories", list_of(text())),
        ("methods", list_of(text())),
        ("website?", text()),
        ("monogram", text()),
        ("backgroundColor?", text()),
        ("verified", verified()),
        ("checked", text().said("The day on which its facts were last looked at.")),
        ("badge?", text()),
    ])
}

fn verified() -> Shape {
    one_of(&["tried", "read", "unverified"])
}

pub(crate) fn list_shape() -> Shape {
    object_of([("services", list_of(outline().named("ServiceOutline")))])
}

pub(crate) fn shape() -> Shape {
    let kind = || {
        object_of([
            ("type", text()),
            ("createInputSchema?", map(anything())),
            ("encryptedFields?", list_of(text())),
            ("createInputDefaults?", map(anything())),
        ])
    };
    let field = object_of([
        ("key", text()),
        ("label", text()),
        ("placeholder", text()),
        ("help?", text()),
        ("default?", text()),
        ("choices?", list_of(text())),
    ]);
    let refresh = object_of([
        ("class", one_of(&["absent", "none", "grace", "strict", "unknown"])),
        ("seconds?", count()),
        ("idleDays?", count()),
        ("lifeDays?", count()),
        ("note?", text()),
    ]);
    let method = object_of([
        ("connectionMethod", text()),
        ("label", text()),
        ("description", text()),
        ("docUrl?", text()),
        ("settingsUrl?", text()),
        ("instructions?", text()),
        ("verified", verified()),
        ("targets?", list_of(text())),
        (
            "create",
            object_of([
                ("managed", flag()),
                ("manual", flag()),
                ("assisted?", flag()),
                ("application?", flag()),
            ]),
        ),
        ("type", kind()),
        ("keys?", list_of(text()).said("The labels of its keys, where it wants several.")),
        (
            "needs?",
            list_of(text())
                .said("Members of data that only the service gives, dotted where they stand deeper."),
        ),
        ("templateFields?", list_of(field)),
        ("refresh?", refresh),
        ("accessTokenLife?", count()),
    ]);
    let target =
        object_of([("target", text()), ("label", text()), ("description?", text()), ("docsUrl?", text())]);
    outline()
        .with([
            ("types", list_of(kind())),
            ("connectionMethods", list_of(method)),
            ("resolvedConnectionMethod?", text()),
            ("targets?", list_of(target)),
            ("docs", list_of(text())),
            ("scopes", list_of(object_of([("scope", text()), ("description", text())]))),
            ("hosts", list_of(text())),
            ("env?", text()),
            ("source", list_of(text())),
            ("ownFile?", flag()),
        ])
        .named("Service")
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
    Query(params): Query<Params>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(broker.service(&call.caller, &service, params.schemas.unwrap_or(false)).await?))
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    Query(params): Query<ListParams>,
) -> Result<Answer<Value>, Problem> {
    let ListParams { search, category, limit } = params;
    let limit = page_of(limit)?;
    let found = broker.services(&call.caller, &ServicesQuery { search, category, limit })?;
    Ok(Answer(json!({"services": found})))
}
