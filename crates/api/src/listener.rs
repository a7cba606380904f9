//! The listener: hyper behind our own accept loop, because the stock one lets a connection send headers for ever.
//!
//! A connection has eight seconds for the headers of its first request, and eight between requests; until it has sent
//! the first ones it holds little memory (`head`). There are at most so many connections, in all and from one address.
//! Where the listener speaks TLS itself, the handshake is part of the first eight seconds, and what a peer writes as a proxy
//! would is dropped: nobody stands between.
//! A body has as long as headers, whoever reads it, and so has a peer to take some of what is sent to it (`unread`). A
//! request whose head could be read in two ways is told so before anything looks at it (`wellformed`). On shutdown no new
//! connection is taken, and those that are there finish the request they are in.

mod head;
mod refusal;
mod unread;
mod wellformed;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body as AnswerBody;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use http::{Version, header};
use hyper::Request as HyperRequest;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

use head::head_of;
use refusal::Answering;
use unread::{Sending, Sent, Unread};
pub(crate) use wellformed::Malformed;

use crate::tls::Tls;

type Request = HyperRequest<Incoming>;

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub per_address: usize,
    /// How long headers may take, how long a body after them, how long a connection may be idle, and how long a peer may
    /// take nothing of what is sent to it.
    pub headers: Duration,
    /// How long shutdown waits for requests to finish.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            per_address: 12_000,
            headers: Duration::from_secs(8),
            patience: Duration::from_secs(25),
        }
    }
}

