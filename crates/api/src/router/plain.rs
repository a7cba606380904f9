//! Tokens, whose every refusal the engine records by itself; and what has no caller.

use carnet_model::Code;

use super::PROVIDER;
use crate::route::Callers::{Anybody, Both};
use crate::route::{Content, Route, get, post};
use crate::{device_login, gateway, health, intake, openapi, pictures, servers, token, well_known};

pub(super) fn all() -> Vec<Route> {
    vec![
        post("/v1/connect/token/{connector}", Both, "Gives a token for a subject.", token::issue)
            .gives(200, token::shape())
            .reads()
            .refuses(PROVIDER),
        get(
            "/.well-known/openid-configuration",
            Anybody,
            "Describes this server as an issuer of identity tokens.",
            well_known::discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get("/.well-known/jwks", Anybody, "Gives the keys of identity tokens.", well_known::jwks)
            .gives(200, well_known::jwks_shape()),
        get("/.well-known/jwks.json", Anybody, "Gives the keys of identity tokens.", well_known::jwks)
            .gives(200, well_known::jwks_shape()),
        get(
            "/{team}/.well-known/openid-configuration",
            Anybody,
            "Describes a team's issuer of identity tokens.",
            well_known::team_discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get(
            "/{team}/.well-known/jwks",
            Anybody,
            "Gives the keys of a team's identity tokens.",
            well_known::team_jwks,
        )
        .gives(200, well_known::jwks_shape()),
        get(
            "/connect/jwks/{connector}",
            Anybody,
            "Gives the public keys of a connector, by its identifier.",
            well_known::connector_jwks,
        )
        .gives(200, well_known::jwks_shape()),
        get(
            "/connect/jwks/{connector}/.well-known/openid-configuration",
            Anybody,
            "Describes a connector as an issuer of its own.",
            well_known::connector_discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get(
            "/clients/{team}/{connector}",
            Anybody,
            "Describes a connector's client to servers that read such documents.",
            servers::client_document,
        )
        .gives(200, servers::document_shape()),
        get(
            "/pictures/{connector}/{sha1}",
            Anybody,
            "Gives the picture that a connector shows.",
            pictures::show,
        )
        .gives(200, Content::Other("image/*")),
        post(
            "/login/oauth/device",
            Anybody,
            "Begins to sign in a command line (RFC 8628).",
            device_login::start,
        )
        .gives(200, device_login::started_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape())
        .or(429, device_login::error_shape()),
        post(
            "/login/oauth/token",
            Anybody,
            "Gives a command line that is signed in its tokens, or the next ones.",
            device_login::token,
        )
        .gives(200, device_login::tokens_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape()),
        post("/login/oauth/revoke", Anybody, "Signs a command line out (RFC 7009).", device_login::revoke)
            .gives(200, device_login::revoked_shape())
            .or(400, device_login::error_shape())
            .or(401, device_login::error_shape()),
        post(
            "/login/oauth/introspect",
            Anybody,
            "Says what a token of a command line is (RFC 7662), to whoever holds it.",
            device_login::introspect,
        )
        .gives(200, device_login::introspected_shape())
        .or(400, device_login::error_shape()),
        post(
            "/oauth/token",
            Anybody,
            "Gives an app tokens for a code or a refresh token of somebody who signs in with a connector.",
            gateway::token,
        )
        .gives(200, gateway::tokens_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape())
        .refuses(&[Code::InvalidScope, Code::Forbidden]),
        get(USERINFO, Anybody, "Says who has signed in to an app.", gateway::userinfo)
            .gives(200, gateway::userinfo_shape())
            .refuses(&[Code::Unauthorized]),
        post(USERINFO, Anybody, "Says who has signed in to an app.", gateway::userinfo)
            .gives(200, gateway::userinfo_shape())
            .refuses(&[Code::Unauthorized]),
        post(
            "/oauth/revoke",
            Anybody,
            "Ends somebody's being signed in to an app (RFC 7009).",
            gateway::revoke,
        )
        .gives(200, device_login::revoked_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape()),
        post(INTAKE, Anybody, "Takes an event of a connector's provider.", intake::receive)
            .gives(200, Content::Other("*/*"))
            .or(204, Content::None)
            .refuses(INTAKE_REFUSES),
        get(
            INTAKE,
            Anybody,
            "Answers what a provider asks of the address before it uses it.",
            intake::answer,
        )
        .gives(200, Content::Other("*/*"))
        .refuses(INTAKE_REFUSES),
        get("/openapi.json", Anybody, "Describes this API.", openapi::show).gives(200, openapi::shape()),
        get("/livez", Anybody, "Answers as long as the process does.", health::live)
            .gives(200, Content::Other("text/plain")),
        get("/readyz", Anybody, "Says whether the server can do its work.", health::ready)
            .gives(200, health::shape("ready"))
            .or(503, health::shape("not ready")),
    ]
}

const USERINFO: &str = "/oauth/userinfo";
const INTAKE: &str = "/connect/trigger/{connector}";
const INTAKE_REFUSES: &[Code] = &[Code::Unauthorized, Code::TooLarge, Code::StoreUnavailable];
