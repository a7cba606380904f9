//! What hyper refuses before there is a request: with the envelope of every other refusal, and so that it is heard.
//!
//! A head that cannot be read, or is too large, is answered by hyper itself with a bare status. Here that answer is
//! exchanged for one with a code. The connection is then closed for writing, and what the peer is still sending is read
//! and dropped for a moment: closed at once, the kernel would take the answer back from a peer that has not read it yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use carnet_model::{Code, Fault};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A connection on which bare refusals become whole ones.
pub(super) struct Answering<S> {
    stream: S,
    /// What is still to be written in the place of a bare refusal.
    instead: Bytes,
    /// Set once something was refused: until when, and how much, the peer is listened to after the answer.
    refused: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Answering<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, instead: Bytes::new(), refused: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Answering<S> {
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Until the peer has closed too, or has had its time.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((end, left)) = &mut self.refused else { return Poll::Ready(()) };
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; 4096];
        loop {
            let mut into = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut into));
            let count = into.filled().len();
            if read.is_err() || count == 0 || count >= *left {
                return Poll::Ready(());
            }
            *left -= count;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Answering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        let Some(whole) = whole(bytes) else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        self.instead = whole;
        self.refused = Some((Box::pin(tokio::time::sleep(PATIENCE)), MOST));
        match self.poll_instead(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What could not be written yet is written before the flush is done.
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(context, only);
        }
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        self.poll_rest(context).map(Ok)
    }
}

/// The whole refusal in the place of a bare one: an answer of hyper's own has no body, and every one of ours has.
fn whole(bytes: &[u8]) -> Option<Bytes> {
    let head = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let fault = match head.get(..3)? {
        b"400" => Fault::new(Code::InvalidRequest, "The head of the request is no HTTP."),
        b"414" => Fault::new(Code::TooLarge, "The address of the request is too long."),
        b"431" => Fault::new(
            Code::TooLarge,
            format!("The head of a request has at most {} KiB, and 64 fields.", super::MAX_HEAD / 1024),
        ),
        _ => return None,
    };
    let head = std::str::from_utf8(head).ok()?;
    let bare = head.find("\r\n\r\n") == Some(head.len() - 4) && head.contains("\r\ncontent-length: 0\r\n");
    let status = head.split("\r\n").next().filter(|_| bare)?;
    let body = fault.body().to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    Some(Bytes::from(head + &body))
}

/// How long, and for how many bytes, a peer that was refused is listened to.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_exchanged() {
        for (answer, code) in [
            (
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                Some("invalid_request"),
            ),
            (
                "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Some("payload_too_large"),
            ),
            (
                "HTTP/1.0 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n",
                Some("payload_too_large"),
            ),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n", None),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.1 4", None),
            ("", None),
        ] {
            let whole = whole(answer.as_bytes()).map(|whole| String::from_utf8(whole.to_vec()).unwrap());
            assert_eq!(whole.is_some(), code.is_some(), "{answer}");
            let Some(whole) = whole else { continue };
            let (head, body) = whole.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.lines().next().unwrap()[9..], answer.lines().next().unwrap()[9..]);
            assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], code.unwrap());
        }
    }
}
