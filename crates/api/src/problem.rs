//! A fault on its way out: status, envelope, `Retry-After`.

use axum::response::{IntoResponse, Response};
use carnet_model::{Code, Fault};
use http::{HeaderValue, StatusCode, header};

/// A [`Fault`] as an HTTP answer.
#[derive(Debug)]
pub struct Problem(pub Fault);

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl Problem {
    /// A request that cannot be read.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self(Fault::new(Code::InvalidRequest, why))
    }

    /// The same, because of this member of its body or this parameter of its query.
    pub(crate) fn field(field: &str, why: impl Into<String>) -> Self {
        Self(Fault::new(Code::InvalidRequest, why).with("field", field))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(fault) = self;
        let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(fault.body())).into_response();
        if let Some(seconds) = fault.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if fault.code == Code::TooLarge {
            // What is left of the body is not read, and so nothing can follow it on this connection.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let scheme = match fault.code {
            Code::Unauthorized => Some("Bearer"),
            Code::InvalidClient => Some("Basic realm=\"carnet\", charset=\"UTF-8\""),
            _ => None,
        };
        if let Some(scheme) = scheme {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        // For the line that is logged about this request; what happened inside stays inside.
        response.extensions_mut().insert(std::sync::Arc::new(fault));
        response
    }
}
