//! The name in an address. One that is no text gets a page, like everything else that cannot be read.

use axum::extract::{FromRequestParts, Path as Raw};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use carnet_engine::Broker;

use super::consent::failure;

/// The name, decoded.
pub(super) struct Path(pub(super) String);

impl FromRequestParts<Broker> for Path {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        match Raw::from_request_parts(parts, broker).await {
            Ok(Raw(name)) => Ok(Self(name)),
            Err(_) => Err(failure(broker, StatusCode::BAD_REQUEST)),
        }
    }
}
