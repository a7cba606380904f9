//! Servers whose clocks are an hour off: what is a time of theirs is read by their clock, which their answers tell (`Date`,
//! RFC 9110 §6.6.1), and what is signed for them is signed by it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::{SecretString, Time};
use carnet_providers::{Asserted, ConsentAsk, DriverError, MintAsk, Revocation, Step};
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

/// Every place that a client proves itself at, and what else it signs.
#[tokio::test]
async fn whatever_carries_a_proof_is_sent_once_more_by_the_servers_clock() {
    for (date, there) in CLOCKS {
        let bench = Bench::new();
        let at = |path: &str| format!("{}{path}", bench.server.origin);
        let by_key = |more: Value| {
            let mut data = json!({"clientSecret": null, "tokenEndpointAuthMethod": "private_key_jwt"});
            data.as_object_mut().unwrap().extend(object(more));
            data
        };
        let refused = || Reply::json(401, json!({"error": "invalid_client"})).with("date", date);
        let then = |path: &str, answer: Value, status: u16| {
            bench.server.forget(path);
            bench.server.on(path, refused()).on(path, Reply::json(status, answer));
        };
        let issued = |path: &str, name: &str| {
            let seen = bench.server.seen();
            let sent: Vec<i64> = seen
                .iter()
                .filter(|seen| seen.path == path)
                .map(|seen| claims(&seen.field(name).unwrap())["iat"].as_i64().unwrap())
                .collect();
            assert_eq!(sent.len(), 2, "{path} {date}");
            assert!(sent[0].abs_diff(NOW) <= 60 && sent[1].abs_diff(there) <= 60, "{path} {sent:?}");
            let last = seen.last().unwrap();
            assert_eq!(last.names().iter().filter(|one| *one == name).count(), 1, "{path}: one proof");
        };

        let config = json!({"pushed_authorization_request_endpoint": at("/par")});
        let made = bench.oauth(by_key(json!({"serverConfig": config}))).await;
        then("/par", json!({"request_uri": "urn:x", "expires_in": 60}), 201);
        made.begin(|_| ()).await.unwrap();
        issued("/par", "client_assertion");

        let made = bench.oauth(by_key(json!({}))).await;
        let held = made.granted().await;
        then("/revoke", json!({}), 200);
        // The access token comes after, to a server that takes it at once.
        bench.server.on("/revoke", Reply::json(200, "{}"));
        let at_revoke = made.driver.revoke(&made.at(), &held).await.unwrap();
        assert_eq!(at_revoke, Revocation::Revoked);
        let seen = bench.server.seen();
        let first: Vec<_> = seen.iter().map(|seen| seen.field("token").unwrap()).collect();
        assert_eq!(first, ["rt0", "rt0", "at0"]);
        let iat = claims(&seen[1].field("client_assertion").unwrap())["iat"].as_i64().unwrap();
        assert!(iat.abs_diff(there) <= 60, "{iat}");

        let config = json!({"introspection_endpoint": at("/introspect")});
        let made = bench.oauth(by_key(json!({"serverConfig": config}))).await;
        bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
        bench.server.on("/introspect", refused());
        let said = json!({"active": true, "exp": there + 600});
        bench.server.on("/introspect", Reply::json(200, said).with("date", date));
        assert_eq!(made.app("read").await.unwrap().expires_at, Some(Time::from_secs(NOW + 600)));
        issued("/introspect", "client_assertion");

        let config = json!({"authorization_endpoint": null, "device_authorization_endpoint": at("/device")});
        let device = json!({"deviceAuthorization": {"enabled": true}, "serverConfig": config});
        let made = bench.oauth(by_key(device)).await;
        let code = json!({"device_code": "d", "user_code": "WDJB", "expires_in": 600,
            "verification_uri": at("/enter")});
        then("/device", code, 200);
        let state = SecretString::new("state".to_owned());
        let step = made.driver.begin(&made.at(), &ConsentAsk::new(&state)).await.unwrap();
        assert!(matches!(step, Step::Device { .. }));
        issued("/device", "client_assertion");

        // The client has a secret here, and what it signs is that it acts.
        let made = bench.oauth(json!({"tokenExchange": {"enabled": true, "actorToken": true}})).await;
        let answer = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
        bench.server.forget("/token");
        let refusal = Reply::json(400, json!({"error": "invalid_request"})).with("date", date);
        bench.server.on("/token", refusal).on("/token", Reply::json(200, answer));
        let token = SecretString::new("theirs".to_owned());
        let (scopes, resources, audience, details) = Default::default();
        let ask = MintAsk::Exchanged { token, scopes, resources, audience, details };
        made.driver.mint(&made.at(), None, &ask).await.unwrap();
        issued("/token", "actor_token");
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
