//! The routes for people: consent, device codes, callback, set-up, home, assets.
//!
//! A handler reads the cookie and the form, calls one verb of the engine and renders a page.

mod browser;
mod consent;
mod device;
mod ending;
mod home;
mod setup;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use carnet_engine::Broker;

use crate::assets::asset;

/// The routes of this crate.
pub fn router(broker: Broker) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/authorize/{request}", get(consent::show).post(consent::decide))
        .route("/install/{request}", get(consent::show).post(consent::decide))
        .route("/authorize/{request}/undo", post(ending::undo))
        .route("/device", get(device::show).post(device::enter))
        .route("/callback", get(consent::callback))
        .route("/callback/{connector}", get(consent::callback_of))
        .route("/setup/{secret}", get(setup::show).post(setup::save))
        .route("/assets/{name}", get(one_asset))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(broker)
}

async fn one_asset(Path(name): Path<String>) -> Response {
    asset(&name).map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}
