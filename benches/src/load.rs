//! Load: the same kind of request over many connections that are kept open.
//!
//! One thread drives all connections, so that the generator takes little from the server on a small machine. Each
//! connection has one request under way at a time. Without a pace the next request goes out as soon as the answer is
//! there: that gives the greatest rate, and its times say little about stalls, because nothing is sent while everything
//! waits: a stall costs as many requests as there are connections. With a pace requests are due at fixed times whatever the
//! server does, and the time of a request counts from when it was due, so that a server that stalls does not hide it: a
//! stall costs all that are due in it. Whatever the generator itself was late by is in these times too, and told beside them.

use std::net::{SocketAddr, TcpStream as StdStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// What is asked of whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The bytes of the `n`-th request, head and body.
    pub(crate) request: Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
}

/// When it ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    After(Duration),
    Requests(u32),
}

/// What came of a load.
pub(crate) struct Taken {
    /// How long each request took, in microseconds, the shortest first.
    micros: Vec<u32>,
    /// How much later than due each was let go by the generator, likewise; without a pace nothing is due.
    late: Vec<u32>,
    elapsed: Duration,
}

impl Target {
    /// The same request every time.
    pub(crate) fn same(address: SocketAddr, request: Vec<u8>) -> Self {
        Self { address, request: Arc::new(move |_| request.clone()) }
    }
}

impl Taken {
    pub(crate) fn requests(&self) -> u32 {
        u32::try_from(self.micros.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.requests()) / self.elapsed.as_secs_f64()
    }

    /// The time that so many of a thousand requests do not exceed, in milliseconds.
    pub(crate) fn permille(&self, share: usize) -> f64 {
        permille(&self.micros, share)
    }

    /// The same of what the generator was late by.
    pub(crate) fn late_permille(&self, share: usize) -> f64 {
        permille(&self.late, share)
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.micros.extend(other.micros);
        self.micros.sort_unstable();
        self.late.extend(other.late);
        self.late.sort_unstable();
        Self { micros: self.micros, late: self.late, elapsed: self.elapsed + other.elapsed }
    }
}

fn permille(sorted: &[u32], share: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * share / 1000).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

/// As fast as the server answers.
pub(crate) fn closed(target: &Target, connections: usize, until: Until) -> Result<Taken> {
    run(target, connections, until, None)
}

/// At a fixed rate.
pub(crate) fn paced(target: &Target, connections: usize, until: Until, per_second: f64) -> Result<Taken> {
    run(target, connections, until, Some(per_second))
}

fn run(target: &Target, connections: usize, until: Until, per_second: Option<f64>) -> Result<Taken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let streams = (0..connections).map(|_| connect(target.address)).collect::<Result<Vec<_>>>()?;
        let schedule = Arc::new(Schedule::new(until));
        let due = per_second.map(|rate| Arc::new(Mutex::new(pacer(schedule.clone(), rate))));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(work(target.clone(), stream, schedule.clone(), due.clone()));
        }
        let (mut micros, mut late) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let of_one = done??;
            micros.extend(of_one.micros);
            late.extend(of_one.late);
        }
        let elapsed = begun.elapsed();
        micros.sort_unstable();
        late.sort_unstable();
        Ok(Taken { micros, late, elapsed })
    })
}

/// Which request is next, and whether there is one.
struct Schedule {
    next: AtomicU32,
    begun: Instant,
    until: Until,
    over: AtomicBool,
}

impl Schedule {
    fn new(until: Until) -> Self {
        Self { next: AtomicU32::new(0), begun: Instant::now(), until, over: AtomicBool::new(false) }
    }

    fn take(&self) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let more = match self.until {
            Until::After(duration) => self.begun.elapsed() < duration,
            Until::Requests(most) => number < most,
        };
        (more && !self.over.load(Ordering::Relaxed)).then_some(number)
    }
}

/// A request, when it was due, and when it was let go.
struct Go {
    number: u32,
    at: Instant,
    left: Instant,
}

type Due = mpsc::UnboundedReceiver<Go>;

/// A thread that lets each request go when it is due. The timer of the runtime counts in milliseconds, which is too coarse;
/// and the kernel puts off the end of a sleep by up to 50 µs to have several at once, which at these rates is several
/// requests in a burst.
fn pacer(schedule: Arc<Schedule>, per_second: f64) -> Due {
    let (sender, due) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let begun = Instant::now();
        while let Some(number) = schedule.take() {
            let at = begun + Duration::from_secs_f64(f64::from(number) / per_second);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send(Go { number, at, left: Instant::now() }).is_err() {
                return;
            }
        }
    });
    due
}

async fn work(
    target: Target,
    mut stream: TcpStream,
    schedule: Arc<Schedule>,
    due: Option<Arc<Mutex<Due>>>,
) -> Result<OfOne> {
    let (mut micros, mut late) = (Vec::with_capacity(64 * 1024), Vec::new());
    let mut room = vec![0; 64 * 1024];
    loop {
        let (number, at) = match &due {
            None => match schedule.take() {
                Some(number) => (number, Instant::now()),
                None => return Ok(OfOne { micros, late }),
            },
            Some(due) => match due.lock().await.recv().await {
                Some(Go { number, at, left }) => {
                    late.push(whole_micros(left.saturating_duration_since(at)));
                    (number, at)
                }
                None => return Ok(OfOne { micros, late }),
            },
        };
        let asked = ask(&mut stream, &(target.request)(number), &mut room).await;
        if asked.is_err() {
            schedule.over.store(true, Ordering::Relaxed);
        }
        asked?;
        micros.push(whole_micros(at.elapsed()));
    }
}

/// What came of one connection.
struct OfOne {
    micros: Vec<u32>,
    late: Vec<u32>,
}

fn whole_micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Sends a request and reads the whole answer. Anything but a 200 ends the measurement: fast refusals are no rate.
async fn ask(stream: &mut TcpStream, request: &[u8], room: &mut [u8]) -> Result<()> {
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let free = room.get_mut(filled..).unwrap_or_default();
        let read = stream.read(free).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        filled += read;
        let answer = room.get(..filled).unwrap_or_default();
        if whole(answer)? {
            if !answer.starts_with(b"HTTP/1.1 200 ") {
                bail!("the server answered: {}", String::from_utf8_lossy(answer));
            }
            return Ok(());
        }
    }
}

/// Whether an answer is there as a whole, by its content length.
fn whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let head = answer.get(..end).unwrap_or_default();
    let length = head
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked(15)?;
            name.eq_ignore_ascii_case(b"content-length:").then_some(value)
        })
        .and_then(|value| str::from_utf8(value).ok()?.trim().parse::<usize>().ok())
        .context("an answer without a content length")?;
    Ok(answer.len() >= end + 4 + length)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = StdStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is_there() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\n{}", true),
        ] {
            assert_eq!(whole(answer.as_bytes()).unwrap(), want, "{answer}");
        }
        assert!(whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn shares_are_taken_from_the_sorted_times() {
        let taken =
            Taken { micros: (0..=1000).collect(), late: (0..=10).collect(), elapsed: Duration::from_secs(2) };
        assert_eq!((taken.permille(500), taken.permille(990)), (0.5, 0.99));
        assert_eq!((taken.late_permille(500), taken.late_permille(1000)), (0.005, 0.01));
        assert_eq!(taken.requests(), 1001);
    }
}
