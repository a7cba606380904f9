//! Ahead of time: what is used is renewed before it ends, what is not is left alone.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};

on_both_engines!(what_is_used_is_renewed_before_it_ends_and_what_is_not_is_left_alone);

async fn what_is_used_is_renewed_before_it_ends_and_what_is_not_is_left_alone(engine: Engine) {
    let plan = Plan { access_life: Duration::from_hours(48), ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    kit.clock.pass(Duration::from_hours(25));
    let before = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.requests("refresh_token"), 0, "more than a third of the life is left");
    // The last tenth and the spread before it have begun; 44 of 48 hours are over.
    kit.clock.pass(Duration::from_hours(19));
    kit.provider.until_requests("refresh_token", 1).await;
    // The token from before lives four more hours, and is not served from memory all the same.
    let after = eventually("the new token is served", async || {
        let token = kit.user_token("alice").await.token();
        (token != before).then_some(token)
    });
    assert!(kit.provider.me(&after.await).await.is_some());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(kit.provider.requests("refresh_token"), 1, "nobody has used Bob's for a day");
}
