//! Who the person is, as the ID token beside the tokens says: at consent, and when the grant is refreshed.

use serde_json::{Value, json};

use super::Cases;
use crate::bench::{Bench, Made, NOW, id_token, outcome, scopes_of};
use crate::server::Reply;

/// A claim that is left out.
const ABSENT: &str = "\u{0}absent";

pub(super) async fn cases() -> Cases {
    let mut cases = Cases::default();
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let issuer = &bench.server.origin;
    for (name, claim, value, good) in [
        ("oidcc-client-test-invalid-iss", "iss", json!("https://evil.example"), false),
        ("fapi2-security-profile-final-client-test-invalid-missing-iss", "iss", json!(ABSENT), false),
        ("iss with a slash", "iss", json!(format!("{issuer}/")), false),
        ("iss as a list", "iss", json!([issuer]), false),
        ("oidcc-client-test-missing-sub", "sub", json!(ABSENT), false),
        ("sub empty", "sub", json!(""), false),
        ("sub as a number", "sub", json!(7), false),
        ("sub with a line break", "sub", json!("a\nb"), false),
        ("sub of 256 characters", "sub", json!("a".repeat(256)), false),
        ("sub of 255 characters", "sub", json!("a".repeat(255)), true),
        ("oidcc-client-test-missing-aud", "aud", json!(ABSENT), false),
        ("oidcc-client-test-invalid-aud", "aud", json!("other"), false),
        ("aud empty", "aud", json!([]), false),
        ("aud as a number", "aud", json!(7), false),
        ("aud in capitals", "aud", json!("CLIENT"), false),
        ("aud as a longer name", "aud", json!("client2"), false),
        ("aud as a list of one", "aud", json!(["client"]), true),
        (
            "fapi2-security-profile-final-client-test-invalid-secondary-aud",
            "aud",
            json!(["client", "other"]),
            false,
        ),
        ("aud inside another list", "aud", json!([["client"]]), false),
        ("azp of somebody else", "azp", json!("other"), false),
        ("azp as a list", "azp", json!(["client"]), false),
        ("azp of ours", "azp", json!("client"), true),
        ("oidcc-client-test-nonce-invalid", "nonce", json!("replayed"), false),
        ("fapi2-security-profile-final-client-test-invalid-missing-nonce", "nonce", json!(ABSENT), false),
        ("nonce null", "nonce", json!(null), false),
        ("nonce empty", "nonce", json!(""), false),
        ("nonce as a list", "nonce", json!([]), false),
        ("fapi2-security-profile-final-client-test-invalid-expired-exp", "exp", json!(NOW - 3600), false),
        ("fapi2-security-profile-final-client-test-invalid-missing-exp", "exp", json!(ABSENT), false),
        ("exp as a text", "exp", json!((NOW + 300).to_string()), false),
        ("exp before the epoch", "exp", json!(-1), false),
        ("exp a little late", "exp", json!(NOW - 59), true),
        ("exp a little too late", "exp", json!(NOW - 61), false),
        ("exp with a fraction", "exp", json!(1_800_000_300.5), true),
        ("exp beyond every number", "exp", json!(1e300), true),
        ("claims nobody knows", "_claim_names", json!({"a": "src"}), true),
    ] {
        let token = |nonce: &str| {
            let mut claims = sound(issuer, nonce);
            match value.as_str() {
                Some(ABSENT) => drop(claims.as_object_mut().unwrap().remove(claim)),
                _ => claims[claim] = value.clone(),
            }
            id_token(&claims)
        };
        cases.add(name, consented(&made, token).await, if good { "ok" } else { "garbage in doubt" });
    }
    for (name, token) in [
        ("a word", "nonsense"),
        ("two parts", "e30.e30"),
        ("four parts", "e30.e30.e30.e30"),
        ("parts that are no base64url", "e30.e+/=.c2ln"),
        ("parts that are no objects", "W10.W10.c2ln"),
        ("an encrypted token", "e30.e30.e30.e30.e30"),
    ] {
        cases.add(name, consented(&made, |_| token.to_owned()).await, "garbage in doubt");
    }
    let headless =
        |nonce: &str| id_token(&sound(issuer, nonce)).split_once('.').map(|(_, rest)| format!("e30.{rest}"));
    let got = consented(&made, |nonce| headless(nonce).unwrap()).await;
    cases.add("a header without an algorithm", got, "garbage in doubt");

    // A refresh may bring an ID token, which may be an old one, but not one of somebody else.
    let held = {
        let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("openid")).await.unwrap();
        let token = id_token(&sound(issuer, kept.nonce.as_ref().unwrap().expose()));
        bench.server.on(
            "/token",
            Reply::json(200, json!({"access_token": "at", "refresh_token": "rt", "id_token": token})),
        );
        let held = made.finish("code=c", &kept).await.unwrap().held;
        bench.server.forget("/token");
        held
    };
    // The access token that came is not handed out; the refresh token beside it may be the only one that works.
    let kept = "kept from the caller";
    for (name, claim, value, want) in [
        ("oidcc-client-test-refresh-token", "name", json!("Alice"), "ok"),
        ("oidcc-client-test-refresh-token-invalid-issuer", "iss", json!("https://evil.example"), kept),
        ("oidcc-client-test-refresh-token-invalid-sub", "sub", json!("mallory"), "garbage in doubt"),
        ("oidcc-client-test-refresh-token-invalid-aud", "aud", json!("other"), kept),
        ("oidcc-client-test-refresh-token-invalid-azp", "azp", json!("other"), kept),
        ("an old ID token at refresh", "exp", json!(NOW - 86_400), "ok"),
        ("another nonce at refresh", "nonce", json!("other"), "ok"),
    ] {
        let mut claims = sound(issuer, "");
        claims[claim] = value;
        let answer = json!({"access_token": "at1", "refresh_token": "rt1", "id_token": id_token(&claims)});
        bench.server.on("/token", Reply::json(200, answer));
        let got = match made.refresh(&held, "").await {
            Ok(minted) if minted.stray.is_some() => {
                let new = minted.held.as_ref().and_then(|held| held.refresh());
                assert_eq!(new.map(|token| token.expose().as_str()), Some("rt1"), "{name}");
                kept.to_owned()
            }
            other => outcome(&other),
        };
        cases.add(name, got, want);
        bench.server.forget("/token");
    }
    cases
}

fn sound(issuer: &str, nonce: &str) -> Value {
    json!({"iss": issuer, "aud": "client", "sub": "alice", "iat": NOW - 5, "exp": NOW + 300, "nonce": nonce})
}

/// What comes of a consent at whose end the server hands out this ID token.
async fn consented(made: &Made<'_>, token: impl Fn(&str) -> String) -> String {
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("openid")).await.unwrap();
    let token = token(kept.nonce.as_ref().unwrap().expose());
    let server = &made.bench.server;
    server.on("/token", Reply::json(200, json!({"access_token": "at", "id_token": token})));
    let got = outcome(&made.finish("code=c", &kept).await);
    server.forget("/token");
    got
}
