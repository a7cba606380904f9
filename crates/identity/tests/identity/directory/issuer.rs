//! An HTTP server that answers as it is told and counts what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is answered on a path.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes.
    Text(String),
    /// Nothing: the connection is closed.
    Drop,
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::text(&body.to_string())
    }

    pub(super) fn text(body: &str) -> Self {
        Self::Text(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Text(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"))
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::Text(format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))
    }
}

/// The server. It ends when it is dropped.
pub(super) struct Issuer {
    url: String,
    shared: Arc<Shared>,
    _running: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, Reply>>,
    counts: Mutex<HashMap<String, usize>>,
    gates: Mutex<HashMap<String, watch::Receiver<bool>>>,
}

/// Holds an answer back until it is opened.
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(super) fn open(&self) {
        self.0.send(true).unwrap();
    }
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let mut running = JoinSet::new();
        let of_server = Arc::clone(&shared);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&of_server)));
            }
        });
        Self { url, shared, _running: running }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn serve(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub(super) fn hold(&self, path: &str) -> Gate {
        let (sender, receiver) = watch::channel(false);
        self.shared.gates.lock().unwrap().insert(path.to_owned(), receiver);
        Gate(sender)
    }

    /// How often `path` was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.shared.counts.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    /// Returns when `path` was asked for more than `times` times.
    pub(super) async fn until_asked(&self, path: &str, times: usize) {
        for _ in 0..500 {
            if self.count(path) > times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody asked for {path}");
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        *shared.counts.lock().unwrap().entry(path.clone()).or_default() += 1;
        let gate = shared.gates.lock().unwrap().get(&path).cloned();
        if let Some(mut gate) = gate {
            gate.wait_for(|open| *open).await.unwrap();
        }
        let reply = shared.replies.lock().unwrap().get(&path).cloned();
        match reply.unwrap_or_else(|| Reply::status(404)) {
            Reply::Text(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Reply::Drop => return,
        }
    }
}
