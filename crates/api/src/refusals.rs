//! What a caller tried and may not, or named and is not there, is on the record before it is told.
//!
//! To a caller, what belongs to another team is not there; so who tries names is seen. A verb that records its own
//! refusals says so in the fault, and nothing is recorded twice.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Manageable, ManagementRefused};
use carnet_model::Fault;
use carnet_model::caller::Caller;
use http::StatusCode;

use crate::gateway::decoded;
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
    let address = request.uri().clone();
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
    let pattern = route.as_ref().map_or("", MatchedPath::as_str);
    let (operation, named) = (format!("{method} {pattern}"), named(pattern, address.path()));
    let id = id.unwrap_or_else(|| broker.request_id());
    let right = fault.extra.get("right").and_then(|right| right.as_str()).map(str::to_owned);
    let refused = ManagementRefused { operation, code: fault.code, named, right };
    match broker.management_refused(caller, id, refused).await {
        Ok(()) => response,
        Err(fault) => Problem(fault).into_response(),
    }
}

/// What the path names of what is managed, the innermost first: as what, and by which identifier or name.
fn named(pattern: &str, path: &str) -> Vec<(Manageable, String)> {
    let told = pattern.split('/').zip(path.split('/'));
    let read = |(what, text): (&str, &str)| {
        let what = match what {
            "{team}" => Manageable::Team,
            "{project}" => Manageable::Project,
            "{connector}" => Manageable::Connector,
            "{grant}" => Manageable::Grant,
            _ => return None,
        };
        Some((what, decoded(text)?))
    };
    let mut named: Vec<_> = told.filter_map(read).collect();
    named.reverse();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_what_the_path_names_from_the_inside_out() {
        let (connector, project) = (Manageable::Connector, Manageable::Project);
        for (pattern, path, want) in [
            ("/v1/connectors/{connector}", "/v1/connectors/slack%2Fbot", &[(connector, "slack/bot")][..]),
            (
                "/v1/{connector}/projects/{project}",
                "/v1/scl_1/projects/app",
                &[(project, "app"), (connector, "scl_1")],
            ),
            ("/v1/{connector}/deliveries/{delivery}", "/v1/scl_1/deliveries/dlv_1", &[(connector, "scl_1")]),
            ("/v1/connectors/{connector}", "/v1/connectors/%ff", &[]),
            ("/v1/result/{request}", "/v1/result/car_5fHaOzobKBvERSd1fA115C", &[]),
            ("/v1/connectors", "/v1/connectors", &[]),
            ("", "/", &[]),
        ] {
            let want: Vec<_> = want.iter().map(|(what, name)| (*what, (*name).to_owned())).collect();
            assert_eq!(named(pattern, path), want, "{path}");
        }
    }
}
