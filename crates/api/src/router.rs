//! Every route of the API, and what frames them. `/openapi.json` is made of this list.
//!
//! One file per group. What a route reads is taken from its handler; what it answers stands beside it, and the tests
//! compare the two. A status that does not follow from the form of a request (`422` of a provider's making) is named with
//! `refuses`.

mod asking;
mod connecting;
mod looking;
mod plain;
mod projects_and_people;

use axum::Router;
use axum::middleware;
use carnet_engine::Broker;
use carnet_model::{Code, Fault};

use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::route::Route;
use crate::{refusals, request_id};

/// The routes of the API. A connector is one segment: its identifier, or its UID percent-encoded.
pub fn router(broker: Broker) -> Router {
    let (plain, recorded) = all();
    let recorded =
        served(recorded).route_layer(middleware::from_fn_with_state(broker.clone(), refusals::record));
    served(plain).merge(recorded).with_state(broker)
}

/// All of them, described.
pub fn routes() -> Vec<Route> {
    let (plain, recorded) = all();
    plain.into_iter().chain(recorded).collect()
}

/// Those without, and those with a record of their refusals around them.
fn all() -> (Vec<Route>, Vec<Route>) {
    let recorded = [asking::all(), connecting::all(), looking::all(), projects_and_people::all()];
    (plain::all(), recorded.into_iter().flatten().collect())
}

fn served(routes: Vec<Route>) -> Router<Broker> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

/// What goes around all routes, those of other crates too: the request's identifier, figures about all of them, and
/// answers for what is not there.
pub fn frame(routes: Router, broker: Broker, metrics: &Metrics) -> Router {
    let meter = metrics.meter();
    routes
        .route(metrics::PATH, metrics.at_the_door(broker.clone()))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || {
            Problem(Fault::new(Code::MethodNotAllowed, "This path does not take this method."))
        })
        .layer(middleware::from_fn_with_state((broker, meter), request_id::identify))
}

/// The answer where there is nothing.
pub(crate) fn nothing_here() -> Problem {
    Problem(Fault::new(
        Code::NotFound,
        "There is nothing at this path. The API is at the root of this address.",
    ))
}

// A path of two groups.
const CONNECTOR: &str = "/v1/connect/connectors/{connector}";

/// What comes of asking a provider, or of what a connector is.
const PROVIDER: &[Code] = &[
    Code::NoToken,
    Code::Gone,
    Code::ProviderAnswerInvalid,
    Code::ProviderUnavailable,
    Code::StoreUnavailable,
];

#[cfg(test)]
mod tests {
    use carnet_engine::OWN_PATHS;

    use super::*;

    #[test]
    fn no_team_is_called_like_the_first_segment_of_a_path() {
        for path in routes().iter().map(|route| route.path).chain([metrics::PATH]) {
            let first = path.split('/').nth(1).unwrap();
            // The issuers of the teams themselves, and what no short name begins with.
            let is_open = first.starts_with(['{', '.']);
            assert!(is_open || OWN_PATHS.contains(&first), "{path}");
        }
    }
}
