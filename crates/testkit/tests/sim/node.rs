//! One node: a broker on the shared store, its clock, its ways out, and callers who ask it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_egress::{Dialling, Duplex, Egress, Transport};
use carnet_engine::{Broker, Credential, Location, Root, Shared, TeamHint, TokenAsk};
use carnet_model::failpoint::{Failing, Failures, Point};
use carnet_model::{Clock, Code, Env, Time};
use carnet_vault::{FileKey, Location as KeyPlace};
use serde_json::json;

use crate::caps::Counted;
use crate::dice::Dice;
use crate::events;
use crate::start::policy;
use crate::world::{NODES, World, elapsed};

/// A clock that is off and goes at its own speed.
pub(crate) struct Drifting {
    pub(crate) base: Time,
    /// How far it is off at the beginning, in milliseconds.
    pub(crate) off: i64,
    /// Parts in ten thousand.
    pub(crate) drift: i64,
    /// By how many milliseconds all clocks were put forward.
    pub(crate) skipped: Arc<AtomicI64>,
}

impl Clock for Drifting {
    fn now(&self) -> Time {
        let passed = i64::try_from(elapsed().as_millis()).unwrap();
        let skipped = self.skipped.load(Ordering::Relaxed);
        Time::from_millis(self.base.millis() + self.off + skipped + passed + passed * self.drift / 10_000)
    }
}

/// The simulated network. Whatever the address, its port says which of the two hosts it leads to.
struct Simulated {
    world: Arc<World>,
    node: usize,
    birth: u64,
}

impl Transport for Simulated {
    fn dial(&self, address: SocketAddr) -> Dialling {
        let connection = Counted::dial(self.world.clone(), self.node, self.birth, address.port());
        Box::pin(async { Ok(Box::new(connection.await?) as Box<dyn Duplex>) })
    }
}

/// A store that refuses a write, or loses the word that it was done.
struct Troubled(Arc<World>, Dice);

impl Failures for Troubled {
    fn at(&self, point: Point) -> Option<Failing> {
        let here = matches!(point, Point::StoreBegin | Point::StoreCommit | Point::StoreCommitted);
        (here && self.0.troubles.is_store() && self.1.one_in(6)).then_some(Failing::Error)
    }
}

/// A node's life, until it is ended from outside.
pub(crate) async fn live(world: Arc<World>, node: usize) -> turmoil::Result {
    let (birth, number) = (world.birth(), node as u64);
    let dice = Dice::new(world.seed * 1_000 + number * 100 + birth);
    let broker = loop {
        match Box::pin(open(&world, node, birth)).await {
            Ok(broker) => break broker,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    loop {
        tokio::time::sleep(dice.millis(50, 900)).await;
        if world.is_quiet() {
            continue;
        }
        let tell = || tokio::spawn(events::send(world.clone(), broker.clone()));
        if world.troubles.takes_rush(node) {
            for user in &world.start.users {
                tokio::spawn(ask(world.clone(), broker.clone(), user.name.clone(), FRESH));
            }
        }
        if world.troubles.takes_burst(node) {
            (0..BURST).for_each(|_| drop(tell()));
        }
        if !world.is_calm() && dice.one_in(8) {
            tell();
        }
        let user = world.pick(&dice);
        if !world.is_calm() && dice.one_in(150) {
            tokio::spawn(revoke(world.clone(), broker.clone(), user));
        } else {
            tokio::spawn(ask(world.clone(), broker.clone(), user, ANY));
        }
    }
}

async fn open(world: &Arc<World>, node: usize, birth: u64) -> anyhow::Result<Broker> {
    let (start, number) = (&world.start, node as u64);
    let dice = Dice::new(world.seed * 7_919 + number * 31 + birth);
    let off = i64::try_from(dice.below(4_000)).unwrap() - 2_000;
    let drift = i64::try_from(dice.below(11)).unwrap() - 5;
    let failures = Troubled(world.clone(), Dice::new(world.seed + number + birth));
    let clock = Drifting { base: start.at, off, drift, skipped: world.skipped.clone() };
    let env = Env::new(Arc::new(clock), Arc::new(dice)).with_failures(Arc::new(failures));
    let shared = Shared { name: world.store.clone(), clock: world.clock() };
    let key = FileKey::open(&start.key, KeyPlace::Anywhere)?;
    let egress = Egress::with_transport(policy(), Arc::new(Simulated { world: world.clone(), node, birth }))?;
    let root = Root::Key(Box::new(key));
    Ok(Broker::open_through(start.settings.clone(), &Location::Shared(shared), root, egress, env).await?)
}

/// One caller, whose token is to live for so many milliseconds more.
pub(crate) async fn ask(world: Arc<World>, broker: Broker, user: String, lives: u64) -> Option<Code> {
    let request = broker.request_id();
    let credential = Credential::of(Some(&world.start.workload), TeamHint::default()).unwrap();
    let ask = TokenAsk {
        connector: world.start.connector.clone(),
        subject: Some(json!({"type": "user", "id": user})),
        validity_buffer: Some(lives),
        ..TokenAsk::default()
    };
    let begun = elapsed();
    let answer = Box::pin(broker.issue(&credential, &ask, request)).await;
    world.caps.waited(elapsed().saturating_sub(begun));
    match answer {
        Ok(issued) => {
            world.answered(&user, begun, request, issued.token.expose());
            None
        }
        Err(fault) => {
            world.refused(&user, &fault);
            Some(fault.code)
        }
    }
}

async fn revoke(world: Arc<World>, broker: Broker, user: String) {
    let credential = Credential::of(Some(&world.start.owner), TeamHint::default()).unwrap();
    let Ok(owner) = broker.recognise(&credential).await else { return };
    world.revoking(&user);
    let subject = json!({"type": "user", "id": user});
    let request = broker.request_id();
    let done = Box::pin(broker.revoke(&owner, &world.start.connector, Some(&subject), None, request)).await;
    if done.is_ok() {
        world.revoked(&user);
    }
}

/// One more broker, when everything is well again.
pub(crate) async fn open_judge(world: &Arc<World>) -> Broker {
    Box::pin(open(world, NODES, 99)).await.unwrap()
}

/// What a caller usually wants a token to live.
pub(crate) const ANY: u64 = 1_000;
/// Longer than most tokens live, so that new ones are needed.
const FRESH: u64 = 20_000;
/// Events at once: more than are forwarded at once.
const BURST: usize = 8;
