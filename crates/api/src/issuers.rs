//! Trusted issuers of workload identities.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{
    Broker, Comparison, Family, IssuerCheck, IssuerRow, SignatureFound, TokenCheck, TrustedIssuerConfig,
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::connectors::refused;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::Whole;
use crate::shape::{Shape, anything, count, flag, id, list_of, map, object_of, one_of, text, time};

/// The configuration as it was given, with its identifier and times.
fn object(row: &IssuerRow) -> Value {
    let mut out: Map<String, Value> = serde_json::from_str(&row.config).unwrap_or_default();
    out.insert("id".to_owned(), row.id.to_string().into());
    out.insert("createdAt".to_owned(), row.created_at.millis().into());
    out.insert("updatedAt".to_owned(), row.updated_at.millis().into());
    Value::Object(out)
}

/// A configuration; the engine reads it, and says what is wrong with it by name.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct IssuerBody(#[schemars(schema_with = "issuer_schema")] Value);

fn issuer_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    // A project may be called by its name.
    config_shape(text(), []).inside()
}

/// A configuration as people write it, with some members more.
fn config_shape<const N: usize>(project: Shape, more: [(&str, Shape); N]) -> Shape {
    let rule = object_of([
        ("project", project),
        ("environment", text()),
        ("claims", map(anything())),
        ("subjects?", list_of(one_of(&["app", "user", "jwt-bearer", "token"]))),
    ]);
    object_of([
        ("issuer?", text()),
        ("family?", text()),
        ("account?", text()),
        ("jwksUri?", text()),
        ("jwks?", map(anything())),
        ("audiences", list_of(text())),
        ("algorithms?", list_of(text())),
        ("types?", list_of(text())),
        ("maxLifeSeconds?", count()),
        ("maxAgeSeconds?", count()),
        ("rules?", list_of(rule)),
    ])
    .with(more)
}

pub(crate) fn shape() -> Shape {
    config_shape(id("prj"), [("id", id("iss")), ("createdAt", time()), ("updatedAt", time())])
        .named("TrustedIssuer")
}

pub(crate) fn all_shape() -> Shape {
    object_of([("trustedIssuers", list_of(shape()))])
}

pub(crate) fn report_shape() -> Shape {
    let compared =
        object_of([("what", text()), ("wanted", anything()), ("found", anything()), ("fits", flag())])
            .named("Comparison");
    let token = object_of([
        ("claims", map(anything()).or_null()),
        ("compared", list_of(compared.clone())),
        ("rules", list_of(list_of(compared))),
        ("signature", one_of(&["good", "wrong", "no-key", "unchecked"])),
        ("unchecked", text().or_null()),
        ("matched", count().or_null()),
        ("refusal", text().or_null()),
    ]);
    object_of([
        ("trustedIssuer", config_shape(id("prj"), [])),
        ("weaknesses", list_of(text())),
        ("safeRules", list_of(map(anything()).or_null())),
        ("token", token.or_null()),
    ])
}

pub(crate) fn families_shape() -> Shape {
    let family = object_of([
        ("family", text()),
        ("title", text()),
        ("issuer", text().or_null()),
        ("claims", list_of(text())),
        ("oneOf", list_of(list_of(text()))),
        ("remedy", text().or_null()),
    ]);
    object_of([("families", list_of(family))])
}

pub(crate) async fn list(
    State(broker): State<Broker>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let found = broker.trusted_issuers(&call.caller).await?;
    Ok(Answer(json!({"trustedIssuers": found.iter().map(object).collect::<Vec<_>>()})))
}

pub(crate) async fn create(
    State(broker): State<Broker>,
    call: Call,
    Json(IssuerBody(body)): Json<IssuerBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let made = broker.trust_issuer(&call.caller, &body, call.request).await?;
    Ok((StatusCode::CREATED, Answer(object(&made))))
}

/// The body of a check.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CheckBody {
    #[schemars(schema_with = "issuer_schema")]
    trusted_issuer: Value,
    token: Option<String>,
}

pub(crate) async fn check(
    State(broker): State<Broker>,
    call: Call,
    Json(body): Json<CheckBody>,
) -> Result<Answer<Value>, Problem> {
    if !body.trusted_issuer.is_object() {
        return Err(refused("trustedIssuer", "trustedIssuer is an object."));
    }
    let checked = broker.check_issuer(&call.caller, &body.trusted_issuer, body.token.as_deref()).await?;
    Ok(Answer(report(&checked)))
}

fn report(checked: &IssuerCheck) -> Value {
    let config: &TrustedIssuerConfig = &checked.config;
    json!({
        "trustedIssuer": config,
        "weaknesses": checked.weaknesses,
        "safeRules": checked.safe_rules,
        "token": checked.token.as_ref().map(token_report),
    })
}

fn token_report(token: &TokenCheck) -> Value {
    let (signature, unchecked) = match &token.signature {
        SignatureFound::Good => ("good", None),
        SignatureFound::Wrong => ("wrong", None),
        SignatureFound::NoKey => ("no-key", None),
        SignatureFound::Unchecked(why) => ("unchecked", Some(why)),
    };
    json!({
        "claims": token.claims,
        "compared": token.compared.iter().map(compared).collect::<Vec<_>>(),
        "rules": token.rules.iter().map(|rule| rule.iter().map(compared).collect()).collect::<Vec<Vec<_>>>(),
        "signature": signature,
        "unchecked": unchecked,
        "matched": token.matched,
        "refusal": token.refusal,
    })
}

fn compared(comparison: &Comparison) -> Value {
    json!({
        "what": comparison.what,
        "wanted": comparison.wanted,
        "found": comparison.found,
        "fits": comparison.fits,
    })
}

/// The platforms that are known, with what a rule about their tokens must have.
pub(crate) async fn families(
    State(broker): State<Broker>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let known = broker.identity_families(&call.caller)?;
    let family = |family: Family| {
        let (claims, one_of) = family.required_claims();
        json!({
            "family": family,
            "title": family.title(),
            "issuer": family.issuer_form(),
            "claims": claims,
            "oneOf": one_of,
            "remedy": family.remedy(),
        })
    };
    Ok(Answer(json!({"families": known.into_iter().map(family).collect::<Vec<_>>()})))
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.trusted_issuer(&call.caller, &id).await?)))
}

pub(crate) async fn remove(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    broker.distrust_issuer(&call.caller, &id, call.request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
