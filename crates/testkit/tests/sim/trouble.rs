//! What goes wrong, when, and for how long: drawn from the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use turmoil::Sim;

use crate::dice::Dice;
use crate::world::{Concerns, NODES, World, name};

/// What is wrong besides the network, and what is wanted of whom.
#[derive(Default)]
pub(crate) struct Troubles {
    provider: AtomicBool,
    receiver: AtomicBool,
    store: AtomicBool,
    rushes: [AtomicBool; NODES],
    bursts: [AtomicBool; NODES],
}

impl Troubles {
    pub(crate) fn is_provider(&self) -> bool {
        self.provider.load(Ordering::Relaxed)
    }

    pub(crate) fn is_receiver(&self) -> bool {
        self.receiver.load(Ordering::Relaxed)
    }

    pub(crate) fn is_store(&self) -> bool {
        self.store.load(Ordering::Relaxed)
    }

    /// Whether everybody wants a token of this node, at once.
    pub(crate) fn takes_rush(&self, number: usize) -> bool {
        taken(&self.rushes, number)
    }

    /// Whether the provider has many events for this node, at once.
    pub(crate) fn takes_burst(&self, number: usize) -> bool {
        taken(&self.bursts, number)
    }
}

fn taken(all: &[AtomicBool; NODES], number: usize) -> bool {
    all.get(number).is_some_and(|one| one.swap(false, Ordering::Relaxed))
}

/// Draws what happens next.
pub(crate) struct Weather {
    dice: Dice,
    /// What is to be undone, and when.
    later: Vec<(Duration, Mend)>,
    next: Duration,
    down: [bool; NODES],
}

/// What undoes a harm.
enum Mend {
    Bounce(usize),
    Repair(usize, &'static str),
    Release(usize, &'static str),
    Provider,
    Receiver,
    Store,
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed + 17),
            later: Vec::new(),
            next: Duration::from_secs(1),
            down: [false; NODES],
        }
    }

    /// After a step of the world. Whether something new went wrong.
    pub(crate) fn pass(&mut self, world: &Arc<World>, sim: &mut Sim<'_>) -> bool {
        let now = sim.elapsed();
        let (due, rest): (Vec<_>, Vec<_>) = self.later.drain(..).partition(|(at, _)| *at <= now);
        self.later = rest;
        for (_, mend) in due {
            self.mend(world, sim, &mend);
        }
        if now < self.next {
            return false;
        }
        self.next = now + self.dice.millis(200, 1_800);
        if let Some((concerns, lasts, mend)) = self.harm(world, sim) {
            world.fault(concerns, now, now + lasts);
            self.later.push((now + lasts, mend));
        }
        true
    }

    /// Mends everything.
    pub(crate) fn clear(mut self, world: &Arc<World>, sim: &mut Sim<'_>) {
        for (_, mend) in std::mem::take(&mut self.later) {
            self.mend(world, sim, &mend);
        }
    }

    fn harm(&mut self, world: &World, sim: &mut Sim<'_>) -> Option<(Concerns, Duration, Mend)> {
        let (dice, troubles) = (&self.dice, &world.troubles);
        let number = usize::try_from(dice.below(NODES as u64)).unwrap();
        let is_down = self.down[number];
        let rush = |all: &[AtomicBool; NODES]| all[number].store(true, Ordering::Relaxed);
        match dice.below(10) {
            0 | 1 if !is_down => {
                sim.crash(name(number));
                self.down[number] = true;
                Some((Concerns::All, dice.millis(200, 20_000), Mend::Bounce(number)))
            }
            2 if !is_down => {
                sim.partition(name(number), "provider");
                Some((Concerns::Refreshes, dice.millis(500, 12_000), Mend::Repair(number, "provider")))
            }
            3 if !is_down => {
                sim.hold(name(number), "provider");
                rush(&troubles.rushes);
                Some((Concerns::Refreshes, dice.millis(500, 10_000), Mend::Release(number, "provider")))
            }
            4 => {
                troubles.provider.store(true, Ordering::Relaxed);
                rush(&troubles.rushes);
                Some((Concerns::Refreshes, dice.millis(1_000, 8_000), Mend::Provider))
            }
            5 => {
                troubles.store.store(true, Ordering::Relaxed);
                Some((Concerns::All, dice.millis(500, 4_000), Mend::Store))
            }
            6 if !is_down => {
                sim.partition(name(number), "receiver");
                Some((Concerns::Webhooks, dice.millis(500, 15_000), Mend::Repair(number, "receiver")))
            }
            7 if !is_down => {
                sim.hold(name(number), "receiver");
                rush(&troubles.bursts);
                Some((Concerns::Webhooks, dice.millis(500, 15_000), Mend::Release(number, "receiver")))
            }
            8 => {
                troubles.receiver.store(true, Ordering::Relaxed);
                rush(&troubles.bursts);
                Some((Concerns::Webhooks, dice.millis(1_000, 10_000), Mend::Receiver))
            }
            9 if dice.one_in(2) => {
                let user = world.pick(dice);
                world.model.lock().unwrap().end(&user);
                None
            }
            _ => None,
        }
    }

    fn mend(&mut self, world: &World, sim: &mut Sim<'_>, mend: &Mend) {
        let troubles = &world.troubles;
        match *mend {
            Mend::Bounce(number) => {
                sim.bounce(name(number));
                self.down[number] = false;
            }
            Mend::Repair(number, host) => sim.repair(name(number), host),
            Mend::Release(number, host) => sim.release(name(number), host),
            Mend::Provider => troubles.provider.store(false, Ordering::Relaxed),
            Mend::Receiver => troubles.receiver.store(false, Ordering::Relaxed),
            Mend::Store => troubles.store.store(false, Ordering::Relaxed),
        }
    }
}
