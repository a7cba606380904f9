//! `/reset/{secret}`: a person who has lost the passphrase chooses another one.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, SignInRefused};
use carnet_model::{Code, Fault, SecretString};

use super::consent::{failure, fault_page, host};
use super::link::refused;
use super::path::Path;
use super::posted::is_of_our_page;
use super::session::Visiting;
use super::sign_in::elsewhere;
use crate::ended::{Ended, Why};
use crate::form::{Form, ResetAnswer};
use crate::label::Label;
use crate::reset::{Reset, ResetDone};
use crate::setup::Entry;

pub(super) async fn show(State(broker): State<Broker>, Path(secret): Path) -> Response {
    page(&broker, secret, None).await
}

pub(super) async fn save(
    State(broker): State<Broker>,
    Path(secret): Path,
    visitor: Visiting,
    headers: HeaderMap,
    answer: Result<Posted<ResetAnswer>, FormRejection>,
) -> Response {
    let Ok(Posted(answer)) = answer else { return failure(&broker, StatusCode::BAD_REQUEST) };
    if !is_of_our_page(&broker, &headers) || *answer.form_token.expose() != secret {
        return failure(&broker, StatusCode::FORBIDDEN);
    }
    match broker.choose_passphrase(&secret, &answer.passphrase, &visitor.0).await {
        Ok(()) => ResetDone { host: host(&broker) }.render().into_response(),
        Err(SignInRefused::Fault(fault)) if fault.code == Code::InvalidRequest => {
            page(&broker, secret, Some(fault.message)).await
        }
        Err(SignInRefused::Fault(fault)) => told(&broker, fault),
        Err(refused) => elsewhere(&broker, refused),
    }
}

async fn page(broker: &Broker, secret: String, error: Option<String>) -> Response {
    let user = match broker.passphrase_reset(&secret).await {
        Ok(user) => user,
        Err(fault) => return told(broker, fault),
    };
    let page = Reset {
        email: Label::words(&user.email),
        passphrase: Entry { value: String::new(), error },
        host: host(broker),
        form: Form { action: format!("/reset/{secret}"), token: SecretString::new(secret) },
    };
    page.render().into_response()
}

fn told(broker: &Broker, fault: Fault) -> Response {
    match fault.code {
        Code::Gone => Ended { why: Why::ResetEnded, app: None, host: host(broker) }.render().into_response(),
        code if code.status() < 500 => refused(broker, fault),
        _ => fault_page(broker, fault),
    }
}
