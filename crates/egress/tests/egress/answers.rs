//! What comes back: redirects, bodies that lie about their size, and things that are not HTTP.

use std::time::Duration;

use carnet_egress::{Call, EgressError, Limits, Purpose};
use http::{HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;

use crate::server::{Server, development, get, hasty, post, request, say, team};

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::keeping().await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("/stolen");
        let server = Server::saying(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 4\r\n\r\nmove"
        ))
        .await;
        for call in [get(server.url("/")), post(server.url("/"))] {
            let answer = development().send(call).await.unwrap();
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.headers["location"], location.as_str());
            assert_eq!(&answer.body[..], b"move");
        }
        assert_eq!(server.accepts(), 2);
    }
    assert_eq!(elsewhere.accepts(), 0);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    for (length, fits) in [(0, true), (999, true), (1000, true), (1001, false), (100_000, false)] {
        let body = "x".repeat(length);
        let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            body.as_bytes()
                .chunks(7)
                .map(|c| format!("{:x}\r\n{}\r\n", c.len(), "x".repeat(c.len())))
                .collect::<Vec<_>>()
                .concat()
        );
        let to_the_end = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
        for answer in [whole, chunked, to_the_end] {
            let server = Server::saying(answer).await;
            let limits = Limits { body: 1000, ..Limits::default() };
            let outcome = development().send(get(server.url("/")).limits(limits)).await;
            match outcome {
                Ok(answer) => assert!(fits && answer.body.len() == length, "{length}"),
                Err(error) => {
                    assert!(!fits, "{length}: {error}");
                    assert_eq!(error, EgressError::TooLarge);
                    assert!(error.maybe_received());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_declared_size_is_believed_only_when_it_is_too_much() {
    // too much by its own word: refused before a byte of it is read
    let server = Server::start(|mut stream| async move {
        request(&mut stream).await;
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx").await;
        tokio::time::sleep(Duration::from_mins(1)).await;
    })
    .await;
    assert_eq!(development().send(get(server.url("/"))).await.unwrap_err(), EgressError::TooLarge);

    // more comes than was said: the rest is not part of the answer
    let server =
        Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nsmuggled").await;
    assert_eq!(&development().send(get(server.url("/"))).await.unwrap().body[..], b"ok");

    // a HEAD answer tells the size of what it does not send
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
    let head = Call::new(Method::HEAD, server.url("/"), Purpose::ProviderApi, team(1));
    assert!(development().send(head).await.unwrap().body.is_empty());
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_the_connection_closed() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            request(&mut stream).await;
            say(&mut stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            while tokio::io::AsyncWriteExt::write_all(&mut stream, chunk.as_bytes()).await.is_ok() {}
            closed.send(()).ok();
        }
    })
    .await;
    for call in [get(server.url("/")), post(server.url("/"))] {
        assert_eq!(development().send(call).await.unwrap_err(), EgressError::TooLarge);
        tokio::time::timeout(Duration::from_secs(30), was_closed.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_incomplete_or_unreadable_answer_is_broken_and_leaves_doubt() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname: a\r\n folded: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname: a\x00b\r\n\r\n",
        b"<html>no headers in old HTTP</html>\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x16\x03\x01\x00\x00\xff\xff\xff\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let server = Server::saying(answer).await;
        for call in [get(server.url("/")), post(server.url("/"))] {
            let error = development().send(call).await.unwrap_err();
            assert_eq!(error, EgressError::Broken { sent: true }, "{}", answer.escape_ascii());
            assert!(error.maybe_received());
        }
        assert_eq!(server.accepts(), 2, "tried twice: {}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn headers_have_a_limit() {
    for (headers, fits) in [
        ("a: b\r\n".repeat(100), true),
        ("a: b\r\n".repeat(1000), false),
        (format!("a: {}\r\n", "b".repeat(30_000)), true),
        (format!("a: {}\r\n", "b".repeat(300_000)), false),
        (format!("{}: b\r\n", "a".repeat(300_000)), false),
    ] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")).await;
        match development().send(get(server.url("/"))).await {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && error == EgressError::TooLarge, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_body_is_not_decompressed() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n".to_vec();
    answer.extend_from_slice(gzip);
    let server = Server::saying(answer).await;
    let answer = development().send(get(server.url("/"))).await.unwrap();
    assert_eq!(&answer.body[..], gzip);
    assert_eq!(answer.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn the_peer_sees_the_callers_request_and_our_framing() {
    let (seen, mut sees) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(request(&mut stream).await.unwrap()).unwrap();
            say(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let mut call = post(server.url("/token?a=b%20c"));
    for (name, value) in [
        ("host", "evil.example"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic eDp5"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("accept-encoding", "gzip"),
        ("authorization", "Bearer abc"),
        ("x-custom", "1"),
    ] {
        call = call.header(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let answer = development().send(call).await.unwrap();
    assert_eq!(answer.status.as_u16(), 204);

    let request = sees.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "grant_type=refresh_token");
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /token?a=b%20c HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: application/json",
            "authorization: Bearer abc",
            "content-length: 24",
            "content-type: application/x-www-form-urlencoded",
            &format!("host: {}", server.address),
            &format!("user-agent: carnet/{}", env!("CARGO_PKG_VERSION")),
            "x-custom: 1",
        ]
    );
}

#[tokio::test]
async fn interim_answers_do_not_go_on_for_ever() {
    let server = Server::start(|mut stream| async move {
        request(&mut stream).await;
        while tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 103 Early Hints\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = development().send(get(server.url("/")).limits(hasty())).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: true });
}
