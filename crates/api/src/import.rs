//! `POST /v1/connect/token/{connector}/import`: tokens that were obtained elsewhere.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Bound, Broker, ImportedToken, TokenToImport};
use carnet_model::{SecretString, Time};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors::refused;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, anything, count, flag, id, list_of, map, object_of, text, time as millis};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImportBody {
    tokens: Vec<TokenBody>,
    /// Whether other accounts' grants that work may be replaced.
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenBody {
    #[schemars(with = "String")]
    access_token: SecretString,
    expires_at: Option<f64>,
    #[schemars(with = "Option<String>")]
    refresh_token: Option<SecretString>,
    refresh_token_expires_at: Option<f64>,
    #[schemars(schema_with = "crate::shape::subject")]
    subject: Value,
    environment: String,
    project_id: Option<String>,
    installation_id: Option<String>,
    audience: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    authorization_details: Option<Vec<Value>>,
    name: Option<String>,
    external_subject: Option<String>,
    installation: Option<Named>,
    tenant: Option<Named>,
    data: Option<Map<String, Value>>,
}

/// An installation or a tenant, by its identifier. The name is for people.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
    #[serde(rename = "name")]
    _name: Option<String>,
}

pub(crate) fn shape() -> Shape {
    let error = object_of([("code", text()), ("message", text())]).open();
    let token = object_of([
        ("succeeded", flag()),
        ("subject", map(text())),
        ("environment", text()),
        ("expiresAt?", millis()),
        ("projectId?", text()),
        ("installationId?", text()),
        ("scopes?", list_of(text())),
        ("resources?", list_of(text())),
        ("audience?", list_of(text())),
        ("authorizationDetails?", list_of(map(anything()))),
        ("refreshTokenExpiresAt?", millis()),
        ("name?", text()),
        ("externalSubject?", text()),
        ("expiresIn?", count()),
        ("grantId?", id("grt")),
        ("unchanged?", flag()),
        ("error?", error),
    ]);
    object_of([
        ("accepted", count()),
        ("imported", count()),
        ("tokens", list_of(token.named("ImportedToken"))),
    ])
}

pub(crate) async fn import(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<ImportBody>,
) -> Result<Answer<Value>, Problem> {
    let ImportBody { tokens, replace } = body;
    let echoes: Vec<Map<String, Value>> = tokens.iter().map(TokenBody::echo).collect();
    let tokens = tokens.into_iter().map(TokenBody::read).collect::<Result<Vec<_>, _>>()?;
    let done = broker.import_tokens(&call.caller, &connector, tokens, replace, call.request).await?;
    let imported = done.tokens.iter().filter(|one| one.outcome.is_ok()).count();
    let tokens: Vec<Value> =
        echoes.into_iter().zip(&done.tokens).map(|(echo, one)| told(echo, one)).collect();
    Ok(Answer(json!({"accepted": tokens.len(), "imported": imported, "tokens": tokens})))
}

/// What was sent, without its secrets, and what became of it.
fn told(mut echo: Map<String, Value>, one: &ImportedToken) -> Value {
    echo.insert("succeeded".to_owned(), one.outcome.is_ok().into());
    if let Some(left) = one.expires_in {
        echo.insert("expiresIn".to_owned(), left.into());
    }
    match &one.outcome {
        Ok(grant) => {
            echo.insert("grantId".to_owned(), grant.to_string().into());
            if one.was_there {
                echo.insert("unchanged".to_owned(), true.into());
            }
        }
        Err(fault) => {
            let error = fault.body().get("error").cloned().unwrap_or_default();
            drop(echo.insert("error".to_owned(), error));
        }
    }
    echo.into()
}

impl TokenBody {
    /// `subject` is read by the engine; until then it is shown only as far as it can hold no secret.
    fn echo(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                out.insert(name.to_owned(), value);
            }
        };
        let subject: Map<String, Value> = ["type", "id", "issuer"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.subject.get(name)?.as_str()?.into())))
            .collect();
        put("subject", Some(subject.into()));
        put("environment", Some(self.environment.clone().into()));
        put("expiresAt", self.expires_at.and_then(|at| crate::token::millis("", at).ok()).map(Value::from));
        put("projectId", self.project_id.clone().map(Value::from));
        put("installationId", self.installation_id.clone().map(Value::from));
        put("scopes", self.scopes.clone().map(Value::from));
        put("resources", self.resources.clone().map(Value::from));
        put("audience", self.audience.clone().map(Value::from));
        put("authorizationDetails", self.authorization_details.clone().map(Value::from));
        let ends = self.refresh_token_expires_at;
        put("refreshTokenExpiresAt", ends.and_then(|at| crate::token::millis("", at).ok()).map(Value::from));
        put("name", self.name.clone().map(Value::from));
        put("externalSubject", self.external_subject.clone().map(Value::from));
        out
    }

    fn read(self) -> Result<TokenToImport, Problem> {
        let details = self.authorization_details.unwrap_or_default();
        if details.iter().any(|detail| !detail.is_object()) {
            return Err(refused("authorizationDetails", "authorizationDetails is a list of objects."));
        }
        if serde_json::to_vec(&details).map_or(true, |text| text.len() > MOST_DETAILS) {
            return Err(refused("authorizationDetails", "authorizationDetails has at most 16 KiB."));
        }
        let installation = match (self.installation_id, self.installation) {
            (Some(id), Some(named)) if id != named.id => {
                return Err(refused(
                    "installationId",
                    "installationId and installation.id are not the same.",
                ));
            }
            (id, named) => id.or(named.map(|named| named.id)),
        };
        let metadata = self.data.unwrap_or_default();
        if serde_json::to_vec(&metadata).map_or(true, |text| text.len() > MOST_DATA) {
            return Err(refused("data", "data has at most 4 KiB."));
        }
        Ok(TokenToImport {
            access_token: self.access_token,
            expires_at: self.expires_at.map(|at| time("expiresAt", at)).transpose()?,
            refresh_token: self.refresh_token,
            refresh_token_expires_at: self
                .refresh_token_expires_at
                .map(|at| time("refreshTokenExpiresAt", at))
                .transpose()?,
            subject: self.subject,
            environment: self.environment,
            project: self.project_id,
            installation,
            tenant: self.tenant.map(|named| named.id),
            scopes: self.scopes,
            bound: Bound {
                resources: self.resources.unwrap_or_default(),
                audience: self.audience.unwrap_or_default(),
                details,
            },
            name: self.name,
            external_subject: self.external_subject,
            metadata,
        })
    }
}

/// A time from a JavaScript number. What lies beyond every calendar never ends.
fn time(field: &str, number: f64) -> Result<Time, Problem> {
    let millis = i64::try_from(crate::token::millis(field, number)?).unwrap_or(i64::MAX);
    Ok(Time::from_millis(millis).min(Time::FAR_FUTURE))
}

/// Of one token's `data`.
const MOST_DATA: usize = 4096;
/// Of one token's `authorizationDetails`: they are presented again with every renewal.
const MOST_DETAILS: usize = 16 * 1024;
