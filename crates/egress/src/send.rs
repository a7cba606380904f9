//! Sending: the judged URL, a connection of the right kind, deadlines, caps.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use carnet_model::{Id, kind};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use quick_cache::sync::Cache;
use rustls::ClientConfig;
use tokio::time::timeout;
use url::Url;

use crate::call::{Answer, Call, Limits};
use crate::connect::{Connector, Dial, DialError};
use crate::error::{EgressError, SetupError};
use crate::policy::{Policy, Purpose, Rules};
use crate::resolve::{Resolve, SystemResolver};
use crate::tls;
use crate::url_rule::UrlRefused;
use crate::wire::Transport;

/// The one HTTP client. Cheap to clone; one per process.
///
/// **Which connection.** A safe method, and a forward, may use an idle connection of the same team, purpose, scheme,
/// host and port. Everything else, token requests above all, gets a connection of its own: a request written to a
/// connection that the peer is just closing may or may not have arrived, and for a refresh token that doubt costs a
/// user. A forward carries an identifier by which its receiver tells a repetition, and there are many of them.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolve>,
    transport: Option<Arc<dyn Transport>>,
    tls: Arc<ClientConfig>,
    pools: Cache<(Id<kind::Team>, Purpose), Client>,
}

type Client = legacy::Client<Connector, Full<Bytes>>;

impl Egress {
    /// A client under `policy`, with the machine's resolver.
    pub fn new(policy: Policy) -> Result<Self, SetupError> {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A client under `policy` with another resolver. The rules are the same: they judge what it answers.
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolve>) -> Result<Self, SetupError> {
        Self::over(policy, resolver, None)
    }

    /// A client under `policy` whose connections run over something else than TCP: a simulated network. The rules are
    /// the same.
    pub fn with_transport(policy: Policy, transport: Arc<dyn Transport>) -> Result<Self, SetupError> {
        Self::over(policy, Arc::new(SystemResolver), Some(transport))
    }

    fn over(
        policy: Policy,
        resolver: Arc<dyn Resolve>,
        transport: Option<Arc<dyn Transport>>,
    ) -> Result<Self, SetupError> {
        let tls = tls::client_config(&policy)?;
        let rules = Arc::new(Rules::new(policy)?);
        Ok(Self(Arc::new(Inner { rules, resolver, transport, tls, pools: Cache::new(POOLS) })))
    }

    /// The half of the rule that needs no network, for refusing a URL where it is configured.
    pub fn check(&self, url: &str, purpose: Purpose) -> Result<Url, UrlRefused> {
        self.0.rules.judge(url, purpose)
    }

    /// Where `url` really goes: the same, or another origin if the policy says so (development only).
    #[must_use]
    pub fn reroute(&self, url: &Url) -> Url {
        self.0.rules.reroute(url)
    }

    /// What a server of this name calls itself where it really is, if the policy puts another there (development only).
    #[must_use]
    pub fn name_elsewhere(&self, issuer: &str) -> Option<String> {
        let url = Url::parse(issuer).ok()?;
        let there = self.reroute(&url);
        if there == url {
            return None;
        }
        let there = there.to_string();
        Some(if issuer.ends_with('/') { there } else { there.trim_end_matches('/').to_owned() })
    }

    /// Makes the call, once.
    pub async fn send(&self, call: Call) -> Result<Answer, EgressError> {
        let (tenant, purpose) = (call.tenant, call.purpose);
        let url = self.reroute(&call.url);
        let Failure { error, cause } = match self.exchange(&url, call).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let host = url.host_str();
        tracing::info!(%tenant, %purpose, host, %error, cause, "an outbound call failed");
        Err(error)
    }

    async fn exchange(&self, url: &Url, call: Call) -> Result<Answer, Failure> {
        let url = self.check(url.as_str(), call.purpose).map_err(EgressError::Refused)?;
        let client = self.client_for(&call);
        let limits = call.limits;
        let mut request = request(&url, call)?;
        let progress = Progress(capture_connection(&mut request));
        match timeout(limits.total, answer(&client, request, limits, &progress)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EgressError::Timeout { sent: progress.sent() }.into()),
        }
    }

    fn client_for(&self, call: &Call) -> Client {
        if !call.method.is_safe() && call.purpose != Purpose::Forward {
            return self.client(call.purpose, 0);
        }
        let made = self.0.pools.get_or_insert_with(&(call.tenant, call.purpose), || {
            Ok(self.client(call.purpose, IDLE_PER_HOST))
        });
        match made {
            Ok(client) => client,
            Err::<_, Infallible>(never) => match never {},
        }
    }

    fn client(&self, purpose: Purpose, idle: usize) -> Client {
        let inner = &self.0;
        let (rules, resolver) = (inner.rules.clone(), inner.resolver.clone());
        let dial = Dial { rules, resolver, transport: inner.transport.clone(), purpose };
        legacy::Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEAD_H2)
            .http2_initial_stream_window_size(H2_WINDOW)
            .http2_initial_connection_window_size(H2_WINDOW)
            .build(Connector::new(dial, inner.tls.clone()))
    }
}

