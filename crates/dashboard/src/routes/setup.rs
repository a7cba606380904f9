//! The page behind the set-up link: makes the first team and owner, once.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, FirstOwner};
use carnet_model::{Code, Fault, SecretString};

use super::browser;
use super::consent::{failure, fault_page, host};
use super::path::Path;
use super::session::{self, Visiting};
use crate::ended::{Ended, Why};
use crate::form::{Form, SetupAnswer};
use crate::label::Label;
use crate::setup::{Entry, Setup, SetupDone};

pub(super) async fn show(State(broker): State<Broker>, Path(secret): Path) -> Response {
    match broker.setup_is_open(&secret).await {
        Ok(true) => page(&broker, secret, None),
        Ok(false) => closed(&broker).await,
        Err(fault) => fault_page(&broker, fault),
    }
}

pub(super) async fn save(
    State(broker): State<Broker>,
    Path(secret): Path,
    visitor: Visiting,
    headers: HeaderMap,
    answer: Result<Posted<SetupAnswer>, FormRejection>,
) -> Response {
    let Ok(Posted(answer)) = answer else { return failure(&broker, StatusCode::BAD_REQUEST) };
    // The secret in the link is what proves the right; the page repeats it, so that a form elsewhere cannot be posted.
    if !browser::from_our_page(&headers) || *answer.form_token.expose() != secret {
        return failure(&broker, StatusCode::FORBIDDEN);
    }
    let owner = FirstOwner { team: answer.team, name: answer.name, email: answer.email };
    match broker.set_up(&secret, &owner, &answer.passphrase, &visitor.0).await {
        Ok((done, cookie)) => {
            let page = SetupDone {
                team: Label::name(&done.team.name),
                access_token: SecretString::new(done.token.expose().to_owned()),
                url: broker.settings().url.clone(),
            };
            session::keep(page.render().into_response(), &broker, &cookie)
        }
        Err(fault) if fault.code == Code::Gone => closed(&broker).await,
        Err(fault) if fault.code == Code::InvalidRequest => page(&broker, secret, Some((owner, fault))),
        Err(fault) => fault_page(&broker, fault),
    }
}

fn page(broker: &Broker, secret: String, wrong: Option<(FirstOwner, Fault)>) -> Response {
    let (owner, fault) = wrong.unzip();
    let owner = owner.unwrap_or_else(|| FirstOwner {
        team: String::new(),
        name: String::new(),
        email: String::new(),
    });
    let entry = |field: &str, value: String| Entry {
        value,
        error: fault
            .as_ref()
            .filter(|fault| fault.extra.get("field").is_some_and(|named| named == field))
            .map(|fault| fault.message.clone()),
    };
    let setup = Setup {
        team: entry("team", owner.team),
        name: entry("name", owner.name),
        email: entry("email", owner.email),
        passphrase: entry("passphrase", String::new()),
        host: host(broker),
        form: Form { action: format!("/setup/{secret}"), token: SecretString::new(secret) },
    };
    setup.render().into_response()
}

async fn closed(broker: &Broker) -> Response {
    let why = match broker.needs_setup().await {
        Ok(false) => Why::SetupUsed,
        Ok(true) => Why::SetupExpired,
        Err(fault) => return fault_page(broker, fault),
    };
    Ended { why, app: None, host: host(broker) }.render().into_response()
}
