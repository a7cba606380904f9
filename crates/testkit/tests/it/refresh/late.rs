//! Answers that come too late for their grant: new tokens are never dropped unread.

use std::sync::Arc;
use std::time::Duration;

use carnet_testkit::{Engine, Fault, Gate, Kit, Plan, eventually, on_both_engines};
use serde_json::json;

use crate::of;

on_both_engines!(
    tokens_that_come_after_the_lease_was_lost_are_adopted,
    what_comes_late_and_is_more_than_before_is_not_handed_out,
    tokens_that_come_after_the_grant_was_declared_dead_revive_it,
    tokens_that_come_after_a_new_consent_do_not_replace_it,
    tokens_that_come_after_a_revocation_are_of_no_use,
    tokens_that_come_while_the_provider_is_told_are_given_back_too,
    a_refusal_that_comes_after_a_new_consent_is_not_believed_about_it,
);

async fn tokens_that_come_after_the_lease_was_lost_are_adopted(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    // Another node took the grant over, and has done nothing with it yet.
    assert_eq!(kit.raw().await.run("update grants set fence = fence + 1").await, 1);
    gate.open();
    let token = asking.await.unwrap().token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 1);
    assert_eq!(kit.events_of("grant.orphan.adopt").await.len(), 1);
    nothing_is_left_open(&kit).await;
    // The refresh token that came late is the one in use.
    kit.clock.pass(Duration::from_hours(2));
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
}

async fn what_comes_late_and_is_more_than_before_is_not_handed_out(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    let wider = |answer: &mut serde_json::Map<String, serde_json::Value>| {
        let scope = format!("{} admin", answer["scope"].as_str().unwrap());
        answer.insert("scope".to_owned(), scope.into());
    };
    kit.provider.next([Fault::rewritten(wider).behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let raw = kit.raw().await;
    assert_eq!(raw.run("update grants set fence = fence + 1").await, 1);
    gate.open();
    asking.await.unwrap().token();
    assert_eq!(kit.events_of("grant.orphan.adopt").await.len(), 1);
    let scopes = raw.text("select scopes from grants").await;
    assert!(scopes.split(' ').any(|scope| scope == "admin"), "what was given is known: {scopes}");
    let asked = kit.provider.last("refresh_token", "scope").join(" ");
    assert!(!asked.is_empty() && !asked.contains("admin"), "one with less was asked for: {asked:?}");
    nothing_is_left_open(&kit).await;
}

async fn tokens_that_come_after_the_grant_was_declared_dead_revive_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    // Another node presented the same token meanwhile and was told that it is dead.
    let dead = "update grants set fence = fence + 1, state = 'needs_consent', cause = 'revoked_at_provider'";
    assert_eq!(kit.raw().await.run(dead).await, 1);
    gate.open();
    let token = asking.await.unwrap().token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.grants().await[0]["state"], "active");
    nothing_is_left_open(&kit).await;
}

async fn tokens_that_come_after_a_new_consent_do_not_replace_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    kit.consent("alice").await;
    let consented = kit.user_token("alice").await.token();
    gate.open();
    assert_eq!(asking.await.unwrap().token(), consented);
    assert_eq!(kit.user_token("alice").await.token(), consented);
    assert!(kit.events_of("grant.orphan.adopt").await.is_empty());
    nothing_is_left_open(&kit).await;
}

async fn tokens_that_come_after_a_revocation_are_of_no_use(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    assert_eq!(kit.manage("DELETE", &path, Some(&json!({}))).await.ok()["deleted"], 1);
    gate.open();
    assert_eq!(asking.await.unwrap().refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    nothing_is_left_open(&kit).await;
    let late = kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1;
    assert!(kit.provider.me(&late).await.is_none(), "the provider was told");
}

async fn tokens_that_come_while_the_provider_is_told_are_given_back_too(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let (answered, told) = (Gate::closed(), Arc::new(Gate::closed()));
    kit.provider.next([Fault::none().behind(&answered)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let gate = told.clone();
    kit.provider.always_at_revocation(move || Fault::none().behind(&gate));
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    let meanwhile = async {
        kit.provider.until_requests("revoke", 1).await;
        answered.open();
        assert_eq!(asking.await.unwrap().refusal(), (422, "user_authorization_required".to_owned()));
        told.open();
    };
    let body = json!({});
    let (revoked, ()) = tokio::join!(kit.manage("DELETE", &path, Some(&body)), meanwhile);
    assert_eq!(revoked.ok()["deleted"], 1);
    let late = kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1;
    // Whoever revoked has looked before they came; they are found as what somebody left.
    kit.clock.pass(Duration::from_secs(20));
    eventually("they are given back", async || kit.provider.me(&late).await.is_none().then_some(())).await;
    let raw = kit.raw().await;
    let gone = async || (raw.number("select count(*) from grants").await == 0).then_some(());
    eventually("the grant is gone", gone).await;
    nothing_is_left_open(&kit).await;
}

/// What nobody came to adopt goes with its grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_that_were_kept_are_given_back_when_their_grant_is_revoked() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate), Fault::error(503, "later")]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let raw = kit.raw().await;
    assert_eq!(raw.run("update grants set fence = fence + 1").await, 1);
    raw.run("create trigger kept before delete on refresh_orphans begin select raise(abort, 'not now'); end")
        .await;
    gate.open();
    asking.await.unwrap();
    let late = kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1;
    assert_eq!(raw.number("select count(*) from refresh_orphans").await, 1);
    assert!(kit.provider.me(&late).await.is_some());
    raw.run("drop trigger kept").await;
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    assert_eq!(kit.manage("DELETE", &path, Some(&json!({}))).await.ok()["deleted"], 1);
    assert!(kit.provider.me(&late).await.is_none(), "the provider was told of these too");
    nothing_is_left_open(&kit).await;
}

/// Nobody is served from the last seconds of what was kept for an hour, if one more refresh gives a whole life.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_that_were_kept_until_they_are_old_are_renewed_and_not_served() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    let raw = kit.raw().await;
    assert_eq!(raw.run("update grants set fence = fence + 1").await, 1);
    raw.run("create trigger kept before delete on refresh_orphans begin select raise(abort, 'not now'); end")
        .await;
    gate.open();
    asking.await.unwrap();
    assert_eq!(kit.provider.requests("refresh_token"), 1);
    let late = kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1;
    raw.run("drop trigger kept").await;
    kit.clock.pass(Duration::from_secs(3590));
    let token = kit.user_token("alice").await.token();
    assert_ne!(token, late, "it has ten seconds left");
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.events_of("grant.orphan.adopt").await.len(), 1);
    nothing_is_left_open(&kit).await;
}

/// Whoever lost a race is told that the grant is dead, and means the refresh token from before.
async fn a_refusal_that_comes_after_a_new_consent_is_not_believed_about_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::error(400, "invalid_grant").behind(&gate)]);
    let asking = kit.asking(&of("alice"));
    kit.provider.until_requests("refresh_token", 1).await;
    kit.consent("alice").await;
    let consented = kit.user_token("alice").await.token();
    gate.open();
    assert_eq!(asking.await.unwrap().token(), consented);
    assert_eq!(kit.user_token("alice").await.token(), consented);
    assert_eq!(kit.grants().await[0]["state"], "active");
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
    nothing_is_left_open(&kit).await;
}

async fn nothing_is_left_open(kit: &Kit) {
    let raw = kit.raw().await;
    assert_eq!(raw.number("select count(*) from refresh_orphans").await, 0);
    assert_eq!(raw.number("select count(*) from refresh_operations").await, 0);
}
