//! Every route of the API, and what frames them.

use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, patch, post};
use carnet_engine::Broker;
use carnet_model::{Code, Fault};

use crate::problem::Problem;
use crate::{
    access_tokens, audit, authorize, connector_keys, connectors, connectors_v2, consent_rules, contacts,
    explain, grants, health, import, installations, issuers, keys, links, pictures, platform, projects,
    provisioning, refusals, request_id, servers, services, token, trigger_destinations, well_known,
};

/// The routes of the API. A connector is one segment: its identifier, or its UID percent-encoded.
pub fn router(broker: Broker) -> Router {
    let management =
        management().route_layer(middleware::from_fn_with_state(broker.clone(), refusals::record));
    asking().merge(management).with_state(broker)
}

/// What may be had is decided and recorded by the engine, refusals too.
fn asking() -> Router<Broker> {
    Router::new()
        .route("/v1/connect/token/{connector}", post(token::issue))
        .route("/v1/connect/authorize/{connector}", post(authorize::start))
        .route("/v1/connect/authorize/complete", post(authorize::complete))
        .route("/v1/connect/install/{connector}", post(authorize::install))
        .route("/v1/connect/result/{verifier}", get(authorize::result))
        .route("/v1/connect/connectors/{connector}", get(connectors::show))
        .route("/v1/connect/connectors/{connector}/tokens", delete(token::revoke))
        .route("/.well-known/openid-configuration", get(well_known::discovery))
        .route("/.well-known/jwks", get(well_known::jwks))
        .route("/.well-known/jwks.json", get(well_known::jwks))
        .route("/{team}/.well-known/openid-configuration", get(well_known::team_discovery))
        .route("/{team}/.well-known/jwks", get(well_known::jwks))
        .route("/connect/jwks/{connector}", get(well_known::connector_jwks))
        .route("/clients/{team}/{connector}", get(servers::client_document))
        .route("/pictures/{connector}/{sha1}", get(pictures::show))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
}

/// What people set up and look at.
fn management() -> Router<Broker> {
    Router::new()
        .route("/v1/connect/connectors", get(connectors::list_v1).post(connectors::create))
        .route("/v1/connect/connectors/managed", post(connectors::create_managed))
        .route("/v1/connect/connectors/{connector}", patch(connectors::update).delete(connectors::remove))
        .route("/v1/connect/connectors/managed/oauth", post(provisioning::provision))
        .route("/v1/connect/connectors/{connector}/managed/eject", post(connectors::eject))
        .route("/v1/connect/connectors/{connector}/contacts", post(contacts::add))
        .route(
            "/v1/connect/connectors/{connector}/trigger-destinations",
            patch(trigger_destinations::replace),
        )
        .route("/v1/connect/connectors/{connector}/projects", get(links::of_connector))
        .route(
            "/v1/connect/connectors/{connector}/projects/{project}",
            get(links::show).post(links::put).delete(links::remove),
        )
        .route(
            "/v1/connect/connectors/{connector}/installations",
            get(installations::list).post(installations::create),
        )
        .route(
            "/v1/connect/connectors/{connector}/installations/{installation}",
            delete(installations::remove),
        )
        .route("/v1/connect/connectors/{connector}/server", get(servers::check).post(servers::accept))
        .route("/v1/connect/connectors/{connector}/explain", get(explain::explain))
        .route("/v1/connect/connectors/{connector}/grants", get(grants::list))
        .route("/v1/connect/grants/{grant}", get(grants::show).delete(grants::revoke))
        .route(
            "/v1/connect/connectors/{connector}/keys",
            get(connector_keys::list).post(connector_keys::turn),
        )
        .route(
            "/v1/connect/connectors/{connector}/consent-rules",
            get(consent_rules::show).patch(consent_rules::change),
        )
        .route("/v1/connect/token/{connector}/import", post(import::import))
        .route("/v1/connect/services/{service}", get(services::show))
        .route("/v2/connect/connectors", get(connectors::list_v2))
        .route("/v2/connect/connectors/{connector}", patch(connectors_v2::update))
        .route("/v2/connect/connectors/{connector}/projects", get(links::of_connector))
        .route("/v2/connect/projects/{project}/connectors", get(links::of_project))
        .route("/v2/files", post(pictures::upload))
        .route("/v2/user", get(platform::user))
        .route("/v1/teams", get(platform::teams))
        .route("/v2/teams", get(platform::teams))
        .route("/teams/{team}", get(platform::team))
        .route("/v9/projects", get(projects::list).post(projects::create))
        .route("/v9/projects/{project}", get(projects::show).delete(projects::remove))
        .route("/v1/projects/{project}/provisioning", get(provisioning::show).put(provisioning::set))
        .route(
            "/v1/projects/{project}/return-origins",
            get(consent_rules::origins).put(consent_rules::set_origins),
        )
        .route(
            "/projects/{project}/custom-environments",
            get(projects::environments).post(projects::create_environment),
        )
        .route("/projects/{project}/custom-environments/{environment}", delete(projects::remove_environment))
        .route(
            "/v9/projects/{project}/custom-environments",
            get(projects::environments).post(projects::create_environment),
        )
        .route(
            "/v9/projects/{project}/custom-environments/{environment}",
            delete(projects::remove_environment),
        )
        .route("/projects/{project}/token", post(platform::development_token))
        .route("/v1/projects/{project}/token", post(platform::development_token))
        .route("/v3/env/pull/{project}/{target}", get(platform::env_pull))
        .route("/v1/trusted-issuers", get(issuers::list).post(issuers::create))
        .route("/v1/trusted-issuers/check", post(issuers::check))
        .route("/v1/trusted-issuers/families", get(issuers::families))
        .route("/v1/trusted-issuers/{issuer}", get(issuers::show).delete(issuers::remove))
        .route("/v1/access-tokens", get(access_tokens::list).post(access_tokens::create))
        .route("/v1/access-tokens/{token}", delete(access_tokens::revoke))
        .route("/v1/audit", get(audit::list))
        .route("/v1/audit/verify", get(audit::verify))
        .route("/v1/keys", get(keys::status))
        .route("/v1/keys/rotate", post(keys::rotate))
        .route("/v1/keys/verify", post(keys::verify))
}

/// What goes around all routes, those of other crates too: the request's identifier, and answers for what is not there.
pub fn frame(routes: Router, broker: Broker) -> Router {
    routes
        .fallback(async || {
            Problem(Fault::new(
                Code::NotFound,
                "There is nothing at this path. The API is at the root of this address.",
            ))
        })
        .method_not_allowed_fallback(async || {
            Problem(Fault::new(Code::MethodNotAllowed, "This path does not take this method."))
        })
        .layer(middleware::from_fn_with_state(broker, request_id::identify))
}
