//! How long a connection of HTTP/1.1 may be silent between two requests, and how long the head of the next one may take
//! once it has begun.
//!
//! hyper has one clock for both, which it starts when it is ready for the next head. Clients keep connections for a
//! minute and more, and a proxy in between that sends a request on one which is just being closed has to answer 502; a head that
//! trickles has no such excuse. So the clock that hyper is given here runs to the end of the longer time, and to that of
//! the shorter one as soon as something of a head is there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// How often something was read from a connection.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicUsize>);

impl Heard {
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The clock of one connection.
pub(super) struct Pace {
    pub(super) heard: Heard,
    /// Between requests.
    pub(super) idle: Duration,
    /// From the first piece of a head to its last.
    pub(super) head: Duration,
}

impl Timer for Pace {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(UntilTheHead {
            heard: self.heard.clone(),
            before: self.heard.count(),
            head: self.head,
            has_begun: false,
            end: Box::pin(tokio::time::sleep(self.idle)),
        })
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(self.idle)
    }
}

/// One wait for a head. It is polled whenever something came that did not complete it.
struct UntilTheHead {
    heard: Heard,
    before: usize,
    head: Duration,
    has_begun: bool,
    end: Pin<Box<tokio::time::Sleep>>,
}

impl Sleep for UntilTheHead {}

impl Future for UntilTheHead {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.has_begun && self.heard.count() != self.before {
            self.has_begun = true;
            let end = tokio::time::Instant::now() + self.head;
            self.end.as_mut().reset(end);
        }
        self.end.as_mut().poll(context)
    }
}
