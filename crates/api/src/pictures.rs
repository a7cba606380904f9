//! `POST /v2/files`, where the official CLI uploads pictures, and `GET /pictures/{connector}/{sha1}`, where pages show them.

use axum::Json as Answer;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use carnet_engine::{Broker, ShownOn};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use crate::body;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::route::{Parameter, Told};
use crate::shape::{Shape, object_of, text};

/// The digest by either name, and the bytes.
pub(crate) struct Upload {
    digest: Option<String>,
    bytes: Bytes,
}

impl FromRequest<Broker> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, broker: &Broker) -> Result<Self, Problem> {
        let digest = digest(request.headers());
        Ok(Self { digest, bytes: body::raw(request, broker, LARGEST).await? })
    }
}

impl Parameter for Upload {
    fn tell(told: &mut Told) {
        told.upload = &["image/png", "image/jpeg"];
    }
}

pub(crate) fn shape() -> Shape {
    object_of([("sha1", text())])
}

fn digest(headers: &HeaderMap) -> Option<String> {
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    named("x-now-digest").or_else(|| named("x-vercel-digest")).map(str::to_owned)
}

pub(crate) async fn upload(
    State(broker): State<Broker>,
    call: Call,
    Upload { digest, bytes }: Upload,
) -> Result<Answer<Value>, Problem> {
    let sha1 = broker.keep_picture(&call.caller, &bytes, digest.as_deref(), call.request).await?;
    Ok(Answer(json!({"sha1": sha1})))
}

/// Exactly the type it was found to be; a browser that opens it alone runs nothing of it.
pub(crate) async fn show(
    State(broker): State<Broker>,
    Path((connector, sha1)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (picture, shown) = broker.picture(&connector, &sha1).await?;
    let embedders = match shown {
        ShownOn::OurPages => "same-origin",
        ShownOn::ProvidersPages => "cross-origin",
    };
    let media_type = HeaderValue::from_str(&picture.media_type).map_err(|_| Problem::invalid("No type."))?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Its address changes with its content.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400, immutable")),
        // Who knows both names may see it anyway; embedding it is for those pages that have a reason.
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static(embedders)),
    ];
    Ok((headers, picture.bytes).into_response())
}

/// What the official CLI takes at most.
const LARGEST: usize = 5 * 1024 * 1024;
