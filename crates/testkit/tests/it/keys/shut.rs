//! A key service that falls silent is waited for; one that says no is believed.

use carnet_engine::{StartError, UnlockError};
use carnet_testkit::{Answers, Engine, Kit, Plan, on_both_engines};

use super::{everything_opens, rotate, status};
use crate::{anew, of};

on_both_engines!(
    a_silent_key_service_stops_nothing_but_a_start,
    a_key_service_that_says_no_shuts_everything_until_it_says_yes,
);

async fn a_silent_key_service_stops_nothing_but_a_start(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let service = kit.keep_root_key_at_a_service();
    kit.restart(async |_| {}).await;
    kit.consent("alice").await;
    service.answers(Answers::Nothing);
    assert_eq!(status(&kit).await["provider"], "silent");
    kit.ask(&anew("alice")).await.token();
    let ready = kit.node.call("GET", "/readyz", None, None).await;
    assert_eq!((ready.status, ready.text().contains("does not answer")), (200, true), "{}", ready.text());
    rotate(&kit, "team").await;
    let body = serde_json::json!({"kind": "root"});
    let refused = kit.manage("POST", "/v1/keys/rotate", Some(&body)).await;
    assert_eq!(refused.refusal(), (503, "unavailable".to_owned()), "a root key cannot be wrapped now");
    let error = kit.fails_to_restart().await;
    let said = format!(
        "{error}: {}",
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    );
    assert!(matches!(error, StartError::Unlock(UnlockError::Root { .. })), "{said}");
    assert!(said.contains("no answer"), "{said}");
}

async fn a_key_service_that_says_no_shuts_everything_until_it_says_yes(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let service = kit.keep_root_key_at_a_service();
    kit.restart(async |_| {}).await;
    kit.consent("alice").await;
    let token = kit.user_token("alice").await.token();
    service.answers(Answers::No);
    kit.node.broker().look_at_provider().await.unwrap();
    for answer in [
        kit.ask(&of("alice")).await,
        kit.manage("GET", "/v1/keys", None).await,
        kit.node.call("GET", "/v2/user", None, None).await,
    ] {
        assert!(
            [(503, "unavailable".to_owned()), (401, "unauthorized".to_owned())].contains(&answer.refusal()),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains(&token));
    }
    assert_eq!(kit.ask(&of("alice")).await.refusal(), (503, "unavailable".to_owned()));
    let ready = kit.node.call("GET", "/readyz", None, None).await;
    assert_eq!(
        (ready.status, ready.text().contains("AccessDeniedException")),
        (503, true),
        "{}",
        ready.text()
    );
    let refreshes = kit.provider.requests("refresh_token");
    // What is not for it is still answered: others verify our identity tokens by it.
    assert_eq!(kit.node.call("GET", "/.well-known/jwks", None, None).await.status, 200);
    assert_eq!(kit.node.call("GET", "/livez", None, None).await.status, 200);

    service.answers(Answers::Yes);
    kit.node.broker().look_at_provider().await.unwrap();
    assert_eq!(kit.user_token("alice").await.token(), token);
    kit.ask(&anew("alice")).await.token();
    assert!(kit.provider.requests("refresh_token") > refreshes);
    everything_opens(&kit).await;
    assert_eq!(kit.node.call("GET", "/readyz", None, None).await.status, 200);
    let raw = kit.raw().await;
    for action in ["keys.shut", "keys.open"] {
        let count = format!("select count(*) from audit_events where action = '{action}'");
        assert_eq!(raw.number(&count).await, 1, "{action}");
    }
}
