//! One node: a broker on the shared store, its clock, its way to the provider, and callers who ask it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carnet_egress::{Dialling, Duplex, Egress, Policy, Transport};
use carnet_engine::{Broker, Credential, Location, Root, Shared, TeamHint, TokenAsk};
use carnet_model::failpoint::{Failing, Failures, Point};
use carnet_model::{Clock, Code, Env, Time};
use carnet_vault::{FileKey, Location as KeyPlace};
use serde_json::json;

use crate::dice::Dice;
use crate::provider::PORT;
use crate::world::{World, elapsed};

/// A clock that is off and goes at its own speed.
pub(crate) struct Drifting {
    pub(crate) base: Time,
    /// How far it is off at the beginning, in milliseconds.
    pub(crate) off: i64,
    /// Parts in ten thousand.
    pub(crate) drift: i64,
}

impl Clock for Drifting {
    fn now(&self) -> Time {
        let passed = i64::try_from(elapsed().as_millis()).unwrap();
        Time::from_millis(self.base.millis() + self.off + passed + passed * self.drift / 10_000)
    }
}

/// The simulated network. Whatever the address, it leads to the one provider there is.
struct Simulated;

impl Transport for Simulated {
    fn dial(&self, _: SocketAddr) -> Dialling {
        Box::pin(async {
            let stream = turmoil::net::TcpStream::connect(("provider", PORT)).await?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

/// A store that refuses a write, or loses the word that it was done.
struct Troubled(Arc<World>, Dice);

impl Failures for Troubled {
    fn at(&self, point: Point) -> Option<Failing> {
        let here = matches!(point, Point::StoreBegin | Point::StoreCommit | Point::StoreCommitted);
        (here && self.0.is_store_troubled() && self.1.one_in(6)).then_some(Failing::Error)
    }
}

/// A node's life, until it is ended from outside.
pub(crate) async fn live(world: Arc<World>, number: u64) -> turmoil::Result {
    let birth = world.birth();
    let dice = Dice::new(world.seed * 1_000 + number * 100 + birth);
    let broker = loop {
        match Box::pin(open(&world, number, birth)).await {
            Ok(broker) => break broker,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    loop {
        tokio::time::sleep(dice.millis(50, 900)).await;
        let user = world.pick(&dice);
        if !world.is_calm() && dice.one_in(150) {
            tokio::spawn(revoke(world.clone(), broker.clone(), user));
        } else {
            tokio::spawn(ask(world.clone(), broker.clone(), user));
        }
    }
}

async fn open(world: &Arc<World>, number: u64, birth: u64) -> anyhow::Result<Broker> {
    let start = &world.start;
    let dice = Dice::new(world.seed * 7_919 + number * 31 + birth);
    let off = i64::try_from(dice.below(4_000)).unwrap() - 2_000;
    let drift = i64::try_from(dice.below(11)).unwrap() - 5;
    let failures = Troubled(world.clone(), Dice::new(world.seed + number + birth));
    let env = Env::new(Arc::new(Drifting { base: start.at, off, drift }), Arc::new(dice))
        .with_failures(Arc::new(failures));
    let shared = Shared { name: world.store.clone(), clock: world.clock() };
    let key = FileKey::open(&start.key, KeyPlace::Anywhere)?;
    let policy = Policy { loopback: true, ..Policy::default() };
    let egress = Egress::with_transport(policy, Arc::new(Simulated))?;
    let root = Root::Key(Box::new(key));
    Ok(Broker::open_through(start.settings.clone(), &Location::Shared(shared), root, egress, env).await?)
}

/// One caller.
pub(crate) async fn ask(world: Arc<World>, broker: Broker, user: String) -> Option<Code> {
    let request = broker.request_id();
    let credential = Credential::of(Some(&world.start.workload), TeamHint::default()).unwrap();
    let ask = TokenAsk {
        connector: world.start.connector.clone(),
        subject: Some(json!({"type": "user", "id": user})),
        validity_buffer: Some(1_000),
        ..TokenAsk::default()
    };
    let begun = elapsed();
    match Box::pin(broker.issue(&credential, &ask, request)).await {
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
    Box::pin(open(world, 99, 0)).await.unwrap()
}
