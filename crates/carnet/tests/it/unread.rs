//! Who asks and does not take the answers is not kept.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_the_answers_is_closed_within_ten_seconds() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address: std::net::SocketAddr = broker.url.trim_start_matches("http://").parse().unwrap();
    let one = client().get(format!("{}/openapi.json", broker.url)).send().await.unwrap();
    let one = one.bytes().await.unwrap().len();

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut silent = socket.connect(address).await.unwrap();
    // More than the machine keeps for both sides of a connection.
    let many = 64 * 1024 * 1024 / one;
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(many);
    let asked = tokio::time::timeout(Duration::from_secs(2), silent.write_all(ask.as_bytes())).await;
    drop(asked);
    let window = tokio::spawn(no_window(address));
    tokio::time::sleep(Duration::from_secs(10)).await;

    // What the machine kept is there, and behind it the end.
    let mut got = 0;
    let mut bytes = vec![0; 64 * 1024];
    let end = tokio::time::timeout(Duration::from_secs(5), async {
        while let Ok(count @ 1..) = silent.read(&mut bytes).await {
            got += count;
        }
    });
    assert!(end.await.is_ok(), "it was still open, and gave {got} bytes");
    assert!(got < many * one, "all of it was sent");
    assert!(window.await.unwrap(), "a stream without a window was still open");
    assert_eq!(client().get(format!("{}/livez", broker.url)).send().await.unwrap().status(), 200);
}

/// A stream of HTTP/2 on which nothing may be sent, by a peer that is there and answers pings. Whether it is closed in
/// time.
async fn no_window(address: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut fields = Vec::new();
    for (name, value) in
        [(":method", "GET"), (":scheme", "http"), (":path", "/openapi.json"), (":authority", "127.0.0.1")]
    {
        // A literal that nobody is to remember, without Huffman (RFC 7541 §6.2.2).
        fields.push(0);
        for text in [name, value] {
            fields.push(u8::try_from(text.len()).unwrap());
            fields.extend_from_slice(text.as_bytes());
        }
    }
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    stream.write_all(&frame(HEADERS, 0x5, 1, &fields)).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(11), async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return;
            }
            let mut body = vec![0; (usize::from(head[1]) << 8) | usize::from(head[2])];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            assert_ne!(head[3], DATA, "nothing was let through");
            if matches!(head[3], SETTINGS | PING) && head[4] & ACK == 0 {
                let answer = if head[3] == PING { body } else { Vec::new() };
                let _ = stream.write_all(&frame(head[3], ACK, 0, &answer)).await;
            }
        }
    });
    closed.await.is_ok()
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
