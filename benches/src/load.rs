//! Load: the same kind of request over many connections that are kept open.
//!
//! One thread drives all connections, so that the generator takes little from the server on a small machine. Each
//! connection has one request under way at a time. Without a pace the next request goes out as soon as the answer is
//! there: that gives the greatest rate. With a pace requests are due at fixed times whatever the server does, and the
//! time of a request counts from when it was due, so that a server that stalls does not hide it.

use std::net::{SocketAddr, TcpStream as StdStream};
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
        let last = self.micros.len().saturating_sub(1);
        self.micros.get(last * share / 1000).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.micros.extend(other.micros);
        self.micros.sort_unstable();
        Self { micros: self.micros, elapsed: self.elapsed + other.elapsed }
    }
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
        let mut micros = Vec::new();
        while let Some(done) = tasks.join_next().await {
            micros.extend(done??);
        }
        let elapsed = begun.elapsed();
        micros.sort_unstable();
        Ok(Taken { micros, elapsed })
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

type Due = mpsc::UnboundedReceiver<(u32, Instant)>;

/// A thread that says when each request is due. The timer of the runtime counts in milliseconds, which is too coarse.
fn pacer(schedule: Arc<Schedule>, per_second: f64) -> Due {
    let (sender, due) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let begun = Instant::now();
        while let Some(number) = schedule.take() {
            let at = begun + Duration::from_secs_f64(f64::from(number) / per_second);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send((number, at)).is_err() {
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
) -> Result<Vec<u32>> {
    let mut micros = Vec::with_capacity(64 * 1024);
    let mut room = vec![0; 64 * 1024];
    loop {
        let (number, at) = match &due {
            None => match schedule.take() {
                Some(number) => (number, Instant::now()),
                None => return Ok(micros),
            },
            Some(due) => match due.lock().await.recv().await {
                Some(next) => next,
                None => return Ok(micros),
            },
        };
        let asked = ask(&mut stream, &(target.request)(number), &mut room).await;
        if asked.is_err() {
            schedule.over.store(true, Ordering::Relaxed);
        }
        asked?;
        micros.push(u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
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
        let taken = Taken { micros: (0..=1000).collect(), elapsed: Duration::from_secs(2) };
        assert_eq!((taken.permille(500), taken.permille(990)), (0.5, 0.99));
        assert_eq!(taken.requests(), 1001);
    }
}
