//! Addresses where a GET has an effect: a code is redeemed there, a request for consent begins. A browser that goes there
//! has it; whoever only wants to know about the address has not.

use axum::extract::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Answers HEAD, which is safe by definition (RFC 9110 §9.2.1), and what a browser fetches before its person goes there
/// (Fetch §3.8, `Sec-Purpose`), without asking the page.
pub(super) async fn only(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response();
    }
    if is_ahead(request.headers()) {
        // Nothing is kept of it, so that the browser asks again when the person goes there.
        return (StatusCode::SERVICE_UNAVAILABLE, [(CACHE_CONTROL, "no-store")]).into_response();
    }
    next.run(request).await
}

/// Whether nobody has gone there yet. The older names are of browsers that are still about.
fn is_ahead(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| {
        let said = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = said.to_ascii_lowercase();
        ["prefetch", "prerender", "preview"].into_iter().any(|what| said.contains(what))
    })
}
