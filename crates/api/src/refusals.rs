//! What a caller tried and may not, or named and is not there, is on the record before it is told.
//!
//! To a caller, what belongs to another team is not there; so who tries names is seen. A verb that records its own
//! refusals says so in the fault, and nothing is recorded twice.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ManagementRefused};
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
    let named = route.as_ref().and_then(|route| named(route.as_str(), request.uri().path()));
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
    let right = fault.extra.get("right").and_then(|right| right.as_str()).map(str::to_owned);
    let refused = ManagementRefused { operation, code: fault.code, named, right };
    match broker.management_refused(caller, id, refused).await {
        Ok(()) => response,
        Err(fault) => Problem(fault).into_response(),
    }
}

/// The last identifier in the path that stands where the pattern has a name: of what somebody tried to manage. What is no
/// identifier may be anything, and is not written down; neither is that of a ceremony, which is shown to a browser.
fn named(pattern: &str, path: &str) -> Option<String> {
    let told = pattern.split('/').zip(path.split('/')).filter(|(name, _)| name.starts_with('{'));
    let is_managed = |text: &&str| {
        text.split_once('_').is_some_and(|(kind, digits)| {
            MANAGED.contains(&kind)
                && digits.len() == 22
                && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    told.map(|(_, text)| text).filter(is_managed).last().map(str::to_owned)
}

/// The kinds of what is managed by itself; all else is managed in one of them.
const MANAGED: &[&str] = &["team", "prj", "scl", "grt"];

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_last_identifier_of_a_path_is_what_was_tried() {
        let (a, b) = ("scl_5fHaOzobKBvERSd1fA115C", "prj_5fHaOzobKBvERSd1fA115D");
        for (pattern, path, want) in [
            ("/v1/connect/connectors/{connector}", format!("/v1/connect/connectors/{a}"), Some(a)),
            ("/v1/{connector}/projects/{project}", format!("/v1/{a}/projects/{b}"), Some(b)),
            ("/v1/{connector}/projects/{project}", format!("/v1/{a}/projects/my-app"), Some(a)),
            ("/v1/connectors/{connector}", "/v1/connectors/slack%2Fbot".to_owned(), None),
            ("/v1/result/{request}", "/v1/result/car_5fHaOzobKBvERSd1fA115C".to_owned(), None),
            ("/v1/connectors", "/v1/connectors".to_owned(), None),
        ] {
            assert_eq!(named(pattern, &path).as_deref(), want, "{path}");
        }
    }
}
