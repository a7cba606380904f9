//! One refresh for many callers, and it ends whatever they do.

use std::time::Duration;

use carnet_testkit::{Engine, Fault, Gate, Kit, Plan, eventually, on_both_engines};
use futures_util::future::join_all;
use serde_json::json;

use crate::{anew, of};

on_both_engines!(
    many_callers_on_one_expired_grant_cost_one_refresh,
    a_caller_who_hangs_up_does_not_lose_the_rotation,
    shutdown_waits_for_a_refresh_under_way,
    a_refresh_that_takes_long_does_not_hold_up_who_has_a_living_token,
);

async fn many_callers_on_one_expired_grant_cost_one_refresh(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let before = kit.user_token("alice").await.token();
    kit.clock.pass(Duration::from_hours(2));
    kit.provider.next([Fault::none().delayed(Duration::from_millis(200))]);
    let tokens: Vec<String> = join_all((0..64).map(|_| kit.user_token("alice")))
        .await
        .iter()
        .map(|answer| answer.token())
        .collect();
    assert!(
        tokens.iter().all(|token| *token == tokens[0] && *token != before),
        "everybody has the fresh one"
    );
    assert_eq!(kit.provider.requests("refresh_token"), 1);
    assert!(kit.provider.me(&tokens[0]).await.is_some());
}

/// Both nodes see the grant expired at the same moment; the lease lets one of them go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_on_one_postgres_refresh_once() {
    let Some(engine) = Engine::postgres().await else { return };
    let kit = Kit::start(engine, Plan::default()).await;
    let mut second = kit.second_node().await;
    kit.consent("alice").await;
    for round in 1..=3 {
        kit.clock.pass(Duration::from_hours(2));
        let bearer = kit.workload("production");
        let body = of("alice");
        let asked = (0..64).map(|n| {
            let node = if n % 2 == 0 { &kit.node } else { &second };
            node.token(&bearer, &kit.connector, &body)
        });
        let tokens: Vec<String> = join_all(asked).await.iter().map(|answer| answer.token()).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(kit.provider.requests("refresh_token"), round);
        assert!(kit.provider.me(&tokens[0]).await.is_some());
    }
    second.stop().await;
}

async fn a_caller_who_hangs_up_does_not_lose_the_rotation(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    asking.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    let token = kit.user_token("alice").await.token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1, "what was sent was also recorded");
}

async fn shutdown_waits_for_a_refresh_under_way(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let open_soon = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        gate.open();
    };
    tokio::join!(kit.restart(async |_| ()), open_soon);
    let served = asking.await.unwrap().token();
    assert_eq!(kit.user_token("alice").await.token(), served);
    assert_eq!(kit.provider.requests("refresh_token"), 1);
}

async fn a_refresh_that_takes_long_does_not_hold_up_who_has_a_living_token(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let held = kit.user_token("alice").await.token();
    // What is held lives ten minutes less than what comes, whenever that arrives.
    kit.clock.pass(Duration::from_mins(10));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let begun = tokio::time::Instant::now();
    assert_eq!(kit.ask(&anew("alice")).await.token(), held);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    gate.open();
    let longer = json!({"subject": {"type": "user", "id": "alice"}, "validityBufferMs": 55 * 60_000});
    let newer = eventually("the refresh goes on without the caller", async || {
        let token = kit.ask(&longer).await.token();
        (token != held).then_some(token)
    });
    assert!(kit.provider.me(&newer.await).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1);
}
