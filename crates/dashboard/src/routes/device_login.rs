//! `/login/device`: where a command line is signed in.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, DeviceCodeRefused, DeviceLogin, Session};
use serde::Deserialize;

use super::consent::{failure, fault_page, host};
use super::device::later;
use super::path::Path;
use super::posted::Posted;
use super::session::{SignedIn, Visiting, to_sign_in};
use super::sign_in::on;
use crate::device::NoSuchCode;
use crate::device_login::{ConfirmLogin, EnterLoginCode, LoginDecided};
use crate::form::{BareAnswer, Decision, Form, LoginAnswer};
use crate::label::Label;

/// The code in the address of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entered {
    code: Option<String>,
}

pub(super) async fn show(
    State(broker): State<Broker>,
    SignedIn(session): SignedIn,
    visitor: Visiting,
    uri: Uri,
    entered: Result<Query<Entered>, QueryRejection>,
) -> Response {
    let Some(code) = entered.ok().and_then(|Query(entered)| entered.code) else {
        return enter(&broker, None);
    };
    match broker.device_login(&session, &code, visitor.0.address).await {
        Ok(login) => confirm(&broker, &session, login),
        Err(DeviceCodeRefused::NotFresh) => {
            let back = uri.path_and_query().map_or("/login/device", PathAndQuery::as_str);
            to_sign_in(&broker, "/login/again", back)
        }
        Err(refused) => told(&broker, refused),
    }
}

pub(super) async fn decide(
    State(broker): State<Broker>,
    visitor: Visiting,
    Posted { session, answer }: Posted<LoginAnswer>,
) -> Response {
    let team = match (answer.decision, answer.team.as_deref()) {
        (Decision::Deny, _) => None,
        (Decision::Allow, Some(team)) => Some(team),
        (Decision::Allow, None) => return failure(&broker, StatusCode::BAD_REQUEST),
    };
    let decided = match broker.device_login(&session, &answer.code, visitor.0.address).await {
        Ok(login) => broker.decide_device_login(&session, &login, team).await.map(|()| login),
        Err(refused) => Err(refused),
    };
    match decided {
        Ok(login) => {
            let program = Label::name(login.program);
            LoginDecided { program, allowed: team.is_some(), host: host(&broker) }.render().into_response()
        }
        Err(DeviceCodeRefused::NotFresh) => {
            to_sign_in(&broker, "/login/again", &format!("/login/device?code={}", letters(&answer.code)))
        }
        Err(refused) => told(&broker, refused),
    }
}

/// Ends a command line, from the page of the account.
pub(super) async fn end(
    State(broker): State<Broker>,
    Path(id): Path,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    match broker.end_command_line(&session, &id).await {
        Ok(()) => on(&broker, "/account"),
        Err(fault) => fault_page(&broker, fault),
    }
}

fn confirm(broker: &Broker, session: &Session, login: DeviceLogin) -> Response {
    if login.teams.is_empty() {
        return failure(broker, StatusCode::FORBIDDEN);
    }
    let page = ConfirmLogin {
        program: Label::name(login.program),
        asked_from: Label::words(&login.asked_from),
        age: login.age,
        code: Label::name(&login.code),
        email: Label::words(&session.user.email),
        teams: login.teams.iter().map(|(id, name)| (id.to_string(), Label::name(name))).collect(),
        host: host(broker),
        form: Form { action: "/login/device".to_owned(), token: broker.session_form(session) },
    };
    page.render().into_response()
}

fn told(broker: &Broker, refused: DeviceCodeRefused) -> Response {
    match refused {
        DeviceCodeRefused::Wait(time) => {
            later(enter(broker, Some(NoSuchCode::Wait(time.as_secs().div_ceil(60)))), time)
        }
        DeviceCodeRefused::Fault(fault) => fault_page(broker, fault),
        DeviceCodeRefused::Unknown | DeviceCodeRefused::NotFresh => enter(broker, Some(NoSuchCode::Unknown)),
    }
}

fn enter(broker: &Broker, refused: Option<NoSuchCode>) -> Response {
    EnterLoginCode { refused, host: host(broker) }.render().into_response()
}

/// What of a typed code can stand in an address.
fn letters(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphabetic() || *c == '-').take(20).collect()
}
