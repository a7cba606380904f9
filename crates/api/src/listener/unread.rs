//! A peer that asks and does not take the answer.
//!
//! It could hold its connection, and what is to be sent on it, for as long as it likes. Here a connection ends on which
//! something waits for the peer and nothing has gone for some time: seen on the socket, whatever is spoken there, and for
//! HTTP/2 in the bodies of the answers, because a peer can keep a stream from being sent whose socket takes everything
//! (RFC 9113 §5.2). A body that has nothing to send yet keeps nobody waiting, and is never cut off.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// A connection that ends when its peer takes nothing for so long.
pub(super) struct Unread<S> {
    stream: S,
    patience: Duration,
    /// Set while something waits.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Unread<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, end: None }
    }

    fn timed<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.end = None;
            return polled;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.timed(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.timed(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(context, polled)
    }
}

/// What one connection of HTTP/2 has to send.
pub(super) struct Sending {
    state: Mutex<State>,
    begun: Notify,
}

#[derive(Clone, Copy)]
struct State {
    /// Answers that have something to send.
    bodies: usize,
    /// When something of one of them went last.
    moved: Instant,
}

impl Sending {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { bodies: 0, moved: Instant::now() }), begun: Notify::new() }
    }

    /// Ends when there was something to send for so long, and nothing of it went.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            let State { bodies, moved } = *self.state();
            let end = moved + patience;
            if bodies == 0 {
                self.begun.notified().await;
            } else if end <= Instant::now() {
                return;
            } else {
                tokio::time::sleep_until(end).await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something went, and there is one body more, or one less, that has something to send.
    fn moved(&self, was: bool, is: bool) {
        let mut state = self.state();
        state.moved = Instant::now();
        match (was, is) {
            (false, true) => state.bodies += 1,
            (true, false) => state.bodies -= 1,
            _ => return,
        }
        let first = is && state.bodies == 1;
        drop(state);
        if first {
            // Kept for who comes to wait later.
            self.begun.notify_one();
        }
    }
}

/// The body of an answer on HTTP/2, which is asked for its next piece only when the peer lets some of it be sent.
///
/// It comes in small pieces, and its last byte alone: when that is asked for, everything before it has been let through.
pub(super) struct Sent {
    body: Body,
    /// What was read of it and is still to be handed on.
    rest: Bytes,
    /// Whether there is something to send.
    waits: bool,
    sending: Arc<Sending>,
}

impl Sent {
    pub(super) fn new(body: Body, sending: Arc<Sending>) -> Self {
        let mut sent = Self { body, rest: Bytes::new(), waits: false, sending };
        let waits = !sent.body.is_end_stream();
        sent.waits(waits);
        sent
    }

    fn waits(&mut self, waits: bool) {
        self.sending.moved(self.waits, waits);
        self.waits = waits;
    }

    fn piece(&mut self) -> Bytes {
        let most = if self.body.is_end_stream() { self.rest.len().saturating_sub(1).max(1) } else { PIECE };
        let size = self.rest.len().min(most).min(PIECE);
        self.rest.split_to(size)
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.waits(true);
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => {
                    self.waits(false);
                    return other;
                }
            }
        }
        let piece = self.piece();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(of_body.lower().saturating_add(rest));
        hint
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.waits(false);
    }
}

/// As much as a frame holds that every peer takes (RFC 9113 §4.2).
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_peer_that_takes_nothing_ends_the_connection_and_a_slow_one_does_not() {
        let (ours, theirs) = tokio::io::duplex(8);
        let mut unread = Unread::new(ours, SHORT);
        let error = unread.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);

        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut slowly = Unread::new(ours, SHORT * 100);
        let reading = async {
            let mut bytes = [0; 8];
            for _ in 0..8 {
                tokio::time::sleep(SHORT / 5).await;
                theirs.read_exact(&mut bytes).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(slowly.write_all(&[0; 64]), reading);
        written.unwrap();
    }

    #[tokio::test]
    async fn a_body_comes_whole_and_its_last_byte_alone() {
        for size in [0, 1, 2, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let whole: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let sending = Arc::new(Sending::new());
            let mut sent = Sent::new(Body::from(whole.clone()), sending.clone());
            assert_eq!(sent.size_hint().exact(), Some(size as u64));
            let (mut got, mut last) = (Vec::new(), 0);
            while !sent.is_end_stream() {
                assert_eq!(sending.state().bodies, 1);
                let piece = sent.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!((1..=PIECE).contains(&piece.len()), "{size}: {}", piece.len());
                last = piece.len();
                got.extend_from_slice(&piece);
                assert_eq!(sent.size_hint().exact(), Some((size - got.len()) as u64));
            }
            assert_eq!((got, last), (whole, size.min(1)));
            drop(sent);
            assert_eq!(sending.state().bodies, 0);
        }
    }

    #[tokio::test]
    async fn what_nobody_lets_through_is_noticed_and_what_is_not_there_yet_is_not() {
        let sending = Arc::new(Sending::new());
        let stalled = || tokio::time::timeout(SHORT * 10, sending.stalled(SHORT));
        assert!(stalled().await.is_err(), "nothing is to be sent");

        let mut quiet = Sent::new(Body::new(Nothing), sending.clone());
        assert!(tokio::time::timeout(SHORT, quiet.frame()).await.is_err());
        assert!(stalled().await.is_err(), "it has nothing to send");
        drop(quiet);

        let kept = Sent::new(Body::from("an answer"), sending.clone());
        assert!(stalled().await.is_ok(), "it was never asked for");
        drop(kept);
    }

    /// A body that has nothing yet.
    struct Nothing;

    impl HttpBody for Nothing {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
}
