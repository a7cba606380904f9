//! What is answered from memory, for how long, and to whom.

use std::time::Duration;

use carnet_sdk::{Credential, Error, Reason, RevokeRequest, TokenRequest};
use carnet_testkit::{Engine, Kit, Plan, eventually};

use crate::{app, asked, builder, client, kit, of, scoped};

#[tokio::test]
async fn the_order_of_scopes_and_the_buffer_make_no_other_token() {
    let kit = kit().await;
    let client = client(&kit);
    let first = client.get_token("demo/hello", &scoped(&["profile:read", "messages:read"])).await.unwrap();
    for ask in [
        scoped(&["messages:read", "profile:read"]),
        scoped(&["messages:read", "profile:read", "messages:read"]),
        TokenRequest { validity_buffer_ms: Some(60_000), ..scoped(&["messages:read", "profile:read"]) },
    ] {
        assert_eq!(client.get_token("demo/hello", &ask).await.unwrap().expose(), first.expose());
    }
    assert_eq!(asked(&kit).await, 1);
    client.get_token("demo/hello", &scoped(&["profile:read"])).await.unwrap();
    assert_eq!(asked(&kit).await, 2);
}

#[tokio::test]
async fn what_one_caller_got_is_not_given_to_another() {
    let kit = kit().await;
    let production = client(&kit);
    let preview = production.with_credential(Credential::Identity(kit.workload("preview").into()));
    let stranger = production.with_credential(Credential::Identity("a.b.c".to_owned().into()));
    let token = production.get_token("demo/hello", &app()).await.unwrap();
    assert_ne!(preview.get_token("demo/hello", &app()).await.unwrap().expose(), token.expose());
    let error = stranger.get_token("demo/hello", &app()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::Unauthorized));
    assert_eq!(asked(&kit).await, 2);
}

#[tokio::test]
async fn a_request_that_wants_a_longer_life_is_asked_anew() {
    let kit = kit().await;
    let client = client(&kit);
    let first = client.get_token_response("demo/hello", &app()).await.unwrap();
    let long = TokenRequest { validity_buffer_ms: Some(3_590_000), ..app() };
    kit.clock.pass(Duration::from_mins(1));
    let second = client.get_token_response("demo/hello", &long).await.unwrap();
    assert!(second.expires_at > first.expires_at);
    // And whoever is content with less gets the newer one.
    let third = client.get_token_response("demo/hello", &app()).await.unwrap();
    assert_eq!(third.token.expose(), second.token.expose());
}

#[tokio::test]
async fn before_its_end_the_next_token_is_fetched_while_the_present_one_is_given_out() {
    let kit = kit().await;
    let client = client(&kit);
    let first = client.get_token("demo/hello", &app()).await.unwrap();
    kit.clock.pass(Duration::from_mins(4));
    assert_eq!(client.get_token("demo/hello", &app()).await.unwrap().expose(), first.expose());
    assert_eq!(kit.provider.requests("client_credentials"), 1, "a young token is left alone");

    let short = short_lived().await;
    let client = crate::client(&short);
    let first = client.get_token_response("demo/hello", &app()).await.unwrap();
    // Past the time at which the next one is due, with more than the buffer left.
    short.clock.pass(Duration::from_secs(70));
    let same = client.get_token_response("demo/hello", &app()).await.unwrap();
    assert_eq!(same.token.expose(), first.token.expose(), "nobody waits");
    let next = eventually("the next token is there", async || {
        let token = client.get_token_response("demo/hello", &app()).await.unwrap();
        (token.token.expose() != first.token.expose()).then_some(token)
    })
    .await;
    assert!(next.expires_at > first.expires_at);
    assert_eq!(short.provider.requests("client_credentials"), 2, "one request in the background");
}

