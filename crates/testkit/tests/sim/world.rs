//! One simulated world: what happens in it, what callers are told, and what they must not be told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet_model::grant::Rotation;
use carnet_model::{Code, Env, Fault, Id, Time, kind};
use rusqlite::Connection;

use crate::caps::Caps;
use crate::dice::Dice;
use crate::events::Events;
use crate::judge::logged;
use crate::log::Log;
use crate::node::Drifting;
use crate::provider::Model;
use crate::receiver::Arrivals;
use crate::start::{self, Start, USERS};
use crate::trouble::Troubles;

pub(crate) struct World {
    pub(crate) start: Arc<Start>,
    pub(crate) seed: u64,
    pub(crate) store: String,
    pub(crate) model: Mutex<Model>,
    pub(crate) raw: Mutex<Connection>,
    pub(crate) log: Mutex<Log>,
    pub(crate) caps: Caps,
    pub(crate) events: Mutex<Events>,
    pub(crate) arrivals: Mutex<Arrivals>,
    pub(crate) troubles: Troubles,
    pub(crate) fences: Mutex<HashMap<Vec<u8>, i64>>,
    pub(crate) acknowledged: Mutex<Vec<(String, Vec<u8>)>>,
    /// Users who were told that their grant is broken.
    pub(crate) told_broken: Mutex<BTreeSet<String>>,
    /// Grants that broke.
    pub(crate) breaks: AtomicUsize,
    /// By how many milliseconds all clocks were put forward.
    pub(crate) skipped: Arc<AtomicI64>,
    /// When a user's revocation began, and when it was acknowledged.
    revocations: Mutex<BTreeMap<String, (Duration, Option<Duration>)>>,
    faults: Mutex<Vec<Spoilt>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    births: AtomicU64,
    /// The milliseconds that have passed, for whoever looks from outside.
    pub(crate) passed: AtomicI64,
    pub(crate) calm: AtomicBool,
    pub(crate) quiet: AtomicBool,
    pub(crate) finished: AtomicBool,
}

/// A span in which something was wrong that can spoil an answer or a write.
struct Spoilt {
    concerns: Concerns,
    from: Duration,
    to: Duration,
}

/// What something that is wrong can spoil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    Refreshes,
    Webhooks,
    All,
}

