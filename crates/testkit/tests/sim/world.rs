//! One simulated world: what it starts from, what goes wrong in it, and what must not.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet_engine::Settings;
use carnet_model::grant::Rotation;
use carnet_model::{Code, Env, Fault, Id, OsRandom, Time, kind};
use carnet_testkit::{Engine, Kit, Plan};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::dice::Dice;
use crate::judge::logged;
use crate::node::{self, Drifting};
use crate::provider::{self, Model};

/// What every world of a rotation class starts from: a store with grants that were given by consent.
pub(crate) struct Start {
    rotation: Rotation,
    pub(crate) settings: Settings,
    pub(crate) key: PathBuf,
    pub(crate) connector: String,
    pub(crate) workload: String,
    pub(crate) owner: String,
    /// Each with the refresh token that the provider gave.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) at: Time,
    store: PathBuf,
    _folder: TempDir,
}

pub(crate) struct World {
    pub(crate) start: Arc<Start>,
    pub(crate) seed: u64,
    pub(crate) store: String,
    pub(crate) model: Mutex<Model>,
    pub(crate) raw: Mutex<Connection>,
    pub(crate) fences: Mutex<HashMap<Vec<u8>, i64>>,
    pub(crate) acknowledged: Mutex<Vec<(String, Vec<u8>)>>,
    /// When a user's revocation began, and when it was acknowledged.
    revocations: Mutex<BTreeMap<String, (Duration, Option<Duration>)>>,
    /// Spans in which something was wrong that can spoil an answer or a write.
    faults: Mutex<Vec<(Duration, Duration)>>,
    wrong: Mutex<Vec<String>>,
    births: AtomicU64,
    provider_troubled: AtomicBool,
    store_troubled: AtomicBool,
    calm: AtomicBool,
    finished: AtomicBool,
    faults_made: AtomicUsize,
}

/// What came of it.
pub(crate) struct Told {
    pub(crate) wrong: Vec<String>,
    pub(crate) refreshes: usize,
    pub(crate) answers: usize,
    pub(crate) faults: usize,
}

/// Time since the beginning of the world.
pub(crate) fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Start {
    /// Consents, on a real broker and in real time.
    pub(crate) fn prepare(rotation: Rotation) -> Arc<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let plan = Plan { rotation, access_life: Duration::from_secs(2), ..Plan::default() };
            let mut kit = Kit::start(Engine::Sqlite, plan).await;
            let mut users = Vec::new();
            for n in 0..USERS {
                let user = format!("user-{n}");
                kit.consent(&user).await;
                users.push((user, kit.provider.last_refresh_token()));
            }
            let folder = tempfile::tempdir().unwrap();
            let (store, key) = (folder.path().join("store.db"), folder.path().join("key"));
            kit.freeze(&store, &key).await;
            Arc::new(Self {
                rotation,
                settings: kit.settings(),
                key,
                connector: kit.connector.clone(),
                workload: kit.workload("production"),
                owner: kit.tenant.token.clone(),
                users,
                at: carnet_model::Clock::now(&*kit.clock),
                store,
                _folder: folder,
            })
        })
    }
}

