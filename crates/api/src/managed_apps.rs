//! Applications that the operator registered for all teams: `/v1/managed-apps`.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ManagedAppChange, ManagedAppSource, ManagedAppView, NewManagedApp, OfferedTo};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::{Query, Whole};
use crate::shape::{Shape, anything, count, flag, id, list_of, map, object_of, one_of, text, time};

pub(crate) fn shape() -> Shape {
    object_of([
        ("service", text()),
        ("source", one_of(&["configuration", "server"])),
        ("type", text()),
        ("connectionMethod?", text()),
        ("params?", map(text())),
        ("data", map(anything())),
        (
            "encryptedFields",
            list_of(text()).said("The members of data that hold secrets, which nobody sees."),
        ),
        ("teams", list_of(id("team")).or_null()),
        ("goesAlong", flag()),
        ("redirectUri?", text()),
        ("overridden?", flag()),
        ("connectors", count()),
        ("createdAt?", time()),
        ("createdBy?", anything()),
        ("updatedAt?", time()),
        ("updatedBy?", anything()),
    ])
    .named("ManagedApp")
}

pub(crate) fn all_shape() -> Shape {
    object_of([("managedApps", list_of(shape()))])
}

pub(crate) fn removed_shape() -> Shape {
    object_of([("service", text()), ("connectors", count())])
}

fn object(app: &ManagedAppView) -> Value {
    let mut out = json!({
        "service": app.service,
        "source": match app.source {
            ManagedAppSource::Configuration => "configuration",
            ManagedAppSource::Server => "server",
        },
        "type": app.r#type.as_str(),
        "data": app.data,
        "encryptedFields": app.secrets,
        "teams": app.teams,
        "goesAlong": app.goes_along,
        "connectors": app.connectors,
    });
    let history = app.history.as_ref();
    let more = [
        ("connectionMethod", app.method.clone().map(Value::from)),
        ("params", Some(&app.params).filter(|params| !params.is_empty()).map(|params| json!(params))),
        ("redirectUri", app.redirect_uri.clone().map(Value::from)),
        ("overridden", app.overridden.then(|| true.into())),
        ("createdAt", history.map(|known| json!(known.created_at))),
        ("createdBy", history.map(|known| json!(known.created_by))),
        ("updatedAt", history.map(|known| json!(known.updated_at))),
        ("updatedBy", history.map(|known| json!(known.updated_by))),
    ];
    if let Some(object) = out.as_object_mut() {
        object.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    out
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let all = broker.managed_apps(&call.caller).await?;
    Ok(Answer(json!({"managedApps": all.iter().map(object).collect::<Vec<_>>()})))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.managed_app(&call.caller, &service).await?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateBody {
    service: String,
    r#type: Option<String>,
    connection_method: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    data: Map<String, Value>,
    teams: Option<Vec<String>>,
    #[serde(default)]
    goes_along: bool,
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let CreateBody { service, r#type, connection_method: method, params, data, teams, goes_along } = body;
    let new = NewManagedApp { service, r#type, method, params, data, teams, goes_along };
    let made = broker.register_managed_app(&call.caller, new, call.request).await?;
    Ok((StatusCode::CREATED, Answer(object(&made))))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct UpdateBody {
    data: Option<Map<String, Value>>,
    /// In the place of all that were.
    params: Option<BTreeMap<String, String>>,
    /// `null` for all.
    #[serde(deserialize_with = "offered_to")]
    #[schemars(schema_with = "teams")]
    teams: Option<OfferedTo>,
    goes_along: Option<bool>,
    /// Even if connectors stop working by it.
    force: bool,
}

/// A member that is there, `null` or not.
fn offered_to<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OfferedTo>, D::Error> {
    let named = Option::<Vec<String>>::deserialize(deserializer)?;
    Ok(Some(named.map_or(OfferedTo::All, OfferedTo::Only)))
}

fn teams(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    list_of(text()).or_null().inside()
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let UpdateBody { data, params, teams, goes_along, force } = body;
    let change = ManagedAppChange { data, params, teams, goes_along, force };
    let changed = broker.change_managed_app(&call.caller, &service, change, call.request).await?;
    Ok(Answer(object(&changed)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RemoveParams {
    /// Even if connectors are made from it.
    force: Option<bool>,
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(service): Path<String>,
    call: Call,
    Query(params): Query<RemoveParams>,
) -> Result<Answer<Value>, Problem> {
    let force = params.force.unwrap_or(false);
    let connectors = broker.remove_managed_app(&call.caller, &service, force, call.request).await?;
    Ok(Answer(json!({"service": service, "connectors": connectors})))
}
