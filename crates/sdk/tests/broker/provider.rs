//! Requests to the provider's own API, and tokens that it no longer takes.

use std::cell::Cell;
use std::convert::Infallible;

use carnet_sdk::{AskedSubject, CallError, Client, Reason, SecretString, TokenRequest};
use carnet_testkit::{Answer, Http, Kit};
use futures_util::future::join_all;
use serde_json::json;

use crate::{app, asked, client, kit, of};

/// The provider's API: who the token is of.
async fn me(kit: &Kit, token: SecretString) -> Result<(u16, Answer), Infallible> {
    let bearer = format!("Bearer {}", token.expose());
    let url = format!("{}/api/me", kit.provider.issuer());
    let answer = Http::default().send("GET", &url, &[("authorization", &bearer)], "").await;
    Ok((answer.status, answer))
}

async fn ended_at_the_provider(kit: &Kit, client: &Client, ask: &TokenRequest) -> SecretString {
    let token = client.get_token("demo/hello", ask).await.unwrap();
    kit.provider.forget(token.expose()).await;
    assert_eq!(me(kit, token.duplicate()).await.unwrap().0, 401);
    token
}

#[tokio::test]
async fn a_token_that_the_provider_refuses_is_made_anew_once() {
    let kit = kit().await;
    let client = client(&kit);
    let refused = ended_at_the_provider(&kit, &client, &app()).await;
    let sent = Cell::new(0);
    let (status, answer) = client
        .with_token("demo/hello", &app(), |token| {
            sent.set(sent.get() + 1);
            me(&kit, token)
        })
        .await
        .unwrap();
    assert_eq!((status, sent.get()), (200, 2));
    assert_eq!(answer.json()["type"], "app");
    let now = client.get_token("demo/hello", &app()).await.unwrap();
    assert_ne!(now.expose(), refused.expose(), "the fresh one is remembered");
}

#[tokio::test]
async fn nothing_is_sent_a_third_time_and_nothing_but_a_401_a_second() {
    let kit = kit().await;
    let client = client(&kit);
    for (status, times) in [(401, 2), (200, 1), (204, 1), (400, 1), (403, 1), (404, 1), (429, 1), (500, 1)] {
        let tokens = Cell::new(Vec::new());
        let answer = client
            .with_token("demo/hello", &app(), |token| {
                let mut all = tokens.take();
                all.push(token.expose().clone());
                tokens.set(all);
                async move { Ok::<_, Infallible>((status, ())) }
            })
            .await
            .unwrap();
        let mut tokens = tokens.take();
        assert_eq!((answer.0, tokens.len()), (status, times));
        tokens.dedup();
        assert_eq!(tokens.len(), times, "the second is another token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_refused_together_share_the_new_token() {
    let kit = kit().await;
    let client = client(&kit);
    ended_at_the_provider(&kit, &client, &app()).await;
    let ask = app();
    let answers =
        join_all((0..64).map(|_| client.with_token("demo/hello", &ask, |token| me(&kit, token)))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().0 == 200));
    assert_eq!(kit.provider.requests("client_credentials"), 2);
    assert_eq!(asked(&kit).await, 2);
}

#[tokio::test]
async fn a_user_whose_consent_is_gone_is_told_as_such() {
    let kit = kit().await;
    let client = client(&kit);
    kit.consent("alice").await;
    client.get_token("demo/hello", &of("alice")).await.unwrap();
    let refresh_token = kit.provider.last_refresh_token();
    kit.provider.forget(&refresh_token).await;
    let error = client.with_token("demo/hello", &of("alice"), |token| me(&kit, token)).await.unwrap_err();
    let CallError::Token(error) = error;
    assert!(matches!(error.reason(), Some(Reason::UserAuthorizationRequired { .. })), "{error:?}");
}

#[tokio::test]
async fn a_key_that_is_the_only_one_is_not_sent_twice() {
    let kit = kit().await;
    let client = client(&kit);
    kit.keep_keys("only", &json!({"values": [{"value": "the-only-key"}]})).await;
    let sent = Cell::new(0);
    let ask = TokenRequest::of(AskedSubject::App);
    let (status, ()) = client
        .with_token("keys/only", &ask, |_| {
            sent.set(sent.get() + 1);
            async { Ok::<_, Infallible>((401, ())) }
        })
        .await
        .unwrap();
    assert_eq!((status, sent.get()), (401, 1));
}
