//! Who the person is, by the ID token that came with the tokens.
//!
//! Its signature is not checked: it came straight from the token endpoint over TLS, and OpenID Connect Core §3.1.3.7
//! (6) lets TLS vouch for it. Issuer, audience, authorized party, nonce and end of life are checked all the same. Never
//! use this for a token that came by any other way.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::{SecretString, Time};
use serde_json::{Map, Value};

use super::json;

/// What the token must say.
pub(crate) struct Expected<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    /// The nonce, if one was sent.
    pub nonce: Option<&'a SecretString>,
    /// Checked against the end of the token's life; `None` after a refresh, where servers may hand out the first token
    /// again (OpenID Connect Core §12.2).
    pub now: Option<Time>,
}

/// The person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub subject: String,
    pub claims: Map<String, Value>,
}

/// Text that is not the ID token that was expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the expected ID token")]
pub(crate) struct Unfit;

/// Reads an ID token.
pub(crate) fn read(token: &SecretString, expected: &Expected<'_>) -> Result<Person, Unfit> {
    let mut parts = token.expose().split('.');
    let (Some(head), Some(body), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Unfit);
    };
    let head = decode(head)?;
    if !head.get("alg").is_some_and(Value::is_string) {
        return Err(Unfit);
    }
    let claims = decode(body)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_for_us = is_for(&claims, expected.client);
    let nonce_fits = expected.nonce.is_none_or(|sent| {
        let back = text("nonce").unwrap_or_default();
        verify_slices_are_equal(back.as_bytes(), sent.expose().as_bytes()).is_ok()
    });
    let ends = claims.get("exp").and_then(Value::as_f64).ok_or(Unfit)?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let is_alive = expected.now.is_none_or(|now| now.secs() < (ends as i64).saturating_add(SKEW));
    // OpenID Connect Core §2: at most 255 ASCII characters.
    let subject =
        text("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255 && !sub.chars().any(char::is_control));
    match subject {
        Some(subject) if text("iss") == Some(expected.issuer) && is_for_us && nonce_fits && is_alive => {
            Ok(Person { subject: subject.to_owned(), claims: claims.clone() })
        }
        _ => Err(Unfit),
    }
}

impl Person {
    /// What the provider calls the person, fit to be shown.
    pub(crate) fn name(&self) -> Option<String> {
        let text = ["name", "preferred_username", "email"].iter().find_map(|claim| {
            self.claims.get(*claim).and_then(Value::as_str).filter(|text| !text.is_empty())
        })?;
        Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
    }

    /// The claims of these names.
    pub(crate) fn only(&self, names: &[String]) -> Map<String, Value> {
        names.iter().filter_map(|name| Some((name.clone(), self.claims.get(name)?.clone()))).collect()
    }
}

/// OpenID Connect Core §3.1.3.7 (3) to (5): we are an audience, and if there are several or a party is named, that
/// party is us.
fn is_for(claims: &Map<String, Value>, client: &str) -> bool {
    let (is_audience, alone) = match claims.get("aud") {
        Some(Value::String(one)) => (one == client, true),
        Some(Value::Array(all)) => (all.iter().any(|one| one.as_str() == Some(client)), all.len() == 1),
        _ => (false, false),
    };
    let party_fits = match claims.get("azp") {
        None => alone,
        Some(party) => party.as_str() == Some(client),
    };
    is_audience && party_fits
}

fn decode(part: &str) -> Result<Map<String, Value>, Unfit> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Unfit)?;
    json::object(&bytes).ok_or(Unfit)
}

/// Clocks differ.
const SKEW: i64 = 60;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(claims: &Value) -> SecretString {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        SecretString::new(format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims)))
    }

    fn sound() -> Value {
        json!({"iss": "https://idp", "aud": "client", "sub": "alice", "exp": NOW + 60, "nonce": "n", "name": "Al\nice"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = sound();
        claims[name] = value;
        claims
    }

    fn judge(token: &SecretString) -> Result<Person, Unfit> {
        let nonce = SecretString::new("n".to_owned());
        let now = Some(Time::from_secs(NOW));
        read(token, &Expected { issuer: "https://idp", client: "client", nonce: Some(&nonce), now })
    }

    #[test]
    fn a_sound_token_names_the_person() {
        for claims in [
            sound(),
            with("aud", json!(["client"])),
            with("azp", json!("client")),
            with("exp", json!(NOW - 59)),
            with("exp", json!(1.9e9)),
        ] {
            assert_eq!(judge(&token(&claims)).map(|p| p.subject).as_deref(), Ok("alice"), "{claims}");
        }
        let person = judge(&token(&sound())).unwrap();
        assert_eq!(person.name().as_deref(), Some("Alice"));
        assert_eq!(Value::Object(person.only(&["sub".into(), "gone".into()])), json!({"sub": "alice"}));
    }

    #[test]
    fn each_wrong_claim_is_refused() {
        let mut two = with("aud", json!(["client", "other"]));
        assert_eq!(judge(&token(&two)), Err(Unfit));
        two["azp"] = json!("client");
        assert!(judge(&token(&two)).is_ok());
        for (name, value) in [
            ("iss", json!("https://idp/")),
            ("iss", json!(null)),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", json!([])),
            ("aud", json!(7)),
            ("azp", json!("other")),
            ("azp", json!(7)),
            ("nonce", json!("m")),
            ("nonce", json!(null)),
            ("exp", json!(NOW - 60)),
            ("exp", json!("later")),
            ("exp", json!(null)),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", json!("x".repeat(256))),
            ("sub", json!("a\nb")),
        ] {
            assert_eq!(judge(&token(&with(name, value.clone()))), Err(Unfit), "{name} {value}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let good = token(&sound());
        let (head, rest) = good.expose().split_once('.').unwrap();
        let (body, _) = rest.split_once('.').unwrap();
        for text in [
            String::new(),
            "a.b".to_owned(),
            "a.b.c".to_owned(),
            format!("{head}.{body}"),
            format!("{head}.{body}.s.t.u"),
            format!("{head}=.{body}.s"),
            format!("{body}.{body}.s"),
            format!("{head}.{head}.s"),
        ] {
            assert_eq!(judge(&SecretString::new(text.clone())), Err(Unfit), "{text}");
        }
    }
}
