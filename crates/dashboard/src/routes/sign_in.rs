//! `/login`, `/login/again`, `/logout`.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, PasskeyFor, SignInRefused};
use carnet_model::SecretString;
use serde::Deserialize;

use super::browser::{self, Browser};
use super::consent::{failure, fault_page, host};
use super::posted::{Posted, PostedByVisitor};
use super::session::{self, Cookie, KnownBrowser, SignedIn, Visiting, after};
use crate::form::{BareAnswer, Form, SignInAnswer};
use crate::head::SeeOther;
use crate::label::Label;
use crate::sign_in::{NotSignedIn, SignIn, SignOut};

/// Where to go afterwards.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Way {
    to: String,
}

pub(super) async fn show(
    State(broker): State<Broker>,
    way: Result<Query<Way>, QueryRejection>,
    browser: Browser,
    headers: HeaderMap,
) -> Response {
    let Way { to } = way.map(|Query(way)| way).unwrap_or_default();
    match session::signed_in(&broker, &headers).await {
        Ok(Some(_)) => on(&broker, &to),
        Ok(None) => page(&broker, browser, "", &to, None),
        Err(response) => response,
    }
}

/// The issuers with whose accounts one can sign in.
pub(super) fn elsewhere_of(broker: &Broker) -> Vec<(String, Label)> {
    let issuers = broker.sign_in_issuers().iter();
    issuers.map(|issuer| (issuer.name.to_string(), Label::name(&issuer.label))).collect()
}

pub(super) async fn enter(
    State(broker): State<Broker>,
    cookie: Cookie,
    known: KnownBrowser,
    visitor: Visiting,
    PostedByVisitor { browser, answer }: PostedByVisitor<SignInAnswer>,
) -> Response {
    let SignInAnswer { email, passphrase, to, .. } = answer;
    match broker.sign_in(&email, &passphrase, known.0.as_ref(), &visitor.0).await {
        Ok(fresh) => {
            end_before(&broker, cookie).await;
            let response = session::keep(on(&broker, &to), &broker, &fresh);
            session::make_known(response, &broker, &email)
        }
        Err(refused) => match told(refused) {
            Ok(why) => page(&broker, Browser(Some(browser)), &email, &to, Some(why)),
            Err(refused) => elsewhere(&broker, refused),
        },
    }
}

pub(super) async fn show_again(
    State(broker): State<Broker>,
    way: Result<Query<Way>, QueryRejection>,
    SignedIn(session): SignedIn,
) -> Response {
    let Way { to } = way.map(|Query(way)| way).unwrap_or_default();
    again(&broker, &session, &to, None).await
}

pub(super) async fn enter_again(
    State(broker): State<Broker>,
    visitor: Visiting,
    Posted { session, answer }: Posted<SignInAnswer>,
) -> Response {
    match broker.sign_in_again(&session, &answer.passphrase, &visitor.0).await {
        Ok(fresh) => session::keep(on(&broker, &answer.to), &broker, &fresh),
        Err(refused) => match told(refused) {
            Ok(why) => again(&broker, &session, &answer.to, Some(why)).await,
            Err(refused) => elsewhere(&broker, refused),
        },
    }
}

pub(super) async fn show_out(State(broker): State<Broker>, SignedIn(session): SignedIn) -> Response {
    let form = Form { action: "/logout".to_owned(), token: broker.session_form(&session) };
    SignOut { email: Label::words(&session.user.email), host: host(&broker), form }.render().into_response()
}

pub(super) async fn leave(
    State(broker): State<Broker>,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    match broker.end_session(&session, &session.row.id.to_string()).await {
        Ok(()) => session::drop_cookie(on(&broker, "/login"), &broker),
        Err(fault) => fault_page(&broker, fault),
    }
}

/// The session that the browser had before is not left behind when somebody signs in, as somebody else perhaps.
pub(super) async fn end_before(broker: &Broker, cookie: Cookie) {
    let Some(secret) = cookie.0 else { return };
    if let Ok(Some(before)) = broker.session(&secret).await
        && let Err(fault) = broker.end_session(&before, &before.row.id.to_string()).await
    {
        tracing::warn!(%fault, "the session before is left to its own end");
    }
}

fn page(broker: &Broker, browser: Browser, email: &str, to: &str, refused: Option<NotSignedIn>) -> Response {
    let secret: SecretString = browser.0.unwrap_or_else(|| browser::fresh(broker));
    let development = broker.settings().development;
    let sign_in = SignIn {
        again: None,
        passkey: super::passkey::asked(broker, PasskeyFor::Entry, &secret),
        elsewhere: elsewhere_of(broker),
        with_passphrase: true,
        email: if email.is_empty() && development { "dev@localhost".to_owned() } else { email.to_owned() },
        to: after(to).to_owned(),
        refused,
        development,
        host: host(broker),
        form: Form { action: "/login".to_owned(), token: broker.sign_in_form(&secret) },
    };
    browser::remember(sign_in.render().into_response(), broker, &secret)
}

async fn again(
    broker: &Broker,
    session: &carnet_engine::Session,
    to: &str,
    refused: Option<NotSignedIn>,
) -> Response {
    // Whoever proves it again does so by what the account has.
    let (with_passphrase, links) =
        match (broker.has_passphrase(session).await, broker.sign_in_links(session).await) {
            (Ok(has), Ok(links)) => (has, links),
            (Err(fault), _) | (_, Err(fault)) => return fault_page(broker, fault),
        };
    let linked =
        |issuer: &&carnet_engine::SignInIssuer| links.iter().any(|link| link.issuer == issuer.issuer);
    let elsewhere = broker.sign_in_issuers().iter().filter(linked);
    let sign_in = SignIn {
        elsewhere: elsewhere.map(|issuer| (issuer.name.to_string(), Label::name(&issuer.label))).collect(),
        passkey: match broker.passkeys(session).await {
            Ok(all) if all.is_empty() => None,
            Ok(_) => super::passkey::asked(broker, PasskeyFor::Again, &broker.session_form(session)),
            Err(fault) => return fault_page(broker, fault),
        },
        with_passphrase,
        again: Some(Label::words(&session.user.email)),
        email: String::new(),
        to: after(to).to_owned(),
        refused,
        development: broker.settings().development,
        host: host(broker),
        form: Form { action: "/login/again".to_owned(), token: broker.session_form(session) },
    };
    sign_in.render().into_response()
}

/// What the page says of it; what is not a matter of this page is given back.
pub(super) fn told(refused: SignInRefused) -> Result<NotSignedIn, SignInRefused> {
    match refused {
        SignInRefused::Wrong => Ok(NotSignedIn::Wrong),
        SignInRefused::Wait(time) if time.as_secs() < 60 => Ok(NotSignedIn::Busy),
        SignInRefused::Wait(time) => Ok(NotSignedIn::Wait(time.as_secs().div_ceil(60))),
        other => Err(other),
    }
}

pub(super) fn elsewhere(broker: &Broker, refused: SignInRefused) -> Response {
    match refused {
        SignInRefused::Fault(fault) => fault_page(broker, fault),
        _ => failure(broker, StatusCode::FORBIDDEN),
    }
}

pub(super) fn on(broker: &Broker, to: &str) -> Response {
    match SeeOther::ours(after(to)) {
        Some(there) => there.into_response(),
        None => failure(broker, StatusCode::INTERNAL_SERVER_ERROR),
    }
}
