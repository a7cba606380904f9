//! Servers whose clocks are an hour off: what is a time of theirs is read by their clock, which their answers tell (`Date`,
//! RFC 9110 §6.6.1), and what is signed for them is signed by it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::Time;
use carnet_providers::{Asserted, DriverError, MintAsk};
use serde_json::{Value, json};

use crate::bench::{Bench, NOW, object, outcome};
use crate::server::Reply;

/// An hour ahead of [`NOW`], and an hour behind.
const CLOCKS: [(&str, i64); 2] =
    [("Fri, 15 Jan 2027 09:00:00 GMT", NOW + 3600), ("Fri, 15 Jan 2027 07:00:00 GMT", NOW - 3600)];

fn claims(token: &str) -> Value {
    let body = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn an_end_that_introspection_tells_is_one_of_the_servers_clock() {
    for (date, there) in CLOCKS {
        let bench = Bench::new();
        let config = json!({"introspection_endpoint": format!("{}/introspect", bench.server.origin)});
        let made = bench.oauth(json!({"serverConfig": config})).await;
        bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
        let said = json!({"active": true, "iat": there, "exp": there + 600});
        bench.server.on("/introspect", Reply::json(200, said).with("date", date));
        let minted = made.app("read").await.unwrap();
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 600)), "{date}");
    }
}

#[tokio::test]
async fn a_point_in_time_until_which_to_wait_is_one_of_the_servers_clock() {
    for (date, until) in [
        ("Fri, 15 Jan 2027 09:00:00 GMT", "Fri, 15 Jan 2027 09:00:06 GMT"),
        ("Fri, 15 Jan 2027 07:00:00 GMT", "Fri, 15 Jan 2027 07:00:06 GMT"),
    ] {
        let bench = Bench::new();
        let made = bench.oauth(json!({})).await;
        bench.server.on("/token", Reply::json(429, "{}").with("date", date).with("retry-after", until));
        let Err(DriverError::Later { retry_after, .. }) = made.app("read").await else {
            panic!("it has to wait")
        };
        assert_eq!(retry_after, Some(6), "{date}");
    }
}

#[tokio::test]
async fn what_is_signed_for_a_server_of_another_clock_is_signed_once_more_by_that() {
    let alice = || Asserted { sub: "alice".to_owned(), iss: None, aud: None, claims: object(json!({})) };
    for (by, name) in [("client", "client_assertion"), ("jwt-bearer", "assertion")] {
        for (date, there) in CLOCKS {
            let bench = Bench::new();
            let made = bench
                .oauth(json!({
                    "clientSecret": null,
                    "tokenEndpointAuthMethod": "private_key_jwt",
                    "jwtBearer": {"enabled": true},
                }))
                .await;
            let error = if by == "client" { "invalid_client" } else { "invalid_grant" };
            bench.server.on("/token", Reply::json(400, json!({"error": error})).with("date", date));
            bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "expires_in": 60})));
            let minted = if by == "client" {
                made.app("read").await
            } else {
                let (scopes, resources, audience, details) = Default::default();
                let ask = MintAsk::Asserted { who: alice(), scopes, resources, audience, details };
                made.driver.mint(&made.at(), None, &ask).await
            };
            assert_eq!(
                minted.unwrap().expires_at,
                Some(Time::from_secs(NOW + 60)),
                "our clock counts a life"
            );
            let issued: Vec<i64> = bench
                .server
                .seen()
                .iter()
                .map(|seen| claims(&seen.field(name).unwrap())["iat"].as_i64().unwrap())
                .collect();
            assert_eq!(issued.len(), 2, "{by} {date}");
            assert!(issued[0].abs_diff(NOW) <= 60 && issued[1].abs_diff(there) <= 60, "{issued:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_by_a_server_of_our_clock_or_of_none_is_one() {
    for date in ["Fri, 15 Jan 2027 08:00:20 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"] {
        let bench = Bench::new();
        let made =
            bench.oauth(json!({"clientSecret": null, "tokenEndpointAuthMethod": "private_key_jwt"})).await;
        bench.server.on("/token", Reply::json(401, json!({"error": "invalid_client"})).with("date", date));
        assert!(outcome(&made.app("read").await).starts_with("client rejected"), "{date}");
        assert_eq!(bench.server.seen().len(), 1, "{date}");
    }
    // A secret has no time in it.
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    bench.server.on("/token", Reply::json(401, json!({"error": "invalid_client"})).with("date", CLOCKS[0].0));
    made.app("read").await.unwrap_err();
    assert_eq!(bench.server.seen().len(), 1);
}
