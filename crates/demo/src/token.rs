//! The token endpoint (RFC 6749 §3.2): `authorization_code`, `refresh_token`, `client_credentials`.
//!
//! The client is authenticated before anything else is looked at, and a request that is refused for its form changes
//! nothing: only a code or refresh token that was used before has a consequence.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use carnet_model::{Secret, SecretString};
use serde_json::json;

use crate::Server;
use crate::answer::{Refused, private};
use crate::event::{Event, GrantType, Outcome, What};
use crate::form::Form;
use crate::ledger::{Issued, Redemption, Refusal, Unsaved};
use crate::scope;

/// `POST /token`
pub(crate) async fn token(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut event = Event::new(server.env.now(), What::Token(None));
    let answer = issue(&server, &headers, body, &mut event).await;
    event.outcome = answer.as_ref().map_or_else(|refused| Outcome::Refused(refused.error), |_| Outcome::Done);
    server.events.record(event);
    match answer {
        Ok(issued) => show(&issued, server.terms.access.as_secs()),
        Err(refused) => refused.into_response(),
    }
}

async fn issue(
    server: &Server,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    event: &mut Event,
) -> Result<Issued, Refused> {
    let form = read_form(headers, body)?;
    let client = server.clients.authenticate(headers, &form)?;
    event.client = Some(client.id.clone());
    let grant_type = grant_type(&form)?;
    event.what = What::Token(Some(grant_type));
    let (env, terms, client) = (server.env.clone(), server.terms, client.id.clone());
    let issued = match grant_type {
        GrantType::AuthorizationCode => {
            let with = Redemption {
                code: required(&form, "code", "The code is missing.")?,
                redirect_uri: required(&form, "redirect_uri", "The redirect_uri is missing.")?
                    .expose()
                    .clone(),
                verifier: required(&form, "code_verifier", "The code_verifier is missing.")?,
            };
            if !is_verifier(with.verifier.expose()) {
                return Err(Refused::invalid_request(
                    "The code_verifier does not have the form of RFC 7636.",
                ));
            }
            server.book.change(move |ledger| ledger.redeem(&env, &terms, &client, &with)).await
        }
        GrantType::RefreshToken => {
            let token = required(&form, "refresh_token", "The refresh_token is missing.")?;
            // Not one of ours is wider than what was granted.
            let narrower = form.get("scope").map(|text| scope::parse(Some(text)).ok_or(WIDER)).transpose()?;
            server.book.change(move |ledger| ledger.refresh(&env, &terms, &client, &token, narrower)).await
        }
        GrantType::ClientCredentials => {
            let scopes =
                scope::parse(form.get("scope")).filter(|asked| !asked.contains(scope::OFFLINE_ACCESS));
            let scopes = scopes.ok_or(NOT_FOR_CLIENTS)?;
            server.book.change(move |ledger| Ok(ledger.issue_to_client(&env, &terms, &client, scopes))).await
        }
    };
    match issued {
        Ok(Ok(issued)) => Ok(issued),
        Ok(Err(refusal)) => {
            event.grant_ended = refusal == Refusal::Replayed;
            Err(explain(&refusal))
        }
        Err(Unsaved) => Err(Refused::not_saved()),
    }
}

/// Reads a form body, for the two endpoints that take one.
pub(crate) fn read_form(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Form, Refused> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refused::invalid_request("The body must be application/x-www-form-urlencoded."));
    }
    let body = body.map_err(|rejection| Refused {
        status: rejection.status(),
        ..Refused::invalid_request("The body is too large, or was cut off.")
    })?;
    let form = std::str::from_utf8(&body).ok().and_then(|text| Form::parse(text).ok());
    let form = form.ok_or(Refused::invalid_request("The body is not well-formed."))?;
    if form.repeats_any() {
        return Err(Refused::invalid_request("A parameter stands more than once."));
    }
    Ok(form)
}

/// A parameter that must be there.
pub(crate) fn required(form: &Form, name: &str, missing: &'static str) -> Result<SecretString, Refused> {
    form.get(name).map(|value| Secret::new(value.to_owned())).ok_or(Refused::invalid_request(missing))
}

/// Why the ledger refused, in the words of RFC 6749 §5.2.
pub(crate) const fn explain(refusal: &Refusal) -> Refused {
    let why = match refusal {
        Refusal::WiderScope => return WIDER,
        Refusal::Unknown => "It is not known here, or it was revoked.",
        Refusal::Expired => "It has expired.",
        Refusal::OtherClient => "It was issued to another client.",
        Refusal::OtherRedirect => "The redirect_uri is not the one of the authorization request.",
        Refusal::WrongVerifier => "The code_verifier does not fit the code_challenge.",
        Refusal::Replayed => "It was used before. Everything that came from it is now revoked.",
    };
    Refused::new("invalid_grant", why)
}

fn grant_type(form: &Form) -> Result<GrantType, Refused> {
    match form.get("grant_type") {
        Some("authorization_code") => Ok(GrantType::AuthorizationCode),
        Some("refresh_token") => Ok(GrantType::RefreshToken),
        Some("client_credentials") => Ok(GrantType::ClientCredentials),
        Some(_) => Err(Refused::new("unsupported_grant_type", "There is no such grant_type here.")),
        None => Err(Refused::invalid_request("The grant_type is missing.")),
    }
}

/// RFC 7636 §4.1.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

fn show(issued: &Issued, life: u64) -> Response {
    let mut body = json!({
        "access_token": issued.access.expose(),
        "token_type": "Bearer",
        "expires_in": life,
        "scope": issued.scopes.to_string(),
    });
    if let (Some(members), Some(refresh)) = (body.as_object_mut(), &issued.refresh) {
        members.insert("refresh_token".to_owned(), refresh.expose().as_str().into());
    }
    private(StatusCode::OK, body)
}

const WIDER: Refused = Refused::new("invalid_scope", "The scope goes beyond what was granted.");
const NOT_FOR_CLIENTS: Refused =
    Refused::new("invalid_scope", "A client itself can have profile:read, messages:read and messages:write.");