/// Where connections come from, and how they begin.
pub struct Listening {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl From<TcpListener> for Listening {
    /// In the clear: on this machine, or behind a proxy.
    fn from(socket: TcpListener) -> Self {
        Self { socket, tls: None }
    }
}

impl Listening {
    /// With TLS.
    pub fn secured(socket: TcpListener, tls: Tls) -> Self {
        Self { socket, tls: Some(Arc::new(tls)) }
    }
}

/// Serves `routes` until `stop` ends, then lets what is under way finish.
pub async fn serve(
    listening: impl Into<Listening>,
    routes: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let Listening { socket: listener, tls } = listening.into();
    let places = Arc::new(Semaphore::new(limits.connections));
    let addresses = Arc::new(Addresses::default());
    let graceful = GracefulShutdown::new();
    let stopping = CancellationToken::new();
    let tasks = TaskTracker::new();
    let builder = builder(limits);
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: waiting is all that helps.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let Some(visitor) = addresses.admit(peer.ip(), limits.per_address) else { continue };
        let _ = stream.set_nodelay(true);
        let deadline = Instant::now() + limits.headers;
        let served = Served {
            peer,
            direct: tls.as_ref().is_some_and(|tls| tls.is_first),
            builder: builder.clone(),
            routes: routes.clone(),
            patience: limits.headers,
            watcher: graceful.watcher(),
            deadline,
        };
        let (stopping, tls) = (stopping.clone(), tls.clone());
        tasks.spawn(async move {
            match tls {
                None => serve_plain(stream, served, &stopping).await,
                Some(tls) => Box::pin(serve_secured(stream, &tls, served, &stopping)).await,
            }
            drop((place, visitor));
        });
    }
    drop(listener);
    stopping.cancel();
    if tokio::time::timeout(limits.patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// What a connection is served with.
struct Served {
    peer: SocketAddr,
    /// Whether nobody stands between the peer and us.
    direct: bool,
    builder: Builder<TokioExecutor>,
    routes: Router,
    patience: Duration,
    watcher: Watcher,
    deadline: Instant,
}

/// A connection in the clear, from its first byte to its end.
async fn serve_plain(stream: TcpStream, served: Served, stopping: &CancellationToken) {
    let begun = tokio::select! {
        () = stopping.cancelled() => None,
        begun = timeout_at(served.deadline, head_of(stream)) => begun.ok().and_then(Result::ok),
    };
    if let Some(begun) = begun {
        // In memory of its own, which nobody holds who has not sent a head.
        let twice = begun.has_two_lengths();
        Box::pin(attend(begun, served, twice)).await;
    }
}

/// A connection that begins with a handshake. What goes wrong in it is the peers' business.
async fn serve_secured(stream: TcpStream, tls: &Tls, served: Served, stopping: &CancellationToken) {
    let secured = tokio::select! {
        () = stopping.cancelled() => None,
        secured = timeout_at(served.deadline, tls.accept(stream)) => secured.ok().flatten(),
    };
    if let Some(secured) = secured {
        attend(secured, served, false).await;
    }
}

/// Serves one connection to its end; `twice` if its first head was seen to have two lengths. Of a later one that has, or
/// one within TLS, hyper reads the chunks and ends the connection after the answer (RFC 9112 §6.1).
async fn attend<S>(stream: S, served: Served, twice: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Served { peer, direct, builder, routes, patience, watcher, deadline } = served;
    let first = Arc::new(AtomicBool::new(false));
    let sending = Arc::new(Sending::new());
    let requests =
        Requests { routes, peer, direct, begun: first.clone(), twice, patience, sending: sending.clone() };
    let service = TowerToHyperService::new(begins(requests));
    let stream = TokioIo::new(Answering::new(Unread::new(stream, patience)));
    let connection = builder.serve_connection(stream, service).into_owned();
    tokio::select! {
        // Ends of connections are the peers' business: resets, timeouts, nonsense.
        _ = watcher.watch(connection) => {}
        () = never_begun(deadline, &first) => {}
        () = sending.stalled(patience) => {}
    }
}

/// What the requests of a connection are answered with.
#[derive(Clone)]
struct Requests {
    routes: Router,
    peer: SocketAddr,
    direct: bool,
    /// Whether the first one has arrived.
    begun: Arc<AtomicBool>,
    /// Whether the first one has two lengths.
    twice: bool,
    patience: Duration,
    sending: Arc<Sending>,
}

/// Notes when the first request of a connection has arrived, and says to each who the peer is and whether its head is
/// sound.
fn begins(
    requests: Requests,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone {
    tower::service_fn(move |mut request: Request| {
        let is_first = !requests.begun.swap(true, Ordering::Relaxed);
        let in_pieces = request.version() == Version::HTTP_2;
        if let Err(malformed) = wellformed::check(&request, is_first && requests.twice) {
            request.extensions_mut().insert(malformed);
        }
        request.extensions_mut().insert(ConnectInfo(requests.peer));
        if requests.direct {
            // By these it would be believed to be whoever it likes.
            request.headers_mut().remove(FORWARDED_FOR);
            request.headers_mut().remove(header::FORWARDED);
        }
        let (patience, sending) = (requests.patience, requests.sending.clone());
        let answer = requests.routes.clone().oneshot(request.map(|body| Timely::new(body, patience)));
        async move {
            let response = answer.await?;
            Ok(if in_pieces {
                response.map(|body| AnswerBody::new(Sent::new(body, sending)))
            } else {
                response
            })
        }
    })
}

/// A body that must be complete within some time. Without it a form that never ends holds its connection for ever.
struct Timely {
    body: Incoming,
    /// `None` where there is nothing to wait for.
    end: Option<Pin<Box<Sleep>>>,
}

impl Timely {
    fn new(body: Incoming, patience: Duration) -> Self {
        let end = (!body.is_end_stream()).then(|| Box::pin(tokio::time::sleep(patience)));
        Self { body, end }
    }
}

impl Body for Timely {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        match self.end.as_mut().map(|end| end.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Some(Err(std::io::Error::from(ErrorKind::TimedOut).into()))),
            _ => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Ends if no request arrives in time. hyper's own timeout begins once it knows which version of HTTP it reads, which
/// a peer can keep it from by sending half a preface.
async fn never_begun(deadline: Instant, begun: &AtomicBool) {
    tokio::time::sleep_until(deadline).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_headers(MAX_FIELDS)
        .max_buf_size(MAX_HEAD)
        .http2()
        .timer(TokioTimer::new())
        // What is between this and what is taken is refused with a code (`wellformed`).
        .max_header_list_size(HEARD_HEAD)
        .max_concurrent_streams(128)
        .max_pending_accept_reset_streams(32)
        // Who has died is not there any more after both.
        .keep_alive_interval(limits.headers / 2)
        .keep_alive_timeout(limits.headers / 2);
    builder
}

/// How many connections each address has.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

struct Visitor {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn admit(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Visitor> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Visitor { addresses: self.clone(), address })
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Who the visitor is, as a proxy says.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Request line and headers together.
const MAX_HEAD: usize = 16 * 1024;

/// Fields of a head.
const MAX_FIELDS: usize = 64;

/// What HTTP/2 reads of a head before it refuses by itself, without a word.
const HEARD_HEAD: u32 = 64 * 1024;
