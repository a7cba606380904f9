//! When somebody else's token says that it ends.

use carnet_model::Time;
use serde_json::Value;

use super::MAX_FOREIGN;
use crate::encoding;

/// The `exp` of a token, unverified: good for forgetting in time what hangs on it, and for nothing else. `None` if the
/// token is no JWT, or does not say. A fraction of a second is left out.
pub fn claimed_expiry(token: &str) -> Option<Time> {
    if token.len() > MAX_FOREIGN {
        return None;
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims: Value = serde_json::from_slice(&encoding::decode(payload)?).ok()?;
    let exp = claims.get("exp")?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let seconds = exp.as_i64().or_else(|| exp.as_f64().map(|seconds| seconds as i64))?;
    Some(Time::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_token_holds_its_end_is_read_or_not(head in ".{0,8}", payload: Vec<u8>, exp: f64) {
            claimed_expiry(&format!("{head}.{}.x", encoding::encode(&payload)));
            claimed_expiry(&format!("a.{}.x", encoding::encode(format!(r#"{{"exp":{exp}}}"#).as_bytes())));
        }
    }

    #[test]
    fn only_a_jwt_that_says_so_has_an_end() {
        let jwt = |payload: &str| format!("e30.{}.c2ln", encoding::encode(payload.as_bytes()));
        for (token, end) in [
            (jwt(r#"{"exp":1800000000}"#), Some(1_800_000_000)),
            (jwt(r#"{"exp":1800000000.9,"aud":["a","b"]}"#), Some(1_800_000_000)),
            (jwt(r#"{"exp":-1}"#), Some(-1)),
            (jwt(r#"{"exp":"1800000000"}"#), None),
            (jwt("{}"), None),
            (jwt("[]"), None),
            (jwt("not json"), None),
            (format!("{}.x", jwt(r#"{"exp":1}"#)), None),
            ("opaque".to_owned(), None),
            ("a.b".to_owned(), None),
            ("..".to_owned(), None),
        ] {
            assert_eq!(claimed_expiry(&token), end.map(Time::from_secs), "{token}");
        }
    }
}
