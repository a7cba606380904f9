//! From a host to a connection, past the address rule.
//!
//! The check sits here, between the resolver and `connect()`: what is connected to is the very address that was
//! judged, so a name that changes its answer in between (DNS rebinding) gains nothing, and an address written into a
//! URL, which no resolver ever sees, is judged like any other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use crate::policy::{Purpose, Rules};
use crate::resolve::Resolve;
use crate::url_rule::{UrlRefused, is_localhost};
use crate::wire::{Transport, Wire};

/// Makes connections, TLS included, for one purpose.
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<Dial>);

/// Why there is no TCP connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("refused")]
    Refused(#[source] UrlRefused),
    #[error("not resolved")]
    Resolve(#[source] io::Error),
    #[error("not connected")]
    Connect(#[source] io::Error),
    #[error("not connected in time")]
    TooSlow,
}

impl Connector {
    pub(crate) fn new(dial: Dial, tls: Arc<ClientConfig>) -> Self {
        Self(HttpsConnector::from((dial, tls)))
    }
}

type Pending<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<Wire>>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pending<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            timeout(CEILING, connecting).await.unwrap_or_else(|_| Err(DialError::TooSlow.into()))
        })
    }
}

/// Resolves, judges, connects: TCP alone.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) rules: Arc<Rules>,
    pub(crate) resolver: Arc<dyn Resolve>,
    /// TCP, if there is none.
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) purpose: Purpose,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = DialError;
    type Future = Pending<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move { dial.connect(&target).await.map(TokioIo::new) })
    }
}

impl Dial {
    async fn connect(&self, target: &Uri) -> Result<Wire, DialError> {
        let default = if target.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = target.port_u16().unwrap_or(default);
        let addresses = self.addresses(target.host().unwrap_or_default()).await?;
        let mut failure = DialError::Resolve(io::Error::other("the name has no address"));
        let mut left = addresses.len().min(ATTEMPTS);
        for address in addresses.into_iter().take(ATTEMPTS) {
            left -= 1;
            let patience = if left == 0 { CEILING } else { PATIENCE };
            let attempt = timeout(patience, self.connect_to(SocketAddr::new(address, port)));
            match attempt.await.unwrap_or(Err(DialError::TooSlow)) {
                Ok(stream) => return Ok(stream),
                Err(refused @ DialError::Refused(_)) => return Err(refused),
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// The addresses of `host`: all of them permitted, or none is given.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        // The authority of a `Uri` keeps the brackets of a v6 address, with which it would not parse as one.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = if let Ok(literal) = bare.parse() {
            vec![literal]
        } else if is_localhost(host) {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        } else {
            self.resolver.resolve(host).await.map_err(DialError::Resolve)?
        };
        if addresses.iter().all(|address| self.rules.permits(*address, self.purpose)) {
            Ok(addresses)
        } else {
            Err(DialError::Refused(UrlRefused::Address))
        }
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Wire, DialError> {
        if let Some(transport) = &self.transport {
            return transport.dial(address).await.map(Wire::Other).map_err(DialError::Connect);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the way out, and the address has been judged")]
        let stream = TcpStream::connect(address).await.map_err(DialError::Connect)?;
        // Belt and braces: what the kernel says we are connected to must be what was judged.
        let peer = stream.peer_addr().map_err(DialError::Connect)?;
        if peer != address || !self.rules.permits(peer.ip(), self.purpose) {
            return Err(DialError::Refused(UrlRefused::Address));
        }
        stream.set_nodelay(true).map_err(DialError::Connect)?;
        Ok(Wire::Tcp(stream))
    }
}

/// How many addresses of one name are tried. A name with a thousand of them must not become a thousand attempts.
const ATTEMPTS: usize = 8;

/// How long one address is waited for while others are left, so that a dead one leaves time for the next.
const PATIENCE: Duration = Duration::from_secs(1);

/// The caller's own deadline is shorter. This one ends attempts that nobody waits for any more: the pool finishes a
/// connection in the background if another became free first.
const CEILING: Duration = Duration::from_secs(30);
