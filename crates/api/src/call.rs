//! Who calls: the bearer credential and the team that the request names.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use carnet_engine::{Broker, Credential, Pace, TeamHint};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault, Id, kind};
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::Deserialize;

use crate::problem::Problem;
use crate::query::Query;
use crate::refusals::Recognised;
use crate::request_id::RequestId;

/// A recognised caller and the request it makes. Only the engine makes one.
pub(crate) struct Call {
    pub(crate) caller: Arc<Caller>,
    /// What it was recognised by.
    pub(crate) credential: Arc<Credential>,
    pub(crate) request: Id<kind::Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Team {
    team_id: Option<String>,
    slug: Option<String>,
}

impl<S> FromRequestParts<S> for Call
where
    Broker: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let broker = Broker::from_ref(state);
        let Query(Team { team_id, slug }) = Query::<Team>::of(&parts.uri)?;
        // Of a template that had nothing to fill in.
        let said = |text: &String| !text.is_empty();
        let hint = TeamHint { id: team_id.filter(said), slug: slug.filter(said) };
        let credential = Arc::new(Credential::of(bearer(parts)?, hint)?);
        let caller = broker.recognise(&credential).await?;
        // For the body, which is read later.
        parts.extensions.insert(credential.clone());
        if let Some(recognised) = parts.extensions.get::<Recognised>() {
            recognised.tell(&caller);
        }
        let request = parts.extensions.get::<RequestId>().map_or_else(|| broker.request_id(), |id| id.0);
        let usual = if parts.method == Method::GET { Pace::Read } else { Pace::Write };
        let pace = parts.extensions.get::<Pace>().copied().unwrap_or(usual);
        broker.keep_pace(&caller, pace, request).await?;
        Ok(Self { caller, credential, request })
    }
}

pub(crate) fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let odd =
        || Problem(Fault::new(Code::Unauthorized, "The Authorization header is read as: Bearer CREDENTIAL."));
    if values.next().is_some() {
        return Err(odd());
    }
    let text = value.to_str().map_err(|_| odd())?;
    let (scheme, credential) = text.split_once(' ').ok_or_else(odd)?;
    if scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty() {
        Ok(Some(credential.trim()))
    } else {
        Err(odd())
    }
}
