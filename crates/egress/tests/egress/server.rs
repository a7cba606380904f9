//! Peers that do as the test says, on real sockets, and count who comes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carnet_egress::{Call, Egress, Limits, Policy, Purpose, Resolve, Resolved};
use carnet_model::{Id, kind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepts: Arc<AtomicUsize>,
}

impl Server {
    /// Listens on 127.0.0.1 and lets `talk` deal with each connection.
    pub(crate) async fn start<F, T>(talk: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), talk)
    }

    pub(crate) fn on<F, T>(listener: TcpListener, talk: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let accepts = Arc::new(AtomicUsize::new(0));
        let counter = accepts.clone();
        background(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                background(talk(stream));
            }
        });
        Self { address, accepts }
    }

    /// Answers the first request of each connection with these bytes and closes.
    pub(crate) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                if request(&mut stream).await.is_some() {
                    say(&mut stream, &answer).await;
                }
            }
        })
        .await
    }

    /// Answers every request of a connection with `200` and keeps it open.
    pub(crate) async fn keeping() -> Self {
        Self::start(keep_answering).await
    }

    pub(crate) fn accepts(&self) -> usize {
        self.accepts.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }
}

pub(crate) async fn keep_answering<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    while request(&mut stream).await.is_some() {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    }
}

/// One request: its head, and as much body as `content-length` says. `None` at the end of the stream.
pub(crate) async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Writes as far as the other side lets us.
pub(crate) async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        stream.flush().await.ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "the peers of a test are not the engine's tasks")]
pub(crate) fn background(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// A resolver that answers what the closure says.
pub(crate) struct Answering<F>(pub(crate) F);

impl<F> Resolve for Answering<F>
where
    F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
{
    fn resolve<'a>(&'a self, host: &'a str) -> Resolved<'a> {
        Box::pin(async move { (self.0)(host) })
    }
}

pub(crate) fn development() -> Egress {
    Egress::new(Policy { loopback: true, ..Policy::default() }).unwrap()
}

pub(crate) fn team(number: u8) -> Id<kind::Team> {
    Id::from_bytes([number; 16])
}

pub(crate) fn get(url: Url) -> Call {
    Call::get(url, Purpose::ProviderApi, team(1))
}

pub(crate) fn post(url: Url) -> Call {
    Call::post_form(url, "grant_type=refresh_token".to_owned().into(), Purpose::ProviderToken, team(1))
}

/// Limits for calls that are meant to run into one. Connecting on this machine takes no time, even on a busy one.
pub(crate) fn hasty() -> Limits {
    Limits { total: Duration::from_millis(1500), connect: Duration::from_millis(700), ..Limits::default() }
}

pub(crate) fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}
