//! How the endpoints for programs answer: JSON that nobody may store, errors by RFC 6749 §5.2.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal of the token or revocation endpoint. Sentences keep to the characters of RFC 6749 §5.2: no quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
}

impl Refused {
    /// Most refusals are the caller's fault and have status 400.
    pub(crate) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    pub(crate) const fn invalid_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: "The client is not known here, or its secret is wrong.",
        }
    }

    pub(crate) const fn not_saved() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            description: "The state file cannot be written, so nothing was changed.",
        }
    }

    pub(crate) fn body(self) -> Value {
        json!({"error": self.error, "error_description": self.description})
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = private(self.status, self.body());
        if self.status == StatusCode::UNAUTHORIZED {
            challenge(response.headers_mut(), "Basic realm=\"carnet-demo\", charset=\"UTF-8\"");
        }
        response
    }
}

/// JSON that nobody may store (RFC 6749 §5.1).
pub(crate) fn private(status: StatusCode, body: Value) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Sets `WWW-Authenticate`.
pub(crate) fn challenge(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(WWW_AUTHENTICATE, value);
    }
}
