//! The authorization endpoint (RFC 6749 §3.1): a person says who they are and whether the client may.
//!
//! Promised: nothing is kept until a person says yes; a request whose client or redirect URI is not registered never
//! leaves this page; every other answer goes back with `state` and `iss` (RFC 9207). The decision is read against the
//! same request that the page showed, read again: the page carries nothing that is trusted.
//!
//! Not promised: a session. The page asks every time.

mod page;
mod request;
mod seal;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, ORIGIN, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::Server;
use crate::event::{Event, Outcome, What};
use crate::form::Form;
use crate::ledger::Consent;
use crate::person::Person;
use crate::token::read_form;
use page::Notice;
pub(crate) use page::{icon, style};
use request::{Asked, Refusal, Return};
pub(crate) use seal::Seal;

/// `GET /authorize`
pub(crate) async fn ask(
    State(server): State<Arc<Server>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut event = Event::new(server.env.now(), What::Consent);
    let query = query.unwrap_or_default();
    let response = match Asked::read(&server, &query) {
        Ok(asked) if asked.silent => {
            // OpenID Connect Core 1.0 §3.1.2.6: nobody is ever signed in here, so there is always something to ask.
            event.client = Some(asked.back.client.clone());
            event.outcome = Outcome::Refused("login_required");
            back_with(
                &server,
                &asked.back,
                "login_required",
                "Somebody must be asked, and prompt=none forbids it.",
            )
        }
        Ok(asked) => {
            event.client = Some(asked.back.client.clone());
            page::consent(&server, &headers, &query, &asked, None)
        }
        Err(refusal) => refuse(&server, &refusal, &mut event),
    };
    server.events.record(event);
    response
}

/// `POST /authorize`: the decision, for the request that stands in the address.
pub(crate) async fn decide(
    State(server): State<Arc<Server>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut event = Event::new(server.env.now(), What::Decision);
    let query = query.unwrap_or_default();
    let response = match Asked::read(&server, &query) {
        Ok(asked) => {
            event.client = Some(asked.back.client.clone());
            match read_decision(&server, &headers, &query, body) {
                Ok(Decision::Deny) => {
                    event.outcome = Outcome::Refused("access_denied");
                    back_with(&server, &asked.back, "access_denied", "The person said no.")
                }
                Ok(Decision::Allow(person)) => allow(&server, asked, person, &mut event).await,
                Err(notice) => {
                    event.outcome = Outcome::Refused(notice.event());
                    page::consent(&server, &headers, &query, &asked, Some(notice))
                }
            }
        }
        Err(refusal) => refuse(&server, &refusal, &mut event),
    };
    server.events.record(event);
    response
}

/// What a person chose.
enum Decision {
    Deny,
    Allow(Person),
}

/// Reads a decision that our own page sent, and nobody else's.
fn read_decision(
    server: &Server,
    headers: &HeaderMap,
    query: &str,
    body: Result<Bytes, BytesRejection>,
) -> Result<Decision, Notice> {
    let form = read_form(headers, body).map_err(|_| Notice::OutOfDate)?;
    if !is_own_page(server, headers) || !is_sealed(server, headers, query, &form) {
        return Err(Notice::OutOfDate);
    }
    match form.get("decision") {
        Some("deny") => Ok(Decision::Deny),
        Some("allow") => {
            let person = form.get("person").and_then(Person::parse).ok_or(Notice::NobodyChosen)?;
            Ok(Decision::Allow(person))
        }
        _ => Err(Notice::OutOfDate),
    }
}

/// Whether the browser says that the form came from this very origin. A page on another port of this machine is the
/// same *site*, so cookies alone would not tell. `Origin` is `null` under our own Referrer-Policy (Fetch §3.2).
fn is_own_page(server: &Server, headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    says("sec-fetch-site").is_none_or(|site| site == "same-origin")
        && says(ORIGIN.as_str()).is_none_or(|origin| origin == "null" || origin == server.issuer.origin())
}

fn is_sealed(server: &Server, headers: &HeaderMap, query: &str, form: &Form) -> bool {
    let (Some(cookie), Some(seal)) = (seal::cookie(headers), form.get("seal")) else { return false };
    server.seal.holds(server.env.now(), cookie, query, seal)
}

async fn allow(server: &Server, asked: Asked, person: Person, event: &mut Event) -> Response {
    let Asked { back, challenge, scopes, .. } = asked;
    let consent = Consent {
        client: back.client.clone(),
        redirect_uri: back.redirect_uri.clone(),
        challenge,
        person,
        scopes,
    };
    let env = server.env.clone();
    let Ok(code) = server.book.change(move |ledger| ledger.issue_code(&env, consent)).await else {
        event.outcome = Outcome::Refused("server_error");
        return back_with(server, &back, "server_error", "The state file cannot be written.");
    };
    redirect(server, &back, &[("code", code.expose())])
}

fn refuse(server: &Server, refusal: &Refusal, event: &mut Event) -> Response {
    match refusal {
        Refusal::Here(why) => {
            event.outcome = Outcome::Refused("invalid_request");
            page::problem(server, why)
        }
        Refusal::Back { back, error, description } => {
            event.client = Some(back.client.clone());
            event.outcome = Outcome::Refused(error);
            back_with(server, back, error, description)
        }
    }
}

fn back_with(server: &Server, back: &Return, error: &str, description: &str) -> Response {
    redirect(server, back, &[("error", error), ("error_description", description)])
}

/// Sends the browser back. 303, so that no browser repeats the POST there (RFC 9700 §4.12).
fn redirect(server: &Server, back: &Return, parameters: &[(&str, &str)]) -> Response {
    let to = back.with(parameters, server.issuer.as_str());
    let headers = [(LOCATION, to.as_str()), (CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    (StatusCode::SEE_OTHER, headers).into_response()
}
