//! Whoever can write the database and has no key gains nothing: what decides to whom a secret goes is bound into the
//! envelope of the secret, and a row that was changed by hand does not open.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::{anew, of};

on_both_engines!(
    no_secret_goes_where_a_hand_led_it,
    a_grant_changed_by_hand_opens_for_nobody,
    a_made_token_that_does_not_open_is_made_anew,
);

/// The client's secret and everybody's refresh tokens, to a server of one's own.
async fn no_secret_goes_where_a_hand_led_it(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let thief = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = format!("http://{}/token", thief.local_addr().unwrap());
    let lead =
        format!("update connectors set data = replace(data, '{}/token', '{there}')", kit.provider.issuer());
    let count = format!("select count(*) from connectors where data like '%\"{there}\"%'");
    kit.restart(async |kit| {
        let raw = kit.raw().await;
        raw.run(&lead).await;
        assert_eq!(raw.number(&count).await, 1, "{lead}");
        kit.clock.pass(Duration::from_hours(2));
    })
    .await;
    let answer = kit.ask(&of("alice")).await;
    assert_eq!(answer.refusal(), (422, "invalid_connector".to_owned()), "{}", answer.text());
    assert_eq!(kit.provider.requests("refresh_token"), 0);
    assert!(timeout(Duration::from_millis(500), thief.accept()).await.is_err(), "somebody came");
}

async fn a_grant_changed_by_hand_opens_for_nobody(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    let tokens = [kit.user_token("alice").await.token(), kit.user_token("bob").await.token()];
    for (change, back) in [
        // More than was consented to.
        (
            "update grants set scopes = scopes || ' admin'",
            "update grants set scopes = replace(scopes, ' admin', '')",
        ),
        // A row from before.
        ("update grants set version = version + 1", "update grants set version = version - 1"),
        // One person's tokens for another.
        (
            "update grants set held = (select other.held from grants as other where other.id <> grants.id) \
             where subject like '%alice%'",
            "",
        ),
    ] {
        kit.restart(async |kit| assert!(kit.raw().await.run(change).await > 0, "{change}")).await;
        for ask in [of("alice"), anew("alice")] {
            let answer = kit.ask(&ask).await;
            assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{change}");
            assert_eq!(answer.json()["error"]["reason"], "grant_unreadable", "{change}");
            assert!(tokens.iter().all(|token| !answer.text().contains(token)), "{change}");
        }
        assert_eq!(kit.provider.requests("refresh_token"), 0, "{change}");
        if !back.is_empty() {
            kit.restart(async |kit| assert!(kit.raw().await.run(back).await > 0, "{back}")).await;
            assert_eq!(kit.user_token("alice").await.token(), tokens[0], "{back}");
        }
    }
    assert_eq!(kit.user_token("bob").await.token(), tokens[1]);
    // What the refusal says mends it.
    kit.consent("alice").await;
    assert_ne!(kit.ask(&of("alice")).await.token(), tokens[0]);
}

/// What can be had again is had again, once.
async fn a_made_token_that_does_not_open_is_made_anew(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let app = json!({"subject": {"type": "app"}});
    let first = kit.ask(&app).await.token();
    for change in [
        "update minted_tokens set subject = 'user:mallory'",
        "update minted_tokens set sealed = (select held from grants limit 1)",
    ] {
        kit.consent("alice").await;
        kit.restart(async |kit| assert_eq!(kit.raw().await.run(change).await, 1, "{change}")).await;
        let asked = kit.provider.requests("client_credentials");
        let anew = kit.ask(&app).await.token();
        assert_ne!(anew, first, "{change}");
        kit.restart(async |_| ()).await;
        assert_eq!(kit.ask(&app).await.token(), anew, "{change}: it opens where it is");
        assert_eq!(kit.provider.requests("client_credentials"), asked + 1, "{change}");
    }
}
