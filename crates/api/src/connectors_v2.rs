//! `PATCH /v2/connect/connectors/{connector}`: the later shape, which says besides the connector what has to follow.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ConnectorChange};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors;
use crate::path::Path;
use crate::problem::Problem;
use crate::servers;
use crate::shape::{Shape, flag, object_of, text};
use crate::trigger_wishes::{self, Wished};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct UpdateBody {
    name: Option<String>,
    uid: Option<String>,
    #[schemars(schema_with = "trigger_wishes::schema")]
    triggers: Option<Value>,
    events: Option<Vec<String>>,
    data: Option<Map<String, Value>>,
    icon: Option<String>,
    background_color: Option<String>,
    accent_color: Option<String>,
}

pub(crate) fn shape() -> Shape {
    object_of([
        ("connector", connectors::shape()),
        ("reinstallNeeded?", flag()),
        ("reconsentNeeded?", object_of([("scope", text())])),
        ("serviceSync?", servers::sync_shape()),
    ])
}

pub(crate) async fn update(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
    Json(body): Json<UpdateBody>,
) -> Result<Answer<Value>, Problem> {
    let wished = Wished::read(body.triggers.as_ref(), body.events)?.for_change();
    if let Some(wished) = wished {
        broker.change_triggers(&call.caller, &name, wished, call.request).await?;
    }
    let change = ConnectorChange {
        name: body.name,
        uid: body.uid,
        data: body.data,
        icon: body.icon,
        background_color: body.background_color,
        accent_color: body.accent_color,
        own: false,
    };
    let done = broker.update_connector(&call.caller, &name, change, call.request).await?;
    let mut out = json!({"connector": connectors::connector(&done.connector)});
    if let Some(out) = out.as_object_mut() {
        if done.reinstall {
            out.insert("reinstallNeeded".to_owned(), true.into());
        }
        if done.reconsent {
            out.insert("reconsentNeeded".to_owned(), json!({"scope": "user"}));
        }
        if let Some(sync) = &done.sync {
            out.insert("serviceSync".to_owned(), servers::sync(sync));
        }
    }
    Ok(Answer(out))
}
