//! `/login/with/{issuer}`: signing in with an account elsewhere, adding one, and proving again by one.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, CallbackQuery, SignInFor, SignInRefused};
use carnet_model::SecretString;

use super::browser::{self, Browser};
use super::consent::{failure, fault_page, host};
use super::link::refused;
use super::path::Path;
use super::posted::{Posted, PostedByVisitor};
use super::session::{self, Cookie, Visiting, after, to_sign_in};
use super::sign_in::{end_before, on};
use crate::form::{UnlinkAnswer, WithAnswer};
use crate::label::Label;
use crate::leaving::Leaving;
use crate::refused::Refused;

/// To sign in.
pub(super) async fn leave(
    State(broker): State<Broker>,
    Path(name): Path,
    PostedByVisitor { browser, answer }: PostedByVisitor<WithAnswer>,
) -> Response {
    let left = broker.leave_to_sign_in(&name, SignInFor::Entry, &browser, after(&answer.to)).await;
    gone(&broker, &name, left)
}

/// To prove again who one is.
pub(super) async fn leave_again(
    State(broker): State<Broker>,
    Path(name): Path,
    browser: Browser,
    Posted { session, answer }: Posted<WithAnswer>,
) -> Response {
    let secret: SecretString = browser.0.unwrap_or_else(|| browser::fresh(&broker));
    let purpose = SignInFor::Again(&session);
    let left = broker.leave_to_sign_in(&name, purpose, &secret, after(&answer.to)).await;
    browser::remember(gone(&broker, &name, left), &broker, &secret)
}

/// To add an account to the own one.
pub(super) async fn leave_to_link(
    State(broker): State<Broker>,
    Path(name): Path,
    browser: Browser,
    Posted { session, .. }: Posted<WithAnswer>,
) -> Response {
    let secret: SecretString = browser.0.unwrap_or_else(|| browser::fresh(&broker));
    match broker.leave_to_sign_in(&name, SignInFor::Link(&session), &secret, "/account").await {
        Err(SignInRefused::Wrong) => to_sign_in(&broker, "/login/again", "/account"),
        left => browser::remember(gone(&broker, &name, left), &broker, &secret),
    }
}

/// Takes an account off the own one.
pub(super) async fn unlink(
    State(broker): State<Broker>,
    Posted { session, answer }: Posted<UnlinkAnswer>,
) -> Response {
    match broker.remove_sign_in_link(&session, &answer.issuer, &answer.subject).await {
        Ok(()) => on(&broker, "/account"),
        Err(SignInRefused::Wrong) => to_sign_in(&broker, "/login/again", "/account"),
        Err(SignInRefused::Fault(fault)) => refused(&broker, fault),
        Err(_) => failure(&broker, StatusCode::FORBIDDEN),
    }
}

/// Back from there.
pub(super) async fn callback(
    State(broker): State<Broker>,
    Path(name): Path,
    browser: Browser,
    cookie: Cookie,
    visitor: Visiting,
    headers: HeaderMap,
    query: Result<Query<CallbackQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let session = match session::signed_in(&broker, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let secret = browser.0.as_ref();
    match broker.come_back_signed_in(&name, &query, secret, session.as_ref(), &visitor.0).await {
        Ok(back) => {
            let response = on(&broker, &back.back);
            match &back.cookie {
                Some(fresh) => {
                    // Of one that was renewed the cookie before is nobody's by now.
                    end_before(&broker, cookie).await;
                    session::keep(response, &broker, fresh)
                }
                None => response,
            }
        }
        Err(SignInRefused::Fault(fault)) => told(&broker, fault),
        Err(SignInRefused::Wrong) => not_signed_in(
            &broker,
            "You were not signed in there, or with another account than the one you have here.",
        ),
        Err(_) => not_signed_in(
            &broker,
            "This sign-in was begun in another browser, is over, or was answered by somebody else. Begin anew.",
        ),
    }
}

fn gone(broker: &Broker, name: &str, left: Result<url::Url, SignInRefused>) -> Response {
    match left {
        Ok(url) => {
            let label = broker.sign_in_issuers().iter().find(|issuer| issuer.name.as_str() == name);
            let label = label.map_or_else(|| Label::host(&url), |issuer| Label::name(&issuer.label));
            match Leaving::to(url, label, host(broker)) {
                Some(page) => page.render().into_response(),
                None => failure(broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        Err(SignInRefused::Fault(fault)) => told(broker, fault),
        Err(_) => failure(broker, StatusCode::FORBIDDEN),
    }
}

/// What an issuer did is for the person to know; what failed here is not.
fn told(broker: &Broker, fault: carnet_model::Fault) -> Response {
    match fault.code {
        carnet_model::Code::ProviderAnswerInvalid => {
            tracing::warn!(%fault, source = ?fault.source, "somebody could not sign in elsewhere");
            not_signed_in(broker, &fault.message)
        }
        code if code.status() < 500 => refused(broker, fault),
        _ => fault_page(broker, fault),
    }
}

fn not_signed_in(broker: &Broker, message: &str) -> Response {
    let page = Refused {
        status: StatusCode::FORBIDDEN,
        message: Label::words(message),
        next: Vec::new(),
        code: "forbidden",
        host: host(broker),
    };
    page.render().into_response()
}