/// How far a request has come.
struct Progress(CaptureConnection);

impl Progress {
    /// Whether the request was handed to a connection. The pool notes it before the first byte is written.
    fn sent(&self) -> bool {
        self.0.connection_metadata().is_some()
    }
}

/// An error, and for the log what lies behind it. After the request has been sent there is never a cause: what the
/// peer says then could be the secret it was sent.
struct Failure {
    error: EgressError,
    cause: Option<String>,
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self { error, cause: None }
    }
}

fn request(url: &Url, call: Call) -> Result<Request<Full<Bytes>>, EgressError> {
    let mut headers = call.headers;
    for name in &NOT_THE_CALLERS {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
    for name in [AUTHORIZATION, COOKIE] {
        if let http::header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
    // A bomb is not unpacked here; better not to be sent one.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    let mut request = Request::new(Full::new(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = Uri::try_from(url.as_str()).map_err(|_| UrlRefused::Unreadable)?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn answer(
    client: &Client,
    request: Request<Full<Bytes>>,
    limits: Limits,
    progress: &Progress,
) -> Result<Answer, Failure> {
    let mut asking = pin!(client.request(request));
    let outcome = match timeout(limits.connect, &mut asking).await {
        Ok(outcome) => outcome,
        Err(_) if !progress.sent() => return Err(EgressError::Timeout { sent: false }.into()),
        Err(_) => asking.await,
    };
    match outcome {
        Ok(response) => Ok(collect(response, limits.body).await?),
        Err(error) if progress.sent() => Err(after_sending(&error).into()),
        Err(error) => Err(before_sending(&error)),
    }
}

/// Reads the body and stops at the byte that is too many, whatever `Content-Length` promised.
async fn collect(response: Response<Incoming>, limit: usize) -> Result<Answer, EgressError> {
    let (head, mut incoming) = response.into_parts();
    if usize::try_from(incoming.size_hint().lower()).map_or(true, |least| least > limit) {
        return Err(EgressError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| EgressError::Broken { sent: true })?.into_data() else { continue };
        if data.len() > limit - body.len() {
            return Err(EgressError::TooLarge);
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: head.status, headers: head.headers, body: body.freeze() })
}

fn before_sending(error: &legacy::Error) -> Failure {
    let Some(source) = error.source() else {
        return EgressError::Broken { sent: false }.into();
    };
    let error = match source.downcast_ref() {
        Some(DialError::Refused(why)) => EgressError::Refused(*why),
        Some(DialError::Resolve(_)) => EgressError::Resolve,
        Some(DialError::Connect(_)) => EgressError::Connect,
        Some(DialError::TooSlow) => EgressError::Timeout { sent: false },
        // TLS errors come as I/O errors; those of dialling never do.
        None if source.is::<io::Error>() => EgressError::Tls,
        None => EgressError::Broken { sent: false },
    };
    Failure { error, cause: Some(cause(source)) }
}

fn after_sending(error: &legacy::Error) -> EgressError {
    match error.source().and_then(|source| source.downcast_ref::<hyper::Error>()) {
        Some(source) if source.is_parse_too_large() => EgressError::TooLarge,
        _ => EgressError::Broken { sent: true },
    }
}

/// The innermost error in words, cut and cleaned: a certificate holds names that its owner chose.
fn cause(mut error: &(dyn Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Headers of the connection and of the body's framing. Taken from a caller, who may have copied them from a request
/// he received, they would let one request be read as two.
const NOT_THE_CALLERS: [HeaderName; 9] =
    [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, TE, TRAILER, UPGRADE, EXPECT, PROXY_AUTHORIZATION];

/// Some APIs refuse calls without one (GitHub: "Requests with no User-Agent header will be rejected").
const AGENT: &str = concat!("carnet/", env!("CARGO_PKG_VERSION"));

/// Teams and purposes whose idle connections are kept; the least used are closed first.
const POOLS: usize = 512;
const IDLE_PER_HOST: usize = 4;

/// Shorter than common servers' own (nginx 75 s, load balancers 60 s), so that we rather than they close first.
const IDLE: Duration = Duration::from_secs(30);

const MAX_HEAD: usize = 64 * 1024;
const MAX_HEAD_H2: u32 = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// What a peer may send before we have read it; a few times the usual body limit.
const H2_WINDOW: u32 = 1024 * 1024;
