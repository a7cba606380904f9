//! The routes for people: consent, device codes, callback, set-up, invitations, signing in, the own account, home, assets.
//!
//! A handler reads the cookie and the form, calls one verb of the engine and renders a page.

mod applications;
mod browser;
mod consent;
mod deliberate;
mod device;
mod device_login;
mod ending;
mod gateway;
mod home;
mod invitation;
mod link;
mod my_account;
mod passkey;
mod path;
mod posted;
mod register;
mod reset;
mod session;
mod setup;
mod sign_in;
mod sign_in_elsewhere;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use carnet_engine::Broker;

use crate::assets::asset;

use path::Path;

/// The routes of this crate.
pub fn router(broker: Broker) -> Router {
    let deliberate = Router::new()
        .route("/oauth/authorize", get(gateway::authorize))
        .route("/api/v1/connect/authorize/{connector}", get(link::authorize))
        .route("/api/v1/connect/install/{connector}", get(link::install))
        .route("/mend/{secret}", get(link::mend))
        .route("/callback", get(consent::callback))
        .route("/callback/{connector}", get(consent::callback_of))
        .route("/register/callback", get(register::callback))
        .route("/login/with/{issuer}/callback", get(sign_in_elsewhere::callback))
        .route_layer(middleware::from_fn(deliberate::only));
    Router::new()
        .merge(deliberate)
        .route("/", get(home::show))
        .route("/authorize/{request}", get(consent::show).post(consent::decide))
        .route("/install/{request}", get(consent::show).post(consent::decide))
        .route("/authorize/{request}/undo", post(ending::undo))
        .route("/device", get(device::show).post(device::enter))
        .route("/register/{registration}", get(register::show).post(register::go))
        .route("/setup/{secret}", get(setup::show).post(setup::save))
        .route("/invitation/{secret}", get(invitation::show).post(invitation::make))
        .route("/invitation/{secret}/join", post(invitation::join))
        .route("/reset/{secret}", get(reset::show).post(reset::save))
        .route("/login", get(sign_in::show).post(sign_in::enter))
        .route("/login/again", get(sign_in::show_again).post(sign_in::enter_again))
        .route("/login/device", get(device_login::show).post(device_login::decide))
        .route("/account/command-lines/{line}/end", post(device_login::end))
        .route("/login/passkey", post(passkey::enter))
        .route("/login/again/passkey", post(passkey::enter_again))
        .route("/account/passkeys", post(passkey::add))
        .route("/account/passkeys/{passkey}/remove", post(passkey::remove))
        .route("/login/with/{issuer}", post(sign_in_elsewhere::leave))
        .route("/login/again/with/{issuer}", post(sign_in_elsewhere::leave_again))
        .route("/account/links/add/{issuer}", post(sign_in_elsewhere::leave_to_link))
        .route("/account/links/remove", post(sign_in_elsewhere::unlink))
        .route("/logout", get(sign_in::show_out).post(sign_in::leave))
        .route("/account", get(my_account::show))
        .route("/account/passphrase", post(my_account::change_passphrase))
        .route("/account/sessions/end", post(my_account::end_others))
        .route("/account/sessions/{session}/end", post(my_account::end_one))
        .route("/applications", get(applications::show).post(applications::register))
        .route("/applications/{service}/secret", post(applications::turn))
        .route("/applications/{service}/remove", post(applications::remove))
        .route("/assets/{name}", get(one_asset))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(broker)
}

async fn one_asset(State(broker): State<Broker>, Path(name): Path) -> Response {
    asset(&name).map_or_else(|| consent::failure(&broker, StatusCode::NOT_FOUND), IntoResponse::into_response)
}

#[cfg(test)]
mod tests {
    use carnet_engine::OWN_PATHS;

    #[test]
    fn no_team_is_called_like_the_first_segment_of_a_path() {
        // axum does not tell its routes, so they are read where they stand.
        let own = include_str!("routes.rs");
        let paths: Vec<_> =
            own.split(".route(\"/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(paths.contains(&"login") && paths.len() > 30, "{paths:?}");
        for path in paths {
            let first = path.split('/').next().unwrap();
            assert!(first.is_empty() || OWN_PATHS.contains(&first), "/{path}");
        }
    }
}
