//! Identity tokens of workloads.
//!
//! As a token, no input is accepted but the one that the issuer signed, byte for byte. As the payload of a token that
//! the issuer did sign, whatever is accepted says what was expected of it to any reader, a lenient one too.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_identity::{Algorithm, Expectation, KeySet, Presented, VerifiedClaims};
use carnet_model::Time;
use serde_json::Value;

/// Pieces of tokens.
pub const WORDS: &[&str] = &[
    ".",
    "..",
    "eyJhbGciOiJub25lIn0.",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"crit\":[\"exp\"]",
    "\"iss\":",
    "\"aud\":[",
    "\"exp\":",
    "\"exp\":1e10",
    "\"nbf\":\"0\"",
    "\"sub\":\"\"",
    "\"\\u0069ss\":",
    "null",
    "=",
];

/// When it is.
const NOW: Time = Time::from_secs(1_800_000_000);
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://carnet.example/acme";
const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#;
/// What the issuer signs.
const PAYLOAD: &str = r#"{"iss":"https://issuer.example","sub":"workload:1","aud":"https://carnet.example/acme","iat":1799999990,"nbf":1799999990,"exp":1800000290}"#;

/// The issuer's key; anybody may know it here.
static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(jwks().as_bytes()).expect("a sound set"));
static SOUND: LazyLock<String> = LazyLock::new(|| sign(PAYLOAD.as_bytes()));

/// Tries the input as a token and as a payload; whether either was accepted.
pub fn run(data: &[u8]) -> bool {
    let mut accepted = false;
    if let Ok(text) = str::from_utf8(data)
        && verify(text, &KEYS).is_some()
    {
        assert_eq!(text, SOUND.as_str(), "accepted without having been signed");
        accepted = true;
    }
    let signed = sign(data);
    let Some(claims) = verify(&signed, &KEYS) else { return accepted };
    let Ok(Value::Object(read)) = serde_json::from_slice(data) else {
        panic!("accepted, and no JSON object")
    };
    assert_eq!(read["iss"], ISSUER);
    assert_eq!(read["aud"].as_str().or_else(|| read["aud"][0].as_str()), Some(AUDIENCE));
    assert_eq!(read["sub"], claims.subject());
    assert!(!claims.subject().is_empty() && !claims.subject().chars().any(char::is_control));
    let expires = read["exp"].as_f64().expect("exp is a number");
    assert!(expires > 1_799_999_000.0 && expires < 1_800_100_000.0, "exp {expires}");
    assert!(claims.expires_at() > claims.issued_at());
    true
}

/// The sound token and its payload.
pub fn made() -> Vec<Vec<u8>> {
    vec![sound().as_bytes().to_vec(), PAYLOAD.as_bytes().to_vec()]
}

/// The public keys of the issuer.
pub(super) fn jwks() -> String {
    let x = public_key();
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"{x}"}}]}}"#)
}

/// The issuer's public key, as it stands in a JWKS.
pub(super) fn public_key() -> String {
    URL_SAFE_NO_PAD.encode(KEY.public_key().as_ref())
}

/// A token that is good under the issuer's keys.
pub(super) fn sound() -> &'static str {
    &SOUND
}

pub(super) fn verify(token: &str, keys: &KeySet) -> Option<VerifiedClaims> {
    let expectation = Expectation {
        issuer: ISSUER,
        audiences: &[AUDIENCE.to_owned()],
        algorithms: &Algorithm::ALL,
        types: &["JWT".to_owned(), String::new()],
        max_life: Duration::from_hours(24),
        max_age: None,
        skew: Duration::from_mins(1),
    };
    Presented::parse(token).ok()?.verify(keys, &expectation, NOW).ok()
}

fn sign(payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_token_is_accepted() {
        assert!(verify(sound(), &KEYS).is_some());
    }
}
