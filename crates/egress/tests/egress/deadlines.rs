//! Every call ends, and says rightly whether the peer may have received it.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carnet_egress::{Egress, EgressError, Limits, Policy, Resolve, Resolved};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use url::Url;

use crate::server::{Server, development, get, hasty, post, request, say};

#[tokio::test]
async fn a_peer_that_takes_the_request_and_says_nothing_leaves_doubt() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            request(&mut stream).await.unwrap();
            assert!(request(&mut stream).await.is_none());
            closed.send(()).unwrap();
        }
    })
    .await;
    for call in [get(server.url("/")), post(server.url("/"))] {
        let error = development().send(call.limits(hasty())).await.unwrap_err();
        assert_eq!(error, EgressError::Timeout { sent: true });
        assert!(error.maybe_received());
        // and nothing goes on behind our back
        tokio::time::timeout(Duration::from_secs(30), was_closed.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn slow_headers_and_trickling_bodies_meet_the_total_deadline() {
    for beginning in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let server = Server::start(move |mut stream| async move {
            request(&mut stream).await;
            say(&mut stream, beginning.as_bytes()).await;
            for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
                if tokio::io::AsyncWriteExt::write_all(&mut stream, &[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let begun = Instant::now();
        let error = development().send(get(server.url("/")).limits(hasty())).await.unwrap_err();
        assert_eq!(error, EgressError::Timeout { sent: true }, "{beginning}");
        assert!(begun.elapsed() >= hasty().total && begun.elapsed() < hasty().total * 3);
    }
}

#[tokio::test]
async fn a_closed_port_was_certainly_not_reached() {
    // Bound, so that nobody else gets it, and without anybody who takes a connection.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    let error = development().send(post(plain(address))).await.unwrap_err();
    assert_eq!(error, EgressError::Connect);
    assert!(!error.maybe_received());
}

#[tokio::test]
async fn a_host_that_does_not_take_connections_meets_the_connect_deadline() {
    let (address, _hold) = black_hole("127.0.0.1:0".parse().unwrap());
    let begun = Instant::now();
    let error = development().send(post(plain(address)).limits(hasty())).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
    assert!(!error.maybe_received());
    assert!(begun.elapsed() < hasty().total, "the connect deadline comes first");
}

#[tokio::test]
async fn a_tls_handshake_without_an_answer_meets_the_connect_deadline() {
    let server = Server::start(|stream| async move {
        pending::<()>().await;
        drop(stream);
    })
    .await;
    let url = Url::parse(&format!("https://{}/", server.address)).unwrap();
    let error = development().send(post(url).limits(hasty())).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
    assert_eq!(server.accepts(), 1);
}

#[tokio::test]
async fn a_resolver_without_an_answer_meets_the_connect_deadline() {
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolved<'a> {
            Box::pin(pending())
        }
    }
    let egress =
        Egress::with_resolver(Policy { loopback: true, ..Policy::default() }, Arc::new(Never)).unwrap();
    let begun = Instant::now();
    let error =
        egress.send(post("https://slow.example/".parse().unwrap()).limits(hasty())).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
    assert!(begun.elapsed() < hasty().total);
}

#[tokio::test]
async fn the_total_deadline_holds_while_connecting() {
    let (address, _hold) = black_hole("127.0.0.1:0".parse().unwrap());
    let limits = Limits { total: Duration::from_millis(300), connect: Duration::from_mins(1), body: 1 };
    let error = development().send(post(plain(address)).limits(limits)).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dead_address_leaves_time_for_the_next() {
    // `localhost` is 127.0.0.1 and ::1; the first does not answer, the second does.
    let (dead, _hold) = black_hole("127.0.0.1:0".parse().unwrap());
    let Ok(listener) = TcpListener::bind(("::1", dead.port())).await else { return };
    let server = Server::on(listener, crate::server::keep_answering);
    let url = Url::parse(&format!("http://localhost:{}/", dead.port())).unwrap();
    assert_eq!(development().send(post(url)).await.unwrap().status.as_u16(), 200);
    assert_eq!(server.accepts(), 1);
}

fn plain(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/")).unwrap()
}

/// A listener whose queue is full: the kernel drops further attempts without a word.
fn black_hole(address: SocketAddr) -> (SocketAddr, (TcpListener, Vec<std::net::TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 1000, "the queue does not fill");
    }
    (address, (listener, waiting))
}