impl World {
    pub(crate) fn new(start: &Arc<Start>, seed: u64) -> Arc<Self> {
        let store = format!("world-{seed}");
        let mut raw = Connection::open(format!("file:/{store}?vfs=memdb")).unwrap();
        raw.restore("main", &start.store, None::<fn(rusqlite::backup::Progress)>).unwrap();
        Arc::new(Self {
            start: start.clone(),
            seed,
            store,
            model: Mutex::new(Model::new(start.rotation, seed, &start.users)),
            raw: Mutex::new(raw),
            fences: Mutex::default(),
            acknowledged: Mutex::default(),
            revocations: Mutex::default(),
            faults: Mutex::default(),
            wrong: Mutex::default(),
            births: AtomicU64::new(0),
            provider_troubled: AtomicBool::new(false),
            store_troubled: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            faults_made: AtomicUsize::new(0),
        })
    }

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
        for number in 0..NODES {
            let world = self.clone();
            sim.host(name(number), move || node::live(world.clone(), number));
        }
        let dice = Dice::new(self.seed + 17);
        // What is to be undone, and when.
        let mut later: Vec<(Duration, Mend)> = Vec::new();
        let mut next = Duration::from_secs(1);
        let mut down = [false; 3];
        while sim.elapsed() < TROUBLE {
            sim.step().unwrap();
            let now = sim.elapsed();
            let (due, rest): (Vec<_>, Vec<_>) = later.drain(..).partition(|(at, _)| *at <= now);
            later = rest;
            for (_, mend) in due {
                self.mend(&mut sim, mend, &mut down);
            }
            if now >= next {
                next = now + dice.millis(300, 3_000);
                if let Some((lasts, mend)) = self.harm(&mut sim, &dice, &mut down) {
                    self.faults.lock().unwrap().push((now, now + lasts));
                    self.faults_made.fetch_add(1, Ordering::Relaxed);
                    later.push((now + lasts, mend));
                }
                self.look();
            }
        }
        for (_, mend) in later {
            self.mend(&mut sim, mend, &mut down);
        }
        self.calm.store(true, Ordering::Relaxed);
        while sim.elapsed() < TROUBLE + CALM {
            sim.step().unwrap();
        }
        self.look();
        let world = self.clone();
        sim.client("judge", async move {
            let broker = node::open_judge(&world).await;
            crate::judge::ask_all(world, broker).await;
            Ok(())
        });
        let patience = sim.elapsed() + Duration::from_secs(200);
        while !self.finished.load(Ordering::Relaxed) && sim.elapsed() < patience {
            sim.step().unwrap();
        }
        if !self.finished.load(Ordering::Relaxed) {
            self.wrong("11: the last questions were not answered".to_owned());
        }
        self.settle(self.start.at.plus(sim.elapsed()));
        drop(sim);
        Told {
            wrong: self.wrong.lock().unwrap().clone(),
            refreshes: self.model.lock().unwrap().refreshes,
            answers: self.acknowledged.lock().unwrap().len(),
            faults: self.faults_made.load(Ordering::Relaxed),
        }
    }

    fn harm(&self, sim: &mut turmoil::Sim<'_>, dice: &Dice, down: &mut Down) -> Option<(Duration, Mend)> {
        let number = dice.below(NODES);
        let here = &mut down[usize::try_from(number).unwrap()];
        match dice.below(6) {
            0 | 1 if !*here => {
                sim.crash(name(number));
                *here = true;
                Some((dice.millis(200, 20_000), Mend::Bounce(number)))
            }
            2 if !*here => {
                sim.partition(name(number), "provider");
                Some((dice.millis(500, 12_000), Mend::Repair(number)))
            }
            3 if !*here => {
                sim.hold(name(number), "provider");
                Some((dice.millis(500, 10_000), Mend::Release(number)))
            }
            4 => {
                self.provider_troubled.store(true, Ordering::Relaxed);
                Some((dice.millis(1_000, 8_000), Mend::Provider))
            }
            5 => {
                self.store_troubled.store(true, Ordering::Relaxed);
                Some((dice.millis(500, 4_000), Mend::Store))
            }
            _ => None,
        }
    }

    fn mend(&self, sim: &mut turmoil::Sim<'_>, mend: Mend, down: &mut Down) {
        match mend {
            Mend::Bounce(number) => {
                sim.bounce(name(number));
                down[usize::try_from(number).unwrap()] = false;
            }
            Mend::Repair(number) => sim.repair(name(number), "provider"),
            Mend::Release(number) => sim.release(name(number), "provider"),
            Mend::Provider => self.provider_troubled.store(false, Ordering::Relaxed),
            Mend::Store => self.store_troubled.store(false, Ordering::Relaxed),
        }
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Whether between these two moments something was wrong that can spoil an answer, a write or a process. What it
    /// spoilt may show only when a call or a lease ends.
    pub(crate) fn something_happened(&self, from: Duration, to: Duration) -> bool {
        let until = to.min(from + AFTERMATH);
        self.faults.lock().unwrap().iter().any(|(begun, ended)| *begun <= until && *ended + AFTERMATH >= from)
    }

    /// A token was answered.
    pub(crate) fn answered(&self, user: &str, begun: Duration, request: Id<kind::Request>, token: &str) {
        let request = request.bytes().to_vec();
        if !logged(&self.raw.lock().unwrap(), &request) {
            self.wrong(format!("2: {user} has a token that is not in the log"));
        }
        // What came from the consent is not the model's.
        let whose = self.model.lock().unwrap().whose(token).map(str::to_owned);
        if whose.as_deref().is_some_and(|whose| whose != user) {
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
        let now = elapsed();
        match fault.code {
            Code::ProviderUnavailable
            | Code::ProviderAnswerInvalid
            | Code::StoreUnavailable
            | Code::Unavailable
                if fault.retry_after.is_some() => {}
            Code::UserAuthorizationRequired => {
                if self.revocations.lock().unwrap().contains_key(user) {
                    return;
                }
                let done = self.model.lock().unwrap().done.get(user).copied();
                let (at, spoilt) = done.unwrap_or_default();
                let excused =
                    self.start.rotation == Rotation::Strict && (spoilt || self.something_happened(at, now));
                let says_why = fault
                    .extra
                    .get("cause")
                    .is_some_and(|cause| cause == "crash_during_refresh" || cause == "refresh_answer_lost");
                if !excused || !says_why {
                    self.wrong(format!(
                        "4: {user} is told at {now:?} that {fault:?}; the last refresh was at {at:?}"
                    ));
                }
            }
            _ => self.wrong(format!("{user} is told {fault:?}")),
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
        self.start.users[usize::try_from(dice.below(USERS)).unwrap()].0.clone()
    }

    pub(crate) fn clock(&self) -> Env {
        Env::new(Arc::new(Drifting { base: self.start.at, off: 0, drift: 0 }), Arc::new(OsRandom))
    }

    pub(crate) fn birth(&self) -> u64 {
        self.births.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn is_provider_troubled(&self) -> bool {
        self.provider_troubled.load(Ordering::Relaxed)
    }

    pub(crate) fn is_store_troubled(&self) -> bool {
        self.store_troubled.load(Ordering::Relaxed)
    }

    pub(crate) fn finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

/// What undoes a harm.
enum Mend {
    Bounce(u64),
    Repair(u64),
    Release(u64),
    Provider,
    Store,
}

fn name(number: u64) -> String {
    format!("node-{number}")
}

const NODES: u64 = 3;
/// Which of the nodes are down.
type Down = [bool; 3];
const USERS: u64 = 6;
const TICK: Duration = Duration::from_millis(10);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(45);
/// How long they go well before the end.
const CALM: Duration = Duration::from_mins(1);
/// A call, a lease and a look at what is left open.
const AFTERMATH: Duration = Duration::from_secs(50);