/// A provider whose tokens live two minutes: less than an identity, so that one caller sees them end.
async fn short_lived() -> Kit {
    Kit::start(Engine::Sqlite, Plan { access_life: Duration::from_mins(2), ..Plan::default() }).await
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_given_out() {
    let kit = short_lived().await;
    let client = client(&kit);
    let first = client.get_token_response("demo/hello", &app()).await.unwrap();
    kit.clock.pass(Duration::from_mins(3));
    let second = client.get_token_response("demo/hello", &app()).await.unwrap();
    assert_ne!(second.token.expose(), first.token.expose());
    assert!(second.expires_at > kit.clock.env().now());
}

#[tokio::test]
async fn while_the_server_is_dead_a_token_is_good_to_its_very_end() {
    let mut kit = short_lived().await;
    let client = client(&kit);
    let first = client.get_token("demo/hello", &app()).await.unwrap();
    kit.restart(async |kit| {
        // Young, then due for the next one, then within the buffer.
        for leap in [0, 70, 40] {
            kit.clock.pass(Duration::from_secs(leap));
            assert_eq!(
                client.get_token("demo/hello", &app()).await.unwrap().expose(),
                first.expose(),
                "{leap}"
            );
        }
        kit.clock.pass(Duration::from_secs(11));
        let error = client.get_token("demo/hello", &app()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && error.is_transient(), "{error:?}");
    })
    .await;
    let second = client.get_token("demo/hello", &app()).await.unwrap();
    assert_ne!(second.expose(), first.expose());
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let kit = kit().await;
    let client = client(&kit);
    for _ in 0..2 {
        let error = client.get_token("demo/hello", &of("alice")).await.unwrap_err();
        assert!(matches!(error.reason(), Some(Reason::UserAuthorizationRequired { .. })), "{error:?}");
    }
    assert_eq!(asked(&kit).await, 2);
    kit.consent("alice").await;
    client.get_token("demo/hello", &of("alice")).await.unwrap();
}

#[tokio::test]
async fn revoking_forgets_the_tokens_of_that_subject_and_no_others() {
    let kit = kit().await;
    let client = client(&kit);
    kit.consent("alice").await;
    kit.consent("bob").await;
    for ask in [of("alice"), of("bob"), app()] {
        client.get_token(&kit.connector, &ask).await.unwrap();
    }
    let alice = RevokeRequest { subject: of("alice").subject, installation_id: None };
    // By the UID, though the tokens were asked for by identifier.
    let done = client.revoke_token("demo/hello", &alice).await.unwrap();
    assert_eq!((done.tokens_found, done.deleted, done.provider_revoked), (1, 1, 1));
    let before = asked(&kit).await;
    for ask in [of("bob"), app()] {
        client.get_token(&kit.connector, &ask).await.unwrap();
    }
    assert_eq!(asked(&kit).await, before, "the others are still in memory");
    let error = client.get_token(&kit.connector, &of("alice")).await.unwrap_err();
    assert!(matches!(error.reason(), Some(Reason::UserAuthorizationRequired { .. })));
}

#[tokio::test]
async fn one_token_can_be_forgotten_and_one_made_anew() {
    let kit = kit().await;
    let client = client(&kit);
    let first = client.get_token("demo/hello", &app()).await.unwrap();
    client.forget_token("demo/hello", &app()).unwrap();
    assert_eq!(
        client.get_token("demo/hello", &app()).await.unwrap().expose(),
        first.expose(),
        "the server has it"
    );
    assert_eq!(asked(&kit).await, 2);
    let fresh = client.get_fresh_token("demo/hello", &app()).await.unwrap();
    assert_ne!(fresh.token.expose(), first.expose());
    assert_eq!(client.get_token("demo/hello", &app()).await.unwrap().expose(), fresh.token.expose());
    assert_eq!(asked(&kit).await, 3);
}

#[tokio::test]
async fn no_more_is_remembered_than_there_is_room_for() {
    let kit = kit().await;
    let client = builder(&kit).remembered(2).build().unwrap();
    let [one, two, three] = [&["profile:read"][..], &["messages:read"], &["profile:read", "messages:read"]];
    for (scopes, requests) in [(one, 1), (two, 2), (one, 2), (three, 3), (one, 3), (two, 4), (three, 5)] {
        client.get_token("demo/hello", &scoped(scopes)).await.unwrap();
        assert_eq!(asked(&kit).await, requests, "{scopes:?}");
    }
    let forgetful = builder(&kit).remembered(0).build().unwrap();
    for requests in [6, 7] {
        forgetful.get_token("demo/hello", &app()).await.unwrap();
        assert_eq!(asked(&kit).await, requests);
    }
}
