//! Pace: how many calls to a connector's provider are under way at once, and how many refreshes begin in a second.
//!
//! Refreshes begin at places in a row, evenly apart, so that no second sees more of them than was set. Somebody who
//! waits for a token takes the next place of the row, and is told at once if that comes too late for it. What is done
//! ahead of time takes a place only when nobody waits, and never more than half of the calls under way.
//!
//! It is kept per connector, because that is what a provider counts by, and because a connector belongs to one team:
//! the thousands of one do not make another wait. Not promised: anything across nodes; two of them ask twice as much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::breaker::Line;

pub(crate) struct Paces {
    apart: Duration,
    lines: Mutex<HashMap<Line, Arc<Pace>>>,
}

/// The pace of one connector.
pub(crate) struct Pace {
    calls: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    apart: Duration,
    row: Mutex<Row>,
    walking: AtomicBool,
}

/// The places in the row.
struct Row {
    /// The first that nobody has taken.
    free: Instant,
    /// When the next call may begin. Who has a place may still have to wait for one of the calls under way to end, and
    /// then come at the same time as others.
    begin: Instant,
}

/// A call that may be made. The next of its kind begins when this is dropped.
pub(crate) struct Place {
    _call: OwnedSemaphorePermit,
    _ahead: Option<OwnedSemaphorePermit>,
}

/// The only walk through what is due at a connector.
pub(crate) struct Walk(Arc<Pace>);

/// There is no place in time; how long the row is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) Duration);

impl Paces {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { apart: Duration::from_secs(1) / per_second.max(1), lines: Mutex::default() }
    }

    pub(crate) fn of(&self, line: Line) -> Arc<Pace> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() > MANY && !lines.contains_key(&line) {
            lines.retain(|_, pace| Arc::strong_count(pace) > 1);
        }
        lines.entry(line).or_insert_with(|| Arc::new(Pace::new(self.apart))).clone()
    }

    /// How many begin in a second.
    pub(crate) fn per_second(&self) -> u32 {
        u32::try_from(Duration::from_secs(1).as_nanos() / self.apart.as_nanos().max(1)).unwrap_or(u32::MAX)
    }
}

