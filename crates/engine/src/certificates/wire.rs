//! The ACME client's way out: through the one way out, and to the authority's own origin alone.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use carnet_egress::{Call, Egress, Limits, Purpose};
use carnet_model::{Id, kind};
use http::header::RETRY_AFTER;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use url::Url;

/// What the client sends by.
#[derive(Clone)]
pub(super) struct Wire {
    egress: Egress,
    wait: Arc<Mutex<Option<Duration>>>,
}

impl Wire {
    pub(super) fn new(egress: Egress) -> Self {
        Self { egress, wait: Arc::default() }
    }

    /// How long the authority wanted to be left alone, if its last refusal said so.
    pub(super) fn wait(&self) -> Option<Duration> {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Wire {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let wire = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let url = Url::parse(&head.uri.to_string()).map_err(|error| Error::Other(Box::new(error)))?;
            let call = Call {
                headers: head.headers,
                body,
                ..Call::new(head.method, url, Purpose::Certificates, NOBODY)
            };
            let answer = wire.egress.send(call.limits(LIMITS)).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            if answer.status.is_client_error() || answer.status.is_server_error() {
                let told =
                    answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let told = told.map(Duration::from_secs).map(|wait| wait.min(LONGEST_WAIT));
                *wire.wait.lock().unwrap_or_else(PoisonError::into_inner) = told;
            }
            let mut response = http::Response::new(Full::new(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(BytesResponse::from(response))
        })
    }
}

/// The server itself, and no team.
const NOBODY: Id<kind::Team> = Id::from_bytes([0; 16]);
/// An authority looks at a name before it answers, from several places.
const LIMITS: Limits =
    Limits { total: Duration::from_secs(30), connect: Duration::from_secs(10), body: 256 * 1024 };
/// Certificates end, whatever an authority says.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
