//! Carnet as an issuer: identity tokens for its projects, and for the webhooks it forwards.

mod claims;
mod der;
pub mod rotation;
mod signing;

use serde_json::{Value, json};

use crate::algorithm::Algorithm;

pub use claims::{CustomRuntime, IdentityClaims, NotOurs, ProjectName, ReservedName, Runtime, TeamName};
pub use signing::{InvalidKey, SigningFailed, SigningKey};

/// The discovery document of `issuer` (OpenID Connect Discovery 1.0 §3), as far as it applies to an issuer that has
/// no authorization endpoint.
pub fn discovery_document(issuer: &str, jwks_uri: &str, algorithms: &[Algorithm]) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": claims::NAMES,
    })
}
