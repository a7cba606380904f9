//! Who shares a connection with whom.

use std::time::Duration;

use carnet_egress::{Call, Egress, EgressError, Purpose};
use http::Method;

use crate::server::{Answering, Server, addresses, development, request, say, team};
use crate::tls::Authority;

/// Makes the call, then waits until its connection is back in the pool.
async fn make(egress: &Egress, call: Call) {
    assert_eq!(egress.send(call).await.unwrap().status.as_u16(), 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_connection_belongs_to_one_team_and_one_purpose() {
    let server = Server::keeping().await;
    let egress = development();
    for (number, purpose, connections) in [
        (1, Purpose::ProviderApi, 1),
        (1, Purpose::ProviderApi, 1),
        (2, Purpose::ProviderApi, 2),
        (2, Purpose::ProviderApi, 2),
        (1, Purpose::ProviderApi, 2),
        (1, Purpose::Jwks, 3),
        (2, Purpose::Discovery, 4),
        (1, Purpose::ProviderApi, 4),
    ] {
        make(&egress, Call::get(server.url("/"), purpose, team(number))).await;
        assert_eq!(server.accepts(), connections, "team {number}, {purpose}");
    }
    // clones are the same client
    make(&egress.clone(), Call::get(server.url("/"), Purpose::ProviderApi, team(1))).await;
    assert_eq!(server.accepts(), 4);
}

#[tokio::test]
async fn what_must_not_be_in_doubt_gets_a_connection_of_its_own() {
    let server = Server::keeping().await;
    let egress = development();
    let mut expected = 0;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for purpose in [Purpose::ProviderToken, Purpose::ProviderApi, Purpose::Completion] {
            for _ in 0..2 {
                make(&egress, Call::new(method.clone(), server.url("/"), purpose, team(1))).await;
                expected += 1;
                assert_eq!(server.accepts(), expected, "{method} {purpose}");
            }
        }
    }
    // nor does it take an idle one, nor leave one behind
    make(&egress, Call::get(server.url("/"), Purpose::ProviderToken, team(1))).await;
    make(&egress, Call::new(Method::POST, server.url("/"), Purpose::ProviderToken, team(1))).await;
    make(&egress, Call::get(server.url("/"), Purpose::ProviderToken, team(1))).await;
    assert_eq!(server.accepts(), expected + 2);
}

#[tokio::test]
async fn forwards_share_the_connections_of_their_team() {
    let server = Server::keeping().await;
    let egress = development();
    for (number, connections) in [(1, 1), (1, 1), (2, 2), (1, 2)] {
        make(&egress, Call::post_json(server.url("/"), "{}", Purpose::Forward, team(number))).await;
        assert_eq!(server.accepts(), connections);
    }
}

#[tokio::test]
async fn a_request_on_a_dying_connection_is_not_repeated() {
    // Answers one request, and closes when the second has arrived: nobody can tell whether it was acted on.
    let server = Server::start(|mut stream| async move {
        request(&mut stream).await;
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        request(&mut stream).await;
    })
    .await;
    let egress = development();
    let forward = || Call::post_json(server.url("/"), "{}", Purpose::Forward, team(1));
    make(&egress, forward()).await;
    let error = egress.send(forward()).await.unwrap_err();
    assert_eq!(error, EgressError::Broken { sent: true });
    assert!(error.maybe_received());
    assert_eq!(server.accepts(), 1);
}

#[tokio::test]
async fn a_connection_that_the_peer_has_closed_is_not_used() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let egress = development();
    for connections in 1..=3 {
        make(&egress, Call::get(server.url("/"), Purpose::ProviderApi, team(1))).await;
        assert_eq!(server.accepts(), connections);
    }
}

#[tokio::test]
async fn http2_is_spoken_where_offered_and_kept_apart_by_team() {
    let authority = Authority::new();
    let server = authority.serve_http2(&["h2.example"]).await;
    let resolver = Answering(|_: &str| Ok(addresses(&["127.0.0.1"])));
    let egress = Egress::with_resolver(authority.policy(&server), std::sync::Arc::new(resolver)).unwrap();
    let url: url::Url = format!("https://h2.example:{}/x?y", server.address.port()).parse().unwrap();
    for (number, connections) in [(1, 1), (1, 1), (2, 2), (1, 2)] {
        let call = Call::get(url.clone(), Purpose::ProviderApi, team(number));
        let answer = egress.send(call).await.unwrap();
        assert_eq!(&answer.body[..], format!("HTTP/2.0 {url}").as_bytes());
        assert_eq!(server.accepts(), connections);
    }
    make(&egress, Call::new(Method::POST, url.clone(), Purpose::ProviderApi, team(1))).await;
    make(&egress, Call::new(Method::POST, url, Purpose::ProviderApi, team(1))).await;
    assert_eq!(server.accepts(), 4);
}
