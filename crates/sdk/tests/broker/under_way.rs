//! Callers that want the same at the same time.

use std::time::Duration;

use carnet_sdk::{Reason, RevokeRequest};
use carnet_testkit::{Fault, Gate};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{app, asked, client, kit, of};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_share_one_request() {
    let kit = kit().await;
    let client = client(&kit);
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let ask = app();
    let callers = join_all((0..64).map(|_| {
        let (client, ask) = (client.clone(), &ask);
        async move { client.get_token("demo/hello", ask).await }
    }));
    let opener = async {
        kit.provider.until_requests("client_credentials", 1).await;
        gate.open();
    };
    let (tokens, ()) = tokio::join!(callers, opener);
    let tokens: Vec<_> = tokens.into_iter().map(Result::unwrap).collect();
    assert!(tokens.iter().all(|token| token.expose() == tokens[0].expose()));
    assert_eq!(asked(&kit).await, 1);
}

#[tokio::test]
async fn a_refusal_is_shared_by_those_who_waited_for_it() {
    let kit = kit().await;
    let client = client(&kit);
    let ask = of("nobody");
    let errors = join_all((0..64).map(|_| client.get_token("demo/hello", &ask))).await;
    for error in errors {
        let error = error.unwrap_err();
        assert!(matches!(error.reason(), Some(Reason::UserAuthorizationRequired { .. })));
    }
    assert_eq!(asked(&kit).await, 1);
}

#[tokio::test]
async fn who_walks_away_takes_nothing_from_those_who_wait() {
    let kit = kit().await;
    let client = client(&kit);
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let ask = app();
    let impatient = timeout(Duration::from_millis(50), client.get_token("demo/hello", &ask)).await;
    assert!(impatient.is_err());
    let patient = client.get_token("demo/hello", &ask);
    gate.open();
    patient.await.unwrap();
    assert_eq!(asked(&kit).await, 1);
}

#[tokio::test]
async fn what_was_revoked_while_under_way_is_not_remembered() {
    let kit = kit().await;
    let client = client(&kit);
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let ask = app();
    let under_way = async { client.get_token("demo/hello", &ask).await.unwrap() };
    let revoking = async {
        kit.provider.until_requests("client_credentials", 1).await;
        let which = RevokeRequest { subject: app().subject, installation_id: None };
        client.revoke_token("demo/hello", &which).await.unwrap();
        gate.open();
    };
    let (_, ()) = tokio::join!(under_way, revoking);
    let before = asked(&kit).await;
    client.get_token("demo/hello", &ask).await.unwrap();
    assert_eq!(asked(&kit).await, before + 1);
}

#[test]
fn a_runtime_that_ends_strands_nobody_in_another() {
    let [first, second] = [(); 2].map(|()| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    let kit = second.block_on(kit());
    let client = client(&kit);
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let ask = app();
    first.block_on(async {
        assert!(timeout(Duration::from_millis(200), client.get_token("demo/hello", &ask)).await.is_err());
    });
    first.shutdown_background();
    gate.open();
    second.block_on(async {
        let token = timeout(Duration::from_secs(20), client.get_token("demo/hello", &ask)).await;
        token.expect("nobody waits for ever").unwrap();
    });
}
