//! `/api/v1/connect/authorize/{connector}` and `/api/v1/connect/install/{connector}`: what a command line opens in a
//! browser. A person who is not signed in signs in first. And `/mend/{secret}`, which an application sends to a user whose
//! grant has to be given again.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, LinkAsk, Session};
use carnet_model::{Code, Fault};
use serde::Deserialize;

use super::consent::{ended, failure, host};
use super::path::Path;
use super::session::{SignedIn, Visiting, signed_in};
use super::sign_in::on;
use crate::label::Label;
use crate::refused::Refused;

/// The query of the link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(rename = "teamId")]
    team: Option<String>,
    slug: Option<String>,
    request_code: Option<String>,
    #[serde(rename = "installationId")]
    installation: Option<String>,
    scopes: Option<String>,
}

impl Asked {
    fn link(self, connector: String) -> (Option<String>, LinkAsk) {
        let link = LinkAsk {
            connector,
            request_code: self.request_code,
            installation: self.installation,
            scopes: self.scopes,
        };
        (self.team.or(self.slug), link)
    }
}

/// Whoever is signed in. Of everybody else it is noted that the link was opened, before they are led to the page to sign
/// in: the command line that waits for the outcome is told to wait on.
pub(super) struct AtLink(Session);

impl FromRequestParts<Broker> for AtLink {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        if let Some(session) = signed_in(broker, &parts.headers).await? {
            return Ok(Self(session));
        }
        let asked = Query::<Asked>::try_from_uri(&parts.uri).ok();
        if let Some(code) = asked.and_then(|Query(asked)| asked.request_code) {
            let Ok(Visiting(visitor)) = Visiting::from_request_parts(parts, broker).await;
            broker.link_opened(&code, visitor.address).await.map_err(|fault| refused(broker, fault))?;
        }
        let SignedIn(session) = SignedIn::from_request_parts(parts, broker).await?;
        Ok(Self(session))
    }
}

pub(super) async fn authorize(
    State(broker): State<Broker>,
    Path(connector): Path,
    AtLink(session): AtLink,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let (team, link) = asked.link(connector);
    let begun = match broker.caller_of(&session, team.as_deref()).await {
        Ok(caller) => broker.consent_by_link(&caller, &link, broker.request_id()).await,
        Err(fault) => Err(fault),
    };
    match begun {
        Ok(request) => on(&broker, &format!("/authorize/{request}")),
        Err(fault) => refused(&broker, fault),
    }
}

pub(super) async fn install(
    State(broker): State<Broker>,
    Path(connector): Path,
    AtLink(session): AtLink,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let (team, link) = asked.link(connector);
    let begun = match broker.caller_of(&session, team.as_deref()).await {
        Ok(caller) => broker.installation_by_link(&caller, &link, broker.request_id()).await,
        Err(fault) => Err(fault),
    };
    match begun {
        Ok(request) => on(&broker, &format!("/install/{request}")),
        Err(fault) => refused(&broker, fault),
    }
}

pub(super) async fn mend(State(broker): State<Broker>, Path(secret): Path) -> Response {
    match broker.mend(&secret).await {
        Ok(request) => on(&broker, &format!("/authorize/{request}")),
        Err(end) => ended(&broker, end),
    }
}

/// The person asked for it, and is told why there is nothing: what a provider did too, which is not this server's state.
pub(super) fn refused(broker: &Broker, fault: Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let of_provider = matches!(fault.code, Code::ProviderUnavailable | Code::ProviderAnswerInvalid);
    if status.is_server_error() && !of_provider {
        return super::consent::fault_page(broker, fault);
    }
    Refused {
        status,
        message: Label::sentences(&fault.message),
        next: fault.next.iter().map(|step| (Label::words(&step.command), Label::words(&step.when))).collect(),
        code: fault.code.as_str(),
        host: host(broker),
    }
    .render()
    .into_response()
}
