//! The record, and the deployment.

use carnet_model::Code;

use crate::route::Callers::Person;
use crate::route::{Content, Route, delete, get, post, put};
use crate::{audit, export, keys, usage};

pub(super) fn all() -> Vec<Route> {
    vec![
        get("/v1/audit", Person, "Reads the audit log of the team.", audit::list)
            .gives(200, audit::shape())
            .refuses(&[Code::NotFound]),
        get(
            "/v1/audit/verify",
            Person,
            "Looks whether events are all there, and their details as they were.",
            audit::verify,
        )
        .gives(200, audit::verified_shape()),
        post(
            "/v1/export/secrets",
            Person,
            "Gives the secrets of the team, encrypted to the operator's recovery key.",
            export::secrets,
        )
        .gives(200, export::shape()),
        get("/v1/usage", Person, "Says how many token requests the team has had.", usage::show)
            .gives(200, usage::shape()),
        put(
            "/v1/usage/budget",
            Person,
            "Sets at how many token requests somebody is told.",
            usage::set_budget,
        )
        .gives(200, usage::budget_shape()),
        delete("/v1/usage/budget", Person, "Forgets the team's budget.", usage::remove_budget)
            .gives(204, Content::None),
        get("/v1/keys", Person, "Shows how the keys stand.", keys::status).gives(200, keys::status_shape()),
        post("/v1/keys/rotate", Person, "Turns a key.", keys::rotate).gives(200, keys::rotated_shape()),
        post("/v1/keys/verify", Person, "Opens everything that is sealed, and counts.", keys::verify)
            .gives(200, keys::examined_shape()),
    ]
}
