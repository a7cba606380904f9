//! A server that says what it is told to, and remembers what was asked.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The fields of a form, in order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), Some("application/x-www-form-urlencoded"));
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.form().into_iter().map(|(name, _)| name).collect()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Say {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Half of what was announced.
    Truncated,
    /// Nothing: the connection ends after the request was read.
    HangUp,
    /// A byte now and then, for as long as somebody reads.
    Trickle,
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl ToString) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self::Say { status, headers, body: body.to_string() }
    }

    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self::Say { status, headers: vec![("content-type", content_type.to_owned())], body: body.to_owned() }
    }

    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        let Self::Say { status, mut headers, body } = self else { panic!("nothing to add a header to") };
        headers.push((name, value.to_owned()));
        Self::Say { status, headers, body }
    }
}

#[derive(Default)]
struct State {
    script: HashMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
}

/// A server on loopback, for as long as the test runs.
pub(crate) struct Server {
    pub origin: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { origin, state }
    }

    /// The next answer for `path`. The last one stands for all that follow; without any, 404.
    pub(crate) fn on(&self, path: &str, reply: Reply) -> &Self {
        self.state.lock().unwrap().script.entry(path.to_owned()).or_default().push_back(reply);
        self
    }

    /// Forgets what was scripted for `path`.
    pub(crate) fn forget(&self, path: &str) {
        self.state.lock().unwrap().script.remove(path);
    }

    /// Takes away all that is scripted.
    pub(crate) fn hold(&self) -> HashMap<String, VecDeque<Reply>> {
        std::mem::take(&mut self.state.lock().unwrap().script)
    }

    /// Puts it back, and forgets what arrived meanwhile.
    pub(crate) fn release(&self, script: HashMap<String, VecDeque<Reply>>) {
        let mut state = self.state.lock().unwrap();
        state.script = script;
        state.seen.clear();
    }

    /// Forgets that a client was tried, with a grant that is none.
    pub(crate) fn forget_trials(&self) {
        self.state.lock().unwrap().seen.retain(|seen| !seen.body.contains("is-this-client-known"));
    }

    /// What arrived since the last look.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    /// The one request that arrived since the last look.
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(seen) = receive(&mut stream) else { return };
    let path = seen.path.split('?').next().unwrap_or_default().to_owned();
    let reply = {
        let mut state = state.lock().unwrap();
        state.seen.push(seen);
        match state.script.get_mut(&path) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue.front().cloned().unwrap(),
            None => Reply::text(404, "text/plain", "no such page"),
        }
    };
    let out = match reply {
        Reply::HangUp => return,
        Reply::Trickle => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{");
            while sent.is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(100));
                sent = stream.write_all(b" ");
            }
            return;
        }
        Reply::Truncated => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\"".to_owned(),
        Reply::Say { status, headers, body } => {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = headers.concat();
            let length = body.len();
            format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            )
        }
    };
    let _ = stream.write_all(out.as_bytes());
}

fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let mut body = bytes[head_end + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while body.len() < length {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&chunk[..read]);
    }
    Some(Seen { method, path, headers, body: String::from_utf8(body).unwrap() })
}
