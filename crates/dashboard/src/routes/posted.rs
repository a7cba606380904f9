//! Forms that were posted from a page of ours: [`Posted`] by somebody who is signed in, [`PostedByVisitor`] by somebody
//! who is about to be.
//!
//! A handler that takes one of them is not called with anything else: with a form of another origin, or with a token of
//! another session or browser. A browser says where a form comes from, in one header or the other; one that says nothing
//! is held to the token alone.

use axum::extract::{Form, FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use carnet_engine::{Broker, Session};
use carnet_model::SecretString;
use serde::de::DeserializeOwned;

use super::browser::Browser;
use super::consent::failure;
use super::session::SignedIn;
use crate::form::Answer;

/// What was posted in a session.
pub(super) struct Posted<T> {
    /// The session; whoever has none is led to the page to sign in.
    pub(super) session: Session,
    /// What stood in the form.
    pub(super) answer: T,
}

/// What was posted from a page that knows the browser, and nobody in it.
pub(super) struct PostedByVisitor<T> {
    /// The secret that binds the browser.
    pub(super) browser: SecretString,
    /// What stood in the form.
    pub(super) answer: T,
}

impl<T: Answer + DeserializeOwned> FromRequest<Broker> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, broker: &Broker) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let SignedIn(session) = SignedIn::from_request_parts(&mut parts, broker).await?;
        let ours = is_of_our_page(broker, &parts.headers);
        let answer: T = read(Request::from_parts(parts, body), broker).await?;
        if ours && broker.is_session_form(&session, answer.form_token()) {
            Ok(Self { session, answer })
        } else {
            Err(failure(broker, StatusCode::FORBIDDEN))
        }
    }
}

impl<T: Answer + DeserializeOwned> FromRequest<Broker> for PostedByVisitor<T> {
    type Rejection = Response;

    async fn from_request(request: Request, broker: &Broker) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(Browser(browser)) = Browser::from_request_parts(&mut parts, broker).await;
        let ours = is_of_our_page(broker, &parts.headers);
        let answer: T = read(Request::from_parts(parts, body), broker).await?;
        match browser {
            Some(browser) if ours && broker.is_sign_in_form(&browser, answer.form_token()) => {
                Ok(Self { browser, answer })
            }
            _ => Err(failure(broker, StatusCode::FORBIDDEN)),
        }
    }
}

async fn read<T: DeserializeOwned>(request: Request, broker: &Broker) -> Result<T, Response> {
    let form = Form::<T>::from_request(request, broker).await;
    form.map(|Form(answer)| answer).map_err(|_| failure(broker, StatusCode::BAD_REQUEST))
}

/// Whether the browser does not say that a form comes from elsewhere.
pub(super) fn is_of_our_page(broker: &Broker, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.as_bytes() == broker.settings().url.origin().ascii_serialization().as_bytes(),
        None => true,
    }
}
