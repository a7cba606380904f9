//! `/oauth/authorize`: an app sends somebody here to sign in with a connector.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, GatewayRefused};
use url::form_urlencoded;

use super::consent::failure;
use super::link::refused;
use super::session::Visiting;
use crate::head::SeeOther;

pub(super) async fn authorize(
    State(broker): State<Broker>,
    uri: Uri,
    Visiting(visitor): Visiting,
) -> Response {
    let query = uri.query().unwrap_or_default();
    if query.len() > LONGEST {
        return failure(&broker, StatusCode::URI_TOO_LONG);
    }
    let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let there = match broker.begin_gateway_sign_in(&params, &visitor, broker.request_id()).await {
        Ok(request) => SeeOther::ours(&format!("/authorize/{request}")),
        Err(GatewayRefused::Back(url)) => SeeOther::to(&url),
        Err(GatewayRefused::Page(fault)) => return refused(&broker, fault),
    };
    match there {
        Some(there) => there.into_response(),
        None => failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// State, nonce and address may have two thousand characters each.
const LONGEST: usize = 16 * 1024;
