//! `/device`: takes a device code and leads to the page of its request.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form as Posted, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, CodeRefused, ConsentEnd, Visitor};
use carnet_model::SecretString;

use super::browser::{self, Browser};
use super::consent::{ended, failure, fault_page, host};
use crate::device::{Device, NoSuchCode};
use crate::form::{DeviceAnswer, Form};
use crate::head::SeeOther;

pub(super) async fn show(State(broker): State<Broker>, browser: Browser) -> Response {
    let secret = browser.0.unwrap_or_else(|| browser::fresh(&broker));
    page(&broker, &secret, None)
}

pub(super) async fn enter(
    State(broker): State<Broker>,
    browser: Browser,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    answer: Result<Posted<DeviceAnswer>, FormRejection>,
) -> Response {
    let Ok(Posted(answer)) = answer else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let Some(secret) = browser.0 else { return ended(&broker, ConsentEnd::OtherBrowser) };
    if !browser::from_our_page(&headers) {
        return ended(&broker, ConsentEnd::OtherBrowser);
    }
    let address = Visitor::seen_by(&headers, peer.map(|Extension(ConnectInfo(peer))| peer.ip()));
    let entered = broker.enter_device_code(&answer.code, &secret, answer.form_token.expose(), address).await;
    match entered {
        Ok(request) => match SeeOther::ours(&format!("/authorize/{request}")) {
            Some(on) => on.into_response(),
            None => failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
        },
        Err(CodeRefused::Unknown) => page(&broker, &secret, Some(NoSuchCode::Unknown)),
        Err(CodeRefused::Wait(time)) => {
            let refused = Some(NoSuchCode::Wait(time.as_secs().div_ceil(60)));
            later(page(&broker, &secret, refused), time)
        }
        Err(CodeRefused::OtherBrowser) => ended(&broker, ConsentEnd::OtherBrowser),
        Err(CodeRefused::Off) => failure(&broker, StatusCode::NOT_FOUND),
        Err(CodeRefused::Fault(fault)) => fault_page(&broker, fault),
    }
}

/// Says to programs too when to come again.
pub(super) fn later(mut answer: Response, time: Duration) -> Response {
    answer.headers_mut().insert(header::RETRY_AFTER, time.as_secs().max(1).into());
    answer
}

fn page(broker: &Broker, secret: &SecretString, refused: Option<NoSuchCode>) -> Response {
    match broker.device_form(secret) {
        Ok(token) => {
            let form = Form { action: "/device".to_owned(), token };
            let page = Device { refused, host: host(broker), form };
            browser::remember(page.render().into_response(), broker, secret)
        }
        Err(_) => failure(broker, StatusCode::NOT_FOUND),
    }
}