impl Pace {
    fn new(apart: Duration) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(AT_ONCE)),
            ahead: Arc::new(Semaphore::new(AT_ONCE / 2)),
            apart,
            row: Mutex::new(Row { free: Instant::now(), begin: Instant::now() }),
            walking: AtomicBool::new(false),
        }
    }

    /// One of the calls that may be under way at once, out of the row: for what is not a refresh.
    pub(crate) async fn call(&self) -> Option<Place> {
        let call = self.calls.clone().acquire_owned().await.ok()?;
        Some(Place { _call: call, _ahead: None })
    }

    /// A place that can be had without waiting.
    pub(crate) fn place_now(&self) -> Option<Place> {
        let call = self.calls.clone().try_acquire_owned().ok()?;
        self.take_free().then_some(Place { _call: call, _ahead: None })
    }

    /// The next place in the row, if it comes before `deadline`.
    pub(crate) async fn place(&self, deadline: Instant) -> Result<Place, TooLong> {
        let turn = self.queue(deadline)?;
        tokio::time::sleep_until(turn).await;
        match tokio::time::timeout_at(deadline, self.call()).await {
            Ok(Some(place)) => {
                let begin = self.begin();
                tokio::time::sleep_until(begin).await;
                Ok(place)
            }
            _ => Err(TooLong(self.apart)),
        }
    }

    /// For whoever has a place and calls a second time: its turn after those whose calls are under way. That is soon, and
    /// a repeated refresh cannot wait behind the whole row: the grace for it may be over by then.
    pub(crate) async fn once_more(&self) {
        let begin = self.begin();
        tokio::time::sleep_until(begin).await;
    }

    /// How long the row is now: when somebody who came this moment would begin.
    pub(crate) fn wait(&self) -> Duration {
        self.free().saturating_duration_since(Instant::now())
    }

    /// A place that nobody else wants, if one comes before `until`.
    pub(crate) async fn spare_place(&self, until: Instant) -> Option<Place> {
        let ahead = tokio::time::timeout_at(until, self.ahead.clone().acquire_owned()).await.ok()?.ok()?;
        loop {
            if let Ok(call) = self.calls.clone().try_acquire_owned()
                && self.take_free()
            {
                return Some(Place { _call: call, _ahead: Some(ahead) });
            }
            // Whoever waits has taken the places up to here; all calls under way, or a place a moment ago: look again.
            let next = self.free().max(Instant::now() + self.apart.max(GLANCE));
            if next >= until {
                return None;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Begins to walk through what is due, unless somebody is at it.
    pub(crate) fn walk(self: &Arc<Self>) -> Option<Walk> {
        (!self.walking.swap(true, Ordering::AcqRel)).then(|| Walk(self.clone()))
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self) -> Instant {
        let row = self.row();
        row.free.max(row.begin)
    }

    fn take_free(&self) -> bool {
        let mut row = self.row();
        let now = Instant::now();
        if row.free > now || row.begin > now {
            return false;
        }
        *row = Row { free: now + self.apart, begin: now + self.apart };
        true
    }

    fn queue(&self, deadline: Instant) -> Result<Instant, TooLong> {
        let mut row = self.row();
        let now = Instant::now();
        let turn = row.free.max(now);
        if turn >= deadline {
            return Err(TooLong(turn - now));
        }
        row.free = turn + self.apart;
        Ok(turn)
    }

    fn begin(&self) -> Instant {
        let mut row = self.row();
        let begin = row.begin.max(Instant::now());
        row.begin = begin + self.apart;
        begin
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.0.walking.store(false, Ordering::Release);
    }
}

/// Calls to one provider at once: enough to be quick, few enough not to be a flood.
const AT_ONCE: usize = 8;
/// Between two looks for a place that nobody wants.
const GLANCE: Duration = Duration::from_millis(5);
/// Connectors beyond which idle ones are forgotten.
const MANY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_refreshes_than_were_set() {
        let pace = Arc::new(Pace::new(Duration::from_millis(50)));
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(10);
        let mut taken = Vec::new();
        for _ in 0..60 {
            let place = match pace.place_now() {
                Some(place) => place,
                None => pace.place(deadline).await.unwrap(),
            };
            taken.push(begun.elapsed());
            drop(place);
        }
        for window in taken.windows(21) {
            assert!(window[20] >= window[0] + Duration::from_secs(1), "{window:?}");
        }
        assert!(taken[59] < Duration::from_secs(4), "and none is wasted");
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_come_due_while_every_call_is_taken_are_not_used_all_at_once() {
        let pace = Arc::new(Pace::new(Duration::from_millis(50)));
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut held = Vec::new();
        while held.len() < AT_ONCE {
            held.push(pace.place(deadline).await.unwrap());
        }
        let begun: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (pace, begun) = (pace.clone(), begun.clone());
            waiting.spawn(async move {
                let place = pace.place(deadline).await.unwrap();
                begun.lock().unwrap().push(Instant::now());
                drop(place);
            });
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(held);
        while waiting.join_next().await.is_some() {}
        let begun = begun.lock().unwrap();
        assert_eq!(begun.len(), AT_ONCE);
        assert!(begun.windows(2).all(|two| two[1] - two[0] >= Duration::from_millis(50)), "{begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_call_of_one_place_takes_its_turn_too() {
        let pace = Arc::new(Pace::new(Duration::from_millis(50)));
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut begun = Vec::new();
        let mut held = Vec::new();
        while held.len() < AT_ONCE {
            held.push(pace.place(deadline).await.unwrap());
            begun.push(Instant::now());
        }
        // All of them failed at the same moment, and are tried once more.
        let mut again = tokio::task::JoinSet::new();
        for place in held {
            let pace = pace.clone();
            again.spawn(async move {
                pace.once_more().await;
                drop(place);
                Instant::now()
            });
        }
        begun.extend(again.join_all().await);
        begun.sort_unstable();
        assert!(begun.windows(2).all(|two| two[1] - two[0] >= Duration::from_millis(50)), "{begun:?}");
        assert!(!pace.take_free(), "and nobody else begins in its place");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_would_wait_too_long_is_told_at_once_how_long_the_row_is() {
        let pace = Arc::new(Pace::new(Duration::from_secs(1)));
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(3);
        let rows: Vec<_> = (0..5).map(|_| pace.queue(deadline)).collect();
        let waits: Vec<_> = rows.iter().map(|row| row.as_ref().map(|turn| *turn - begun)).collect();
        let seconds = Duration::from_secs;
        let late = TooLong(seconds(3));
        assert_eq!(pace.wait(), seconds(3), "and whoever only looks is told the same");
        assert_eq!(waits, [Ok(seconds(0)), Ok(seconds(1)), Ok(seconds(2)), Err(&late), Err(&late)]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_ahead_of_time_yields_to_whoever_waits() {
        let pace = Arc::new(Pace::new(Duration::from_millis(100)));
        let begun = Instant::now();
        let until = begun + Duration::from_secs(1);
        assert!(pace.spare_place(until).await.is_some());
        // Somebody waits for each of the places of the next second.
        for _ in 0..12 {
            pace.queue(begun + Duration::from_secs(5)).unwrap();
        }
        assert!(pace.spare_place(until).await.is_none());
        // And it never has more than half of the calls.
        let mut held = Vec::new();
        let until = begun + Duration::from_secs(10);
        while let Some(place) = pace.spare_place(until).await {
            held.push(place);
        }
        assert_eq!(held.len(), AT_ONCE / 2);
        assert!(pace.place_now().is_some());
    }
}
