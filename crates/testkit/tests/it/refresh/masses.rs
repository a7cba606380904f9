//! Many grants at once: the provider sees no more than it was said to take, and who has a living token notices nothing.
//! `CARNET_TEST_LONG=1` for ten thousand of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use carnet_testkit::{Engine, Kit, Plan, eventually};
use futures_util::future::join_all;

use crate::of;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_that_end_in_one_second_are_renewed_at_the_pace_that_was_set() {
    let (many, per_second) = if is_long() { (10_000, 250) } else { (120, 40) };
    let plan =
        Plan { access_life: Duration::from_mins(30), refreshes_per_second: per_second, ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    let users: Vec<String> = (0..many).map(|n| format!("user-{n}")).collect();
    for some in users.chunks(8) {
        join_all(some.iter().map(|user| kit.consent(user))).await;
    }
    kit.clock.pass(Duration::from_mins(28));

    // Each has two minutes left, and the time of all of them to be renewed ahead has come.
    while kit.provider.requests("refresh_token") < many {
        for some in users.chunks(many / 10) {
            let begun = Instant::now();
            let answer = kit.user_token(&some[0]).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_pace(&kit, per_second);

    // Now all have ended, and everybody asks at once.
    eventually("nothing is under way", async || {
        let open = kit.raw().await.number("select count(*) from refresh_operations").await;
        (open == 0).then_some(())
    })
    .await;
    kit.clock.pass(Duration::from_hours(2));
    let statuses: BTreeSet<u16> =
        join_all(users.iter().map(|user| patiently(&kit, user))).await.into_iter().flatten().collect();
    assert!(statuses.is_subset(&BTreeSet::from([200, 503])), "{statuses:?}");
    assert_eq!(kit.provider.requests("refresh_token"), 2 * many, "one refresh each");
    assert_pace(&kit, per_second);
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

/// Asks until there is a token, and waits as it is told; the statuses on the way.
async fn patiently(kit: &Kit, user: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    loop {
        let answer = kit.ask(&of(user)).await;
        statuses.push(answer.status);
        match answer.header("retry-after") {
            Some(seconds) if answer.status == 503 => {
                tokio::time::sleep(Duration::from_secs(seconds.parse().unwrap())).await;
            }
            _ => return statuses,
        }
    }
}

/// No second saw more than this. What arrives on a busy machine is less even than what is sent.
fn assert_pace(kit: &Kit, per_second: u32) {
    let arrivals = kit.provider.arrivals("refresh_token");
    let most = per_second as usize + per_second as usize / 4;
    for window in arrivals.windows(most + 1) {
        let took = window[most] - window[0];
        assert!(took >= Duration::from_secs(1), "{} refreshes in {took:?}", most + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_connector_with_many_due_does_not_keep_another_waiting() {
    let plan = Plan { refreshes_per_second: 1, access_life: Duration::from_mins(30), ..Plan::default() };
    let mut kit = Kit::start(Engine::Sqlite, plan).await;
    for n in 0..30 {
        kit.consent(&format!("user-{n}")).await;
    }
    let crowded = kit.connector.clone();
    kit.connector = kit.connect("small", serde_json::Value::Null).await;
    kit.consent("alone").await;
    let raw = kit.raw().await;
    let small = format!("select count(*) from grants where rt_version > 1 and subject = '{}'", "user:alone");
    kit.clock.pass(Duration::from_mins(28));
    eventually("the one of the small connector is renewed", async || {
        (raw.number(&small).await == 1).then_some(())
    })
    .await;
    // By how far the others have come, and not by a clock: a busy machine slows both alike.
    assert!(
        raw.number("select count(*) from grants where rt_version > 1").await < 20,
        "{crowded} is still at it"
    );
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is said from outside")]
fn is_long() -> bool {
    std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1")
}
