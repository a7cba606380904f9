//! What may be had: decided, and for the most part recorded, by the engine.

use carnet_model::Code;

use super::{CONNECTOR, PROVIDER};
use crate::route::Callers::{Both, Workload};
use crate::route::{Route, delete, get, post};
use crate::{authorize, connectors, token};

pub(super) fn all() -> Vec<Route> {
    vec![
        post("/v1/connect/authorize/{connector}", Both, "Starts a consent request.", authorize::start)
            .gives(200, authorize::started_shape())
            .refuses(PROVIDER),
        post(
            "/v1/connect/authorize/complete",
            Workload,
            "Redeems the completion code of a consent, where the connector requires it.",
            authorize::complete,
        )
        .gives(200, authorize::progress_shape())
        .refuses(PROVIDER),
        post("/v1/connect/install/{connector}", Both, "Starts an installation request.", authorize::install)
            .gives(200, authorize::started_shape())
            .refuses(PROVIDER),
        get("/v1/connect/result/{verifier}", Both, "Says how a consent request stands.", authorize::result)
            .gives(200, authorize::progress_shape())
            .refuses(&[Code::Gone]),
        get(CONNECTOR, Both, "Describes a connector, without secrets.", connectors::show)
            .gives(200, connectors::shape()),
        delete(
            "/v1/connect/connectors/{connector}/tokens",
            Both,
            "Revokes what is granted to a subject; with an empty object, to everybody.",
            token::revoke,
        )
        .gives(200, token::revoked_shape())
        .refuses(PROVIDER),
    ]
}
