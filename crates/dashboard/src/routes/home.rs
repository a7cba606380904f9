//! The page at the root.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::Broker;

use crate::home::{Health, Home};
use crate::label::Label;

pub(super) async fn show(State(broker): State<Broker>) -> Response {
    let health =
        if broker.is_ready().await { Health::Ready } else { Health::NotReady(vec![Label::name("store")]) };
    let settings = broker.settings();
    Home {
        version: env!("CARGO_PKG_VERSION"),
        url: settings.url.clone(),
        development: settings.development,
        health,
    }
    .render()
    .into_response()
}
