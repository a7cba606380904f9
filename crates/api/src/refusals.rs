//! What a caller tried and may not, or named and is not there, is on the record before it is told.
//!
//! To a caller, what belongs to another team is not there; so who tries names is seen. A verb that records its own
//! refusals says so in the fault, and nothing is recorded twice.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carnet_engine::Broker;
use carnet_model::Fault;
use carnet_model::caller::Caller;
use http::StatusCode;

use crate::problem::Problem;
use crate::request_id::RequestId;

/// In the extensions of a request: where it is left who was recognised.
#[derive(Clone, Default)]
pub(crate) struct Recognised(Arc<OnceLock<Arc<Caller>>>);

impl Recognised {
    pub(crate) fn tell(&self, caller: &Arc<Caller>) {
        // One request has one caller; recognising it again says nothing new.
        let _ = self.0.set(caller.clone());
    }
}

/// Records the refusals of the routes inside.
pub(crate) async fn record(State(broker): State<Broker>, mut request: Request, next: Next) -> Response {
    let recognised = Recognised::default();
    request.extensions_mut().insert(recognised.clone());
    // The pattern: a path may hold anything.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let id = request.extensions().get::<RequestId>().map(|id| id.0);
    let response = next.run(request).await;
    if !matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
        return response;
    }
    let (Some(caller), Some(fault)) = (recognised.0.get(), response.extensions().get::<Arc<Fault>>()) else {
        return response;
    };
    if fault.recorded {
        return response;
    }
    let operation = format!("{method} {}", route.as_ref().map_or("", MatchedPath::as_str));
    let id = id.unwrap_or_else(|| broker.request_id());
    match broker.management_refused(caller, id, operation, fault.code).await {
        Ok(()) => response,
        Err(fault) => Problem(fault).into_response(),
    }
}
