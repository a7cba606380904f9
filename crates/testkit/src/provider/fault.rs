//! Ways in which an answer goes wrong.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use tokio::sync::watch;

/// What happens to one request.
pub struct Fault {
    /// Whether the server does what was asked before the answer goes wrong.
    pub(super) processed: bool,
    pub(super) delay: Duration,
    pub(super) gate: Option<watch::Receiver<bool>>,
    pub(super) what: What,
}

/// Holds answers back until it is opened.
pub struct Gate(watch::Sender<bool>);

type Rewrite = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

pub(super) enum What {
    /// Nothing.
    AsItShould,
    /// Another answer.
    Instead(fn(&Given) -> Response<Body>, Given),
    /// The answer with its JSON changed.
    Rewritten(Rewrite),
    /// The connection is closed without an answer.
    Lost,
    /// Half of the answer.
    Truncated,
}

#[derive(Clone, Copy)]
pub(super) struct Given {
    status: u16,
    retry_after: Option<u64>,
    error: &'static str,
}

impl Fault {
    const fn of(what: What) -> Self {
        Self { processed: false, delay: Duration::ZERO, gate: None, what }
    }

    const fn instead(answer: fn(&Given) -> Response<Body>, status: u16) -> Self {
        Self::of(What::Instead(answer, Given { status, retry_after: None, error: "" }))
    }

    /// Works as it should; for a delay or a gate.
    pub fn none() -> Self {
        Self { processed: true, ..Self::of(What::AsItShould) }
    }

    /// This status, with a plain body.
    pub const fn status(status: u16) -> Self {
        Self::instead(plain, status)
    }

    /// A refusal in the words of RFC 6749 §5.2.
    pub const fn error(status: u16, error: &'static str) -> Self {
        Self::of(What::Instead(refused, Given { status, retry_after: None, error }))
    }

    /// 200 with a page.
    pub const fn html() -> Self {
        Self::instead(html, 200)
    }

    /// 200 with JSON that ends in the middle.
    pub const fn bad_json() -> Self {
        Self::instead(bad_json, 200)
    }

    /// 200 with more bytes than anybody would read.
    pub const fn huge() -> Self {
        Self::instead(huge, 200)
    }

    /// 200 with a byte now and then, for ever.
    pub const fn trickle() -> Self {
        Self::instead(trickle, 200)
    }

    /// A redirect to a place that would say yes.
    pub const fn redirect() -> Self {
        Self::instead(redirect, 307)
    }

    /// No answer: the connection is closed.
    pub const fn lost() -> Self {
        Self::of(What::Lost)
    }

    /// The answer breaks off half-way.
    pub fn truncated() -> Self {
        Self { processed: true, ..Self::of(What::Truncated) }
    }

    /// The right answer with its JSON changed.
    pub fn rewritten(change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) -> Self {
        Self { processed: true, ..Self::of(What::Rewritten(Arc::new(change))) }
    }

    /// With this `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let What::Instead(_, given) = &mut self.what {
            given.retry_after = Some(seconds);
        }
        self
    }

    /// The server does its work first: codes and refresh tokens are spent.
    #[must_use]
    pub const fn after_its_work(mut self) -> Self {
        self.processed = true;
        self
    }

    /// The answer takes this long.
    #[must_use]
    pub const fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The answer waits for the gate.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.0.subscribe());
        self
    }
}

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self(watch::channel(false).0)
    }

    /// Lets through whatever waits.
    pub fn open(&self) {
        self.0.send_replace(true);
    }
}

fn plain(given: &Given) -> Response<Body> {
    let mut response = Response::builder().status(given.status);
    if let Some(seconds) = given.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(Body::from("not now")).unwrap()
}

fn refused(given: &Given) -> Response<Body> {
    let body = serde_json::json!({"error": given.error, "error_description": "as scripted"}).to_string();
    let builder = Response::builder().status(given.status).header(CONTENT_TYPE, "application/json");
    builder.body(Body::from(body)).unwrap()
}

fn html(_: &Given) -> Response<Body> {
    let builder = Response::builder().header(CONTENT_TYPE, "text/html");
    builder.body(Body::from("<!doctype html><title>Maintenance</title>")).unwrap()
}

fn bad_json(_: &Given) -> Response<Body> {
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    builder.body(Body::from("{\"access_token\": \"abc")).unwrap()
}

fn huge(_: &Given) -> Response<Body> {
    let chunks =
        stream::iter(std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536]))));
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    builder.body(Body::from_stream(chunks.take(4096))).unwrap()
}

fn trickle(_: &Given) -> Response<Body> {
    let bytes = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    builder.body(Body::from_stream(bytes)).unwrap()
}

fn redirect(given: &Given) -> Response<Body> {
    let status = StatusCode::from_u16(given.status).unwrap();
    Response::builder()
        .status(status)
        .header(LOCATION, "http://127.0.0.1:9/token")
        .body(Body::empty())
        .unwrap()
}

/// The head of a whole answer, half of its body, and then nothing.
pub(super) fn half(whole: Response<()>, body: &Bytes) -> Response<Body> {
    let (mut head, ()) = whole.into_parts();
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let first = Ok(body.slice(..body.len() / 2));
    // A moment between the two, so that the half is sent.
    let then = stream::once(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut"))
    });
    Response::from_parts(head, Body::from_stream(stream::iter([first]).chain(then)))
}
