//! What is said about a call never holds what was in it.

use std::error::Error;

use carnet_egress::{Call, EgressError, Purpose};
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::server::{Server, development, hasty, team};

const MARK: &str = "hunter2";

#[tokio::test]
async fn errors_and_debug_output_hold_no_query_header_or_body() {
    let closing = Server::saying("").await;
    let garbage = Server::saying(format!("{MARK}\r\n\r\n")).await;
    let large = Server::saying(format!("HTTP/1.1 200 OK\r\n\r\n{}", MARK.repeat(1000))).await;
    let query = format!("/?code={MARK}");
    let mut said = Vec::new();
    for url in [
        closing.url(&query),
        garbage.url(&query),
        large.url(&query),
        format!("https://{}{query}", garbage.address).parse().unwrap(),
        format!("https://10.0.0.1{query}").parse().unwrap(),
        format!("https://user:{MARK}@example.com{query}").parse().unwrap(),
        format!("https://example.com/#{MARK}").parse().unwrap(),
    ] {
        let mut limits = hasty();
        limits.body = 1000;
        let call = Call::post_form(url, format!("secret={MARK}").into(), Purpose::ProviderToken, team(1))
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"))
            .limits(limits);
        said.push(format!("{call:?}"));
        let error = development().send(call).await.unwrap_err();
        let mut link: Option<&dyn Error> = Some(&error);
        while let Some(error) = link {
            said.push(format!("{error} {error:?}"));
            link = error.source();
        }
    }
    let said = said.join("\n");
    assert!(!said.contains(MARK), "{said}");
}

#[tokio::test]
async fn an_answer_is_printed_without_its_headers_and_body() {
    let server = Server::saying(format!("HTTP/1.1 200 OK\r\nset-cookie: {MARK}\r\n\r\n{MARK}")).await;
    let answer = development().send(Call::get(server.url("/"), Purpose::ProviderApi, team(1))).await.unwrap();
    assert_eq!(&answer.body[..], MARK.as_bytes());
    assert_eq!(format!("{answer:?}"), "Answer { status: 200, .. }");
}

#[test]
fn only_what_was_handed_over_may_have_been_received() {
    for (error, maybe) in [
        (EgressError::Refused(carnet_egress::UrlRefused::Address), false),
        (EgressError::Resolve, false),
        (EgressError::Connect, false),
        (EgressError::Tls, false),
        (EgressError::Timeout { sent: false }, false),
        (EgressError::Timeout { sent: true }, true),
        (EgressError::Broken { sent: false }, false),
        (EgressError::Broken { sent: true }, true),
        (EgressError::TooLarge, true),
    ] {
        assert_eq!(error.maybe_received(), maybe, "{error:?}");
    }
}
