//! How much is under way at once (10): counted where connections of the nodes begin and end, looked at after every step of
//! the world, judged at its end. Each request has a connection of its own.
//!
//! The caps are those of `engine::pace` for a provider and of `engine::triggers::lines` for a destination, and what the
//! settings say: how many refreshes begin in a second, and within which time a caller is answered.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use crate::receiver;
use crate::world::{NODES, World, elapsed};

/// Where a connection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Provider,
    /// The project, of what breaks.
    Health,
    /// The project, of the provider's events.
    Destination,
}

impl To {
    pub(crate) fn at(port: u16) -> Self {
        match port {
            receiver::HEALTH => Self::Health,
            receiver::EVENTS => Self::Destination,
            _ => Self::Provider,
        }
    }
}

/// What the nodes have under way, the one that judges in the end among them.
#[derive(Default)]
pub(crate) struct Caps {
    loads: [Load; BROKERS],
    /// The longest that a caller waited.
    longest: Mutex<Duration>,
}

#[derive(Default)]
struct Load {
    open: [AtomicUsize; 3],
    most: [AtomicUsize; 3],
    /// When refreshes began, by the process that began them.
    begun: Mutex<BTreeMap<u64, Vec<Duration>>>,
}

/// A connection that is counted as long as it, or the attempt to have it, lives.
struct Open {
    world: Arc<World>,
    node: usize,
    to: To,
}

impl Open {
    fn new(world: Arc<World>, node: usize, to: To) -> Self {
        world.caps.loads[node].open[to as usize].fetch_add(1, Ordering::Relaxed);
        Self { world, node, to }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.world.caps.loads[self.node].open[self.to as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Caps {
    /// After a step.
    pub(crate) fn look(&self) {
        for load in &self.loads {
            for (open, most) in load.open.iter().zip(&load.most) {
                most.fetch_max(open.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Whether a webhook is under way.
    pub(crate) fn is_sending(&self) -> bool {
        let sends = |load: &Load| load.open[1..].iter().any(|open| open.load(Ordering::Relaxed) > 0);
        self.loads.iter().any(sends)
    }

    /// A caller was answered after so long.
    pub(crate) fn waited(&self, time: Duration) {
        let mut longest = self.longest.lock().unwrap();
        *longest = time.max(*longest);
    }

    /// The most that any node had under way there.
    pub(crate) fn most(&self, to: To) -> usize {
        let most = self.loads.iter().map(|load| load.most[to as usize].load(Ordering::Relaxed));
        most.max().unwrap_or_default()
    }
}

impl World {
    /// What is over a cap.
    pub(crate) fn judge_caps(&self) {
        for (to, cap) in [(To::Provider, CALLS), (To::Destination, ATTEMPTS)] {
            let most = self.caps.most(to);
            if most > cap {
                self.wrong(format!("10: a node had {most} calls at once: {to:?}"));
            }
        }
        let cap = self.start.settings.refreshes_per_second as usize;
        for load in &self.caps.loads {
            for begun in load.begun.lock().unwrap().values() {
                let (most, at) = busiest(begun);
                if most > cap {
                    self.wrong(format!("10: a node began {most} refreshes in the second from {at:?}"));
                }
            }
        }
        let longest = *self.caps.longest.lock().unwrap();
        if longest > self.start.settings.answer_within + TICKS {
            self.wrong(format!("10: a caller waited {longest:?}"));
        }
    }
}

/// How many fall into one second, and where it begins.
fn busiest(begun: &[Duration]) -> (usize, Duration) {
    let mut begun = begun.to_vec();
    begun.sort_unstable();
    let within = |from: usize| begun[from..].partition_point(|at| *at < begun[from] + SECOND);
    (0..begun.len()).map(|from| (within(from), begun[from])).max_by_key(|(many, _)| *many).unwrap_or_default()
}

/// A connection of a node.
pub(crate) struct Counted {
    stream: TcpStream,
    open: Open,
    /// The process that dialled, and when, until the first word was said.
    dialled: Option<(u64, Duration)>,
}

impl Counted {
    pub(crate) async fn dial(world: Arc<World>, node: usize, birth: u64, port: u16) -> std::io::Result<Self> {
        let (to, at) = (To::at(port), elapsed());
        let open = Open::new(world, node, to);
        let host = if to == To::Provider { "provider" } else { "receiver" };
        let stream = TcpStream::connect((host, port)).await?;
        Ok(Self { stream, open, dialled: Some((birth, at)) })
    }

    /// Notes a refresh, by the line that its request begins with.
    fn note(&mut self, said: &[u8]) {
        let Some((birth, at)) = self.dialled.take() else { return };
        if self.open.to == To::Provider && said.starts_with(b"POST /token ") {
            let load = &self.open.world.caps.loads[self.open.node];
            load.begun.lock().unwrap().entry(birth).or_default().push(at);
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.note(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Calls of a node to a provider at once.
pub(crate) const CALLS: usize = 8;
/// Attempts of a node at a destination at once.
pub(crate) const ATTEMPTS: usize = 4;
/// The nodes, and the one that judges.
const BROKERS: usize = NODES + 1;
/// A second, less the grain of the timers.
const SECOND: Duration = Duration::from_millis(999);
/// What the grain of timers and steps adds to a wait.
const TICKS: Duration = Duration::from_millis(50);
