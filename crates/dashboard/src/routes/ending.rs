//! How a request ended, for the person: the way back to the application, or a page of ours, and what can be done there.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ConsentEnd, Ending, EndingKind, NotYet};
use carnet_model::{Code, SecretString};

use super::browser::{self, Browser};
use super::consent::{ended, failure, host};
use super::path::Path;
use crate::account::AnotherAccount;
use crate::done::{Done, NotDone, Outcome};
use crate::form::{Form, UndoAnswer};
use crate::head::SeeOther;
use crate::label::Label;
use crate::leaving::Leaving;

/// Over: to the application's page, or to ours if it named none. A clean address either way: the code is in neither.
pub(super) fn finished(broker: &Broker, ending: Ending) -> Response {
    if let Some(url) = ending.return_to.as_ref().and_then(SeeOther::to) {
        return url.into_response();
    }
    done(broker, ending)
}

/// Over, in answer to a form: on to the application by a page of its own, because the form's policy would hold a redirect
/// to this server.
pub(super) async fn finished_by_form(broker: &Broker, ending: Ending, secret: &SecretString) -> Response {
    if ending.kind == EndingKind::AnotherAccount {
        return another_account(broker, &ending.request.to_string(), secret).await;
    }
    let app =
        ending.project.as_ref().map_or_else(|| Label::name("the app"), |name| Label::name(name.as_str()));
    match ending.return_to.clone().and_then(|url| Leaving::to(url, app, host(broker))) {
        Some(page) => page.render().into_response(),
        // Read again for the browser in which it ended, which may take it back.
        None => match broker.consent_ending(&ending.request.to_string(), secret).await {
            Ok(again) => done(broker, again),
            Err(_) => done(broker, ending),
        },
    }
}

/// The question whether another account was meant.
pub(super) async fn another_account(broker: &Broker, request: &str, secret: &SecretString) -> Response {
    let question = match broker.account_question(request, secret).await {
        Ok(question) => question,
        Err(end) => return ended(broker, end),
    };
    let app = question.project.as_ref().map(|name| Label::name(name.as_str()));
    let page = AnotherAccount {
        app: app.unwrap_or_else(|| Label::name("Your command line")),
        team: Label::name(&question.team),
        service: Label::name(&question.service),
        before: Label::words(&question.before),
        now: Label::words(&question.now),
        host: host(broker),
        form: Form { action: format!("/authorize/{}", question.request), token: question.form_token },
    };
    page.render().into_response()
}

/// Takes a consent back, at the page that said it was given.
pub(super) async fn undo(
    State(broker): State<Broker>,
    Path(request): Path,
    browser: Browser,
    headers: HeaderMap,
    answer: Result<Posted<UndoAnswer>, FormRejection>,
) -> Response {
    let Ok(Posted(answer)) = answer else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let Some(secret) = browser.0 else { return ended(&broker, ConsentEnd::OtherBrowser) };
    if !browser::from_our_page(&headers) {
        return ended(&broker, ConsentEnd::OtherBrowser);
    }
    match broker.undo_consent(&request, &secret, answer.form_token.expose()).await {
        Ok(ending) => done(&broker, ending),
        Err(end) => ended(&broker, end),
    }
}

pub(super) fn done(broker: &Broker, ending: Ending) -> Response {
    let outcome = match ending.kind {
        EndingKind::Connected { account } if ending.installs => {
            Outcome::Installed { account: account.map(|account| Label::words(&account)) }
        }
        EndingKind::Connected { account } => {
            Outcome::Connected { account: account.map(|account| Label::words(&account)) }
        }
        EndingKind::Completing => Outcome::Completing,
        EndingKind::Undone => Outcome::Undone,
        EndingKind::AnotherAccount => return ended(broker, ConsentEnd::AnotherAccount),
        EndingKind::Canceled => Outcome::Cancelled,
        EndingKind::Failed { code, vendor, reason, .. } => Outcome::Failed {
            why: why_not(&code, reason),
            vendor: vendor.map(|vendor| {
                let words = vendor.description.unwrap_or_default();
                Label::words(format!("{} {words}", vendor.error).trim())
            }),
            request_id: broker.request_id().to_string(),
        },
    };
    let app =
        ending.project.map_or_else(|| Label::name("Your command line"), |name| Label::name(name.as_str()));
    let page = Done {
        outcome,
        app,
        team: Label::name(&ending.team),
        service: Label::name(&ending.service),
        back: None,
        undo: ending
            .form_token
            .map(|token| Form { action: format!("/authorize/{}/undo", ending.request), token }),
        host: host(broker),
    };
    page.render().into_response()
}

fn why_not(code: &str, reason: Option<NotYet>) -> NotDone {
    match reason {
        Some(NotYet::AwaitsApproval) => return NotDone::AwaitsApproval,
        Some(NotYet::InstallerUnknown) => return NotDone::InstallerUnknown,
        None => {}
    }
    match Code::parse(code) {
        Some(Code::ProviderUnavailable | Code::StoreUnavailable | Code::Unavailable) => NotDone::Unavailable,
        Some(Code::ProviderAnswerInvalid) => NotDone::Unusable,
        Some(Code::ConnectorCredentialsRejected) => NotDone::ConnectorRejected,
        Some(Code::InvalidScope) => NotDone::TooLittle,
        Some(Code::Internal) => NotDone::Internal,
        None if code == "authorization_failed" => NotDone::Unusable,
        _ => NotDone::Refused,
    }
}
