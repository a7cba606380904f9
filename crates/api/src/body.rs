//! Reading a body: bounded in size and time, JSON by its content type, a plain sentence when it is not what was meant.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRef, FromRequest, Request};
use bytes::{Bytes, BytesMut};
use carnet_engine::{Broker, Credential};
use carnet_model::{Code, Fault, unread};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// A JSON body. An empty one is `{}`: an official client posts without body and content type.
pub(crate) struct Json<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    Broker: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse(received(request, &Broker::from_ref(state)).await?.as_deref().unwrap_or(b"{}"))
    }
}

/// A JSON body that must be there, where an empty object means much.
pub(crate) struct Said<T> {
    pub(crate) body: T,
    /// Whether it is `{}`, letter by letter.
    pub(crate) is_empty_object: bool,
}

impl<T, S> FromRequest<S> for Said<T>
where
    T: DeserializeOwned,
    Broker: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Some(bytes) = received(request, &Broker::from_ref(state)).await? else {
            return Err(Problem::invalid("There is no body, and nothing is done that nobody said."));
        };
        let Json(body) = parse(&bytes)?;
        let letters = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
        Ok(Self { body, is_empty_object: letters.eq(b"{}") })
    }
}

/// The bytes of a JSON body, if there are any.
async fn received(request: Request, broker: &Broker) -> Result<Option<Bytes>, Problem> {
    let is_json = is_json(request.headers());
    let bytes = raw(request, broker, LIMIT).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if !is_json {
        return Err(Problem(Fault::new(
            Code::UnsupportedMediaType,
            "The body is read as JSON and must say so: Content-Type: application/json.",
        )));
    }
    Ok(Some(bytes))
}

/// A body as it is, of any type. Who calls is judged again when it is there: who takes time over the body does not keep a
/// credential alive that was withdrawn meanwhile.
pub(crate) async fn raw(request: Request, broker: &Broker, limit: usize) -> Result<Bytes, Problem> {
    let credential = request.extensions().get::<Arc<Credential>>().cloned();
    let bytes = read(request, limit).await?;
    if let Some(credential) = credential.as_deref() {
        broker.recognise(credential).await?;
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Json<T>, Problem> {
    // serde reads a struct from a list as well, by position; a list is not what anybody means.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::invalid("The body is not a JSON object."));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| misread(bytes, &error))?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(Json(read))
}

/// Which field does not fit, and what would; never what stands there.
fn misread(bytes: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let cause = error.inner();
    // Of a word of a list, serde_json says that it is not JSON where it is no text.
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if cause.classify() != serde_json::error::Category::Data && !is_json() {
        return not_json(cause);
    }
    let field = error.path().iter().fold(String::new(), |path, segment| match segment {
        Segment::Map { key } if unread::is_name(key) => {
            format!("{path}{}{key}", if path.is_empty() { "" } else { "." })
        }
        Segment::Seq { index } => format!("{path}[{index}]"),
        _ => path,
    });
    let field = match unread::field(cause) {
        Some(named) if field.is_empty() => named,
        Some(named) => format!("{field}.{named}"),
        None => field,
    };
    let place = if field.is_empty() { String::new() } else { format!("{field}: ") };
    let (why, line, column) = (unread::why(cause), cause.line(), cause.column());
    let message = format!("The body does not fit: {place}{why} (line {line}, column {column}).");
    if field.is_empty() { Problem::invalid(message) } else { Problem::field(&field, message) }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::invalid(format!("The body is not JSON (line {}, column {}).", error.line(), error.column()))
}

/// All of a body, if it is not larger than `limit` and comes in time.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(DEADLINE, gather(request.into_body(), limit)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            Err(Problem(Fault::new(Code::TooLarge, format!("The body is larger than {} KiB.", limit / 1024))))
        }
        Ok(Err(_)) => Err(Problem::invalid("The body ends before it is complete.")),
        Err(_) => Err(Problem::invalid("The body did not arrive in time.")),
    }
}

/// All of a body, or nothing if it is larger than `limit`. What is beyond that is read and dropped, within reason: most
/// clients listen only when they have sent everything, and never hear an answer that ends the connection before.
async fn gather(mut body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    if body.size_hint().lower() > HEARD {
        return Ok(None);
    }
    let (mut kept, mut size) = (BytesMut::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        size = size.saturating_add(data.len() as u64);
        if size > HEARD {
            break;
        }
        if size > limit as u64 {
            kept = BytesMut::new();
        } else {
            kept.extend_from_slice(&data);
        }
    }
    Ok((size <= limit as u64).then(|| kept.freeze()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// The largest JSON body: an import or a connector with keys stays far below.
const LIMIT: usize = 256 * 1024;
/// The largest body that is listened to to its end, to say that it is too large.
const HEARD: u64 = 16 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::token::TokenBody;

    #[test]
    fn a_body_that_does_not_fit_names_the_field_and_not_what_stands_there() {
        for (body, said) in [
            (r#"{"audience": "hunter2"}"#, "audience: expected a list (line 1, column 22)."),
            (r#"{"scopes": ["a", {"hunter2": 1}]}"#, "scopes[1]: expected a text"),
            (r#"{"scopes": [], "scopes": []}"#, "scopes: the field `scopes` is there twice"),
            (r#"{"scope": []}"#, "scope: no such field; expected one of `subject`"),
            (r#"{"sk_hunter2": []}"#, "The body does not fit: no such field; expected one of"),
            (r#"{"scopes": []"#, "The body is not JSON (line 1, column 13)."),
            (r#"{"scopes": []} hunter2"#, "The body is not JSON (line 1, column 16)."),
            (r#"["hunter2"]"#, "The body is not a JSON object."),
        ] {
            let problem = parse::<TokenBody>(body.as_bytes()).err().unwrap();
            let told = &problem.0.message;
            assert!(told.contains(said), "{body}: {told}");
            assert!(!told.contains("hunter2"), "{body}: {told}");
            let field = told.strip_prefix("The body does not fit: ").and_then(|rest| rest.split_once(": "));
            let field = field.map(|(field, _)| field).filter(|field| !field.contains(' '));
            assert_eq!(problem.0.extra.get("field").and_then(|field| field.as_str()), field, "{body}");
        }
    }
}
