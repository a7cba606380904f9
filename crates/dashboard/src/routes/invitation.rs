//! `/invitation/{secret}`: the page of an invitation, where its person joins.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, InvitationView, NewAccount, Session, SignInRefused};
use carnet_model::{Code, Fault, SecretString};

use super::browser::{self, Browser};
use super::consent::{failure, fault_page, host};
use super::link::refused;
use super::path::Path;
use super::posted::{Posted, PostedByVisitor};
use super::session::{self, Cookie, Visiting, to_sign_in};
use super::sign_in::end_before;
use crate::ended::{Ended, Why};
use crate::form::{BareAnswer, Form, JoinAnswer};
use crate::invitation::{Invitation, Joined, Reader};
use crate::label::Label;
use crate::request::span;
use crate::setup::Entry;

pub(super) async fn show(
    State(broker): State<Broker>,
    Path(secret): Path,
    browser: Browser,
    headers: HeaderMap,
) -> Response {
    match session::signed_in(&broker, &headers).await {
        Ok(Some(session)) => to_member(&broker, &session, &secret).await,
        Ok(None) => {
            let browser = browser.0.unwrap_or_else(|| browser::fresh(&broker));
            to_stranger(&broker, &browser, &secret, None).await
        }
        Err(response) => response,
    }
}

/// Whoever is signed in joins.
pub(super) async fn join(
    State(broker): State<Broker>,
    Path(secret): Path,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    if !broker.is_fresh(&session) {
        return to_sign_in(&broker, "/login/again", &path(&secret));
    }
    match broker.join_with_session(&session, &secret, broker.request_id()).await {
        Ok(team) => joined(&broker, &Label::name(&team.name)),
        Err(fault) if fault.code == Code::Gone => ended(&broker),
        // The page says it in its own words.
        Err(fault) if matches!(fault.code, Code::Conflict | Code::Forbidden) => {
            to_member(&broker, &session, &secret).await
        }
        Err(fault) => fault_page(&broker, fault),
    }
}

/// A stranger makes an account and joins.
pub(super) async fn make(
    State(broker): State<Broker>,
    Path(secret): Path,
    cookie: Cookie,
    visitor: Visiting,
    PostedByVisitor { browser, answer }: PostedByVisitor<JoinAnswer>,
) -> Response {
    let team = match broker.invitation_shown(&secret).await {
        Ok(view) => Label::name(&view.team.name),
        Err(fault) => return told(&broker, fault),
    };
    let who = NewAccount { name: answer.name, email: answer.email };
    let made =
        broker.join_with_new_account(&secret, &who, &answer.passphrase, &visitor.0, broker.request_id());
    match made.await {
        Ok(fresh) => {
            end_before(&broker, cookie).await;
            session::keep(joined(&broker, &team), &broker, &fresh)
        }
        Err(SignInRefused::Fault(fault)) if fault.extra.contains_key("field") => {
            to_stranger(&broker, &browser, &secret, Some((who, fault))).await
        }
        Err(SignInRefused::Fault(fault)) => told(&broker, fault),
        Err(SignInRefused::Wait(_)) => {
            let message = "There were too many tries from your network. Try again in a quarter of an hour.";
            refused(&broker, Fault::new(Code::RateLimited, message))
        }
        Err(_) => failure(&broker, StatusCode::FORBIDDEN),
    }
}

async fn to_stranger(
    broker: &Broker,
    browser: &SecretString,
    secret: &str,
    wrong: Option<(NewAccount, Fault)>,
) -> Response {
    let view = match broker.invitation_shown(secret).await {
        Ok(view) => view,
        Err(fault) => return told(broker, fault),
    };
    let (who, fault) = wrong.unzip();
    let who = who.unwrap_or_else(|| NewAccount { name: String::new(), email: String::new() });
    let entry = |field: &str, value: String| Entry {
        value,
        error: fault
            .as_ref()
            .filter(|fault| fault.extra.get("field").is_some_and(|named| named == field))
            .map(|fault| fault.message.clone()),
    };
    let reader = Reader::Stranger {
        name: entry("name", who.name),
        email: entry("email", who.email),
        passphrase: entry("passphrase", String::new()),
        sign_in: format!("/login?to={}", path(secret).replace('/', "%2F")),
        form: Form { action: path(secret), token: broker.sign_in_form(browser) },
    };
    browser::remember(page(broker, &view, reader), broker, browser)
}

async fn to_member(broker: &Broker, session: &Session, secret: &str) -> Response {
    let view = match broker.invitation_shown(secret).await {
        Ok(view) => view,
        Err(fault) => return told(broker, fault),
    };
    let email = Label::words(&session.user.email);
    let is_for = |email: &String| email.eq_ignore_ascii_case(&session.user.email);
    let reader = match broker.teams_of_session(session).await {
        Ok(teams) if teams.iter().any(|found| found.team.id == view.team.id) => Reader::Already { email },
        Ok(_) if !view.email.as_ref().is_none_or(is_for) => Reader::Another { email },
        Ok(_) => {
            let form = Form { action: format!("{}/join", path(secret)), token: broker.session_form(session) };
            Reader::SignedIn { email, form }
        }
        Err(fault) => return fault_page(broker, fault),
    };
    page(broker, &view, reader)
}

fn page(broker: &Broker, view: &InvitationView, reader: Reader) -> Response {
    let page = Invitation {
        team: Label::name(&view.team.name),
        role: view.role,
        by: Label::name(&view.by.name),
        by_email: Label::words(&view.by.email),
        only: view.email.as_deref().map(Label::words),
        left: span(broker.env().now().until(view.expires_at)),
        reader,
        host: host(broker),
    };
    page.render().into_response()
}

fn joined(broker: &Broker, team: &Label) -> Response {
    Joined { team: team.clone(), url: broker.settings().url.clone() }.render().into_response()
}

fn told(broker: &Broker, fault: Fault) -> Response {
    match fault.code {
        Code::Gone => ended(broker),
        code if code.status() < 500 => refused(broker, fault),
        _ => fault_page(broker, fault),
    }
}

fn ended(broker: &Broker) -> Response {
    Ended { why: Why::InvitationEnded, app: None, host: host(broker) }.render().into_response()
}

fn path(secret: &str) -> String {
    format!("/invitation/{secret}")
}
