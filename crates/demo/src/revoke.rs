//! The revocation endpoint (RFC 7009). What is not known counts as revoked.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::Server;
use crate::answer::Refused;
use crate::event::{Event, Outcome, What};
use crate::ledger::Revoked;
use crate::token::{explain, read_form, required};

/// `POST /revoke`
pub(crate) async fn revoke(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut event = Event::new(server.env.now(), What::Revocation);
    let answer = end(&server, &headers, body, &mut event).await;
    event.outcome = answer.as_ref().map_or_else(|refused| Outcome::Refused(refused.error), |_| Outcome::Done);
    event.grant_ended = answer == Ok(Revoked::Grant);
    server.events.record(event);
    match answer {
        Ok(_) => (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn end(
    server: &Server,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    event: &mut Event,
) -> Result<Revoked, Refused> {
    let form = read_form(headers, body)?;
    let client = server.clients.authenticate(headers, &form)?.id.clone();
    event.client = Some(client.clone());
    // `token_type_hint` only helps a search, and there is nothing to search for (RFC 7009 §2.1).
    let token = required(&form, "token", "The token is missing.")?;
    let revoked = server.book.change(move |ledger| ledger.revoke(&client, &token)).await;
    revoked.map_err(|_| Refused::not_saved())?.map_err(|refusal| explain(&refusal))
}
