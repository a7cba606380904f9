//! A loopback listener whose handler can also close the connection without a word, and that can be taken away.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server on loopback. It ends when it is dropped.
pub struct Listener {
    address: SocketAddr,
    running: Mutex<JoinSet<()>>,
}

/// The handler wants the connection closed without an answer.
#[derive(Debug)]
pub(crate) struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer on purpose")
    }
}

impl std::error::Error for Hangup {}

impl Listener {
    /// A free port.
    pub(crate) async fn bind() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    /// Serves `handler`; `None` from it closes the connection.
    pub(crate) fn serve<H, F>(socket: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        let listener = Self { address: socket.local_addr().unwrap(), running: Mutex::default() };
        listener.run(socket, handler);
        listener
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and refuses new ones.
    pub(crate) fn stop(&self) {
        *self.running.lock().unwrap() = JoinSet::new();
    }

    /// Listens on `socket`, which must be at the address it had.
    pub(crate) fn run<H, F>(&self, socket: TcpListener, handler: H)
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        self.running.lock().unwrap().spawn(async move {
            // With the loop go its connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = socket.accept().await {
                let handler = handler.clone();
                let service = service_fn(move |request| {
                    let answer = handler(request);
                    async move { answer.await.ok_or(Hangup) }
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    }
}

/// A router as a handler.
pub(crate) async fn routed(routes: axum::Router, request: Request<Body>) -> Response<Body> {
    let answer: Result<_, Infallible> = tower::ServiceExt::oneshot(routes, request).await;
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}
