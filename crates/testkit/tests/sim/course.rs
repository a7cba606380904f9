//! The course of a world: trouble, calm, the last questions, and the end of every webhook.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use turmoil::Sim;

use crate::caps::To;
use crate::trouble::Weather;
use crate::world::{NODES, World, name};
use crate::{judge, node, provider, receiver};

/// What came of it.
pub(crate) struct Told {
    pub(crate) wrong: Vec<String>,
    pub(crate) refreshes: usize,
    pub(crate) answers: usize,
    pub(crate) faults: usize,
    /// Events of the provider that were acknowledged, grants that broke, and webhooks that were taken.
    pub(crate) events: usize,
    pub(crate) breaks: usize,
    pub(crate) taken: usize,
    /// The most that a node had under way at the provider, and at the destination of events.
    pub(crate) calls: usize,
    pub(crate) attempts: usize,
    /// The same for the same seed.
    pub(crate) trace: String,
}

impl World {
    /// Lets it happen.
    pub(crate) fn run(self: Arc<Self>) -> Told {
        let mut sim = turmoil::Builder::new()
            .simulation_duration(Duration::from_hours(1))
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(40))
            .tcp_capacity(4_096)
            .rng_seed(self.seed)
            .build();
        let world = self.clone();
        sim.host("provider", move || provider::serve(world.clone()));
        let world = self.clone();
        sim.host("receiver", move || receiver::serve(world.clone()));
        for number in 0..NODES {
            let world = self.clone();
            sim.host(name(number), move || node::live(world.clone(), number));
        }
        let mut weather = Weather::new(self.seed);
        while sim.elapsed() < TROUBLE {
            self.step(&mut sim);
            if weather.pass(&self, &mut sim) {
                self.look();
            }
        }
        weather.clear(&self, &mut sim);
        self.calm.store(true, Ordering::Relaxed);
        self.pass(&mut sim, CALM);
        self.look();
        self.clone().ask_all(&mut sim);
        self.settle();
        self.quiet.store(true, Ordering::Relaxed);
        self.end_webhooks(&mut sim);
        self.read_log(true);
        self.judge_webhooks();
        self.judge_caps();
        drop(sim);
        Told {
            wrong: self.wrong.lock().unwrap().clone(),
            refreshes: self.model.lock().unwrap().refreshes,
            answers: self.acknowledged.lock().unwrap().len(),
            faults: self.faults(),
            events: self.events.lock().unwrap().acknowledged(),
            breaks: self.breaks.load(Ordering::Relaxed),
            taken: self.arrivals.lock().unwrap().taken(),
            calls: self.caps.most(To::Provider),
            attempts: self.caps.most(To::Destination),
            trace: self.trace(),
        }
    }

    fn step(&self, sim: &mut Sim<'_>) {
        sim.step().unwrap();
        self.passed.store(i64::try_from(sim.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
        self.caps.look();
    }

    fn pass(&self, sim: &mut Sim<'_>, time: Duration) {
        let until = sim.elapsed() + time;
        while sim.elapsed() < until {
            self.step(sim);
        }
    }

    /// A broker that comes last asks for everybody.
    fn ask_all(self: Arc<Self>, sim: &mut Sim<'_>) {
        let world = self.clone();
        sim.client("judge", async move {
            let broker = node::open_judge(&world).await;
            judge::ask_all(world, broker).await;
            Ok(())
        });
        let patience = sim.elapsed() + Duration::from_secs(200);
        while !self.finished.load(Ordering::Relaxed) && sim.elapsed() < patience {
            self.step(sim);
        }
        if !self.finished.load(Ordering::Relaxed) {
            self.wrong("11: the last questions were not answered".to_owned());
        }
    }

    /// The attempts of a webhook come further and further apart. What is under way arrives; for what waits, all clocks are
    /// put forward.
    fn end_webhooks(&self, sim: &mut Sim<'_>) {
        for _ in 0..ROUNDS {
            self.pass(sim, ROUND);
            let patience = sim.elapsed() + Duration::from_mins(1);
            while self.caps.is_sending() && sim.elapsed() < patience {
                self.step(sim);
            }
            let Some(due) = self.next_attempt() else { return };
            let ahead = due - self.now().millis();
            if ahead > i64::try_from(LONGEST.as_millis()).unwrap() {
                self.wrong(format!("5: a webhook is left alone for {} s", ahead / 1_000));
            }
            let round = i64::try_from(ROUND.as_millis()).unwrap();
            self.skipped.fetch_add((ahead + round).max(0), Ordering::Relaxed);
        }
    }
}

const TICK: Duration = Duration::from_millis(10);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(45);
/// How long they go well before the end.
const CALM: Duration = Duration::from_mins(1);
/// In each, whatever is due is begun: more than the clocks are off, and than lies between two looks.
const ROUND: Duration = Duration::from_secs(3);
/// More than there are attempts.
const ROUNDS: usize = 16;
/// More than lies before an attempt, after as many as fail within the time that things go wrong: four, where one of them
/// was claimed by a node that died, and that is half an hour for an event.
const LONGEST: Duration = Duration::from_mins(31);
