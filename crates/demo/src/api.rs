//! The API behind the tokens, so that a person can see one work: a profile and a board of messages (RFC 6750).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Server;
use crate::answer::{Refused, challenge, private};
use crate::event::{Event, Outcome, What};
use crate::ledger::{Bearer, Message};
use crate::scope;

/// `GET /api/me`
pub(crate) async fn me(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let bearer = match admit(&server, &headers, scope::PROFILE_READ) {
        Ok(bearer) => bearer,
        Err(denied) => return denied.into_response(),
    };
    let scope = bearer.scopes.to_string();
    let profile = match bearer.person {
        Some(person) => json!({"type": "person", "sub": person.id(), "name": person.name(),
            "email": person.email(), "client_id": bearer.client, "scope": scope}),
        None => json!({"type": "app", "sub": bearer.client, "client_id": bearer.client, "scope": scope}),
    };
    private(StatusCode::OK, profile)
}

/// `GET /api/messages`
pub(crate) async fn messages(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    if let Err(denied) = admit(&server, &headers, scope::MESSAGES_READ) {
        return denied.into_response();
    }
    let messages: Vec<Value> = server.book.read(|ledger| ledger.messages().map(show).collect());
    private(StatusCode::OK, json!({"messages": messages}))
}

/// `POST /api/messages`
pub(crate) async fn write(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let bearer = match admit(&server, &headers, scope::MESSAGES_WRITE) {
        Ok(bearer) => bearer,
        Err(denied) => return denied.into_response(),
    };
    let draft = body.ok().and_then(|body| serde_json::from_slice::<Draft>(&body).ok());
    let Some(text) =
        draft.map(|draft| draft.text).filter(|text| (1..=LONGEST).contains(&text.chars().count()))
    else {
        let want = "The body must be JSON with one member, text, of 1 to 500 characters.";
        return Refused::invalid_request(want).into_response();
    };
    let from = bearer.person.map_or(bearer.client, |person| person.id().to_owned());
    let now = server.env.now();
    match server.book.change(move |ledger| ledger.post(now, &from, &text)).await {
        Ok(message) => private(StatusCode::CREATED, show(&message)),
        Err(_) => Refused::not_saved().into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    text: String,
}

/// Why somebody is not let in (RFC 6750 §3).
enum Denied {
    NoToken,
    InvalidToken,
    Lacks(&'static str),
}

/// Whoever the token speaks for, if it may do this.
fn admit(server: &Server, headers: &HeaderMap, scope: &'static str) -> Result<Bearer, Denied> {
    let mut event = Event::new(server.env.now(), What::Api);
    let admitted = check(server, headers, scope, &mut event);
    if let Err(denied) = &admitted {
        event.outcome = Outcome::Refused(denied.refused().error);
    }
    server.events.record(event);
    admitted
}

fn check(
    server: &Server,
    headers: &HeaderMap,
    scope: &'static str,
    event: &mut Event,
) -> Result<Bearer, Denied> {
    let token = bearer_token(headers).ok_or(Denied::NoToken)?;
    let bearer = server.book.read(|ledger| ledger.bearer(server.env.now(), token));
    // A client that is no longer registered takes its tokens with it.
    let bearer = bearer.filter(|bearer| server.clients.find(&bearer.client).is_some());
    let bearer = bearer.ok_or(Denied::InvalidToken)?;
    event.client = Some(bearer.client.clone());
    if bearer.scopes.contains(scope) { Ok(bearer) } else { Err(Denied::Lacks(scope)) }
}

/// RFC 6750 §2.1. A token in the address or the body is not looked for: both end up in logs.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Denied {
    const fn refused(&self) -> Refused {
        let (status, error, description) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "unauthorized", "A bearer token is needed."),
            Self::InvalidToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The token is not known here, has expired or was revoked.",
            ),
            Self::Lacks(_) => {
                (StatusCode::FORBIDDEN, "insufficient_scope", "The token lacks the scope that this needs.")
            }
        };
        Refused { status, error, description }
    }
}

impl IntoResponse for Denied {
    /// Somebody who brings no token learns only that one is needed (§3.1).
    fn into_response(self) -> Response {
        let refused = self.refused();
        let error = refused.error;
        let detail = match self {
            Self::NoToken => String::new(),
            Self::InvalidToken => format!(", error=\"{error}\""),
            Self::Lacks(scope) => format!(", error=\"{error}\", scope=\"{scope}\""),
        };
        let mut response = private(refused.status, refused.body());
        challenge(response.headers_mut(), &format!("Bearer realm=\"carnet-demo\"{detail}"));
        response
    }
}

fn show(message: &Message) -> Value {
    json!({"id": message.id, "from": message.from, "text": message.text, "at": message.at.millis()})
}

const LONGEST: usize = 500;
