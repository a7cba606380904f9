//! Ahead of time: what is used is renewed before it ends, what is not is left alone.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(
    what_is_used_is_renewed_before_it_ends_and_what_is_not_is_left_alone,
    a_grant_that_nobody_uses_is_kept_alive_where_its_provider_would_forget_it,
);

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

/// The provider forgets a refresh token that was not used for thirty days.
async fn a_grant_that_nobody_uses_is_kept_alive_where_its_provider_would_forget_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let days = |days: u64| Duration::from_hours(24 * days);
    let idle = json!({"refreshTokens": {"enabled": true, "idleDays": 30}});
    let kept = kit.connect("kept", idle.clone()).await;
    let later = kit.connect("later", Value::Null).await;
    for connector in [&kit.connector, &kept, &later] {
        consent(&kit, connector).await;
    }
    // An hour's tokens have ended, and nobody has asked for days: they are left to rest.
    kit.clock.pass(days(3));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(kit.provider.requests("refresh_token"), 0);
    let patch = json!({"data": idle});
    kit.manage("PATCH", &format!("/v1/connect/connectors/{later}"), Some(&patch)).await.ok();
    // Three quarters of the time are over for both.
    for round in 1..=3 {
        kit.clock.pass(days(23));
        kit.provider.until_requests("refresh_token", round * 2).await;
        eventually("both are recorded", async || {
            let recorded = kit.events_of("grant.refresh").await;
            (recorded.iter().filter(|event| event["outcome"] == "success").count() == round * 2).then_some(())
        })
        .await;
    }
    assert_eq!(kit.provider.requests("refresh_token"), 6, "no more often than that");
    let bearer = kit.workload("production");
    for (connector, lives) in [(&kept, true), (&later, true), (&kit.connector, false)] {
        let answer = kit.node.token(&bearer, connector, &of("alice")).await;
        assert_eq!(answer.status == 200, lives, "{connector}: {}", answer.text());
        if lives {
            assert!(kit.provider.me(&answer.token()).await.is_some());
        }
    }
}

async fn consent(kit: &Kit, connector: &str) {
    let path = format!("/v1/connect/authorize/{connector}");
    let bearer = kit.workload("production");
    let started = kit.node.call("POST", &path, Some(&bearer), Some(&of("alice"))).await.ok();
    let done = Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    assert!(done.text().contains("is connected to"), "{}", done.text());
}
