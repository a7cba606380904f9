//! The refresh protocol under simulation: real brokers on one store, a provider, and a network between them, all on
//! simulated time, with everything that can go wrong going wrong at moments drawn from a seed.
//!
//! What runs is the product: the engine, its HTTP client, its SQL. In place of the machine stand: a network that delays,
//! cuts and holds (`turmoil`), a store in memory that every node shares and that refuses writes or loses the word of a
//! commit, clocks that are off and drift, and a provider that fails before or after its work, answers late or never.
//! Nodes die in the middle and are started again.
//!
//! What must hold, by the numbers of the invariants: what was answered is in the log (1), and was there before (2); a
//! refresh token is presented again only if something happened to the first time (3); no grant ends without a reason
//! that happened (4); a token belongs to whom it was asked for (6); fences only grow (8); what was revoked is refused
//! (9); and a minute after the last fault nothing is left open (11).
//!
//! A failing seed is printed; `CARNET_SIM_SEED=n` runs it alone. Some seeds run always, two thousand with
//! `CARNET_TEST_LONG=1`. Not simulated: SQLite's files and PostgreSQL; the kill loops of the binary try these. Three
//! invariants have no part in this protocol and are tried where they live: that what was acknowledged is told in the end
//! (5), by `testkit::a_health_webhook_that_was_not_taken_is_sent_again_by_the_next_process`; that the log goes on from what
//! it was (7), by `store::the_log_is_dense_under_many_writers_and_failures` and
//! `store::what_an_event_commits_to_can_be_recomputed`; that nothing piles up (10), by
//! `testkit::all_that_end_in_one_second_are_renewed_at_the_pace_that_was_set`.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "the simulation is the outside: it has clocks, tasks and connections of its own"
)]

mod dice;
mod judge;
mod node;
mod provider;
mod world;

use carnet_model::grant::Rotation;

use world::{Start, World};

#[test]
fn with_a_provider_that_does_not_rotate() {
    try_seeds(Rotation::None, 0);
}

#[test]
fn with_a_provider_that_gives_grace() {
    try_seeds(Rotation::Grace { seconds: 60 }, 1);
}

#[test]
fn with_a_strict_provider() {
    try_seeds(Rotation::Strict, 2);
}

fn try_seeds(rotation: Rotation, class: u64) {
    let start = Start::prepare(rotation);
    let seeds = match std::env::var("CARNET_SIM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None if std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1") => 0..700,
        None => 0..SEEDS,
    };
    let (mut worlds, mut refreshes) = (0, 0);
    for seed in seeds {
        let told = World::new(&start, seed * 3 + class).run();
        assert!(told.wrong.is_empty(), "CARNET_SIM_SEED={seed} {rotation:?}:\n{}", told.wrong.join("\n"));
        eprintln!(
            "{rotation:?} seed {seed}: {} refreshes, {} answers, {} faults",
            told.refreshes, told.answers, told.faults
        );
        assert!(told.refreshes > 5 && told.answers > 50 && told.faults > 5, "seed {seed}: nothing happened");
        worlds += 1;
        refreshes += told.refreshes;
    }
    // One world may be unlucky; all of them together are not.
    assert!(worlds == 1 || refreshes > 20 * worlds, "{refreshes} refreshes in {worlds} worlds");
}

/// Per rotation class, in the ordinary run.
const SEEDS: u64 = 3;
