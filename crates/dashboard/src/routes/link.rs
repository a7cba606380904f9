//! `/api/v1/connect/authorize/{connector}` and `/api/v1/connect/install/{connector}`: what a command line opens in a
//! browser. A person who is not signed in signs in first. And `/mend/{secret}`, which an application sends to a user whose
//! grant has to be given again.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, LinkAsk};
use carnet_model::Fault;
use serde::Deserialize;

use super::consent::{ended, failure, host};
use super::path::Path;
use super::session::SignedIn;
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

pub(super) async fn authorize(
    State(broker): State<Broker>,
    Path(connector): Path,
    SignedIn(session): SignedIn,
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
    SignedIn(session): SignedIn,
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

/// The person asked for it, and is told why there is nothing.
pub(super) fn refused(broker: &Broker, fault: Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        return super::consent::fault_page(broker, fault);
    }
    Refused {
        status,
        message: Label::words(&fault.message),
        next: fault.next.iter().map(|step| (Label::words(&step.command), Label::words(&step.when))).collect(),
        code: fault.code.as_str(),
        host: host(broker),
    }
    .render()
    .into_response()
}
