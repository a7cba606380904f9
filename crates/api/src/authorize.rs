//! `POST /v1/connect/authorize/{connector}` and `POST /v1/connect/install/{connector}`, their completion, and
//! `GET /v1/connect/result/{verifier}`.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{AuthorizationStarted, AuthorizeAsk, Broker, EndingKind, InstallAsk, Progress};
use carnet_model::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors::refused;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, either, id, object_of, one_of, text, time};
use crate::token::{TokenBody, millis};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AuthorizeBody {
    #[schemars(schema_with = "crate::shape::subject")]
    subject: Option<Value>,
    installation_id: Option<String>,
    audience: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    authorization_details: Option<Vec<Value>>,
    validity_buffer_ms: Option<f64>,
    return_url: Option<String>,
    webhook: Option<String>,
    device_code: Option<bool>,
    expires_in_ms: Option<f64>,
    prompt: Option<String>,
    additional_params: Option<BTreeMap<String, String>>,
}

/// A request for consent or installation, and the link that leads to it.
pub(crate) fn started_shape() -> Shape {
    let connector = object_of([
        ("id", id("scl")),
        ("uid", text()),
        ("type", text()),
        ("name", text()),
        ("displayName", text()),
        ("service", text()),
        ("serviceName", text()),
    ]);
    object_of([
        ("url", text()),
        ("request", id("car")),
        ("verifier", text()),
        ("expiresAt", time()),
        ("connector", connector),
        ("deviceCode?", text()),
    ])
    .named("ConsentRequest")
}

/// How a request ended, or stands.
pub(crate) fn progress_shape() -> Shape {
    let status = |name: &str| one_of(&[name]);
    either([
        object_of([("status", status("pending"))]),
        object_of([
            ("status", status("partial")),
            ("progress", text()),
            ("data", object_of([("clientId", id("scl"))])),
        ]),
        object_of([
            ("status", status("success")),
            ("data?", object_of([("clientId", id("scl")), ("installationId?", text())])),
        ]),
        object_of([("status", status("canceled"))]),
        object_of([
            ("status", status("error")),
            ("error", object_of([("code", text()), ("message", text())])),
        ]),
    ])
    .named("Progress")
}

pub(crate) async fn start(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<AuthorizeBody>,
) -> Result<Answer<Value>, Problem> {
    let token = TokenBody {
        subject: body.subject,
        installation_id: body.installation_id,
        audience: body.audience,
        scopes: body.scopes,
        resources: body.resources,
        authorization_details: body.authorization_details,
        validity_buffer_ms: body.validity_buffer_ms,
    };
    let ask = AuthorizeAsk {
        token: token.ask(connector)?,
        return_url: body.return_url,
        webhook: body.webhook,
        device_code: body.device_code.unwrap_or(false),
        expires_in: body.expires_in_ms.map(life).transpose()?,
        prompt: body.prompt,
        additional_params: body.additional_params.unwrap_or_default(),
    };
    let started = broker.start_authorization(&call.caller, &ask, call.request).await?;
    Ok(Answer(begun(&broker, started)))
}

/// How long a request can be used, in whole milliseconds.
fn life(number: f64) -> Result<u64, Problem> {
    if number < 1.0 || number.fract() > 0.0 {
        return Err(refused("expiresInMs", "expiresInMs is a whole number of milliseconds, 1 to 3600000."));
    }
    millis("expiresInMs", number)
}

fn begun(broker: &Broker, started: AuthorizationStarted) -> Value {
    let connector = &started.connector.connector;
    let mut out = json!({
        "url": started.url.as_str(),
        "request": started.request,
        "verifier": started.verifier.expose(),
        "expiresAt": started.expires_at,
        "connector": {
            "id": connector.id,
            "uid": connector.uid,
            "type": connector.r#type.on_the_wire(),
            "name": connector.name,
            "displayName": connector.name,
            "service": connector.service,
            "serviceName": broker.service_name(&started.connector),
        },
    });
    if let (Some(code), Some(out)) = (started.device_code, out.as_object_mut()) {
        out.insert("deviceCode".to_owned(), code.into());
    }
    out
}

/// The body of a request for an installation: a consent's, with a tenant and without a subject.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct InstallBody {
    installation_id: Option<String>,
    audience: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    authorization_details: Option<Vec<Value>>,
    validity_buffer_ms: Option<f64>,
    return_url: Option<String>,
    webhook: Option<String>,
    tenant_id: Option<String>,
    device_code: Option<bool>,
    expires_in_ms: Option<f64>,
}

pub(crate) async fn install(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<InstallBody>,
) -> Result<Answer<Value>, Problem> {
    let token = TokenBody {
        subject: None,
        installation_id: body.installation_id,
        audience: body.audience,
        scopes: body.scopes,
        resources: body.resources,
        authorization_details: body.authorization_details,
        validity_buffer_ms: body.validity_buffer_ms,
    };
    let ask = AuthorizeAsk {
        token: token.ask(connector)?,
        return_url: body.return_url,
        webhook: body.webhook,
        device_code: body.device_code.unwrap_or(false),
        expires_in: body.expires_in_ms.map(life).transpose()?,
        ..AuthorizeAsk::default()
    };
    let install = InstallAsk { ask, tenant: body.tenant_id };
    let started = broker.start_installation(&call.caller, &install, call.request).await?;
    Ok(Answer(begun(&broker, started)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompleteBody {
    #[schemars(with = "String")]
    code: SecretString,
}

/// The application confirms that the person who consented is back in its hands.
pub(crate) async fn complete(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CompleteBody>,
) -> Result<Answer<Value>, Problem> {
    let kind = broker.complete_authorization(&call.caller, body.code.expose(), call.request).await?;
    Ok(Answer(match kind {
        EndingKind::Connected { .. } => json!({"status": "success"}),
        EndingKind::Failed { code, message, .. } => {
            json!({"status": "error", "error": {"code": code, "message": message}})
        }
        EndingKind::Canceled | EndingKind::Undone | EndingKind::AnotherAccount | EndingKind::Completing => {
            json!({"status": "canceled"})
        }
    }))
}

pub(crate) async fn result(
    State(broker): State<Broker>,
    Path(verifier): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    let progress = broker.authorization_result(&call.caller, &verifier).await?;
    Ok(Answer(match progress {
        Progress::Pending => json!({"status": "pending"}),
        Progress::Confirming { connector } => {
            json!({"status": "partial", "progress": "Confirming", "data": {"clientId": connector}})
        }
        Progress::Success { connector, installation } => {
            let mut data = json!({"clientId": connector});
            if let (Some(id), Some(data)) = (installation, data.as_object_mut()) {
                data.insert("installationId".to_owned(), id.to_string().into());
            }
            json!({"status": "success", "data": data})
        }
        Progress::Canceled => json!({"status": "canceled"}),
        Progress::Error { code, message } => {
            json!({"status": "error", "error": {"code": code, "message": message}})
        }
    }))
}
