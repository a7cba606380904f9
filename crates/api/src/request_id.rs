//! The identifier of a request: in the answer, in the log, in the audit event. And the one line logged about it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use carnet_engine::Broker;
use carnet_model::{Fault, Id, kind};
use http::{HeaderName, HeaderValue, Version, header};

use crate::listener::Malformed;
use crate::metrics::Meter;
use crate::problem::Problem;

/// `req_…`, in the extensions of every request.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(pub Id<kind::Request>);

pub(crate) async fn identify(
    State((broker, meter)): State<(Broker, Meter)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = broker.request_id();
    request.extensions_mut().insert(RequestId(id));
    let begun = Instant::now();
    let method = request.method().clone();
    // The pattern, not the path: paths hold identifiers of ceremonies, queries hold codes.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = match request.extensions().get::<Malformed>().copied() {
        Some(malformed) => refuse(malformed, request.version()),
        None => next.run(request).await,
    };
    let status = response.status().as_u16();
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let route = route.as_deref().unwrap_or("(none)");
    let fault = response.extensions_mut().remove::<Arc<Fault>>();
    meter.count(route, &method, status, fault.as_ref().map(|fault| fault.code.as_str()), begun.elapsed());
    match fault {
        Some(fault) if status >= 500 => {
            let source = fault.source.as_ref().map(|source| chain(source.as_ref()));
            tracing::error!(request = %id, %method, route, status, micros, code = fault.code.as_str(), source, "failed");
        }
        Some(fault) => {
            tracing::info!(request = %id, %method, route, status, micros, code = fault.code.as_str(), "refused");
        }
        None => tracing::debug!(request = %id, %method, route, status, micros, "answered"),
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        // The official Python client reports the second as its request identifier.
        headers.insert(HeaderName::from_static("x-vercel-id"), value.clone());
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    response
}

/// What the listener found wrong with the head is said before anybody looks at the request.
fn refuse(malformed: Malformed, version: Version) -> Response {
    let mut response = Problem(malformed.fault()).into_response();
    if let Some(status) = malformed.status {
        *response.status_mut() = status;
    }
    if malformed.ends && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        out.push_str(": ");
        out.push_str(&error.to_string());
        next = error.source();
    }
    out
}
