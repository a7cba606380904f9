//! Every token request is answered within a bound, whatever the provider does; and what was begun goes on.

use std::time::Duration;

use carnet_model::grant::Rotation;
use carnet_testkit::{Engine, Fault, Gate, Kit, Plan, eventually, on_both_engines};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::of;

on_both_engines!(
    an_application_that_waits_for_a_slow_provider_is_told_in_time,
    a_refresh_goes_on_when_whoever_needed_it_was_told_to_come_back,
    whoever_waits_for_a_refresh_that_finds_no_store_is_told_in_time,
);

const WITHIN: Duration = Duration::from_secs(3);

/// The waits in a row would take minutes: for those before, for a place, for the provider.
async fn an_application_that_waits_for_a_slow_provider_is_told_in_time(engine: Engine) {
    let plan = Plan { answer_within: WITHIN, ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    for fault in [|| Fault::none().delayed(Duration::from_secs(30)), Fault::trickle] {
        kit.provider.always(fault);
        let body = json!({"subject": {"type": "app"}});
        let begun = Instant::now();
        for answer in join_all((0..20).map(|_| kit.ask(&body))).await {
            assert_eq!(answer.refusal(), (503, "provider_unavailable".to_owned()));
            assert!(answer.header("retry-after").is_some());
        }
        assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
        kit.provider.heal();
    }
    let refused = kit.events_of("token.issue").await;
    let late = refused.iter().filter(|event| event["detail"]["code"] == "provider_unavailable").count();
    assert_eq!(late, 40, "every refusal is in the log");
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
}

async fn a_refresh_goes_on_when_whoever_needed_it_was_told_to_come_back(engine: Engine) {
    let plan = Plan { answer_within: WITHIN, rotation: Rotation::Strict, ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let begun = Instant::now();
    assert_eq!(kit.user_token("alice").await.refusal(), (503, "provider_unavailable".to_owned()));
    assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
    gate.open();
    let token = kit.ask(&of("alice")).await.token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1);
}

/// The provider gave, and the store does not take it: the callers are told as everybody else is, whatever they asked for,
/// and the tokens are recorded when it does.
async fn whoever_waits_for_a_refresh_that_finds_no_store_is_told_in_time(engine: Engine) {
    let kit = Kit::start(engine, Plan { rotation: Rotation::Strict, ..Plan::default() }).await;
    kit.consent("alice").await;
    let raw = kit.raw().await;
    for more in [json!(["*"]), json!(["profile:read"])] {
        kit.clock.pass(Duration::from_hours(2));
        let mut body = of("alice");
        body["scopes"] = more;
        let asked = kit.provider.requests("refresh_token");
        let gate = Gate::closed();
        kit.provider.next([Fault::none().behind(&gate)]);
        let asking = kit.asking(&body);
        kit.provider.until_requests("refresh_token", asked + 1).await;
        let held = raw.hold_writes().await;
        let begun = Instant::now();
        gate.open();
        assert_eq!(asking.await.unwrap().refusal(), (503, "store_unavailable".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        raw.release(held).await;
        let token = eventually("it is recorded", async || {
            let answer = kit.ask(&body).await;
            (answer.status == 200).then(|| answer.token())
        })
        .await;
        assert!(kit.provider.me(&token).await.is_some());
    }
    // A narrower token is no part of the grant and is made anew, however often somebody asked meanwhile.
    let asked = kit.provider.requests("refresh_token");
    assert!((3..=5).contains(&asked), "{asked}");
}

/// Longer than a lease lasts that nobody holds on to: another node does not present the token as well, and what the
/// provider gives is kept. Callers are told long before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_strict_provider_that_takes_long_does_not_cost_the_grant() {
    let plan = Plan { answer_within: WITHIN, rotation: Rotation::Strict, ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    assert_eq!(kit.user_token("alice").await.refusal(), (503, "provider_unavailable".to_owned()));
    let raw = kit.raw().await;
    let leased = async || raw.number("select max(lease_until) from grants").await;
    let first = leased().await;
    let held = eventually("the lease is held on to", async || (leased().await > first).then_some(()));
    held.await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    gate.open();
    let token = kit.ask(&of("alice")).await.token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1);
}