/// Time since the beginning of the world, as its hosts see it.
pub(crate) fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl World {
    pub(crate) fn new(start: &Arc<Start>, seed: u64) -> Arc<Self> {
        let store = start::unlike("world");
        let raw = start.copy(&store);
        Arc::new(Self {
            start: start.clone(),
            seed,
            store,
            model: Mutex::new(Model::new(start.rotation, seed, &start.users)),
            raw: Mutex::new(raw),
            log: Mutex::default(),
            caps: Caps::default(),
            events: Mutex::default(),
            arrivals: Mutex::new(Arrivals::new(seed)),
            troubles: Troubles::default(),
            fences: Mutex::default(),
            acknowledged: Mutex::default(),
            told_broken: Mutex::default(),
            breaks: AtomicUsize::new(0),
            skipped: Arc::default(),
            revocations: Mutex::default(),
            faults: Mutex::default(),
            wrong: Mutex::default(),
            births: AtomicU64::new(0),
            passed: AtomicI64::new(0),
            calm: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        })
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Something goes wrong on purpose.
    pub(crate) fn fault(&self, concerns: Concerns, from: Duration, to: Duration) {
        self.faults.lock().unwrap().push(Spoilt { concerns, from, to });
    }

    pub(crate) fn faults(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// Whether between these two moments something was wrong that can spoil an answer, a write or a process. What it
    /// spoilt may show only when a call or a lease ends.
    pub(crate) fn something_happened(&self, to: Concerns, from: Duration, until: Duration) -> bool {
        let until = until.min(from + AFTERMATH);
        self.faults.lock().unwrap().iter().any(|spoilt| {
            (spoilt.concerns == Concerns::All || spoilt.concerns == to)
                && spoilt.from <= until
                && spoilt.to + AFTERMATH >= from
        })
    }

    /// A token was answered.
    pub(crate) fn answered(&self, user: &str, begun: Duration, request: Id<kind::Request>, token: &str) {
        let request = request.bytes().to_vec();
        if !logged(&self.raw.lock().unwrap(), &request) {
            self.wrong(format!("2: {user} has a token that is not in the log"));
        }
        let whose = self.model.lock().unwrap().whose(token).map(str::to_owned);
        if whose.as_deref() != Some(user) {
            self.wrong(format!("6: {user} was given a token of {whose:?}"));
        }
        if let Some((_, Some(done))) = self.revocations.lock().unwrap().get(user)
            && begun > *done + Duration::from_secs(1)
        {
            self.wrong(format!("9: {user} was revoked at {done:?} and given a token asked for at {begun:?}"));
        }
        self.acknowledged.lock().unwrap().push((user.to_owned(), request));
    }

    /// No token was answered.
    pub(crate) fn refused(&self, user: &str, fault: &Fault) {
        match fault.code {
            Code::ProviderUnavailable
            | Code::ProviderAnswerInvalid
            | Code::StoreUnavailable
            | Code::Unavailable
                if fault.retry_after.is_some() => {}
            Code::UserAuthorizationRequired => self.told_broken(user, fault),
            _ => self.wrong(format!("{user} is told {fault:?}")),
        }
    }

    fn told_broken(&self, user: &str, fault: &Fault) {
        if self.revocations.lock().unwrap().contains_key(user) {
            return;
        }
        self.told_broken.lock().unwrap().insert(user.to_owned());
        let now = elapsed();
        let cause = fault.extra.get("cause").and_then(|cause| cause.as_str()).unwrap_or_default();
        let model = self.model.lock().unwrap();
        let (at, spoilt) = model.done.get(user).copied().unwrap_or_default();
        let is_lost = self.start.rotation == Rotation::Strict
            && (spoilt || self.something_happened(Concerns::Refreshes, at, now));
        let is_so = match cause {
            "revoked_at_provider" => model.is_over(user),
            "crash_during_refresh" | "refresh_answer_lost" => is_lost || model.is_over(user),
            _ => false,
        };
        if !is_so {
            self.wrong(format!(
                "4: {user} is told at {now:?} that {fault:?}; the last refresh was at {at:?}"
            ));
        }
    }

    pub(crate) fn revoking(&self, user: &str) {
        self.revocations.lock().unwrap().entry(user.to_owned()).or_insert((elapsed(), None));
    }

    pub(crate) fn revoked(&self, user: &str) {
        if let Some(revocation) = self.revocations.lock().unwrap().get_mut(user) {
            revocation.1 = revocation.1.or(Some(elapsed()));
        }
    }

    pub(crate) fn pick(&self, dice: &Dice) -> String {
        self.start.users[usize::try_from(dice.below(USERS)).unwrap()].name.clone()
    }

    /// The clock of the store.
    pub(crate) fn clock(&self) -> Env {
        let clock = Drifting { base: self.start.at, off: 0, drift: 0, skipped: self.skipped.clone() };
        Env::new(Arc::new(clock), Arc::new(Dice::new(self.seed + 23)))
    }

    pub(crate) fn now(&self) -> Time {
        let inside = turmoil::sim_elapsed().map(|elapsed| i64::try_from(elapsed.as_millis()).unwrap());
        let passed = inside.unwrap_or_else(|| self.passed.load(Ordering::Relaxed));
        Time::from_millis(self.start.at.millis() + passed + self.skipped.load(Ordering::Relaxed))
    }

    pub(crate) fn birth(&self) -> u64 {
        self.births.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether nothing goes wrong any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether nobody asks any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    pub(crate) fn finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn name(number: usize) -> String {
    format!("node-{number}")
}

pub(crate) const NODES: usize = 3;
/// A call, a lease and a look at what is left open.
const AFTERMATH: Duration = Duration::from_secs(50);
