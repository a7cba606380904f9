//! The head of a connection's first request, gathered before anything larger is set up for it.
//!
//! hyper takes some thirty kilobytes for a connection, from the first byte on, and whoever sends half a head and waits
//! would hold them. Here a connection holds what it has sent and little more, until its head is whole; then both are
//! handed on. Bytes that no request begins with are handed on at once: how they are refused is hyper's business.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::MAX_HEAD;

/// A connection, and what was read from it already.
pub(super) struct Begun {
    head: Bytes,
    stream: TcpStream,
}

impl Begun {
    /// Whether the first request says the length of its body in two ways. hyper takes one of them, and does not tell of
    /// the other.
    pub(super) fn has_two_lengths(&self) -> bool {
        has_two_lengths(&self.head)
    }
}

/// Waits for the head of the first request.
pub(super) async fn head_of(stream: TcpStream) -> io::Result<Begun> {
    let mut head = BytesMut::new();
    loop {
        // Memory only when there is something to put into it.
        stream.readable().await?;
        let before = head.len();
        head.reserve(STEP);
        match stream.try_read_buf(&mut head) {
            Ok(0) => break,
            Ok(_) if is_enough(&head, before) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Begun { head: head.freeze(), stream })
}

/// Whether hyper can answer to this at once, whatever it answers. Up to `before` it could not.
fn is_enough(head: &[u8], before: usize) -> bool {
    // Empty lines before a request are skipped (RFC 9112 §2.2).
    let Some(begin) = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
        return head.len() >= MAX_HEAD;
    };
    let no_request = head.get(begin).is_some_and(|byte| !byte.is_ascii_graphic());
    // An end that came in two pieces begins up to three bytes before the second.
    let fresh = head.get(begin.max(before.saturating_sub(3))..).unwrap_or_default();
    let ends = |end: &[u8]| fresh.windows(end.len()).any(|window| window == end);
    no_request || head.len() >= MAX_HEAD || ends(b"\r\n\r\n") || ends(b"\n\n")
}

fn has_two_lengths(head: &[u8]) -> bool {
    let lines =
        head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).skip_while(|line| line.is_empty());
    let (mut length, mut coding) = (false, false);
    for line in lines.take_while(|line| !line.is_empty()) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        length |= name.eq_ignore_ascii_case(b"content-length");
        coding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    length && coding
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let fits = self.head.len().min(into.remaining());
        into.put_slice(&self.head.split_to(fits));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Room for what comes next: most heads need two of these.
const STEP: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_enough_when_it_is_whole_or_never_will_be() {
        let long = vec![b'x'; MAX_HEAD];
        let cases: [(&[u8], bool); 12] = [
            (b"GET / HTTP/1.1\r\nHost: x\r\n", false),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r", false),
            (b"GET / HTTP/1.1\nHost: x\n\n", true),
            (b"get / ht", false),
            (b"PRI * HT", false),
            (b"PRI * HTTP/2.0\r\n\r\n", true),
            (b"\r\n\r\n\r\n", false),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", false),
            (b"\x16\x03\x01", true),
            (b"\xff", true),
            (&long, true),
        ];
        for (bytes, want) in cases {
            assert_eq!(is_enough(bytes, 0), want, "{}", String::from_utf8_lossy(bytes));
            // Byte by byte, it is enough at the same place.
            let enough = (1..=bytes.len()).find(|end| is_enough(&bytes[..*end], end - 1));
            assert_eq!(enough.is_some(), want, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn two_lengths_are_seen_in_any_order_and_not_in_a_body() {
        for (head, want) in [
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\ncontent-length:3\nx: y\ntransfer-encoding:chunked\n\n", true),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nContent-Length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nX: transfer-encoding\r\n\r\nabc", false),
        ] {
            assert_eq!(has_two_lengths(head.as_bytes()), want, "{head}");
        }
    }
}
