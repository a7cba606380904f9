//! One caller on one connection: a request, its answer, how long that took.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A connection that is kept open, with the access token of `carnet dev`.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    token: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, dev: &Value) -> Result<Self> {
        let token = dev.get("accessToken").and_then(Value::as_str).context("dev.json has no accessToken")?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address, token: token.to_owned() })
    }

    /// The answer, and the time from the first byte of the request to the last of the answer. Anything but a success
    /// ends the measurement.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Duration)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let begun = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let took = begun.elapsed();
        if !status.starts_with("HTTP/1.1 2") {
            bail!("{method} {path}: {} {}", status.trim(), String::from_utf8_lossy(&answer));
        }
        Ok((serde_json::from_slice(&answer).unwrap_or_default(), took))
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<(Value, Duration)> {
        self.ask("GET", path, None)
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.ask("POST", path, Some(body))?.0)
    }
}
