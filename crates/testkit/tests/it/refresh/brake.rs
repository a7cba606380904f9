//! Many grants refused at once: the application is in trouble, not its people.

use std::time::Duration;

use carnet_testkit::{Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::Value;

use crate::anew;

on_both_engines!(
    a_suspended_application_costs_few_grants_and_the_first_refresh_that_works_ends_it,
    one_new_consent_tells_grants_that_are_dead_from_an_application_that_is,
);

async fn a_suspended_application_costs_few_grants_and_the_first_refresh_that_works_ends_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let users: Vec<String> = (0..10).map(|n| format!("user-{n}")).collect();
    for user in &users {
        kit.consent(user).await;
    }
    let living = kit.ask(&anew("user-9")).await.token();
    kit.provider.always(|| Fault::error(400, "invalid_grant"));
    let asked = kit.provider.requests("refresh_token");
    let answers = refused(&kit, &users[..9]).await;
    let dead = |answers: &[Value]| {
        answers.iter().filter(|error| error["code"] == "user_authorization_required").count()
    };
    assert_eq!(dead(&answers), 4, "{answers:?}");
    let others: Vec<_> = answers.iter().filter(|error| error["code"] == "provider_refused").collect();
    assert_eq!(others.len(), 5, "{answers:?}");
    for error in others {
        assert_eq!(error["reason"], "many_grants_refused", "{error}");
        assert!((1..=61).contains(&error["retryAfter"].as_u64().unwrap()), "{error}");
        assert!(error["message"].as_str().unwrap().contains("suspended"), "{error}");
    }
    assert_eq!(kit.provider.requests("refresh_token"), asked + 9);
    refused(&kit, &users[..9]).await;
    assert_eq!(kit.provider.requests("refresh_token"), asked + 9, "each is tried once a minute at most");
    assert_eq!(kit.ask(&anew("user-9")).await.token(), living, "who has a living token keeps it");
    assert_eq!(active(&kit).await, 6);
    assert_eq!(kit.events_of("grant.brake.pull").await.len(), 1);
    assert_eq!(kit.events_of("grant.brake.pull").await[0]["target"], kit.connector.as_str());
    assert!(kit.events_of("grant.brake.release").await.is_empty());

    kit.provider.heal();
    kit.clock.pass(Duration::from_secs(61));
    let mut served = 0;
    for user in &users {
        served += usize::from(kit.ask(&anew(user)).await.status == 200);
    }
    assert_eq!(served, 6);
    assert_eq!(kit.events_of("grant.brake.release").await.len(), 1);
}

async fn one_new_consent_tells_grants_that_are_dead_from_an_application_that_is(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let users: Vec<String> = (0..8).map(|n| format!("user-{n}")).collect();
    for user in &users {
        kit.consent(user).await;
        // Removed by every one of them, which nobody can tell from a suspended application.
        kit.provider.forget(&kit.provider.last_refresh_token()).await;
    }
    kit.clock.pass(Duration::from_hours(2));
    let answers = refused(&kit, &users).await;
    let asked_again = answers.iter().filter(|error| error["code"] == "user_authorization_required");
    assert_eq!(asked_again.count(), 4, "{answers:?}");
    kit.consent("somebody-else").await;
    assert_eq!(kit.events_of("grant.brake.release").await.len(), 1);
    let answers = refused(&kit, &users).await;
    for error in &answers {
        assert_eq!(error["code"], "user_authorization_required", "{error}");
        assert_eq!(error["cause"], "revoked_at_provider", "{error}");
    }
}

/// What each of them is told. None has a token that lives long enough.
async fn refused(kit: &Kit, users: &[String]) -> Vec<Value> {
    let whose: Vec<String> = users.iter().map(|user| format!("'user:{user}'")).collect();
    let raw = kit.raw().await;
    let ended = format!(
        "update grants set access_expires_at = {} - 1000 where subject in ({})",
        raw.clock(),
        whose.join(", ")
    );
    raw.run(&ended).await;
    let mut answers = Vec::new();
    for user in users {
        let answer = kit.ask(&anew(user)).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        answers.push(answer.json()["error"].clone());
    }
    answers
}

async fn active(kit: &Kit) -> usize {
    kit.grants().await.iter().filter(|grant| grant["state"] == "active").count()
}
