//! `POST /v1/connect/token/{connector}` and `DELETE /v1/connect/connectors/{connector}/tokens`.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, Issued, Revoked, TokenAsk};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::{Json, Said};
use crate::call::Call;
use crate::connectors::{self, refused};
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, anything, count, id, map, object_of, text, time};

/// The body of a token request. A member that is not known is refused: it may be a narrowing that would be lost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct TokenBody {
    #[schemars(schema_with = "crate::shape::subject")]
    pub(crate) subject: Option<Value>,
    pub(crate) installation_id: Option<String>,
    pub(crate) audience: Option<Vec<String>>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) resources: Option<Vec<String>>,
    pub(crate) authorization_details: Option<Vec<Value>>,
    pub(crate) validity_buffer_ms: Option<f64>,
}

impl TokenBody {
    pub(crate) fn ask(self, connector: String) -> Result<TokenAsk, Problem> {
        let details = self.authorization_details.unwrap_or_default();
        if details.iter().any(|detail| !detail.is_object()) {
            return Err(refused("authorizationDetails", "authorizationDetails is a list of objects."));
        }
        Ok(TokenAsk {
            connector,
            subject: self.subject,
            installation: self.installation_id,
            scopes: self.scopes,
            resources: self.resources.unwrap_or_default(),
            audience: self.audience.unwrap_or_default(),
            details,
            validity_buffer: self
                .validity_buffer_ms
                .map(|number| millis("validityBufferMs", number))
                .transpose()?,
        })
    }
}

/// The number of milliseconds in this field, from a JavaScript number: not negative, not larger than a safe integer.
pub(crate) fn millis(field: &str, number: f64) -> Result<u64, Problem> {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    if !(0.0..=LARGEST).contains(&number) {
        return Err(Problem::field(field, format!("{field} is a number of milliseconds, zero or more.")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked above"
    )]
    Ok(number as u64)
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RevokeBody {
    /// `null` is no subject, and neither everybody.
    #[serde(deserialize_with = "given")]
    #[schemars(schema_with = "crate::shape::subject")]
    subject: Option<Value>,
    installation_id: Option<String>,
    /// That everybody is meant.
    all: bool,
}

fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl RevokeBody {
    /// Everybody is meant by `{}`, as official clients say it, and by `all`: never by a member that somebody forgot.
    fn whose(&self, says_nothing: bool) -> Result<Option<&Value>, Problem> {
        match (&self.subject, self.all) {
            (Some(_), true) => Err(refused("all", "Say whose by subject, or all, but not both.")),
            (None, false) if !says_nothing => Err(refused(
                "subject",
                "Say whose: subject, or all with true. Everybody is meant by {} alone, or by all.",
            )),
            (subject, _) => Ok(subject.as_ref()),
        }
    }
}

/// The one answer in which a provider's token stands.
pub(crate) fn shape() -> Shape {
    object_of([
        ("token", text()),
        ("tokenId", id("stk")),
        ("expiresAt", time()),
        ("connector", object_of([("id", id("scl")), ("uid", text()), ("type", connectors::kind())])),
        ("name?", text()),
        ("installationId?", text()),
        ("tenantId?", text()),
        ("externalSubject?", text()),
        ("metadata?", map(anything())),
        ("claims?", map(anything())),
    ])
    .named("Token")
}

pub(crate) fn revoked_shape() -> Shape {
    object_of([
        ("tokensFound", count()),
        ("deleted", count()),
        ("providerRevoked", count()),
        ("providerSkipped", count()),
        ("providerFailed", count()),
    ])
    .named("Revoked")
}

pub(crate) async fn issue(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Json(body): Json<TokenBody>,
) -> Result<Answer<Value>, Problem> {
    let issued = broker.issue(&call.credential, &body.ask(connector)?, call.request).await?;
    Ok(Answer(answer(&issued)))
}

fn answer(issued: &Issued) -> Value {
    let mut out = json!({
        "token": issued.token.expose(),
        "tokenId": issued.token_id,
        "expiresAt": issued.expires_at,
        "connector": {"id": issued.connector, "uid": issued.uid, "type": issued.r#type.on_the_wire()},
    });
    if let Some(out) = out.as_object_mut() {
        let mut put =
            |name: &str, value: Option<Value>| value.map(|value| out.insert(name.to_owned(), value));
        put("name", issued.name.clone().map(Value::from));
        put("installationId", issued.installation.map(|id| id.to_string().into()));
        put("tenantId", issued.tenant.clone().map(Value::from));
        put("externalSubject", issued.external_subject.clone().map(Value::from));
        put("metadata", Some(issued.metadata.clone()).filter(|map| !map.is_empty()).map(Value::from));
        put("claims", Some(issued.claims.clone()).filter(|map| !map.is_empty()).map(Value::from));
    }
    out
}

pub(crate) async fn revoke(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    call: Call,
    Said { body, is_empty_object }: Said<RevokeBody>,
) -> Result<Answer<Value>, Problem> {
    let installation = body.installation_id.as_deref();
    let whose = body.whose(is_empty_object)?;
    let revoked = broker.revoke(&call.caller, &connector, whose, installation, call.request).await?;
    Ok(Answer(revocation(&revoked)))
}

/// What a revocation did.
pub(crate) fn revocation(revoked: &Revoked) -> Value {
    json!({
        "tokensFound": revoked.found,
        "deleted": revoked.deleted,
        "providerRevoked": revoked.provider_revoked,
        "providerSkipped": revoked.provider_skipped,
        "providerFailed": revoked.provider_failed,
    })
}
