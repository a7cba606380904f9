//! Carnet as an issuer: discovery and keys. Answered from memory, whatever the store does.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::Broker;
use carnet_model::{Code, Fault, Slug};
use http::{HeaderValue, header};
use serde_json::Value;

use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, anything, list_of, map, object_of, text};

pub(crate) fn jwks_shape() -> Shape {
    object_of([("keys", list_of(map(anything())))]).named("JsonWebKeySet")
}

pub(crate) fn discovery_shape() -> Shape {
    object_of([
        ("issuer", text()),
        ("jwks_uri", text()),
        ("response_types_supported", list_of(text())),
        ("subject_types_supported", list_of(text())),
        ("id_token_signing_alg_values_supported", list_of(text())),
        ("claims_supported", list_of(text())),
    ])
    .open()
    .named("Discovery")
}

pub(crate) async fn jwks(State(broker): State<Broker>) -> Response {
    cached(broker.jwks())
}

pub(crate) async fn discovery(State(broker): State<Broker>) -> Response {
    cached(broker.discovery(None))
}

pub(crate) async fn team_discovery(
    State(broker): State<Broker>,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let slug = Slug::parse(&team).map_err(|_| no_issuer())?;
    if !broker.team_exists(&slug).await? {
        return Err(no_issuer());
    }
    Ok(cached(broker.discovery(Some(&slug))))
}

/// The keys are everybody's, and are given even while the store does not say whether there is such a team.
pub(crate) async fn team_jwks(
    State(broker): State<Broker>,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let slug = Slug::parse(&team).map_err(|_| no_issuer())?;
    if matches!(broker.team_exists(&slug).await, Ok(false)) {
        return Err(no_issuer());
    }
    Ok(cached(broker.jwks()))
}

fn no_issuer() -> Problem {
    Problem(Fault::new(Code::NotFound, "There is no issuer of this name."))
}

/// The public keys of a connector. One that does not exist, one without keys and one that is none look the same.
pub(crate) async fn connector_jwks(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
) -> Result<Response, Problem> {
    let keys = broker.connector_jwks(&connector).await?;
    keys.map(cached).ok_or_else(|| Problem(Fault::new(Code::NotFound, "There are no keys at this address.")))
}

/// A connector as an issuer of its own, for providers that find its keys by discovery.
pub(crate) async fn connector_discovery(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
) -> Result<Response, Problem> {
    let document = broker.connector_discovery(&connector).await?;
    let missing = || Problem(Fault::new(Code::NotFound, "There is no issuer at this address."));
    document.map(cached).ok_or_else(missing)
}

/// Verifiers may keep it for five minutes; a new key is published for longer than that before it signs.
fn cached(value: Value) -> Response {
    let mut response = Answer(value).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
