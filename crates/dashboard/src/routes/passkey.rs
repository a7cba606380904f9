//! `/login/passkey`, `/login/again/passkey`, `/account/passkeys`: signing in with a passkey, and keeping them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_engine::{Broker, PasskeyFor, PasskeyMade, PasskeyUse, SignInRefused};
use carnet_model::SecretString;

use super::consent::{failure, host};
use super::link::refused;
use super::path::Path;
use super::posted::{Posted, PostedByVisitor};
use super::session::{self, Cookie, Visiting, to_sign_in};
use super::sign_in::{end_before, on};
use crate::form::{BareAnswer, PasskeyAnswer, PasskeyMadeAnswer};
use crate::label::Label;
use crate::refused::Refused;
use crate::sign_in::Passkey;

/// What a page needs to ask for a passkey.
pub(super) fn asked(broker: &Broker, purpose: PasskeyFor, bound: &SecretString) -> Option<Passkey> {
    let host = broker.passkey_host()?.to_owned();
    let challenge = URL_SAFE_NO_PAD.encode(broker.passkey_challenge(purpose, bound));
    Some(Passkey { challenge, host })
}

/// Signs in.
pub(super) async fn enter(
    State(broker): State<Broker>,
    cookie: Cookie,
    visitor: Visiting,
    PostedByVisitor { browser, answer }: PostedByVisitor<PasskeyAnswer>,
) -> Response {
    let Some(used) = used(&answer) else { return failure(&broker, StatusCode::BAD_REQUEST) };
    match broker.sign_in_with_passkey(&used, &browser, &visitor.0).await {
        Ok(fresh) => {
            end_before(&broker, cookie).await;
            session::keep(on(&broker, &answer.to), &broker, &fresh)
        }
        Err(error) => told(&broker, error),
    }
}

/// Proves again who it is.
pub(super) async fn enter_again(
    State(broker): State<Broker>,
    visitor: Visiting,
    Posted { session, answer }: Posted<PasskeyAnswer>,
) -> Response {
    let Some(used) = used(&answer) else { return failure(&broker, StatusCode::BAD_REQUEST) };
    match broker.sign_in_again_with_passkey(&session, &used, &visitor.0).await {
        Ok(fresh) => session::keep(on(&broker, &answer.to), &broker, &fresh),
        Err(error) => told(&broker, error),
    }
}

/// Adds one.
pub(super) async fn add(
    State(broker): State<Broker>,
    visitor: Visiting,
    Posted { session, answer }: Posted<PasskeyMadeAnswer>,
) -> Response {
    let decoded =
        [&answer.challenge, &answer.client_data, &answer.authenticator_data].map(|text| decode(text));
    let [Some(challenge), Some(client_data), Some(authenticator_data)] = decoded else {
        return failure(&broker, StatusCode::BAD_REQUEST);
    };
    let made = PasskeyMade { challenge, client_data, authenticator_data, name: answer.name };
    match broker.add_passkey(&session, &made, &visitor.0).await {
        Ok(()) => on(&broker, "/account"),
        Err(SignInRefused::Wrong) if !broker.is_fresh(&session) => {
            to_sign_in(&broker, "/login/again", "/account")
        }
        Err(error) => told(&broker, error),
    }
}

/// Removes one.
pub(super) async fn remove(
    State(broker): State<Broker>,
    Path(id): Path,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    match broker.remove_passkey(&session, &id).await {
        Ok(()) => on(&broker, "/account"),
        Err(SignInRefused::Wrong) => to_sign_in(&broker, "/login/again", "/account"),
        Err(error) => told(&broker, error),
    }
}

fn used(answer: &PasskeyAnswer) -> Option<PasskeyUse> {
    Some(PasskeyUse {
        challenge: decode(&answer.challenge)?,
        credential: decode(&answer.credential)?,
        client_data: decode(&answer.client_data)?,
        authenticator_data: decode(&answer.authenticator_data)?,
        signature: decode(&answer.signature)?,
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn told(broker: &Broker, error: SignInRefused) -> Response {
    let message = match error {
        SignInRefused::Fault(fault) if fault.code.status() < 500 => return refused(broker, fault),
        SignInRefused::Fault(fault) => return super::consent::fault_page(broker, fault),
        SignInRefused::Wrong => "Nobody here has this passkey, or it is not accepted.",
        SignInRefused::Wait(_) => "There were too many wrong tries. Try again in a quarter of an hour.",
        SignInRefused::OtherBrowser => {
            "This was asked on another page, or too long ago. Go back and try again."
        }
    };
    Refused {
        status: StatusCode::FORBIDDEN,
        message: Label::words(message),
        next: Vec::new(),
        code: "forbidden",
        host: host(broker),
    }
    .render()
    .into_response()
}
