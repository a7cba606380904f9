//! `/connect/trigger/{connector}`: where providers send their events. Nobody calls it; who signs is known.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use carnet_engine::{Broker, Posted};
use http::{HeaderValue, Method, StatusCode, header};

use crate::body;
use crate::path::Path;
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::route::{Parameter, Told};

/// A request as it came, of any type: its bytes are what was signed.
pub(crate) struct Sent(Request);

impl FromRequest<Broker> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Broker) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Parameter for Sent {
    fn tell(told: &mut Told) {
        told.upload = &["application/json", "application/x-www-form-urlencoded", "*/*"];
    }
}

/// The same of a question, which has no body.
pub(crate) struct Asked(Request);

impl FromRequest<Broker> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Broker) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Parameter for Asked {}

pub(crate) async fn receive(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    Sent(request): Sent,
) -> Result<Response, Problem> {
    take(&broker, &connector, request).await
}

pub(crate) async fn answer(
    State(broker): State<Broker>,
    Path(connector): Path<String>,
    Asked(request): Asked,
) -> Result<Response, Problem> {
    take(&broker, &connector, request).await
}

async fn take(broker: &Broker, connector: &str, request: Request) -> Result<Response, Problem> {
    // Before anything of it is read.
    broker.trigger_pace(connector).await?;
    let id = request.extensions().get::<RequestId>().map_or_else(|| broker.request_id(), |id| id.0);
    let asks = request.method() == Method::GET;
    let headers = request.headers().clone();
    let query = request.uri().query().map(str::to_owned);
    let bytes = body::read(request, LIMIT).await?;
    let posted = Posted { asks, headers: &headers, query: query.as_deref(), body: &bytes };
    let reply = broker.receive_trigger(connector, posted, id).await?;
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status.as_u16()).unwrap_or(StatusCode::OK);
    if let Some(media) = reply.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    Ok(response)
}

/// Slack and Linear send some kilobytes; GitHub cuts its own at 25 MiB, and few come near one.
const LIMIT: usize = 1024 * 1024;
