//! After a crash in the middle of a refresh: what happens follows from the provider's rotation class.
//!
//! The crash is written into the store while no process is there: an attempt that was sent and never ended. Whether the
//! provider saw it is the question that nobody can answer; both answers are tried. Where several nodes share a store, a
//! silence must last before somebody else takes over, so the attempts of these tests were sent somewhat longer ago.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_model::grant::Rotation;
use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};

use crate::anew;

on_both_engines!(
    where_presenting_again_is_safe_a_crash_is_mended_unasked,
    where_presenting_again_is_unsafe_nothing_is_done_while_the_token_lives,
    where_the_token_has_ended_a_crash_is_judged_at_the_start,
);

const GRACE: Rotation = Rotation::Grace { seconds: 60 };
const A_MOMENT: Duration = Duration::from_secs(20);

/// A refresh during which the broker died.
#[derive(Clone, Copy, Debug)]
struct Crash {
    rotation: Rotation,
    /// Whether the provider saw the request, and so spent the refresh token.
    seen: bool,
    /// How long ago it was sent when a broker starts again.
    ago: Duration,
    /// Whether the access token has ended by then.
    ended: bool,
}

impl Crash {
    /// The broker that starts afterwards, and the access token from before.
    async fn happens(self, engine: &Engine) -> (Kit, String) {
        let Self { rotation, seen, ago, ended } = self;
        let mut kit = Kit::start(engine.another().await, Plan { rotation, ..Plan::default() }).await;
        kit.consent("alice").await;
        let living = kit.user_token("alice").await.token();
        kit.restart(async |kit| {
            let raw = kit.raw().await;
            if ended {
                raw.end_access().await;
            }
            if seen {
                assert_eq!(kit.provider.spend(&kit.provider.last_refresh_token()).await.status, 200);
            }
            let sent_at = format!("{} - {}", raw.clock(), ago.as_millis());
            // Any sixteen bytes do for the identifier of the attempt; the grant's own are at hand.
            let open = format!(
                "insert into refresh_operations (id, team, grant_id, fence, rt_version, state, sent_at) \
                 select id, team, id, fence, rt_version, 'sent', {sent_at} from grants"
            );
            assert_eq!(raw.run(&open).await, 1);
        })
        .await;
        (kit, living)
    }
}

async fn where_presenting_again_is_safe_a_crash_is_mended_unasked(engine: Engine) {
    for rotation in [Rotation::None, GRACE] {
        for (seen, ended) in [(true, true), (true, false), (false, true), (false, false)] {
            let crash = Crash { rotation, seen, ago: A_MOMENT, ended };
            let (kit, before) = crash.happens(&engine).await;
            let raw = kit.raw().await;
            eventually("the new token is recorded", async || {
                let renewed = raw.number("select count(*) from grants where rt_version > 1").await;
                (renewed == 1).then_some(())
            })
            .await;
            let after = kit.user_token("alice").await.token();
            assert_ne!(after, before, "{crash:?}");
            assert!(kit.provider.me(&after).await.is_some(), "{crash:?}");
            assert_eq!(kit.provider.requests("refresh_token"), 1, "{crash:?}");
            assert!(kit.events_of("grant.needs-consent").await.is_empty(), "{crash:?}");
        }
    }
}

/// Presenting it again could only hurt the token that lives.
async fn where_presenting_again_is_unsafe_nothing_is_done_while_the_token_lives(engine: Engine) {
    for (rotation, seen, ago) in [
        (Rotation::Strict, true, A_MOMENT),
        (Rotation::Strict, false, A_MOMENT),
        (GRACE, true, Duration::from_mins(2)),
        (GRACE, false, Duration::from_mins(2)),
    ] {
        let crash = Crash { rotation, seen, ago, ended: false };
        let (kit, living) = crash.happens(&engine).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(kit.ask(&anew("alice")).await.token(), living, "{crash:?}");
        assert_eq!(kit.provider.requests("refresh_token"), 0, "{crash:?}");

        // For the provider, whose grace ends too, and for the broker.
        kit.clock.pass(Duration::from_hours(2));
        kit.raw().await.end_access().await;
        let answer = kit.ask(&anew("alice")).await;
        if seen {
            assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{crash:?}");
            assert_eq!(answer.json()["error"]["cause"], "crash_during_refresh", "{crash:?}");
            kit.consent("alice").await;
            kit.user_token("alice").await.token();
        } else {
            assert!(kit.provider.me(&answer.token()).await.is_some(), "{crash:?}: it never left");
        }
    }
}

/// Nobody asks, and it is known soon what became of the grant.
async fn where_the_token_has_ended_a_crash_is_judged_at_the_start(engine: Engine) {
    for seen in [true, false] {
        let crash = Crash { rotation: Rotation::Strict, seen, ago: A_MOMENT, ended: true };
        let (kit, _) = crash.happens(&engine).await;
        kit.provider.until_requests("refresh_token", 1).await;
        if seen {
            let grant = eventually("the grant says what happened", async || {
                let grants = kit.grants().await;
                (grants[0]["state"] == "needs_consent").then(|| grants[0].clone())
            });
            assert_eq!(grant.await["cause"], "crash_during_refresh");
            let events = kit.events_of("grant.needs-consent").await;
            assert_eq!(events[0]["detail"]["cause"], "crash_during_refresh");
        } else {
            assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
            assert_eq!(kit.provider.requests("refresh_token"), 1);
        }
    }
}

/// A lease that a dead process held does not stand in the way of the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lease_of_a_process_that_is_gone_is_not_waited_for() {
    let mut kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.restart(async |kit| {
        kit.clock.pass(Duration::from_hours(2));
        let until = kit.clock.now().plus(Duration::from_mins(10)).millis();
        assert_eq!(kit.raw().await.run(&format!("update grants set lease_until = {until}")).await, 1);
    })
    .await;
    // Who waited for it would be told to come back long before it ends.
    kit.user_token("alice").await.token();
}

/// As a primary is left by a failover: it answers, and takes no writes. Nobody refreshes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_store_that_became_read_only_no_refresh_token_is_spent() {
    let Some(engine) = Engine::postgres().await else { return };
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let living = kit.user_token("alice").await.token();
    kit.clock.pass(Duration::from_hours(2));
    let raw = kit.raw().await;
    let database = raw.text("select current_database()::text").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    raw.run(&format!("alter database \"{database}\" set default_transaction_read_only = on")).await;
    raw.run(cut).await;
    for _ in 0..3 {
        let answer = kit.ask(&anew("alice")).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some() && !answer.text().contains(&living));
    }
    assert_eq!(kit.provider.requests("refresh_token"), 0);

    raw.run(&format!("alter database \"{database}\" reset default_transaction_read_only")).await;
    raw.run(cut).await;
    let token = eventually("it goes on", async || {
        let answer = kit.user_token("alice").await;
        (answer.status == 200).then(|| answer.token())
    });
    assert!(kit.provider.me(&token.await).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1);
}
